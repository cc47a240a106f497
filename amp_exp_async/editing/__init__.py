"""Changing one thing in a flag that others change too, and what changed it before."""

from .fields import difference
from .guarded import Guarded, copied
from .history import FieldDifference, VersionChange, changes
from .restoring import RestoreResult, restore
from .sections import AsyncSegments, AsyncTags
from .segments import SegmentEditParams
from .toggles import AsyncExperiments, AsyncFlagConfigs, AsyncFlags

__all__ = [
    "AsyncExperiments",
    "AsyncFlagConfigs",
    "AsyncFlags",
    "AsyncSegments",
    "AsyncTags",
    "FieldDifference",
    "Guarded",
    "RestoreResult",
    "SegmentEditParams",
    "VersionChange",
    "changes",
    "copied",
    "difference",
    "restore",
]
