"""Many operations at once, every outcome accounted for."""

from .operations import (
    AddCohorts,
    AddDeployments,
    AddUsers,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    KindName,
    Operation,
    RemoveAllUsers,
    RemoveCohorts,
    RemoveDeployment,
    RemoveUsers,
    RemoveVariant,
    ReplaceCohorts,
    ReplaceUsers,
)
from .outcomes import BulkSummary, Outcome, Progress
from .run import AsyncBulkRun, OnError
from .source import Operations
from .streams import AsyncCohorts, AsyncExperiments, AsyncFlagConfigs, AsyncFlags, AsyncUsers

__all__ = [
    "AddCohorts",
    "AddDeployments",
    "AddUsers",
    "AsyncBulkRun",
    "AsyncCohorts",
    "AsyncExperiments",
    "AsyncFlagConfigs",
    "AsyncFlags",
    "AsyncUsers",
    "BulkSummary",
    "CreateExperiment",
    "CreateFlag",
    "CreateVariant",
    "Edit",
    "EditVariant",
    "KindName",
    "OnError",
    "Operation",
    "Operations",
    "Outcome",
    "Progress",
    "RemoveAllUsers",
    "RemoveCohorts",
    "RemoveDeployment",
    "RemoveUsers",
    "RemoveVariant",
    "ReplaceCohorts",
    "ReplaceUsers",
]
