"""The blocking sections of the Beta API: names only."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from amp_exp_async.models import Experiment, Flag, FlagConfig
from amp_exp_async.resources import AsyncBetaDeployments, AsyncBetaExperiments, AsyncBetaFlagConfigs, AsyncBetaFlags

from .bridge import Bridge
from .facade import Facade, blocking, iterating
from .resources import Versions

ResourceT_co = TypeVar("ResourceT_co", bound=AsyncBetaFlagConfigs[Any], covariant=True)
FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)


class BetaToggles(Facade[ResourceT_co], Generic[ResourceT_co, FlagConfigT_co]):
    """What flags and experiments of the Beta API have in common, blocking.

    Attributes:
        versions: its versions.
    """

    def __init__(self, resource: ResourceT_co, bridge: Bridge) -> None:
        super().__init__(resource, bridge)
        self.versions: Versions[FlagConfigT_co] = Versions(resource.versions, bridge)

    list = iterating(AsyncBetaFlagConfigs[FlagConfigT_co].list)
    get = blocking(AsyncBetaFlagConfigs[FlagConfigT_co].get)


class BetaFlags(BetaToggles[AsyncBetaFlags, Flag]):
    """`flags` of the Beta API, blocking."""


class BetaExperiments(BetaToggles[AsyncBetaExperiments, Experiment]):
    """`experiments` of the Beta API, blocking."""

    create = blocking(AsyncBetaExperiments.create)
    activate = blocking(AsyncBetaExperiments.activate)
    deactivate = blocking(AsyncBetaExperiments.deactivate)
    set_rollout_weights = blocking(AsyncBetaExperiments.set_rollout_weights)


class BetaDeployments(Facade[AsyncBetaDeployments]):
    """`deployments` of the Beta API, blocking."""

    list = iterating(AsyncBetaDeployments.list)
