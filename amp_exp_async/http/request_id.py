"""The ID that the service, or a gateway before it, gives a request."""

from __future__ import annotations

from collections.abc import Mapping

from amp_exp_async.config import Secret
from amp_exp_async.escaping import escape
from amp_exp_async.formatting import truncate

# The IDs of the service come first, then those of gateways, the nearest to the service first.
_HEADERS = (
    "X-Request-Id",
    "Request-Id",
    "X-Correlation-Id",
    "X-Amzn-RequestId",
    "X-Amzn-Trace-Id",
    "X-Amz-Cf-Id",
    "CF-Ray",
)
_MAX_LENGTH = 128  # characters


def read_request_id(headers: Mapping[str, str], key: Secret) -> str | None:
    """Return the ID of a request from the headers of its response; None without one.

    It may come from anyone, and is shown in messages: it is one line of at most 128 characters, without the key.

    Args:
        headers: the headers, whose names are looked up in this spelling: pass a case-insensitive mapping.
        key: the management API key.
    """
    for name in _HEADERS:
        value = headers.get(name, "").strip()
        if value:
            return truncate(escape(key.redact(value)), _MAX_LENGTH)
    return None
