"""Single requests through aiohttp: over its connector, or through its session if that is the caller's or observed."""

from __future__ import annotations

import asyncio
import copy
import math
from functools import lru_cache
from typing import Any, NoReturn, cast

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from amp_exp_async.config import Endpoint, Secret
from amp_exp_async.errors import ConfigurationError

from .additions import MESSAGE_HEADERS, USER_AGENT
from .aiohttp_errors import CONNECTION_ERRORS, FAILURES, hide_frames, map_exception
from .aiohttp_support import is_plain, is_replaced, is_supported, require_checks
from .asyncio_log import hide_requests
from .attempt_connections import CURRENT_CONNECTIONS, AttemptConnections
from .bounded_headers import AIOHTTP_HAS_BOUNDS, check_headers
from .connector import CheckedConnector, WrappedConnector
from .deadlines import CancelScope
from .error_mapping import LOST_BY_SERVER, TransportFailure, shutdown_error
from .exchange import Exchange
from .options import HttpOptions
from .proxies import ProxySetting, environment_proxy, secrets_of, secrets_of_login
from .request import Request, Response
from .resolver import create_resolver
from .response_body import ACCEPT_ENCODING, read_body
from .timeouts import AttemptLimits

_REQUEST_TIMEOUT = 408
_CONTENT_TYPE = ("Content-Type",)
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": ACCEPT_ENCODING,
    "User-Agent": USER_AGENT,
}


@lru_cache(maxsize=16)
def _client_timeout(limits: AttemptLimits) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,  # `DeadlineTimer` takes a third of the time that the timer of aiohttp takes
        connect=limits.connect,
        sock_read=limits.read,
        ceil_threshold=math.inf,  # otherwise aiohttp rounds up to a whole second, beyond the deadline
    )


class _Headers(CIMultiDict[str]):
    """Headers that hide the key, because tracebacks may show local variables."""

    def __repr__(self) -> str:
        return f"<headers: {', '.join(self)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("headers with a management API key cannot be pickled.")


