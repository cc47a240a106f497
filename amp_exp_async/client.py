"""The async clients: their lifetime, and the resources and operations that they offer."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from ssl import SSLContext
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import unquote

import attrs

from amp_exp_async import lazy_bulk, serialization, validation
from amp_exp_async import lazy_manifests as manifests
from amp_exp_async.config import BETA, V1, ApiVersion, KeyFunction, Secret, resolve_endpoint
from amp_exp_async.errors import ConfigurationError
from amp_exp_async.http import (
    APIResponse,
    Attempt,
    BlockDeadline,
    CallEnd,
    CallOptions,
    CallStart,
    HttpOptions,
    HttpSession,
    Idempotency,
    PendingCall,
    QueryParameters,
    RateLimit,
    Request,
    ResponseCapture,
    RetryPolicy,
    Telemetry,
    Timeout,
    Transport,
    Usage,
    hide_headers,
    resolve_shutdown_timeout,
)
from amp_exp_async.http import lazy_aiohttp as aiohttp
from amp_exp_async.inherited_methods import name_inherited_methods
from amp_exp_async.log_level import apply_log_variable
from amp_exp_async.models import UNSET, FlagConfig, UnsetType
from amp_exp_async.resources import (
    AsyncBetaDeployments,
    AsyncBetaExperiments,
    AsyncBetaFlags,
    AsyncDeployments,
    AsyncExperiments,
    AsyncFlags,
    AsyncHoldouts,
    AsyncMutexes,
    AsyncProjectVersions,
    ChangeEvent,
    RestoreResult,
    VersionChange,
    flag_resources,
    restore_version,
    version_changes,
    watch_changes,
)

_METHOD_RE = re.compile(r"[A-Z]+")
_PATH_RE = re.compile(r"(/[!$&-.0-9:;=@A-Z_a-z~%]+)+")
_IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PATCH", "PUT"})


class AsyncClient(ABC):
    """The base of the async clients. A client opens on first use and belongs to the event loop of that moment."""

    api: ClassVar[ApiVersion]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        name_inherited_methods(cls)

    def __init__(
        self,
        api_key: str | Callable[[], str | Awaitable[str]] | None = None,
        *,
        region: str | None = None,
        base_url: str | None = None,
        timeout: float | Timeout = 30.0,
        deadline: float | None = 120.0,
        retry: RetryPolicy = RetryPolicy(),
        rate_limit: RateLimit | None = RateLimit(),
        max_concurrency: int = 64,
        max_response_bytes: int = 64 * 1024 * 1024,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl: SSLContext | aiohttp.Fingerprint | bool = True,
        trace_configs: Sequence[aiohttp.TraceConfig] | None = None,
        on_attempt: Callable[[Attempt], object] | None = None,
        on_call_start: Callable[[CallStart], object] | None = None,
        on_call_end: Callable[[CallEnd], object] | None = None,
        telemetry: Telemetry | None = None,
        default_headers: Mapping[str, str] | None = None,
        app_info: str | None = None,
        allow_insecure_http: bool = False,
        shutdown_timeout: float | None = 5.0,
    ) -> None:
        apply_log_variable()
        # From here on no local variable contains the key or a password, which a traceback could show.
        key, api_key = _hide_key(api_key), None
        url, base_url = None if base_url is None else Secret(base_url), None
        hidden_proxy, proxy = None if proxy is None else Secret(proxy), None
        default_headers = hide_headers(default_headers)
        endpoint = resolve_endpoint(key, region, url, api=self.api, allow_insecure_http=allow_insecure_http)
        if session is not None and (trust_env or trace_configs):
            raise ConfigurationError("trust_env and trace_configs belong to the session. Set them where you create it.")
        http_options = HttpOptions(
            session=session,
            proxy=hidden_proxy,
            trust_env=trust_env,
            ssl=ssl,
            trace_configs=trace_configs,
            max_concurrency=max_concurrency,
            max_response_bytes=max_response_bytes,
            rate_limit=RateLimit(per_second=None, per_day=None) if rate_limit is None else rate_limit,
            share_limit=rate_limit is not None,
            shutdown_timeout=shutdown_timeout,
        )
        call_options = CallOptions(
            timeout=timeout,
            deadline=deadline,
            retry=retry,
            on_attempt=on_attempt,
            on_call_start=on_call_start,
            on_call_end=on_call_end,
            default_headers=default_headers,
            app_info=app_info,
        )
        http_session = HttpSession(endpoint, http_options)
        if telemetry is not None:
            if isinstance(telemetry, type) or not hasattr(telemetry, "observe"):
                raise ConfigurationError("telemetry must be an OpenTelemetry() of amp_exp_async.otel.")
            call_options = attrs.evolve(call_options, observer=telemetry.observe(http_session))
        self._bind(Transport(http_session, call_options), owner=True)

    def _bind(self, transport: Transport, *, owner: bool) -> None:
        self._transport = transport
        self._owner = owner
        self._init_resources(transport)

    @abstractmethod
    def _init_resources(self, transport: Transport) -> None:
        """Create the resources."""

    def _copy(self, options: CallOptions) -> Self:
        copy = object.__new__(type(self))
        copy._bind(Transport(self._transport.session, options), owner=False)
        return copy

    @property
    def usage(self) -> Usage:
        """The requests sent so far by this client and its copies."""
        return self._transport.session.usage

    @property
    def pending_calls(self) -> Sequence[PendingCall]:
        """The calls in flight of this client and its copies, the oldest first. May be read from any thread."""
        return self._transport.pending_calls

    @property
    def shutdown_timeout(self) -> float | None:
        """The seconds that closing waits for writes in flight; None to wait until they end."""
        return self._transport.session.shutdown_timeout

    def with_options(
        self,
        *,
        timeout: float | Timeout | UnsetType = UNSET,
        deadline: float | UnsetType | None = UNSET,
        retry: RetryPolicy | UnsetType = UNSET,
        on_attempt: Callable[[Attempt], object] | UnsetType | None = UNSET,
        on_call_start: Callable[[CallStart], object] | UnsetType | None = UNSET,
        on_call_end: Callable[[CallEnd], object] | UnsetType | None = UNSET,
        default_headers: Mapping[str, str] | UnsetType | None = UNSET,
        extra_headers: Mapping[str, str] | UnsetType | None = UNSET,
        extra_query: QueryParameters | UnsetType | None = UNSET,
        app_info: str | UnsetType | None = UNSET,
    ) -> Self:
        """Return a copy of this client with other options. It shares the session, the rate limiter and the locks.

        Closing the copy closes nothing.

        Args:
            timeout: seconds for one attempt, or a `Timeout`.
            deadline: seconds for one call; None for no deadline.
            retry: how often a request is attempted, and the waits between attempts.
            on_attempt: called after each request of the copy; None for no function.
            on_call_start: called before each call of the copy, with a `CallStart`; None for no function.
            on_call_end: called after each call of the copy, with a `CallEnd`; None for no function.
            default_headers: headers to send, instead of the client's `default_headers`; None for none.
            extra_headers: headers to send in addition, which take the place of default headers of the same name.
                `Authorization` and others that the client sets are rejected. Values are ASCII text.
            extra_query: query parameters to send in addition, with the names of the API; a list of values repeats the
                parameter. A call that sets one of them itself raises `InvalidInputError`.
            app_info: the name and version of your application, `name/version`, which is added to the `User-Agent`.

        Raises:
            ConfigurationError: If an option is invalid.

        Example::

            flags = [flag async for flag in client.with_options(timeout=60).flags.list()]
            flag = await client.with_options(extra_headers={"X-Change": "OPS-12"}).flags.get("123")
        """
        default_headers, extra_headers = hide_headers(default_headers), hide_headers(extra_headers)
        options = self._transport.options.evolve(
            timeout=timeout,
            deadline=deadline,
            retry=retry,
            on_attempt=on_attempt,
            on_call_start=on_call_start,
            on_call_end=on_call_end,
            default_headers=default_headers,
            extra_headers=extra_headers,
            extra_query=extra_query,
            app_info=app_info,
        )
        return self._copy(options)

    def deadline(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Let all calls in a block end by the same time, in addition to the `deadline` of each.

        It holds for the calls of this client and its copies, also in tasks that are started in the block, and for each
        request of lists, bulk runs and plans. A bulk run raises after the outcomes of the operations that it has read.
        Of nested blocks, the one that ends first counts. Code of your own is not interrupted.

        Args:
            seconds: the seconds from the start of the block.

        Raises:
            InvalidInputError: If it is not a number of more than 0.

        Raises in the block:
            APITimeoutError: If the deadline passes.

        Example::

            async with client.deadline(30):
                flag = await client.flags.find("new-checkout", project_id="123")
                await client.flags.edit(flag.id, enabled=True)
        """
        return self._block_deadline(seconds)

    def _block_deadline(self, seconds: float) -> BlockDeadline:
        if not validation.number("seconds", seconds) > 0:
            validation.reject("seconds", "must be a number of seconds of more than 0", seconds)
        return BlockDeadline(seconds, self._transport.session.blocks)

    def capture_responses(self) -> AbstractContextManager[list[APIResponse]]:
        """Collect the successful responses of the calls that are made in a block, with status, headers and request ID.

        The calls return what they always return. The list has the responses of this client and its copies: one for
        each call, in the order in which the responses arrived. A method that needs several requests, such as a guarded
        edit or a list of several pages, makes several calls. Tasks that are started in the block belong to it until it
        ends. The responses of failed calls are not collected: their errors have `status`, `headers` and `request_id`.

        Example::

            with client.capture_responses() as responses:
                flag = await client.flags.get("123")
            print(responses[-1].status, responses[-1].headers, responses[-1].request_id)
        """
        return ResponseCapture(self._transport.session.blocks)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: QueryParameters | None = None,
        json: Any = None,
        extra_headers: Mapping[str, str] | UnsetType | None = UNSET,
        extra_query: QueryParameters | UnsetType | None = UNSET,
    ) -> Any:
        """Call an endpoint that has no method yet, with the retries, rate limiting, locks and errors of other calls.

        GET, HEAD, PATCH and PUT are repeated after an ambiguous outcome. Other methods raise `OutcomeUnknownError`.

        Args:
            method: the HTTP method, except CONNECT.
            path: the percent-encoded path below the API's prefix (`/api/1`), such as `/flags/12`.
            params: the query, with the names of the API; a list of values repeats the parameter.
            json: the body, any JSON value except null, with the JSON field names of the API; None for no body.
            extra_headers: headers to send in addition, as in `with_options`.
            extra_query: query parameters to send in addition, as in `with_options`.

        Returns:
            The response body, parsed if it is JSON, else as text.

        Raises:
            InvalidInputError: If an argument breaks a rule. Nothing was sent.
            ConfigurationError: If a header may not be set, or has an invalid value. Nothing was sent.
        """
        extra_headers = hide_headers(extra_headers)
        transport = self._transport.with_options(extra_headers=extra_headers, extra_query=extra_query)
        verb = validation.string("method", method).upper()
        if not _METHOD_RE.fullmatch(verb):
            validation.reject("method", "must be an HTTP method", method)
        if verb == "CONNECT":
            validation.reject("method", "must not be CONNECT, which asks a proxy for a tunnel", method)
        if not _PATH_RE.fullmatch(validation.string("path", path)) or {".", ".."} & set(unquote(path).split("/")):
            validation.reject("path", 'must be "/" and percent-encoded segments, without query, "." and ".."', path)
        response = await transport.write(
            Request(
                verb,
                path,
                query=serialization.encode_query({} if params is None else validation.parameters("params", params)),
                body=None if json is None else serialization.dumps(validation.json_value("json", json)),
                idempotency=Idempotency.IDEMPOTENT if verb in _IDEMPOTENT_METHODS else Idempotency.NON_IDEMPOTENT,
            ),
            parse=lambda response: response,
        )
        try:
            return serialization.loads(response.body)
        except ValueError:
            return response.body.decode("utf-8", "replace")

    def after_fork(self) -> None:
        """Reset the client in a forked child, without touching the connections of the parent."""
        self._transport.session.after_fork()

    async def aclose(self, *, shutdown_timeout: float | UnsetType | None = UNSET) -> None:
        """Close the client. Idempotent.

        Bulk runs start no further operation. Reads, and writes that were not sent yet, raise `ClientClosedError` at
        once. Writes in flight have `shutdown_timeout` seconds to finish. Then they are cancelled: their operations of
        bulk runs are `unknown`, creations and removals by index raise `OutcomeUnknownError`, and other writes raise
        `ClientClosedError`. If this call is cancelled, it cancels them at once.

        Args:
            shutdown_timeout: seconds to wait for writes in flight; None to wait until they end. By default as given to
                the constructor.

        Raises:
            ConfigurationError: If the argument is neither None nor a number of at least 0.
        """
        seconds = resolve_shutdown_timeout(shutdown_timeout, self.shutdown_timeout)
        if self._owner:
            await self._transport.session.close(seconds)

    async def __aenter__(self) -> Self:
        self._transport.session.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # A traceback may show a client whose constructor has rejected its arguments.
        url = self._transport.session.endpoint.base_url if hasattr(self, "_transport") else "(not initialised)"
        return f"<{type(self).__name__} {url}>"

    def __reduce__(self) -> str:
        raise TypeError("a client cannot be pickled: it holds a key and connections. Create one in each process.")


