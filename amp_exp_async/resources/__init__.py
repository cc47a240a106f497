"""The sections of the API."""

from ._base import KindResource, Resource
from .assignments import AsyncAssignedDeployments
from .deployments import AsyncDeployments
from .fields import ExperimentChanges, FlagChanges, NewExperiment, NewFlag
from .inclusions import AsyncCohorts, AsyncUsers
from .toggles import AsyncExperiments, AsyncFlags, AsyncToggles
from .variants import AsyncVariants
from .versions import AsyncVersions

__all__ = [
    "AsyncAssignedDeployments",
    "AsyncCohorts",
    "AsyncDeployments",
    "AsyncExperiments",
    "AsyncFlags",
    "AsyncToggles",
    "AsyncUsers",
    "AsyncVariants",
    "AsyncVersions",
    "ExperimentChanges",
    "FlagChanges",
    "KindResource",
    "NewExperiment",
    "NewFlag",
    "Resource",
]
