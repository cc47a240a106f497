"""Flags and experiments: the same commands under another word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from amp_exp_async import ExperimentClient
from amp_exp_async.models import FlagConfig
from amp_exp_async.resources import EXPERIMENT_EDIT_PARAMS, FLAG_EDIT_PARAMS
from amp_exp_async.sync.resources import Experiments, Flags
from amp_exp_async.validation import Validator

from .shown import printable


@frozen
class Section:
    """Flags or experiments.

    Attributes:
        kind: the word for them.
        one: the word for one of them.
        table: the fields that an edit can set, with the check of each.
    """

    kind: Literal["flags", "experiments"]
    one: str
    table: Mapping[str, Validator]

    def of(self, client: ExperimentClient) -> Flags | Experiments:
        """They, in a client."""
        return client.flags if self.kind == "flags" else client.experiments

    def label(self, toggle: FlagConfig) -> str:
        """What one of them is called in what is said."""
        return printable(f"{self.one} {toggle.id} ({toggle.key})")


FLAGS = Section("flags", "flag", FLAG_EDIT_PARAMS)
EXPERIMENTS = Section("experiments", "experiment", EXPERIMENT_EDIT_PARAMS)
