"""Changing one thing in a flag that others change too, and what changed it before."""

from .guarded import Guarded, copied
from .history import FieldDifference, VersionChange, changes
from .restoring import Restoration, restore
from .sections import AsyncSegments, AsyncTags
from .segments import SegmentChanges
from .toggles import AsyncExperiments, AsyncFlags, AsyncToggles

__all__ = [
    "AsyncExperiments",
    "AsyncFlags",
    "AsyncSegments",
    "AsyncTags",
    "AsyncToggles",
    "FieldDifference",
    "Guarded",
    "Restoration",
    "SegmentChanges",
    "VersionChange",
    "changes",
    "copied",
    "restore",
]
