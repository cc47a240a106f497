"""Whether requests can go over aiohttp's connector, or must go through its session."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from types import FunctionType
from typing import Any, TypeAlias

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
from yarl import URL

from amp_exp_async.errors import ConfigurationError

from .bounded_headers import AIOHTTP_HAS_BOUNDS

_LOG = logging.getLogger("amp_exp_async")
_INIT, _REQUEST = aiohttp.ClientSession.__init__, aiohttp.ClientSession.request
_INNER_REQUEST = aiohttp.ClientSession._request  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

# Classes, what is needed of them, and the parameters of a method; None for an attribute.
Needed: TypeAlias = tuple[tuple[type, str, Collection[str] | None], ...]

NEEDED_BY_CHECKS: Needed = (
    (aiohttp.BaseConnector, "connect", {"req", "traces", "timeout"}),
    (Connection, "close", ()),
    (Connection, "protocol", None),
    (ResponseHandler, "is_connected", ()),
    (ResponseHandler, "should_close", None),
    (ResponseHandler, "transport", None),
)
"""What it takes to check a connection before it is used."""
_NEEDED_BY_BOUNDS: Needed = (
    (ResponseHandler, "feed_data", {"data"}),
    (ResponseHandler, "set_exception", {"exc"}),
)
NEEDED: Needed = (
    *NEEDED_BY_CHECKS,
    (aiohttp.BaseConnector, "_release", {"key", "protocol", "should_close"}),
    (aiohttp.ClientRequest, "__init__", {"method", "url", "headers", "ssl", "loop"}),
    (aiohttp.ClientRequest, "headers", None),
    (aiohttp.StreamReader, "at_eof", ()),
    (aiohttp.StreamReader, "readany", ()),
    (Connection, "release", ()),
    (Connection, "transport", None),
    (HttpResponseParser, "feed_eof", ()),
    (RawResponseMessage, "code", None),
    (RawResponseMessage, "headers", None),
    (RawResponseMessage, "raw_headers", None),
    (ResponseHandler, "__init__", {"loop"}),
    (ResponseHandler, "_parser", None),
    (ResponseHandler, "data_received", {"data"}),
    (ResponseHandler, "force_close", ()),
    (ResponseHandler, "read", ()),
    (ResponseHandler, "set_response_params", {"skip_payload", "read_until_eof", "auto_decompress", "read_timeout"}),
    (ResponseHandler, "start_timeout", ()),
    *(() if AIOHTTP_HAS_BOUNDS else _NEEDED_BY_BOUNDS),
)
"""What `CheckedConnector` and `Exchange` use."""
# Attributes may be those of instances only.
_INSTANCES: Mapping[type, Callable[[], Any]] = {
    ResponseHandler: lambda: ResponseHandler(loop=asyncio.get_running_loop()),
    aiohttp.ClientRequest: lambda: aiohttp.ClientRequest(
        "GET", URL("http://localhost"), headers={}, ssl=True, loop=asyncio.get_running_loop()
    ),
}


@cache
def is_supported() -> bool:
    """Return whether this release of aiohttp has what an `Exchange` needs, in the form that it needs.

    Call it in an event loop: it creates some of the objects.
    """
    missing = _missing(NEEDED)
    if not _makes_protocols():
        missing.append("BaseConnector._factory")
    if not (_is_original(_REQUEST) and _is_original(_INNER_REQUEST)):
        missing.append("ClientSession.request of its own")
    if missing:
        _LOG.debug("aiohttp %s has no %s. Requests use its session.", aiohttp.__version__, ", ".join(missing))
    return not missing


def require_checks() -> None:
    """Raise if connections cannot be checked before they are used, by whatever sends requests over them.

    Raises:
        ConfigurationError: If this release of aiohttp is not supported, and has not even what the check needs.
    """
    if not is_supported() and (missing := _missing(NEEDED_BY_CHECKS)):
        raise ConfigurationError(
            f"aiohttp {aiohttp.__version__} has no {', '.join(missing)}, so the response to one request may be taken "
            "for that to another. Install a release of aiohttp that has it, such as 3.14.5, or a newer amp_exp_async."
        )


def is_plain(session: aiohttp.ClientSession) -> bool:
    """Return whether our own session is as aiohttp made it, of its own class, and nothing traces its requests.

    Code that changes how sessions are made may have given it middlewares, a proxy or headers, for example.
    """
    is_made_by_aiohttp = aiohttp.ClientSession.__init__ is _INIT and _is_original(_INIT)
    return type(session) is aiohttp.ClientSession and is_made_by_aiohttp and not session.trace_configs


def is_replaced() -> bool:
    """Return whether other code, such as a mock or an instrumentation, has replaced how sessions send requests."""
    return aiohttp.ClientSession._request is not _INNER_REQUEST or aiohttp.ClientSession.request is not _REQUEST  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _missing(needed: Needed) -> list[str]:
    return [
        f"{owner.__name__}.{name}"
        for owner, name, parameters in needed
        if not (_has_attribute(owner, name) if parameters is None else _has_method(owner, name, parameters))
    ]


def _has_attribute(owner: type, name: str) -> bool:
    if inspect.isdatadescriptor(getattr(owner, name, None)):  # such as a property
        return True
    try:
        return name in vars(_INSTANCES[owner]())
    except Exception:  # noqa: BLE001 - an object that cannot be created in this way has nothing that can be used
        return False


def _has_method(owner: type, name: str, parameters: Collection[str]) -> bool:
    """Return whether a class has a method with at least these parameters, which is not that of asyncio."""
    method = getattr(owner, name, None)
    if not callable(method) or method is getattr(asyncio.Protocol, name, None):
        return False
    return not parameters or set(parameters) <= set(inspect.signature(method).parameters)


def _makes_protocols() -> bool:
    """Return whether connectors have the attribute that decides on the class of their protocols."""
    make_protocol = getattr(aiohttp.BaseConnector(limit=1), "_factory", None)
    return isinstance(make_protocol, partial) and make_protocol.func is ResponseHandler


def _is_original(method: object) -> bool:
    """Return whether a method is a function that is defined in aiohttp's module, and not an object that wraps it."""
    return type(method) is FunctionType and method.__code__.co_filename == inspect.getfile(aiohttp.client)
