"""Flags and experiments themselves, their variants, and the deployments that they are assigned to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Unpack

from attrs import field, frozen

from amp_exp_async import validation
from amp_exp_async.models import UNSET, Maybe, UnsetType
from amp_exp_async.params import (
    EXPERIMENT_EDIT_PARAMS,
    FLAG_EDIT_PARAMS,
    NEW_EXPERIMENT,
    NEW_FLAG,
    VARIANT,
    ExperimentCreateParams,
    FlagCreateParams,
)
from amp_exp_async.validation import Validator

from .base import KindName, Lookup, OnToggle, OnVariant, Operation


def _deployments(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.ids("deployments", value))


def _deployment(value: str) -> str:
    return validation.identifier("deployment", value)


@frozen
class Edit(OnToggle):
    """Change a flag or experiment: what `flags.edit` and `experiments.edit` do.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        changes: field to new value, by the keywords of `edit`. `target_segments` and `tags` replace the whole list.
    """

    changes: Mapping[str, Any] = field(factory=dict[str, Any])

    def check(self) -> None:
        """Refuse changes that `edit` would refuse."""
        table = FLAG_EDIT_PARAMS if self.kind == "flags" else EXPERIMENT_EDIT_PARAMS
        self.settle("changes", validation.changes(table, validation.mapping("changes", self.changes)))


@frozen
class CreateVariant(OnVariant):
    """Create a variant: what `variants.create` does.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the new variant's key.
        name: the name shown in the app.
        description: what it is for.
        payload: any JSON value; `None` is a payload of null.
        rollout_weight: its share of the users whom no segment targets.
    """

    name: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    payload: Any = UNSET
    rollout_weight: float | UnsetType = UNSET

    def check(self) -> None:
        """Refuse fields that `variants.create` would refuse."""
        validation.fields(VARIANT, self.fields)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields besides the key."""
        names = ("name", "description", "payload", "rollout_weight")
        return {name: value for name in names if (value := getattr(self, name)) is not UNSET}


@frozen
class EditVariant(OnVariant):
    """Change a variant: what `variants.edit` does.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
        changes: field to new value, by the keywords of `variants.edit`.
    """

    changes: Mapping[str, Any] = field(factory=dict[str, Any])

    def check(self) -> None:
        """Refuse changes that `variants.edit` would refuse."""
        self.settle("changes", validation.changes(VARIANT, validation.mapping("changes", self.changes)))


@frozen
class RemoveVariant(OnVariant):
    """Remove a variant, its inclusions with it: what `variants.remove` does.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
    """


@frozen
class AddDeployments(OnToggle):
    """Assign a flag or experiment to deployments: to those that it is not assigned to yet.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        deployments: deployment ids, at least one; doubles are dropped.
    """

    deployments: tuple[str, ...] = field(default=(), converter=_deployments)


@frozen
class RemoveDeployment(OnToggle):
    """Take a flag or experiment from a deployment, if it is assigned to it.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        deployment: the deployment's id.
    """

    deployment: str = field(default="", converter=_deployment)


@frozen(init=False)
class _Create(Operation):
    project_id: str
    key: str
    fields: Mapping[str, Any]

    kind: ClassVar[KindName]
    table: ClassVar[Mapping[str, Validator]]

    def fill(self, project_id: str, key: str, fields: Mapping[str, Any]) -> None:
        """Set the fields to their checked values, while the operation is being made."""
        object.__setattr__(self, "project_id", validation.identifier("project_id", project_id))
        object.__setattr__(self, "key", validation.key("key", key))
        object.__setattr__(self, "fields", validation.fields(self.table, fields))

    @property
    def order_key(self) -> str | None:
        return created_key((self.kind, self.project_id, self.key))

    @property
    def lookup(self) -> Lookup | None:
        return None

    @property
    def target(self) -> str:
        return f"{self.kind}/{self.key}"


def created_key(lookup: Lookup) -> str:
    """What the operations on a flag or experiment keep their order on while it is being created.

    Without the project: later operations may leave it out.
    """
    kind, _, key = lookup
    return f"{kind} {key}"


@frozen(init=False)
class CreateFlag(_Create):
    """Create a flag: what `flags.create` does, with the same arguments.

    Attributes:
        project_id: the project's id.
        key: letters, digits, `_` and `-`. Later operations of the same run may name the new flag by it.
        fields: the other arguments; see `FlagCreateParams`.
    """

    kind = "flags"
    table = NEW_FLAG

    def __init__(self, project_id: str, key: str, **fields: Unpack[FlagCreateParams]) -> None:
        self.fill(project_id, key, fields)


@frozen(init=False)
class CreateExperiment(_Create):
    """Create an experiment: what `experiments.create` does, with the same arguments.

    Attributes:
        project_id: the project's id.
        key: letters, digits, `_` and `-`. Later operations of the same run may name the new experiment by it.
        fields: the other arguments; see `ExperimentCreateParams`.
    """

    kind = "experiments"
    table = NEW_EXPERIMENT

    def __init__(self, project_id: str, key: str, **fields: Unpack[ExperimentCreateParams]) -> None:
        self.fill(project_id, key, fields)
