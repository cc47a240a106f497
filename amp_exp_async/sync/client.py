"""The blocking clients."""

from __future__ import annotations

import functools
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast

from amp_exp_async.client import AsyncBetaClient, AsyncClient, AsyncExperimentClient
from amp_exp_async.errors import ConfigurationError
from amp_exp_async.http import APIResponse, PendingCall, Usage, resolve_shutdown_timeout
from amp_exp_async.models import UNSET, UnsetType

from .base import SyncResource, as_sync, as_sync_generator, copy_signature, name_class
from .bulk import as_sync_run
from .portal import BlockingPortal
from .resources import (
    BetaDeployments,
    BetaExperiments,
    BetaFlags,
    Deployments,
    Experiments,
    Flags,
    Holdouts,
    Mutexes,
    ProjectVersions,
)

P = ParamSpec("P")
S = TypeVar("S")
ClientT = TypeVar("ClientT", bound=AsyncClient)
ClientT_co = TypeVar("ClientT_co", bound=AsyncClient, covariant=True)
# What the docstring says of the argument that a blocking client rejects.
_SESSION = re.compile(r"\n    session: .*(?:\n {8}.*)*")
SyncClientT = TypeVar("SyncClientT", bound="SyncClient[Any]")


def _as_sync_init(
    make: Callable[P, ClientT],
) -> Callable[[Callable[[S, ClientT], None]], Callable[Concatenate[S, P], None]]:
    """Return a decorator that gives a constructor the arguments of the async client's."""

    def decorate(take: Callable[[S, ClientT], None]) -> Callable[Concatenate[S, P], None]:
        @functools.wraps(AsyncClient.__init__)
        def construct(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
            try:
                if kwargs.get("session") is not None:
                    raise ConfigurationError(
                        "session: an aiohttp session belongs to one event loop, and the blocking client has its own. "
                        "Leave it out, or use the async client"
                    )
                client = make(*args, **kwargs)
            except TypeError as error:
                name_class(error, cast("Any", make).__init__, self)
                raise
            finally:
                # They hold the key, and a traceback could show them.
                del args, kwargs
            take(self, client)

        construct.__doc__ = _constructor_doc(make.__doc__ or "")
        return construct

    return decorate


def _constructor_doc(text: str) -> str:
    """Return the docstring of a blocking constructor: what that of the async client says of arguments and errors."""
    sections = [part for part in inspect.cleandoc(text).split("\n\n") if part.startswith(("Args:", "Raises:"))]
    return _SESSION.sub("", "\n\n".join(["Create a client. It opens on first use.", *sections]))


def _as_sync_copy(
    method: Callable[Concatenate[AsyncClient, P], AsyncClient],
) -> Callable[Concatenate[SyncClientT, P], SyncClientT]:
    """Return the blocking form of a method that copies a client with other options."""

    @functools.wraps(method)
    def copy(self: SyncClientT, /, *args: P.args, **kwargs: P.kwargs) -> SyncClientT:
        try:
            client = method(self._resource, *args, **kwargs)  # pyright: ignore[reportPrivateUsage] - a method of this class
        except TypeError as error:
            name_class(error, method, self)
            raise
        finally:
            # Headers may hold secrets, and a traceback could show them.
            del args, kwargs
        return self._copy(client)  # pyright: ignore[reportPrivateUsage] - the same

    return copy


class SyncClient(SyncResource[ClientT_co], ABC, Generic[ClientT_co]):
    """The base of the blocking clients."""

    _owner: bool

    def _init_owner(self, client: Any) -> None:
        self._owner = True
        self._bind(client, BlockingPortal(_repr(self, client), client))

    def _bind(self, client: Any, portal: BlockingPortal) -> None:
        super().__init__(client, portal)
        self._init_resources(client, portal)

    @abstractmethod
    def _init_resources(self, client: Any, portal: BlockingPortal) -> None:
        """Create the resources."""

    def _copy(self, client: Any) -> Self:
        copy = object.__new__(type(self))
        copy._owner = False
        copy._bind(client, self._portal)
        return copy

    with_options = _as_sync_copy(AsyncClient.with_options)
    request = as_sync(AsyncClient.request)

    @copy_signature(AsyncClient.deadline)
    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        return self._resource._block_deadline(seconds)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - its blocking form

    @copy_signature(AsyncClient.capture_responses)
    def capture_responses(self) -> AbstractContextManager[list[APIResponse]]:
        return self._resource.capture_responses()

    @property
    def usage(self) -> Usage:
        """The requests sent so far by this client and its copies."""
        return self._resource.usage

    @property
    def pending_calls(self) -> Sequence[PendingCall]:
        """The calls in flight of this client and its copies, the oldest first. May be read from any thread."""
        return self._resource.pending_calls

    def close(self, *, shutdown_timeout: float | UnsetType | None = UNSET) -> None:
        """Close the client and end its thread. Idempotent. A client that is still open is closed at exit.

        Bulk runs start no further operation. Reads, and writes that were not sent yet, raise `ClientClosedError` at
        once. Writes in flight have `shutdown_timeout` seconds to finish. Then they are cancelled: their operations of
        bulk runs are `unknown`, creations and removals by index raise `OutcomeUnknownError`, and other writes raise
        `ClientClosedError`. Ctrl-C cancels them at once.

        Args:
            shutdown_timeout: seconds to wait for writes in flight; None to wait until they end. By default as given to
                the constructor.

        Raises:
            ConfigurationError: If the argument is neither None nor a number of at least 0.
        """
        timeout = resolve_shutdown_timeout(shutdown_timeout, self._resource.shutdown_timeout)
        if self._owner:
            self._portal.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            _repr(self, self._resource) if hasattr(self, "_resource") else f"<{type(self).__name__} (not initialised)>"
        )

    def __reduce__(self) -> str:
        return self._resource.__reduce__()


