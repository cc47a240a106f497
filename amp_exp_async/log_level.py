"""The environment variable that turns on the package's log, without any code."""

from __future__ import annotations

import logging
import os

from .formatting import format_value

LOG_VARIABLE = "AMP_EXP_LOG"

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
# By its name, so that clients that are created at the same time in two threads add one handler.
_handlers: dict[str, logging.Handler] = {}


def apply_log_variable() -> None:
    """Log to stderr if `AMP_EXP_LOG` is the name of a level. Another word is logged as a warning, and changes nothing.

    Only the logger of this package is set up, and only as far as the application has not done so: its level if it has
    none, and a handler if no handler would get its records.
    """
    text = os.environ.get(LOG_VARIABLE, "").strip()
    if not text:
        return
    logger = logging.getLogger("amp_exp_async")
    level = _LEVELS.get(text.lower())
    if level is None:
        logger.warning("%s must be one of %s, got %s", LOG_VARIABLE, ", ".join(_LEVELS), format_value(text))
        return
    if logger.level == logging.NOTSET:
        logger.setLevel(level)
    if not logger.hasHandlers():
        logger.addHandler(_handlers.setdefault("stderr", _make_handler()))


def _make_handler() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler
