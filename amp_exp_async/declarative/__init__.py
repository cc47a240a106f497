"""Flags as files: what a file declares, how it is read and written, and what would change."""

from .applying import apply
from .change import Action, Change, FieldChange
from .export import Depth, export
from .files import dumps, load, loads, save
from .linting import LINT_RULES, Finding, lint
from .plan import Plan
from .planning import make_plan
from .state import Dependencies, ExperimentState, FlagState, Scope, State, ToggleState, VariantState
from .state_diff import StateDiff, diff

__all__ = [
    "LINT_RULES",
    "Action",
    "Change",
    "Dependencies",
    "Depth",
    "ExperimentState",
    "FieldChange",
    "Finding",
    "FlagState",
    "Plan",
    "Scope",
    "State",
    "StateDiff",
    "ToggleState",
    "VariantState",
    "apply",
    "diff",
    "dumps",
    "export",
    "lint",
    "load",
    "loads",
    "make_plan",
    "save",
]