class RequestSender:
    """A sender of single requests.

    Args:
        session: the session, from `create_session`.
        endpoint: the URL and the key.
        options: the options of the client.

    Attributes:
        session: the session.
        key: the key that is sent, which every response refers to.

    Raises:
        ConfigurationError: If this release of aiohttp cannot be kept from sending a request twice, or if the proxy of
            the environment is not one for HTTP.
    """

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint, options: HttpOptions) -> None:
        self.session = session
        self._endpoint = endpoint
        self._options = options
        self.key = endpoint.key
        self._headers = _Headers({"Authorization": f"Bearer {endpoint.key.reveal()}", **_HEADERS})
        self._body_headers = _Headers(self._headers)
        self._body_headers["Content-Type"] = "application/json"
        self._proxy = _resolve_proxy(endpoint, options)
        if self._proxy is not None:
            self.key = self.key.beside(*secrets_of(self._proxy.url))
        if options.session is not None:
            self.key = self.key.beside(*_secrets_of_session(options.session))
        self._exchange = self._create_exchange() if self._proxy is None else None
        if self._exchange is None:
            _stop_resending(session)

    def _create_exchange(self) -> Exchange | None:
        """Return an exchange over the connections of our own session; None if requests must go through the session."""
        session, options = self.session, self._options
        if options.session is not None or not is_plain(session) or not is_supported():
            return None
        connector = session.connector
        if connector is None:
            return None
        return Exchange(
            connector,
            self._endpoint,
            self.key,
            _HEADERS,
            ssl=options.ssl,
            max_response_bytes=options.max_response_bytes,
        )

    async def send(self, request: Request, scope: CancelScope, limits: AttemptLimits) -> Response | TransportFailure:
        """Send one request and read its response.

        Args:
            request: the request.
            scope: the scope of the call, in which the attempt has started.
            limits: the times that it may take.
        """
        exchange = None if is_replaced() else self._exchange
        if exchange is None:
            _stop_resending(self.session)
        timed_out = False
        connections, outer_connections = AttemptConnections(), CURRENT_CONNECTIONS.get()
        CURRENT_CONNECTIONS.set(connections)
        try:
            try:
                if exchange is None:
                    response = await self._request(request, _client_timeout(limits))
                else:
                    response = await exchange.send(request, _client_timeout(limits))
            finally:
                CURRENT_CONNECTIONS.set(outer_connections)
                connections.is_in_progress = False
                timed_out = scope.end_attempt()
        except BaseException as error:  # noqa: BLE001 - it is mapped or raised below
            raised = error
        else:
            if response.status == _REQUEST_TIMEOUT:
                connections.close()
                return LOST_BY_SERVER
            response.connections = connections
            return response
        connections.close()  # aiohttp's session may have put them into the pool already
        # The frames of aiohttp show the request's headers, which contain the key.
        hide_frames(raised)
        sent, shutdown = self._may_have_sent(connections, raised), shutdown_error(raised)
        if timed_out and isinstance(raised, asyncio.CancelledError):
            return limits.total_failure(sent=sent)
        # The session runs code of the user, such as middlewares and traces, which may raise anything.
        if shutdown is None and isinstance(raised, FAILURES if exchange is not None else Exception):
            return map_exception(raised, self.key, limits, sent=sent, proxy=self._proxy)
        raise shutdown or raised

    def _may_have_sent(self, connections: AttemptConnections, error: BaseException) -> bool:
        """Return whether the service may have received the request of an attempt that ended with an exception."""
        if connections.is_requested:
            return connections.may_have_sent
        if not isinstance(self.session, aiohttp.ClientSession) or is_replaced():  # pyright: ignore[reportUnnecessaryIsInstance]
            # A substitute, as in a test, raises what stands for the failure.
            return not isinstance(error, CONNECTION_ERRORS)
        # Middlewares and other classes may send requests without the connector.
        return type(self.session) is not aiohttp.ClientSession or bool(getattr(self.session, "_middlewares", ()))

    async def _request(self, request: Request, timeout: aiohttp.ClientTimeout) -> Response:  # noqa: ASYNC109 - the name in aiohttp
        """Send a request through the session, and return the complete response."""
        hide_requests()
        response = await self.session.request(
            request.method,
            URL(self._endpoint.base_url + request.target, encoded=True),
            data=request.body,
            headers=self._headers_of(request),
            # Without a body, aiohttp would declare a stream of bytes.
            skip_auto_headers=_CONTENT_TYPE if request.body is None else None,
            timeout=timeout,
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            proxy=None if self._proxy is None else self._proxy.url.reveal(),
            ssl=self._options.ssl,
        )
        try:
            body = await self._read(response)
        except BaseException:
            response.close()
            raise
        return Response(request, response.status, response.headers, body, self.key)

    def _headers_of(self, request: Request) -> _Headers:
        headers = self._headers if request.body is None else self._body_headers
        if request.headers is None:
            return headers
        headers = _Headers(headers)
        headers.update(request.headers.reveal())
        return headers

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if not isinstance(response, aiohttp.ClientResponse):  # pyright: ignore[reportUnnecessaryIsInstance]
            return await response.read()  # a substitute in a test may only look like a response
        if not AIOHTTP_HAS_BOUNDS:
            check_headers(response.raw_headers)
        max_bytes, is_error = self._options.max_response_bytes, not response.ok
        body = await read_body(response.content, response.headers, max_bytes, is_error=is_error)
        response.release()
        # `ClientResponse.read` would report this to the traces, and has no bound.
        for trace in getattr(response, "_traces", ()):
            await trace.send_response_chunk_received(response.method, response.url, body)
        return body


