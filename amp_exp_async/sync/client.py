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

from .beta import BetaDeployments, BetaExperiments, BetaFlags
from .bridge import Bridge
from .bulk import running
from .facade import Facade, blocking
from .resources import Deployments, Experiments, Flags, Holdouts, Mutexes, ProjectVersions

P = ParamSpec("P")
S = TypeVar("S")
ClientT = TypeVar("ClientT", bound=AsyncClient)
ClientT_co = TypeVar("ClientT_co", bound=AsyncClient, covariant=True)
BlockingT = TypeVar("BlockingT", bound="BlockingClient[Any]")


def _constructing(
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


def _viewing(
    method: Callable[Concatenate[AsyncClient, P], AsyncClient],
) -> Callable[Concatenate[BlockingT, P], BlockingT]:
    """The method that makes a view of a blocking client."""

    @functools.wraps(method)
    def view(self: BlockingT, /, *args: P.args, **kwargs: P.kwargs) -> BlockingT:
        return self._view(method(self.resource, *args, **kwargs))  # pyright: ignore[reportPrivateUsage]

    return view


class BlockingClient(Facade[ClientT_co], ABC, Generic[ClientT_co]):
    """What the blocking clients have in common."""

    _owner: bool

    def _own(self, client: Any) -> None:
        self._owner = True
        self._use(client, Bridge(_named(self, client), client.aclose, client.forget_parent))

    def _use(self, client: Any, bridge: Bridge) -> None:
        super().__init__(client, bridge)
        self._hang(client, bridge)

    @abstractmethod
    def _hang(self, client: Any, bridge: Bridge) -> None:
        """Make the sections of the API."""

    def _view(self, client: Any) -> Self:
        view = object.__new__(type(self))
        view._owner = False
        view._use(client, self.bridge)
        return view

    with_options = _viewing(AsyncClient.with_options)
    request = blocking(AsyncClient.request)

    @property
    def usage(self) -> Usage:
        """What was sent so far, by this client and its views."""
        return self.resource.usage

    def close(self) -> None:
        """Close the client and end its thread. Idempotent.

        Bulk runs begin nothing more and finish the operations that are under way. Other calls under way fail with
        `ClientClosedError`, creations and removals by index that were sent with `OutcomeUnknownError`.
        """
        if self._owner:
            self.bridge.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return _named(self, self.resource) if hasattr(self, "resource") else f"<{type(self).__name__} (not made)>"

    def __reduce__(self) -> str:
        return self.resource.__reduce__()


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

    @_constructing(AsyncExperimentClient)
    def __init__(self, client: AsyncExperimentClient) -> None:
        self._own(client)

    def _hang(self, client: AsyncExperimentClient, bridge: Bridge) -> None:
        """Make the sections of the API."""
        self.flags = Flags(client.flags, bridge)
        self.experiments = Experiments(client.experiments, bridge)
        self.deployments = Deployments(client.deployments, bridge)
        self.versions = ProjectVersions(client.versions, bridge)
        self.mutexes = Mutexes(client.mutexes, bridge)
        self.holdouts = Holdouts(client.holdouts, bridge)

    bulk = running(AsyncExperimentClient.bulk)
    history = blocking(AsyncExperimentClient.history)
    restore_version = blocking(AsyncExperimentClient.restore_version)
    export = blocking(AsyncExperimentClient.export)
    plan = blocking(AsyncExperimentClient.plan)
    apply = running(AsyncExperimentClient.apply)


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

    @_constructing(AsyncBetaClient)
    def __init__(self, client: AsyncBetaClient) -> None:
        self._own(client)

    def _hang(self, client: AsyncBetaClient, bridge: Bridge) -> None:
        """Make the sections of the API."""
        self.flags = BetaFlags(client.flags, bridge)
        self.experiments = BetaExperiments(client.experiments, bridge)
        self.deployments = BetaDeployments(client.deployments, bridge)


def _named(ours: object, client: AsyncClient) -> str:
    return repr(client).replace(type(client).__name__, type(ours).__name__)
