"""The objects of the API, as immutable attrs classes."""

from ._base import Id, Maybe, Model
from ._unset import UNSET, Unset, UnsetType
from .exposure import ExposureEvent, ExposureFilter
from .groups import Group, HoldoutGroup, MutexGroup, MutexSlot
from .results import Created, Deployment, Page, Version
from .targeting import Condition, Segment, Variant
from .toggles import Experiment, Flag, FlagConfig, ParentDependencies

__all__ = [
    "UNSET",
    "Condition",
    "Created",
    "Deployment",
    "Experiment",
    "ExposureEvent",
    "ExposureFilter",
    "Flag",
    "FlagConfig",
    "Group",
    "HoldoutGroup",
    "Id",
    "Maybe",
    "Model",
    "MutexGroup",
    "MutexSlot",
    "Page",
    "ParentDependencies",
    "Segment",
    "Unset",
    "UnsetType",
    "Variant",
    "Version",
]
