"""The sections of the API."""

from ._base import Kind, KindResource, Resource
from .all_versions import AsyncAllVersions
from .assignments import AsyncAssignedDeployments
from .beta import AsyncBetaDeployments, AsyncBetaExperiments, AsyncBetaFlags, AsyncBetaToggles, NewBetaExperiment
from .deployments import AsyncDeployments
from .fields import (
    EXPERIMENT_CHANGES,
    FLAG_CHANGES,
    ExperimentChanges,
    FlagChanges,
    NewExperiment,
    NewFlag,
    SegmentLike,
)
from .groups import Groups
from .holdouts import AsyncHoldouts
from .inclusions import AsyncCohorts, AsyncUsers
from .mutexes import AsyncMutexes, SlotLike
from .toggles import AsyncExperiments, AsyncFlags, AsyncToggles
from .variants import AsyncVariants
from .versions import AsyncVersions

__all__ = [
    "EXPERIMENT_CHANGES",
    "FLAG_CHANGES",
    "AsyncAllVersions",
    "AsyncAssignedDeployments",
    "AsyncBetaDeployments",
    "AsyncBetaExperiments",
    "AsyncBetaFlags",
    "AsyncBetaToggles",
    "AsyncCohorts",
    "AsyncDeployments",
    "AsyncExperiments",
    "AsyncFlags",
    "AsyncHoldouts",
    "AsyncMutexes",
    "AsyncToggles",
    "AsyncUsers",
    "AsyncVariants",
    "AsyncVersions",
    "ExperimentChanges",
    "FlagChanges",
    "Groups",
    "Kind",
    "KindResource",
    "NewBetaExperiment",
    "NewExperiment",
    "NewFlag",
    "Resource",
    "SegmentLike",
    "SlotLike",
]
