"""Flags as files: manifests, and the plans and diffs made from them."""

from .apply import apply
from .change import Action, ResourceChange
from .diff import ManifestDiff, diff
from .export import ExportOptions, export
from .files import dumps, load, loads, save
from .plan import Plan, make_plan
from .spec import Dependencies, ExperimentSpec, ExportScope, FlagConfigSpec, FlagSpec, Manifest, VariantSpec

__all__ = [
    "Action",
    "Dependencies",
    "ExperimentSpec",
    "ExportOptions",
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
