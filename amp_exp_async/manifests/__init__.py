"""Flags as files: what a file declares, how it is read and written, and what would change."""

from .applying import apply
from .change import Action, ResourceChange
from .export import Depth, export
from .files import dumps, load, loads, save
from .plan import Plan
from .planning import make_plan
from .spec import Dependencies, ExperimentSpec, ExportScope, FlagConfigSpec, FlagSpec, Manifest, VariantSpec
from .state_diff import ManifestDiff, diff

__all__ = [
    "Action",
    "Dependencies",
    "Depth",
    "ExperimentSpec",
    "ExportScope",
    "FlagConfigSpec",
    "FlagSpec",
    "Manifest",
    "ManifestDiff",
    "Plan",
    "ResourceChange",
    "VariantSpec",
    "apply",
    "diff",
    "dumps",
    "export",
    "load",
    "loads",
    "make_plan",
    "save",
]
