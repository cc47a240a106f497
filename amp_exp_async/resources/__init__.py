"""The sections of the API."""

from amp_exp_async.params import (
    EXPERIMENT_EDIT_PARAMS,
    FLAG_EDIT_PARAMS,
    ExperimentCreateParams,
    ExperimentEditParams,
    FlagCreateParams,
    FlagEditParams,
    SegmentLike,
)

from ._base import Kind, KindResource, Resource
from .all_versions import AsyncProjectVersions
from .assignments import AsyncFlagDeployments
from .beta import (
    AsyncBetaDeployments,
    AsyncBetaExperiments,
    AsyncBetaFlagConfigs,
    AsyncBetaFlags,
    BetaExperimentCreateParams,
)
from .deployments import AsyncDeployments
from .groups import Groups
from .holdouts import AsyncHoldouts
from .inclusions import AsyncCohorts, AsyncUsers
from .mutexes import AsyncMutexes, SlotLike
from .toggles import AsyncExperiments, AsyncFlagConfigs, AsyncFlags, flag_resources
from .variants import AsyncVariants
from .versions import AsyncVersions

__all__ = [
    "EXPERIMENT_EDIT_PARAMS",
    "FLAG_EDIT_PARAMS",
    "AsyncBetaDeployments",
    "AsyncBetaExperiments",
    "AsyncBetaFlagConfigs",
    "AsyncBetaFlags",
    "AsyncCohorts",
    "AsyncDeployments",
    "AsyncExperiments",
    "AsyncFlagConfigs",
    "AsyncFlagDeployments",
    "AsyncFlags",
    "AsyncHoldouts",
    "AsyncMutexes",
    "AsyncProjectVersions",
    "AsyncUsers",
    "AsyncVariants",
    "AsyncVersions",
    "BetaExperimentCreateParams",
    "ExperimentCreateParams",
    "ExperimentEditParams",
    "FlagCreateParams",
    "FlagEditParams",
    "Groups",
    "Kind",
    "KindResource",
    "Resource",
    "SegmentLike",
    "SlotLike",
    "flag_resources",
]
