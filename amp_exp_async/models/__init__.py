"""The objects of the API as immutable attrs classes."""

from .base import UNSET, Created, Id, Maybe, Model, Page, ResultList, Unset, UnsetType
from .deployments import Deployment
from .flags import Experiment, ExposureEvent, ExposureFilter, Flag, FlagConfig, ParentDependencies, Variant, Version
from .groups import Group, HoldoutGroup, MutexGroup, MutexSlot
from .segments import Condition, Segment
from .webhooks import WebhookEvent

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
    "ResultList",
    "Segment",
    "Unset",
    "UnsetType",
    "Variant",
    "Version",
    "WebhookEvent",
]
