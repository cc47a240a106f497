"""What can be done in bulk: a frozen class for each operation, checked as it is made."""

from .base import KindName, Lookup, OnToggle, OnVariant, Operation, order_key
from .inclusions import (
    AddCohorts,
    AddUsers,
    Inclusion,
    RemoveAllUsers,
    RemoveCohorts,
    RemoveUsers,
    ReplaceCohorts,
    ReplaceUsers,
)
from .toggles import (
    AddDeployments,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    RemoveDeployment,
    RemoveVariant,
    created_key,
)

OPERATIONS: tuple[type[Operation], ...] = (
    AddUsers,
    RemoveUsers,
    ReplaceUsers,
    RemoveAllUsers,
    AddCohorts,
    RemoveCohorts,
    ReplaceCohorts,
    Edit,
    CreateVariant,
    EditVariant,
    RemoveVariant,
    AddDeployments,
    RemoveDeployment,
    CreateFlag,
    CreateExperiment,
)

__all__ = [
    "OPERATIONS",
    "AddCohorts",
    "AddDeployments",
    "AddUsers",
    "CreateExperiment",
    "CreateFlag",
    "CreateVariant",
    "Edit",
    "EditVariant",
    "Inclusion",
    "KindName",
    "Lookup",
    "OnToggle",
    "OnVariant",
    "Operation",
    "RemoveAllUsers",
    "RemoveCohorts",
    "RemoveDeployment",
    "RemoveUsers",
    "RemoveVariant",
    "ReplaceCohorts",
    "ReplaceUsers",
    "created_key",
    "order_key",
]
