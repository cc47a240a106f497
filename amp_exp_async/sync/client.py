"""The blocking clients."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from amp_exp_async.client import AsyncBetaClient, AsyncClient, AsyncExperimentClient
from amp_exp_async.errors import ConfigurationError
from amp_exp_async.http import Usage

from .base import SyncResource, as_sync
from .beta import BetaDeployments, BetaExperiments, BetaFlags
from .bulk import as_sync_run
from .portal import BlockingPortal
from .resources import Deployments, Experiments, Flags, Holdouts, Mutexes, ProjectVersions

P = ParamSpec("P")
S = TypeVar("S")
ClientT = TypeVar("ClientT", bound=AsyncClient)
ClientT_co = TypeVar("ClientT_co", bound=AsyncClient, covariant=True)
BlockingT = TypeVar("BlockingT", bound="BlockingClient[Any]")


def _as_sync_init(
    make: Callable[P, ClientT],
) -> Callable[[Callable[[S, ClientT], None]], Callable[Concatenate[S, P], None]]:
    """Give a constructor the arguments of the async client's."""

    def decorate(take: Callable[[S, ClientT], None]) -> Callable[Concatenate[S, P], None]:
        @functools.wraps(AsyncClient.__init__)
        def construct(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
            try:
                if kwargs.get("session") is not None:
                    raise ConfigurationError(
                        "session: an aiohttp session belongs to an event loop, and the blocking client has its own: "
                        "leave it out, or use the async client"
                    )
                client = make(*args, **kwargs)
            finally:
                # The key is among them, and a traceback might show it.
                del args, kwargs
            take(self, client)

        return construct

    return decorate


def _as_sync_copy(
    method: Callable[Concatenate[AsyncClient, P], AsyncClient],
) -> Callable[Concatenate[BlockingT, P], BlockingT]:
    """The method that makes a view of a blocking client."""

    @functools.wraps(method)
    def view(self: BlockingT, /, *args: P.args, **kwargs: P.kwargs) -> BlockingT:
        return self._copy(method(self._resource, *args, **kwargs))  # pyright: ignore[reportPrivateUsage]

    return view


class BlockingClient(SyncResource[ClientT_co], ABC, Generic[ClientT_co]):
    """What the blocking clients have in common."""

    _owner: bool

    def _init_owner(self, client: Any) -> None:
        self._owner = True
        self._bind(client, BlockingPortal(_named(self, client), client.aclose, client.forget_parent))

    def _bind(self, client: Any, portal: BlockingPortal) -> None:
        super().__init__(client, portal)
        self._init_resources(client, portal)

    @abstractmethod
    def _init_resources(self, client: Any, portal: BlockingPortal) -> None:
        """Make the sections of the API."""

    def _copy(self, client: Any) -> Self:
        view = object.__new__(type(self))
        view._owner = False
        view._bind(client, self._portal)
        return view

    with_options = _as_sync_copy(AsyncClient.with_options)
    request = as_sync(AsyncClient.request)

    @property
    def usage(self) -> Usage:
        """What was sent so far, by this client and its views."""
        return self._resource.usage

    def close(self) -> None:
        """Close the client and end its thread. Idempotent.

        Bulk runs begin nothing more and finish the operations that are under way. Other calls under way fail with
        `ClientClosedError`, creations and removals by index that were sent with `OutcomeUnknownError`.
        """
        if self._owner:
            self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return _named(self, self._resource) if hasattr(self, "resource") else f"<{type(self).__name__} (not made)>"

    def __reduce__(self) -> str:
        return self._resource.__reduce__()


class ExperimentClient(BlockingClient[AsyncExperimentClient]):
    """The client of Amplitude's Experiment Management API, blocking.

    The names, arguments and results of `AsyncExperimentClient`, without `await`. Its event loop runs on one thread of
    its own, which starts on first use: use it from any thread, from several at once, inside a running event loop
    (notebooks), and after a fork. Ctrl-C cancels the request under way, and the client stays usable. Close it with
    `with` or `close()`. It takes every argument of `AsyncExperimentClient` but `session`.

    Attributes:
        flags: flags.
        experiments: experiments.
        deployments: deployments.
        versions: the versions of all flags and experiments.
        mutexes: groups of experiments that exclude each other.
        holdouts: groups of users who are in none of some experiments.

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
        """Make the sections of the API."""
        self.flags = Flags(client.flags, portal)
        self.experiments = Experiments(client.experiments, portal)
        self.deployments = Deployments(client.deployments, portal)
        self.versions = ProjectVersions(client.versions, portal)
        self.mutexes = Mutexes(client.mutexes, portal)
        self.holdouts = Holdouts(client.holdouts, portal)

    bulk = as_sync_run(AsyncExperimentClient.bulk)
    history = as_sync(AsyncExperimentClient.history)
    restore_version = as_sync(AsyncExperimentClient.restore_version)
    export = as_sync(AsyncExperimentClient.export)
    plan = as_sync(AsyncExperimentClient.plan)
    apply = as_sync_run(AsyncExperimentClient.apply)


class BetaClient(BlockingClient[AsyncBetaClient]):
    """The client of the Beta API, blocking. It exists for accounts that are still on that API.

    The names, arguments and results of `AsyncBetaClient`, without `await`; all else is as in `ExperimentClient`.

    Attributes:
        flags: flags, to read.
        experiments: experiments.
        deployments: deployments, to read.
    """

    flags: BetaFlags
    experiments: BetaExperiments
    deployments: BetaDeployments

    @_as_sync_init(AsyncBetaClient)
    def __init__(self, client: AsyncBetaClient) -> None:
        self._init_owner(client)

    def _init_resources(self, client: AsyncBetaClient, portal: BlockingPortal) -> None:
        """Make the sections of the API."""
        self.flags = BetaFlags(client.flags, portal)
        self.experiments = BetaExperiments(client.experiments, portal)
        self.deployments = BetaDeployments(client.deployments, portal)


def _named(ours: object, client: AsyncClient) -> str:
    return repr(client).replace(type(client).__name__, type(ours).__name__)