def _hide_key(key: str | Callable[[], str | Awaitable[str]] | None) -> Secret | KeyFunction | None:
    if key is None:
        return None
    return KeyFunction(key) if callable(key) else Secret(key)


class AsyncExperimentClient(AsyncClient):
    """The async client for Amplitude's Experiment Management API.

    It opens on first use and belongs to the event loop of that moment. Close it with `async with` or `aclose()`.

    Args:
        api_key: a management API key, or a function without arguments that returns it, async or not. It is called
            before the first request, and once more after a 401 (see "A key that changes" in docs/api.md). By default
            the environment variable `AMPLITUDE_MANAGEMENT_API_KEY`, else `AMPLITUDE_EXPERIMENT_MANAGEMENT_API_KEY`.
        region: `us` or `eu`, in any case; by default the environment variable `AMPLITUDE_EXPERIMENT_REGION`, else `us`.
        base_url: scheme, host and an optional path prefix, instead of a region; by default the environment variable
            `AMPLITUDE_EXPERIMENT_BASE_URL`.
        timeout: seconds for one attempt, of which connecting takes at most 90 % and 10 seconds; or a `Timeout` with
            limits for connecting and for each wait for a piece of the response.
        deadline: seconds for one call, including all its requests, waits and retries; None for no deadline. Lists
            have it for each page, and bulk runs, exports and plans for each request.
        retry: how often a request is attempted, and the waits between attempts.
        rate_limit: the limits to keep. They hold for all clients in this process that use the same key on the same
            host; if the limits differ, the strictest one holds. Pass a `RedisRateLimit` for limits that several
            processes share, or None for no limits.
        max_concurrency: how many requests may be in flight at the same time.
        max_response_bytes: the maximum size of a response body after decompression, 64 MiB by default. A larger one
            raises `UnexpectedResponseError`.
        session: an aiohttp session to use. It is never closed or changed. Its cookies, passwords, and headers such as
            `Authorization` are not used.
        proxy: the URL of an HTTP proxy.
        trust_env: whether to take a proxy from the environment: `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, unless
            `NO_PROXY` excludes the host by its name, address or network (`10.0.0.0/8`). A loopback address, such as
            that of an emulator, is reached without it.
        ssl: as in aiohttp: True for the default checks, False for none, an `SSLContext` or a `Fingerprint`.
        trace_configs: aiohttp's trace configurations.
        on_attempt: called after each request with an `Attempt`. It must not block.
        on_call_start: called before each call with a `CallStart`. It may be async, and must not block.
        on_call_end: called after each call with a `CallEnd`, also if the call fails, is cancelled, or its outcome is
            unknown. It may be async, and must not block. docs/observability.md says when hooks are called, and what
            becomes of their exceptions.
        telemetry: reports calls to OpenTelemetry: an `amp_exp_async.otel.OpenTelemetry`.
        default_headers: headers to send with each request. `Authorization` and others that the client sets are
            rejected. Values are ASCII text; reprs and errors do not show them.
        app_info: the name and version of your application, `name/version`, which is added to the `User-Agent`.
        allow_insecure_http: whether plain http is allowed to a host that is not loopback.
        shutdown_timeout: seconds that closing, or leaving a bulk run early, waits for writes in flight, until it
            cancels them; None to wait until they end.

    Attributes:
        flags: Feature flags.
        experiments: Experiments.
        deployments: Deployments.
        versions: Versions of all flags and experiments.
        mutexes: Mutex groups: experiments that exclude each other.
        holdouts: Holdout groups: users who are held out of some experiments.

    Raises:
        ConfigurationError: If the configuration is invalid. The message says what to set.

    Example::

        async with AsyncExperimentClient() as client:
            async for flag in client.flags.list(project_id="123"):
                print(flag.key, flag.enabled)
    """

    flags: AsyncFlags
    experiments: AsyncExperiments
    deployments: AsyncDeployments
    versions: AsyncProjectVersions
    mutexes: AsyncMutexes
    holdouts: AsyncHoldouts

    api = V1

    def _init_resources(self, transport: Transport) -> None:
        self.flags = AsyncFlags(transport)
        self.experiments = AsyncExperiments(transport)
        self.deployments = AsyncDeployments(transport)
        self.versions = AsyncProjectVersions(transport)
        self.mutexes = AsyncMutexes(transport)
        self.holdouts = AsyncHoldouts(transport)

    def bulk(
        self,
        operations: lazy_bulk.Operations,
        *,
        journal: str | os.PathLike[str] | None = None,
        fsync: bool = False,
        on_error: lazy_bulk.OnError = "continue",
    ) -> lazy_bulk.AsyncBulkRun:
        """Run many operations, and yield their outcomes as they finish.

        Operations on one flag run in their order. Operations on different flags run concurrently, within the rate
        limit. A flag that is named by key is looked up once. Changes that make no difference are not sent.

        Args:
            operations: an iterable or async iterable of operations of any length, read on demand; or the path of a
                JSON Lines file of operations: `{"operation": "AddUsers", "kind": "flags", "id": "1", "variant": "on",
                "users": ["a"]}`.
            journal: the path of a JSON Lines file that the outcomes are appended to. A rerun with the same operations
                in the same order and the same journal skips what is done, reconciles what was in flight or unknown by
                reading back, and repeats the rest.
            fsync: whether to force each line of the journal to the disk, so that a power failure loses none. This
                takes time: some milliseconds for each operation on most disks.
            on_error: `continue` (but after a creation that failed, later operations on its key are skipped); `stop` to
                start no further operation after the first failure; or `stop_flag` to start no further operation on a
                flag or experiment after the first failure on it.

        Returns:
            The run. Nothing is sent before it is iterated or awaited.

        Raises:
            InvalidInputError: If an argument breaks a rule. Nothing was sent.

        Example::

            run = client.bulk(Edit("flags", flag.id, {"tags": ["reviewed"]}) for flag in flags)
            async for outcome in run:
                if not outcome.ok:
                    print(outcome.operation, outcome.error)
            print(run.summary)
        """
        return lazy_bulk.AsyncBulkRun(
            self._transport, operations, resources=flag_resources, journal=journal, fsync=fsync, on_error=on_error
        )

    async def history(self, kind: lazy_bulk.KindName, id: str) -> list[VersionChange]:
        """Return who changed a flag or experiment, what and when: `GET /{kind}/{id}/versions`, one request.

        Args:
            kind: `flags` or `experiments`.
            id: the ID of the flag or experiment.

        Returns:
            The changes of each version, field by field, newest first.

        Raises:
            NotFoundError: If no flag or experiment has this ID.

        Example::

            for change in await client.history("flags", "123"):
                print(change)  # version 5 by jane at 2026-11-03 09:12:44 UTC: enabled: false -> true
        """
        return version_changes(await self._flag_resource(kind).versions.list(id))

    def watch(
        self,
        *,
        since: datetime | str | None = None,
        cursor: str | None = None,
        project_id: str | None = None,
        poll_interval: float = 30.0,
    ) -> AsyncGenerator[ChangeEvent, None]:
        """Yield the changes of all flags and experiments as they are made: `GET /versions`, again and again.

        Each change is yielded once, those of one flag in order. Without `since` and `cursor`, the changes made after
        the first request are yielded.

        A list sends one request for each 1,000 changes. If it has more than 10,000, as `since` may cause, it is read in
        parts, which takes some requests more. A change sends one more, to read the version before it, unless that was
        read already. With the default interval, these are at least 2,880 requests a day. Changes that the
        service shows late are yielded if they are at most 60 seconds older than the newest one.

        The iterator never ends by itself. An error of a request ends it. To continue, pass the cursor of the last
        change to a new `watch`. Store it after you have handled the change: after a crash, that change comes again, and
        none is missed. To close the iterator at a definite moment, use `contextlib.aclosing`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-version-endpoints#list-versions

        Args:
            since: yield the changes made at this time or later; an aware datetime, or ISO 8601 text with a time zone.
            cursor: the `cursor` of a change, to continue after it.
            project_id: only changes in this project.
            poll_interval: seconds between two lists.

        Raises:
            InvalidInputError: If an argument breaks a rule. Nothing was sent.

        Raises while it is read:
            APIStatusError, APIConnectionError: As in every call.
            ClientClosedError: If the client is closed.

        Example::

            async for change in client.watch(cursor=load_cursor()):
                print(change)  # 2026-11-03 09:12:44 UTC jane flags/new-checkout version 5: enabled: false -> true
                save_cursor(change.cursor)
        """
        return watch_changes(
            self._transport.session,
            (self.versions, self.flags, self.experiments),
            since=since,
            cursor=cursor,
            project_id=project_id,
            poll_interval=poll_interval,
        )

    async def restore_version(
        self, kind: lazy_bulk.KindName, id: str, version: int | str, *, dry_run: bool = False
    ) -> RestoreResult[FlagConfig]:
        """Restore a flag or experiment to a version, by a guarded edit of all fields that an edit can set.

        What an edit cannot set, such as variants, weights and deployments, does not change; the result lists its
        differences. Fields that the version does not show do not change either. The service edits no archived flag:
        restore it first, with `restore`.

        Args:
            kind: `flags` or `experiments`.
            id: the ID of the flag or experiment.
            version: the version's number.
            dry_run: whether to return the differences without writing (two requests; five with the edit).

        Returns:
            The differences, those that cannot be restored, and the flag or experiment as it was read last.

        Raises:
            InvalidInputError: If the flag is archived and differs, or if target segments differ and one has a condition
                on a cohort. Nothing was written.
            EditConflictError: If somebody else has changed the same fields.
            NotFoundError: If the flag, experiment or version does not exist.

        Example::

            print(await client.restore_version("flags", "123", 4, dry_run=True))
            restored = await client.restore_version("flags", "123", 4)
        """
        resource = self._flag_resource(kind)
        return await restore_version(resource, id, version, dry_run=validation.boolean("dry_run", dry_run))

    def _flag_resource(self, kind: lazy_bulk.KindName) -> AsyncFlags | AsyncExperiments:
        validation.one_of("flags", "experiments")("kind", kind)
        return self.flags if kind == "flags" else self.experiments

    async def export(
        self,
        *,
        project_id: str | None = None,
        keys: Iterable[str] | None = None,
        include_archived: bool = False,
        users: bool = False,
        cohorts: bool = False,
        variants: bool = False,
        server_fields: bool = False,
    ) -> manifests.Manifest:
        """Export flags and experiments as a manifest. Write it with `save()`.

        This reads the lists, and the list of deployments if any is assigned. If something depends on objects that are
        not in these lists, it also reads the lists of mutex and holdout groups, and gets other objects by ID.

        Args:
            project_id: only those of this project.
            keys: only those with these keys.
            include_archived: whether to include archived ones.
            users: whether to include the users and devices of variants (one request for each variant).
            cohorts: whether to include the cohorts of variants (one request for each variant).
            variants: whether to include all fields of variants (one request for each flag and experiment), instead of
                those that the lists show.
            server_fields: whether to include IDs, salts, authors and times.

        Raises:
            InvalidInputError: If no flag or experiment has one of the keys.

        Example:
            `save(await client.export(project_id="123"), "flags.yaml")`
        """
        options = manifests.ExportOptions(users=users, cohorts=cohorts, variants=variants, server_fields=server_fields)
        return await manifests.export(
            self._transport, project_id=project_id, keys=keys, include_archived=include_archived, options=options
        )

    async def plan(
        self, manifest: manifests.Manifest, *, prune: bool = False, project_id: str | None = None
    ) -> manifests.Plan:
        """Return the changes that a manifest requires. This only reads.

        What the manifest does not mention is left alone. This reads one list for each project, and the list of
        deployments if any is declared. It sends one request for each declared object that the lists do not show: users
        and cohorts of variants, and fields of a flag. If dependencies are declared on objects that are not in these
        lists, it reads the lists of mutex and holdout groups, and looks up other objects by key.

        The API cannot set dependencies. If they differ from the manifest, the plan is rejected if it would enable the
        flag without them, and contains a warning otherwise.

        Args:
            manifest: the desired state: from `load`, `export`, or made in code.
            prune: whether to archive the flags and experiments that are in the same projects and are not declared.
            project_id: the project to plan for, instead of the one that the manifest names (a promotion). Deployments
                are found there by label, and dependencies by key.

        Raises:
            InvalidInputError: If `prune` is True and the manifest is an export of some keys only.
            InvalidManifestError: If the desired state is impossible, or if the manifest names several projects and
                `project_id` is given. The error lists all problems, with file, line and field.

        Example::

            plan = await client.plan(load("flags.yaml"))
            print(plan)

            promotion = await client.plan(await client.export(project_id="123"), project_id="456")
        """
        return await manifests.make_plan(self._transport, manifest, prune=prune, project_id=project_id)

    def apply(
        self, plan: manifests.Plan, *, journal: str | os.PathLike[str] | None = None, fsync: bool = False
    ) -> lazy_bulk.AsyncBulkRun:
        """Apply a plan, and yield the outcomes of its steps as they finish.

        Everything that the plan concerns is read again first. If any of it has changed, nothing is written. The steps
        of one flag run in order: it is created, gets deployments, variants, segments and weights, and is enabled last.
        Steps that disable it come first. After a failure, the remaining steps of this flag are skipped; other flags
        continue.

        Args:
            plan: from `plan` or `Plan.load`.
            journal: the path of a file that the outcomes are appended to. A rerun with the same plan and journal
                continues from there.
            fsync: whether to force each line of the journal to the disk, so that a power failure loses none.

        Returns:
            The run. Nothing is sent before it is iterated or awaited.

        Raises:
            InvalidInputError: If the plan belongs to another service, or the journal to another plan.

        Raises while it is read:
            EditConflictError: If something has changed since the plan was made, if a name in it stands for another
                object or for none, or if a step that the journal lists as done was undone. The message lists all of
                it. Make a new plan.

        Example::

            run = client.apply(plan, journal="apply.jsonl")
            async for outcome in run:
                print(outcome.operation.target, outcome.status)
            run.raise_for_failures()
        """
        return manifests.apply(self._transport, plan, journal=journal, fsync=fsync)


class AsyncBetaClient(AsyncClient):
    """The async client for the Beta API, for accounts that still use that API.

    Use `AsyncExperimentClient` for new code; it has a successor for each operation (docs/beta.md). This client takes
    the same arguments, but the environment variable for another base URL is `AMPLITUDE_EXPERIMENT_BETA_BASE_URL`.

    Attributes:
        flags: Feature flags, read only.
        experiments: Experiments.
        deployments: Deployments, read only.

    Raises:
        ConfigurationError: If the configuration is invalid. The message says what to set.

    Example::

        async with AsyncBetaClient() as client:
            await client.experiments.activate("123")
    """

    flags: AsyncBetaFlags
    experiments: AsyncBetaExperiments
    deployments: AsyncBetaDeployments

    api = BETA

    def _init_resources(self, transport: Transport) -> None:
        self.flags = AsyncBetaFlags(transport)
        self.experiments = AsyncBetaExperiments(transport)
        self.deployments = AsyncBetaDeployments(transport)
