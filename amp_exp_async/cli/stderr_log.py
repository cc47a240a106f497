"""The library's log on standard error, for `--verbose` and `AMP_EXP_LOG`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from .options import LOG_VARIABLE
from .status_line import STATUS_LINE

_LOGGER = logging.getLogger("amp_exp_async")
_SHORT_FORMAT = "%(message)s"
_LONG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _TerminalHandler(logging.StreamHandler):  # type: ignore[type-arg]  # generic in type stubs only
    def emit(self, record: logging.LogRecord) -> None:
        STATUS_LINE.clear()
        super().emit(record)


@contextmanager
def logging_to_stderr(*, verbose: bool) -> Generator[None, None, None]:
    """Print the library's log in the block.

    The library itself sets the level that `AMP_EXP_LOG` names. It adds no handler, because this one is there.

    Args:
        verbose: whether to print a line for each attempt.
    """
    handler, level = _TerminalHandler(sys.stderr), _LOGGER.level
    handler.setFormatter(logging.Formatter(_LONG_FORMAT if os.environ.get(LOG_VARIABLE) else _SHORT_FORMAT))
    _LOGGER.addHandler(handler)
    if verbose:
        _LOGGER.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)
