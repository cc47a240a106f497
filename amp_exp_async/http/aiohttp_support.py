"""Whether requests can go over aiohttp's connector, or must go through its session."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Collection
from functools import cache

import aiohttp
from aiohttp.client_proto import ResponseHandler

_LOG = logging.getLogger("amp_exp_async")
_REQUEST, _INNER_REQUEST = aiohttp.ClientSession.request, aiohttp.ClientSession._request  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
_NEEDED: tuple[tuple[type, str, Collection[str] | None], ...] = (
    (aiohttp.BaseConnector, "connect", {"req", "traces", "timeout"}),
    (aiohttp.BaseConnector, "_release", {"key", "protocol", "should_close"}),
    (aiohttp.ClientRequest, "__init__", {"method", "url", "headers", "ssl", "loop"}),
    (aiohttp.StreamReader, "at_eof", ()),
    (aiohttp.StreamReader, "readany", ()),
    (ResponseHandler, "data_received", {"data"}),
    (ResponseHandler, "force_close", ()),
    (ResponseHandler, "read", ()),
    (ResponseHandler, "set_response_params", {"skip_payload", "read_until_eof", "auto_decompress", "read_timeout"}),
    (ResponseHandler, "should_close", None),  # a property
    (ResponseHandler, "start_timeout", ()),
)


@cache
def is_supported() -> bool:
    """Return whether this release of aiohttp has what an `Exchange` needs, in the form that it needs."""
    missing = [f"{owner.__name__}.{name}" for owner, name, form in _NEEDED if not _has(owner, name, form)]
    if not (_is_original(_REQUEST) and _is_original(_INNER_REQUEST)):
        missing.append("ClientSession.request of its own")
    if missing:
        _LOG.debug("aiohttp %s has no %s. Requests use its session.", aiohttp.__version__, ", ".join(missing))
    return not missing


def is_plain(session: aiohttp.ClientSession) -> bool:
    """Return whether a session is of aiohttp's own class, and nothing traces its requests."""
    return type(session) is aiohttp.ClientSession and not session.trace_configs


def is_replaced() -> bool:
    """Return whether other code, such as a mock or an instrumentation, has replaced how sessions send requests."""
    return aiohttp.ClientSession._request is not _INNER_REQUEST or aiohttp.ClientSession.request is not _REQUEST  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _has(owner: type, name: str, parameters: Collection[str] | None) -> bool:
    """Return whether a class has a property, or a method with at least these parameters."""
    member = getattr(owner, name, None)
    if parameters is None:
        return isinstance(member, property)
    return callable(member) and set(parameters) <= set(inspect.signature(member).parameters)


def _is_original(method: object) -> bool:
    """Return whether a method is defined in aiohttp's module."""
    code = getattr(method, "__code__", None)
    return code is not None and code.co_filename == inspect.getfile(aiohttp.client)
