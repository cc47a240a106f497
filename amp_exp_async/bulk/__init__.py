"""Bulk runs: many operations, executed concurrently, with one outcome for each."""

from .operations import (
    AddCohorts,
    AddDeployments,
    AddUsers,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    InclusionOperation,
    InclusionRequest,
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
from .protocols import FlagResource, ResourceFactory, Resources
from .results import BulkSummary, Outcome, Progress
from .run import AsyncBulkRun, OnError
from .source import Operations

__all__ = [
    "AddCohorts",
    "AddDeployments",
    "AddUsers",
    "AsyncBulkRun",
    "BulkSummary",
    "CreateExperiment",
    "CreateFlag",
    "CreateVariant",
    "Edit",
    "EditVariant",
    "FlagResource",
    "InclusionOperation",
    "InclusionRequest",
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
    "ResourceFactory",
    "Resources",
]
