"""What the async clients have in common: their settings, and their lifetime."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from ssl import SSLContext
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import unquote

import aiohttp
import orjson

from amp_exp_async import serialization, validation
from amp_exp_async.config import Api, Secret, endpoint
from amp_exp_async.errors import ConfigurationError
from amp_exp_async.http import (
    Attempt,
    CallOptions,
    HttpOptions,
    HttpSession,
    Idempotency,
    RateLimit,
    Request,
    RetryPolicy,
    Transport,
    Usage,
)
from amp_exp_async.models import UNSET, UnsetType

_METHOD = re.compile(r"[A-Z]+")
_RAW_PATH = re.compile(r"(/[!$&-.0-9:;=@A-Z_a-z~%]+)+")
_HARMLESS = frozenset({"GET", "HEAD", "PATCH", "PUT"})


class AsyncClient(ABC):
    """What the async clients have in common. It opens on first use, and belongs to the event loop of that moment."""

    api: ClassVar[Api]

    def __init__(
        self,
        api_key: str | None = None,
        *,
        region: str | None = None,
        base_url: str | None = None,
        timeout: float = 30.0,
        deadline: float | None = 120.0,
        retry: RetryPolicy = RetryPolicy(),
        rate_limit: RateLimit | None = RateLimit(),
        max_concurrency: int = 64,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl: SSLContext | aiohttp.Fingerprint | bool = True,
        trace_configs: Sequence[aiohttp.TraceConfig] | None = None,
        on_attempt: Callable[[Attempt], object] | None = None,
        allow_insecure_http: bool = False,
    ) -> None:
        # From here on the key is in no local variable, which a traceback might show.
        key, api_key = None if api_key is None else Secret(api_key), None
        where = endpoint(key, region, base_url, api=self.api, allow_insecure_http=allow_insecure_http)
        if session is not None and (trust_env or trace_configs):
            raise ConfigurationError("trust_env and trace_configs are the session's own: set them where you make it")
        network = HttpOptions(
            session=session,
            proxy=proxy,
            trust_env=trust_env,
            ssl=ssl,
            trace_configs=trace_configs,
            max_concurrency=max_concurrency,
            rate_limit=RateLimit(per_second=None, per_day=None) if rate_limit is None else rate_limit,
            share_limit=rate_limit is not None,
        )
        options = CallOptions(timeout=timeout, deadline=deadline, retry=retry, on_attempt=on_attempt)
        self._use(Transport(HttpSession(where, network), options), owner=True)

    def _use(self, transport: Transport, *, owner: bool) -> None:
        self._transport = transport
        self._owner = owner
        self._hang(transport)

    @abstractmethod
    def _hang(self, transport: Transport) -> None:
        """Make the sections of the API."""

    @property
    def usage(self) -> Usage:
        """What was sent so far, by this client and its views."""
        return self._transport.session.usage

    def with_options(
        self,
        *,
        timeout: float | UnsetType = UNSET,
        deadline: float | UnsetType | None = UNSET,
        retry: RetryPolicy | UnsetType = UNSET,
        on_attempt: Callable[[Attempt], object] | UnsetType | None = UNSET,
    ) -> Self:
        """A view of this client with other options. It shares the session, the rate limit and the order of writes.

        Closing a view closes nothing.

        Args:
            timeout: seconds for one attempt.
            deadline: seconds for one call; None for no end.
            retry: how often and after which waits an attempt is repeated.
            on_attempt: called after each request of this view.

        Example:
            `flags = [flag async for flag in client.with_options(timeout=60).flags.list()]`
        """
        present = self._transport.options
        options = CallOptions(
            timeout=present.timeout if timeout is UNSET else timeout,
            deadline=present.deadline if deadline is UNSET else deadline,
            retry=present.retry if retry is UNSET else retry,
            on_attempt=present.on_attempt if on_attempt is UNSET else on_attempt,
            deadline_excludes_queueing=present.deadline_excludes_queueing,
        )
        view = object.__new__(type(self))
        view._use(Transport(self._transport.session, options), owner=False)
        return view

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | bool] | None = None,
        json: Any = None,
    ) -> Any:
        """Call an endpoint that has no method here yet, with all that other calls have: retries, pacing, order, errors.

        GET, PATCH and PUT are repeated after a lost reply. Others are not: `OutcomeUnknownError` then.

        Args:
            method: the HTTP method.
            path: what follows the API's prefix (`/api/1`), percent-encoded, such as `/flags/12`.
            params: the query, with the wire's own names.
            json: the body, any JSON value but null, with the wire's own names; None for no body.

        Returns:
            The reply: parsed when it is JSON, else its text.
        """
        verb = validation.string("method", method).upper()
        if not _METHOD.fullmatch(verb):
            validation.reject("method", "must be an HTTP method", method)
        if not _RAW_PATH.fullmatch(validation.string("path", path)) or {".", ".."} & set(unquote(path).split("/")):
            validation.reject("path", "must be '/' and percent-encoded segments, without query, '.' and '..'", path)
        reply = await self._transport.write(
            Request(
                verb,
                path,
                query=serialization.encode_query({} if params is None else validation.parameters("params", params)),
                body=None if json is None else orjson.dumps(validation.json_value("json", json)),
                idempotency=Idempotency.IDEMPOTENT if verb in _HARMLESS else Idempotency.NON_IDEMPOTENT,
            ),
            parse=lambda response: response,
        )
        try:
            return orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            return reply.text

    def after_fork(self) -> None:
        """In a forked child: start anew, and leave the parent's connections alone."""
        self._transport.session.after_fork()

    async def aclose(self) -> None:
        """Close the client. Idempotent.

        Bulk runs begin nothing more and finish the operations that are under way. Other calls under way fail with
        `ClientClosedError`, creations and removals by index that were sent with `OutcomeUnknownError`.
        """
        if self._owner:
            await self._transport.session.close()

    async def __aenter__(self) -> Self:
        self._transport.session.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # A traceback may show a client whose constructor has refused its arguments.
        where = self._transport.session.endpoint.base_url if hasattr(self, "_transport") else "(not made)"
        return f"<{type(self).__name__} {where}>"

    def __reduce__(self) -> str:
        raise TypeError("a client is never pickled, since it holds a key and connections: make one in each process")
