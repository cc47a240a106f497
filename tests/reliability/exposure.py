"""The ways in which tools print exceptions and logs, to find secrets that show there."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.traceback import Traceback

_TESTS = Path(__file__).parents[1]
_MAX_DEPTH = 8


def find_secrets(error: BaseException, secrets: Sequence[str]) -> list[str]:
    """Return the renderers that show a secret for an error, each with the secret.

    The frames of tests are left out, which know the secrets. The error's traceback is of no use afterwards.
    """
    for exception in _chain(error):
        exception.__traceback__ = _without_tests(exception.__traceback__)
    return [
        f"{name} shows {secret}"
        for name, render in RENDERERS.items()
        for text in [render(error)]
        for secret in secrets
        if secret in text
    ]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that it leads to, also those that a traceback does not print."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        exception = left.pop()
        if exception is None or id(exception) in seen:
            continue
        seen.add(id(exception))
        yield exception
        left += [exception.__cause__, exception.__context__]
        if isinstance(exception, BaseExceptionGroup):
            left += exception.exceptions


def _without_tests(frame: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of tests."""
    while frame is not None and Path(frame.tb_frame.f_code.co_filename).is_relative_to(_TESTS):
        frame = frame.tb_next
    if frame is not None:
        frame.tb_next = _without_tests(frame.tb_next)
    return frame


def _render_standard(error: BaseException) -> str:
    """Return what the standard library prints, with local variables."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def _render_rich(error: BaseException) -> str:
    """Return the local variables and messages that rich prints, without its frames and colours, which take long."""
    trace = Traceback.extract(
        type(error),
        error,
        error.__traceback__,
        show_locals=True,
        locals_max_length=None,  # type: ignore[arg-type] - None is for no limit
        locals_max_string=None,  # type: ignore[arg-type] - the same
    )
    texts: list[str] = []
    for stack in trace.stacks:
        texts += [stack.exc_value, *map(str, stack.notes)]
        texts += [node.render() for frame in stack.frames for node in (frame.locals or {}).values()]
    return "\n".join(texts)


def _render_tracker(error: BaseException) -> str:
    """Return what an error tracker sends: the local variables of all frames of all errors, and what is in them."""
    texts: list[str] = []
    for exception in _chain(error):
        texts += [str(exception), repr(exception), *_walk(vars(exception)), *_walk(exception.args)]
        frame = exception.__traceback__
        while frame is not None:
            texts += _walk(frame.tb_frame.f_locals)
            frame = frame.tb_next
    return "\n".join(texts)


def _walk(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the keys, the items and the representations of a value, some levels deep."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for key in value:
            yield from _walk(key, depth + 1)
            yield from _walk(value[key], depth + 1)
    elif isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes | bytearray):
        for item in value:
            yield from _walk(item, depth + 1)
    else:
        try:
            yield str(value) if isinstance(value, str) else repr(value)
        except Exception as error:  # noqa: BLE001 - error trackers send this instead
            yield repr(error)


RENDERERS: dict[str, Callable[[BaseException], str]] = {
    "traceback": _render_standard,
    "rich": _render_rich,
    "an error tracker": _render_tracker,
}


class LogWatch(logging.Handler):
    """A handler that reads every log record of the process at every level.

    Args:
        secrets: what must not be in them. More may be added at any time.

    Attributes:
        found: the records that show a secret.
        records: how many records there were.
    """

    def __init__(self, secrets: list[str]) -> None:
        super().__init__(logging.NOTSET)
        self.secrets = secrets
        self.found: list[str] = []
        self.records = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Read a record as a formatter does, with its exception."""
        self.records += 1
        text = self.format(record)
        if any(secret in text for secret in self.secrets):
            self.found.append(text)