class ExperimentClient(SyncClient[AsyncExperimentClient]):
    """The blocking client for Amplitude's Experiment Management API.

    It has the names, arguments and results of `AsyncExperimentClient`, without `await`. Its event loop runs on
    its own thread, which starts on first use. Use it from any thread, from several at once, inside a running
    event loop (notebooks), and after a fork. Ctrl-C cancels the request in flight, and the client stays usable.
    Close it with `with` or `close()`. It takes every argument of `AsyncExperimentClient` except `session`.

    Attributes:
        flags: Feature flags.
        experiments: Experiments.
        deployments: Deployments.
        versions: Versions of all flags and experiments.
        mutexes: Mutex groups: experiments that exclude each other.
        holdouts: Holdout groups: users who are held out of some experiments.

    Example::

        with ExperimentClient() as client:
            for flag in client.flags.list(project_id="123"):
                print(flag.key, flag.enabled)
    """

    flags: Flags
    experiments: Experiments
    deployments: Deployments
    versions: ProjectVersions
    mutexes: Mutexes
    holdouts: Holdouts

    @_as_sync_init(AsyncExperimentClient)
    def __init__(self, client: AsyncExperimentClient) -> None:
        self._init_owner(client)

    def _init_resources(self, client: AsyncExperimentClient, portal: BlockingPortal) -> None:
        """Create the resources."""
        self.flags = Flags(client.flags, portal)
        self.experiments = Experiments(client.experiments, portal)
        self.deployments = Deployments(client.deployments, portal)
        self.versions = ProjectVersions(client.versions, portal)
        self.mutexes = Mutexes(client.mutexes, portal)
        self.holdouts = Holdouts(client.holdouts, portal)

    bulk = as_sync_run(AsyncExperimentClient.bulk)
    history = as_sync(AsyncExperimentClient.history)
    watch = as_sync_generator(AsyncExperimentClient.watch)
    restore_version = as_sync(AsyncExperimentClient.restore_version)
    export = as_sync(AsyncExperimentClient.export)
    plan = as_sync(AsyncExperimentClient.plan)
    apply = as_sync_run(AsyncExperimentClient.apply)


class BetaClient(SyncClient[AsyncBetaClient]):
    """The blocking client for the Beta API, for accounts that still use it.

    It has the names, arguments and results of `AsyncBetaClient`, without `await`. Everything else is as in
    `ExperimentClient`.

    Attributes:
        flags: Feature flags, read-only.
        experiments: Experiments.
        deployments: Deployments, read-only.
    """

    flags: BetaFlags
    experiments: BetaExperiments
    deployments: BetaDeployments

    @_as_sync_init(AsyncBetaClient)
    def __init__(self, client: AsyncBetaClient) -> None:
        self._init_owner(client)

    def _init_resources(self, client: AsyncBetaClient, portal: BlockingPortal) -> None:
        """Create the resources."""
        self.flags = BetaFlags(client.flags, portal)
        self.experiments = BetaExperiments(client.experiments, portal)
        self.deployments = BetaDeployments(client.deployments, portal)


def _repr(sync_client: object, client: AsyncClient) -> str:
    return repr(client).replace(type(client).__name__, type(sync_client).__name__)
