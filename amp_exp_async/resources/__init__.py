"""The resources of the API: the operations of the async clients."""

from .base import (
    ApiOperation,
    Collection,
    CollectionResource,
    Resource,
    list_methods,
    list_operations,
    operation,
    operation_of,
)
from .beta import (
    AsyncBetaDeployments,
    AsyncBetaExperiments,
    AsyncBetaFlagConfigs,
    AsyncBetaFlags,
    BetaExperimentCreateParams,
)
from .deployments import AsyncDeployments, AsyncFlagDeployments
from .diff import FieldChange, diff_flags
from .flags import AsyncExperiments, AsyncFlagConfigs, AsyncFlags, flag_resources
from .groups import AsyncHoldouts, AsyncMutexes, Groups, SlotLike
from .history import RestoreResult, VersionChange, apply_version, not_restorable, restore_version, version_changes
from .inclusions import AsyncCohorts, AsyncUsers
from .optimistic import OptimisticEdit, changed_fields, reject_impossible_edit
from .segments import AsyncSegments, AsyncTags, SegmentEditParams
from .variants import AsyncVariants
from .versions import AsyncProjectVersions, AsyncVersions
from .watch import ChangeEvent, watch_changes

__all__ = [
    "ApiOperation",
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
    "ChangeEvent",
    "Collection",
    "CollectionResource",
    "FieldChange",
    "Groups",
    "OptimisticEdit",
    "Resource",
    "RestoreResult",
    "SegmentEditParams",
    "SlotLike",
    "VersionChange",
    "apply_version",
    "changed_fields",
    "diff_flags",
    "flag_resources",
    "list_methods",
    "list_operations",
    "not_restorable",
    "operation",
    "operation_of",
    "reject_impossible_edit",
    "restore_version",
    "version_changes",
    "watch_changes",
]