def _resolve_proxy(endpoint: Endpoint, options: HttpOptions) -> ProxySetting | None:
    """Return the proxy that requests go to; None without one."""
    if options.proxy is not None:
        return ProxySetting("proxy", options.proxy)
    # The trust_env of aiohttp also reads passwords from ~/.netrc, which would replace the key.
    theirs = options.session
    trust_env = options.trust_env if theirs is None else _trusts_environment(theirs)
    return environment_proxy(endpoint.base_url) if trust_env else None


def create_session(options: HttpOptions, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
    """Return a session of our own, or a copy of the caller's.

    Raises:
        ConfigurationError: If the caller's session belongs to another event loop, or if this release of aiohttp does
            not allow to check connections before they are used.
    """
    require_checks()
    if options.session is None:
        return aiohttp.ClientSession(
            connector=_create_connector(options.max_concurrency),
            trace_configs=list(options.trace_configs or ()),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
    if getattr(options.session, "_loop", loop) is not loop:
        raise ConfigurationError(
            "the session belongs to another event loop. Create it in the loop that uses the client."
        )
    return _isolate(options.session)


def _create_connector(limit: int) -> aiohttp.BaseConnector:
    """Return a connector that checks each connection before it is used, whatever the release of aiohttp."""
    if is_supported():
        return CheckedConnector(limit=limit)
    connector = aiohttp.TCPConnector(limit=limit, resolver=create_resolver())
    return cast("aiohttp.BaseConnector", WrappedConnector(connector))


def _isolate(theirs: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Return a copy of the caller's session with their connector and settings, but without their credentials."""
    copied: Any = copy.copy(theirs)  # a shallow copy, which does not change their session
    # A substitute in a test may only look like a session.
    if isinstance(theirs, aiohttp.ClientSession):  # pyright: ignore[reportUnnecessaryIsInstance]
        if theirs.connector is not None:
            copied._connector = WrappedConnector(theirs.connector)  # noqa: SLF001
        copied._cookie_jar = aiohttp.DummyCookieJar()  # noqa: SLF001
        copied._default_auth = None  # noqa: SLF001
        copied._trust_env = False  # noqa: SLF001 - it also reads ~/.netrc: `RequestSender` reads the proxy
        headers = [(name, value) for name, value in theirs.headers.items() if name.lower() not in MESSAGE_HEADERS]
        copied._default_headers = CIMultiDict(headers)  # noqa: SLF001
    return cast("aiohttp.ClientSession", copied)


def _trusts_environment(session: aiohttp.ClientSession) -> bool:
    """Return whether a session takes its proxy from the environment: it has none of its own."""
    return getattr(session, "trust_env", False) is True and getattr(session, "_default_proxy", None) is None


def _secrets_of_session(session: aiohttp.ClientSession) -> list[str]:
    """Return the texts that show the passwords that a caller's session has for itself and for its proxy."""
    proxy = getattr(session, "_default_proxy", None)
    secrets = secrets_of(Secret(str(proxy))) if isinstance(proxy, str | URL) else []
    for name in ("_default_proxy_auth", "_default_auth"):
        login = getattr(session, name, None)
        if isinstance(login, tuple):  # `BasicAuth`
            user, password, *_ = cast("tuple[str, str, str]", login)
            secrets += secrets_of_login(user, password)
    return secrets


def _stop_resending(session: aiohttp.ClientSession) -> None:
    """Keep aiohttp from sending a request twice.

    It resends an idempotent request by itself if a kept-alive connection drops. A removal by index would be applied
    twice, and the second request would bypass the rate limiter. There is no public option.

    Raises:
        ConfigurationError: If this release of aiohttp cannot be kept from it.
    """
    # A substitute in a test may only look like a session.
    is_session = isinstance(session, aiohttp.ClientSession)  # pyright: ignore[reportUnnecessaryIsInstance]
    if is_session and not hasattr(session, "_retry_connection"):
        raise ConfigurationError(
            f"aiohttp {aiohttp.__version__} has no attribute _retry_connection, so it may send a request "
            "twice. Install a release of aiohttp that has it, such as 3.14.5, or a newer amp_exp_async."
        )
    session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
