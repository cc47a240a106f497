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
from .diff import FieldChange, diff_flags
from .flags import AsyncExperiments, AsyncFlagConfigs, AsyncFlags
from .groups import Groups
from .history import RestoreResult, VersionChange, apply_version, not_restorable, restore_version, version_changes
from .holdouts import AsyncHoldouts
from .inclusions import AsyncCohorts, AsyncUsers
from .mutexes import AsyncMutexes, SlotLike
from .optimistic import OptimisticEdit, changed_fields
from .segments import AsyncSegments, AsyncTags, SegmentEditParams
from .toggles import flag_resources
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
    "AsyncSegments",
    "AsyncTags",
    "AsyncUsers",
    "AsyncVariants",
    "AsyncVersions",
    "BetaExperimentCreateParams",
    "ExperimentCreateParams",
    "ExperimentEditParams",
    "FieldChange",
    "FlagCreateParams",
    "FlagEditParams",
    "Groups",
    "Kind",
    "KindResource",
    "OptimisticEdit",
    "Resource",
    "RestoreResult",
    "SegmentEditParams",
    "SegmentLike",
    "SlotLike",
    "VersionChange",
    "apply_version",
    "changed_fields",
    "diff_flags",
    "flag_resources",
    "not_restorable",
    "restore_version",
    "version_changes",
]
