"""The blocking client."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from amp_exp_async.client import AsyncExperimentClient
from amp_exp_async.errors import ConfigurationError
from amp_exp_async.transport import Usage

from .bridge import Bridge
from .bulk import running
from .facade import Facade, blocking
from .resources import Deployments, Experiments, Flags

P = ParamSpec("P")
S = TypeVar("S")


def _constructing(
    make: Callable[P, AsyncExperimentClient],
) -> Callable[[Callable[[S, AsyncExperimentClient], None]], Callable[Concatenate[S, P], None]]:
    """Give a constructor the arguments of the async client's."""

    def decorate(take: Callable[[S, AsyncExperimentClient], None]) -> Callable[Concatenate[S, P], None]:
        @functools.wraps(AsyncExperimentClient.__init__)
        def construct(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
            try:
                if kwargs.get("session") is not None:
                    raise ConfigurationError(
                        "session: an aiohttp session belongs to an event loop, and the blocking client has its own: "
                        "leave it out, or use AsyncExperimentClient"
                    )
                client = make(*args, **kwargs)
            finally:
                # The key is among them, and a traceback might show it.
                del args, kwargs
            take(self, client)

        return construct

    return decorate


def _viewing(
    method: Callable[Concatenate[AsyncExperimentClient, P], AsyncExperimentClient],
) -> Callable[Concatenate[ExperimentClient, P], ExperimentClient]:
    """The method that makes a view of a blocking client."""

    @functools.wraps(method)
    def view(self: ExperimentClient, /, *args: P.args, **kwargs: P.kwargs) -> ExperimentClient:
        return self._view(method(self.resource, *args, **kwargs))  # pyright: ignore[reportPrivateUsage]

    return view


class ExperimentClient(Facade[AsyncExperimentClient]):
    """The client of Amplitude's Experiment Management API, blocking.

    The names, arguments and results of `AsyncExperimentClient`, without `await`. Its event loop runs on one thread of
    its own, which starts on first use: use it from any thread, from several at once, inside a running event loop
    (notebooks), and after a fork. Ctrl-C cancels the request under way, and the client stays usable. Close it with
    `with` or `close()`. It takes every argument of `AsyncExperimentClient` but `session`.

    Attributes:
        flags: flags.
        experiments: experiments.
        deployments: deployments.

    Example::

        with ExperimentClient() as client:
            for flag in client.flags.list(project_id="123"):
                print(flag.key, flag.enabled)
    """

    flags: Flags
    experiments: Experiments
    deployments: Deployments

    @_constructing(AsyncExperimentClient)
    def __init__(self, client: AsyncExperimentClient) -> None:
        self._use(client, Bridge(_named(client), client.aclose, client.forget_parent), owner=True)

    def _use(self, client: AsyncExperimentClient, bridge: Bridge, *, owner: bool) -> None:
        super().__init__(client, bridge)
        self._owner = owner
        self.flags = Flags(client.flags, bridge)
        self.experiments = Experiments(client.experiments, bridge)
        self.deployments = Deployments(client.deployments, bridge)

    def _view(self, client: AsyncExperimentClient) -> ExperimentClient:
        view = object.__new__(type(self))
        view._use(client, self.bridge, owner=False)
        return view

    with_options = _viewing(AsyncExperimentClient.with_options)
    bulk = running(AsyncExperimentClient.bulk)
    request = blocking(AsyncExperimentClient.request)

    @property
    def usage(self) -> Usage:
        """What was sent so far, by this client and its views."""
        return self.resource.usage

    def close(self) -> None:
        """Close the client and end its thread. Idempotent.

        Calls under way fail with `ClientClosedError`, creations and removals by index that were sent with
        `OutcomeUnknownError`.
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
        return _named(self.resource) if hasattr(self, "resource") else f"<{type(self).__name__} (not made)>"

    def __reduce__(self) -> str:
        return self.resource.__reduce__()


def _named(client: AsyncExperimentClient) -> str:
    return repr(client).replace(AsyncExperimentClient.__name__, ExperimentClient.__name__)
