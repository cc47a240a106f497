r"""Text with bytes that were not decoded, which Python keeps as U+DC80 to U+DCFF: `Gr\udcc3\udcbcn` is not `Grün`.

New text with them is rejected. The service may have half a surrogate pair in this range in a text that it has cut, so
text that is already there is written back unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

from .rejection import reject

_UNDECODED_RE = re.compile("[\udc80-\udcff]+")
_ADVICE = "Read the text as UTF-8: the locale may have another encoding."
_CODE_ADVICE = "For os.environ, sys.argv and names of files, call os.fsencode(text).decode()."

_is_trusted: ContextVar[Callable[[str], bool]] = ContextVar("is_trusted", default=lambda _: False)


@contextmanager
def trusted_text(is_trusted: Callable[[str], bool] = lambda _: True) -> Generator[None, None, None]:
    """Accept text that the service may have sent, as far as it is validated in this context.

    Args:
        is_trusted: whether a text comes from the service. By default, all text does.
    """
    outer = _is_trusted.get()
    token = _is_trusted.set(lambda text: outer(text) or is_trusted(text))
    try:
        yield
    finally:
        _is_trusted.reset(token)


def reject_undecoded(argument: str, text: str) -> None:
    """Reject new text with bytes that were not decoded."""
    if text.isascii() or (found := _UNDECODED_RE.search(text)) is None:
        return
    if not _is_trusted.get()(text):
        code_points = " ".join(f"U+{ord(char):04X}" for char in found[0][:2])
        rule = f"must be text, but it has bytes that were not decoded ({code_points})"
        reject(argument, rule, text, advice=_ADVICE, code_advice=_CODE_ADVICE)
