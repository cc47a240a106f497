"""Flags as files: what a file declares, how it is read and written, and what would change."""

from .applying import apply
from .change import Action, Change, FieldChange
from .export import Depth, export
from .files import load, save
from .plan import Plan
from .planning import make_plan
from .state import ExperimentState, FlagState, State, ToggleState, VariantState

__all__ = [
    "Action",
    "Change",
    "Depth",
    "ExperimentState",
    "FieldChange",
    "FlagState",
    "Plan",
    "State",
    "ToggleState",
    "VariantState",
    "apply",
    "export",
    "load",
    "make_plan",
    "save",
]
