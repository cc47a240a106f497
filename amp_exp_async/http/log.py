"""The log of the package. Its records about requests have fields (`extra`) besides the text."""

from __future__ import annotations

import logging

from .observers import WaitReason

LOGGER = logging.getLogger("amp_exp_async")


def log_request(
    level: int,
    message: str,
    *args: object,
    method: str,
    path: str,
    attempt: int,
    status: int | None = None,
    error: str | None = None,
    seconds: float | None = None,
    request_id: str | None = None,
    wait: float | None = None,
    wait_reason: WaitReason | None = None,
) -> None:
    """Log a line about a request, which begins with its method and path.

    The record has all keyword arguments as attributes, so that a formatter finds each of them.

    Args:
        level: the level.
        message: the rest of the line, with placeholders.
        *args: the values of the placeholders.
        method: the HTTP method.
        path: the path, without host and query.
        attempt: the number of the last attempt, from 1; 0 before the first one.
        status: the status of its response; None without one.
        error: why there is no complete response; None if there is one.
        seconds: how long the attempt took.
        request_id: the ID that the service gave it.
        wait: the seconds of a wait.
        wait_reason: its reason.
    """
    if not LOGGER.isEnabledFor(level):
        return
    fields: dict[str, object] = {
        "method": method,
        "path": path,
        "attempt": attempt,
        "status": status,
        "error": error,
        "seconds": seconds,
        "request_id": request_id,
        "wait": wait,
        "wait_reason": wait_reason,
    }
    line = f"%s %s: {message}"
    try:
        LOGGER.log(level, line, method, path, *args, extra=fields, stacklevel=2)
    except KeyError:
        # The application's record factory sets one of these attributes, which `extra` must not replace.
        LOGGER.log(level, line, method, path, *args, stacklevel=2)
