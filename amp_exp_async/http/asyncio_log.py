"""The log records of asyncio, without tracebacks that show the key: in its debug mode, it logs failed writes."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable
from typing import Any, cast

_LOG = logging.getLogger("asyncio")
_HEADER = b"authorization:"


class _Filter(logging.Filter):
    """Removes the traceback of a record if one of its frames holds a request with an `Authorization`."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and _shows_authorization(error):
            record.exc_info = (type(error), error.with_traceback(None), None)
        return True


_FILTER = _Filter()


def hide_requests() -> None:
    """Keep requests that aiohttp writes out of the log. Requests of an `Exchange` hide themselves."""
    _LOG.addFilter(_FILTER)


def _shows_authorization(error: BaseException) -> bool:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(_HEADER in data.lower() for frame in frames for data in _written(frame.f_locals.values()))


def _written(values: Iterable[Any]) -> Iterable[bytes | bytearray]:
    """Yield the bytes among local variables, and those in their lists and tuples."""
    for value in values:
        if isinstance(value, bytes | bytearray):
            yield value
        elif isinstance(value, list | tuple):
            yield from (item for item in cast("list[Any]", value) if isinstance(item, bytes | bytearray))
