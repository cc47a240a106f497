"""The operations of a bulk run: frozen classes that validate their arguments when they are created."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, Unpack

import attrs
from attrs import field, frozen

from amp_exp_async import serialization, validation
from amp_exp_async.errors import NOTHING_WRITTEN, TooManyRemovalsError
from amp_exp_async.formatting import short_items
from amp_exp_async.models import UNSET, Maybe, UnsetType
from amp_exp_async.params import (
    EXPERIMENT_CREATE_PARAMS,
    EXPERIMENT_EDIT_PARAMS,
    FLAG_CREATE_PARAMS,
    FLAG_EDIT_PARAMS,
    VARIANT_PARAMS,
    ExperimentCreateParams,
    FlagCreateParams,
    validate_create,
    validate_edit,
)
from amp_exp_async.validation import Validator

KindName: TypeAlias = Literal["flags", "experiments"]

_GUARDS = ("max_removals", "allow_empty")
_ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996, and allows 29

_kind_name = validation.one_of("flags", "experiments")


class FlagRef(NamedTuple):
    """A flag or experiment that is named by its key.

    Attributes:
        kind: `flags` or `experiments`.
        project_id: the ID of its project; None if only one visible project has the key.
        key: its key.
    """

    kind: KindName
    project_id: str | None
    key: str


def order_key(kind: KindName, id: str) -> str:
    """Return the key that operations on a flag or experiment are ordered by."""
    return f"{kind}/{id}"


def pending_key(ref: FlagRef) -> str:
    """Return the key that operations are ordered by while their flag or experiment has no ID yet.

    The project is not part of it, because later operations may omit the project.
    """
    return f"{ref.kind} {ref.key}"


# Converters: their signatures are the argument types that type checkers and editors see.


def _kind(value: KindName) -> KindName:
    checked: KindName = _kind_name("kind", value)
    return checked


def _id(value: str | None) -> str | None:
    return None if value is None else validation.identifier("id", value)


def _key(value: str | None) -> str | None:
    return None if value is None else validation.existing_key("key", value)


def _project_id(value: str | None) -> str | None:
    return None if value is None else validation.project_id("project_id", value)


def _variant(value: str) -> str:
    if value == "":
        validation.reject("variant", "must be given: the key of a variant")
    return validation.path_key("variant", value)


def _users(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.existing_ids("users", value))


def _users_to_add(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.ids("users", value, validation.MAX_ADDED))


def _all_users(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.existing_id_set("users", value, validation.MAX_ADDED))


def _cohorts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.existing_ids("cohorts", value))


def _cohorts_to_add(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.ids("cohorts", value))


def _all_cohorts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.existing_id_set("cohorts", value))


def _max_removals(value: float | None) -> float | None:
    return None if value is None else validation.max_removals("max_removals", value)


def _allow_empty(value: bool) -> bool:
    return validation.boolean("allow_empty", value)


def _deployments(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.ids("deployments", value))


def _deployment(value: str) -> str:
    return validation.identifier("deployment", value)


@frozen
class Operation(ABC):
    """The base of all operations."""

    @property
    @abstractmethod
    def order_key(self) -> str | None:
        """The key that operations are ordered by: one for each flag or experiment; None until its ID is known."""

    @property
    @abstractmethod
    def flag_ref(self) -> FlagRef | None:
        """The flag or experiment whose ID must be looked up first; None if no lookup is needed."""

    @property
    @abstractmethod
    def target(self) -> str:
        """The flag, experiment or variant that the operation changes, as in `flags/123/variants/on`."""

    def digest_fields(self) -> dict[str, Any]:
        """Return what identifies the operation in a journal: all that it consists of."""
        return self.as_json()

    def as_json(self) -> dict[str, Any]:
        """Return the operation as plain JSON, without the arguments that were omitted."""
        values = attrs.asdict(self, recurse=False)
        fields = {name: serialization.to_json(value) for name, value in values.items() if value is not UNSET}
        return {"operation": type(self).__name__, **fields}


@frozen
class FlagOperation(Operation):
    """An operation on a flag or experiment, which is named by `id`, or by `key` and `project_id`.

    Attributes:
        kind: `flags` or `experiments`.
        id: its ID; None if `key` names it.
        key: its key, which is looked up once for all operations that use it.
        project_id: its project's ID; required with a `key` that exists in several projects.
    """

    kind: KindName = field(converter=_kind)
    id: str | None = field(default=None, converter=_id)
    key: str | None = field(default=None, converter=_key, kw_only=True)
    project_id: str | None = field(default=None, converter=_project_id, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if (self.id is None) == (self.key is None):
            validation.reject("id", "must be given, or key and project_id instead")
        self.validate()

    def validate(self) -> None:
        """Reject arguments that can only be checked together."""

    @property
    def order_key(self) -> str | None:
        return None if self.id is None else order_key(self.kind, self.id)

    @property
    def flag_ref(self) -> FlagRef | None:
        return None if self.key is None else FlagRef(self.kind, self.project_id, self.key)

    @property
    def target(self) -> str:
        return f"{self.kind}/{self.id or self.key}"


@frozen
class VariantOperation(FlagOperation):
    """An operation on a variant of a flag or experiment.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
    """

    variant: str = field(default="", converter=_variant)

    @property
    def target(self) -> str:
        return f"{super().target}/variants/{self.variant}"


@frozen
class InclusionRequest:
    """One request that adds or removes IDs of users or cohorts.

    Attributes:
        action: whether the IDs are added or removed.
        ids: the IDs.
    """

    action: Literal["add", "remove"]
    ids: tuple[str, ...]


@frozen
class InclusionOperation(VariantOperation):
    """An operation on the IDs that a variant includes.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
        member: whether the IDs are of users or of cohorts.
        action: what is done with the IDs.
    """

    member: ClassVar[Literal["users", "cohorts"]]
    action: ClassVar[Literal["add", "remove", "replace"]]

    @property
    def ids(self) -> tuple[str, ...]:
        """The IDs."""
        ids: tuple[str, ...] = getattr(self, self.member)
        return ids

    @validation.nothing_written()
    def requests(self, included: Sequence[str]) -> list[InclusionRequest]:
        """Return the requests that the operation needs, with only the IDs that make a difference.

        Additions come first, so that no user is without the variant meanwhile. Removals come first if the variant would
        have too many users otherwise.

        Args:
            included: the IDs that the variant includes now.

        Raises:
            InvalidInputError: If an ID to add breaks a rule for new IDs, or the variant would include too many users.
            TooManyRemovalsError: If a replacement would remove more IDs than its `max_removals` allows.
        """
        current, ids = set(included), set(self.ids)
        for index, id in enumerate(self.ids if self.action == "replace" else ()):
            if id not in current:
                validation.listed_id(f"{self.member}[{index}]", id)
        to_add = [] if self.action == "remove" else [id for id in self.ids if id not in current]
        to_remove = [] if self.action == "add" else [id for id in included if (id in ids) == (self.action == "remove")]
        self.check_removals(len(to_remove), len(included))
        additions = _split("add", to_add, validation.MAX_ADDED)
        removals = _split("remove", to_remove, validation.MAX_REMOVED)
        if self.member != "users" or not to_add or len(current) + len(to_add) <= validation.MAX_ADDED:
            return additions + removals
        if len(current) + len(to_add) - len(to_remove) > validation.MAX_ADDED:
            validation.reject(
                self.member,
                f"must leave at most {validation.MAX_ADDED} in the variant: it has {len(current)}, and {len(to_add)} "
                "would be added",
            )
        return removals + additions

    def check_removals(self, removals: int, included: int) -> None:
        """Reject removals beyond a bound of the operation.

        Args:
            removals: how many IDs would be removed.
            included: how many IDs the variant includes.
        """


@frozen
class Replacement(InclusionOperation):
    """A replacement of all IDs that a variant includes, with guards against a truncated or wrong input.

    The guards are not part of what a journal knows the operation by: a rerun may relax them.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
        max_removals: the most IDs that may be removed: a number such as 50, or a share of the included IDs such as 0.2;
            None for no bound. Beyond it, the operation fails with `TooManyRemovalsError` before it writes anything.
        allow_empty: whether the new list may be empty, which removes all IDs.
    """

    action = "replace"

    max_removals: float | None = field(default=None, converter=_max_removals, kw_only=True)
    allow_empty: bool = field(default=False, converter=_allow_empty, kw_only=True)

    def validate(self) -> None:
        """Reject an empty list without permission: a failed query leaves one, too."""
        if not self.ids and not self.allow_empty:
            validation.reject(
                self.member,
                "is empty, which would remove all of the variant",
                code_advice="If that is intended, pass allow_empty=True.",
            )

    def check_removals(self, removals: int, included: int) -> None:
        """Reject removals beyond `max_removals`."""
        bound = self.max_removals
        if bound is None:
            return
        most = bound if isinstance(bound, int) else math.floor(bound * included + _ROUNDING)
        if removals > most:
            share = "" if isinstance(bound, int) else f" ({bound:.4g} of them)"
            raise TooManyRemovalsError(
                f"{removals} of the {included} {self.member} of variant {self.variant} would be removed, and "
                f"max_removals allows {most}{share}. {NOTHING_WRITTEN} Check the IDs, or raise max_removals.",
                removals=removals,
                included=included,
                max_removals=bound,
            )

    def digest_fields(self) -> dict[str, Any]:
        """Return what identifies the operation in a journal: all but the guards."""
        fields = self.as_json()
        return {name: value for name, value in fields.items() if name not in _GUARDS}

    def as_json(self) -> dict[str, Any]:
        """Return the operation as plain JSON, without the guards that are not used."""
        values = super().as_json()
        return {name: value for name, value in values.items() if name not in _GUARDS or value not in (None, False)}


@frozen
class AddUsers(InclusionOperation):
    """The inclusion of users or devices in a variant: `users.add` for those that are not included yet.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
        users: user or device IDs, 1 to 2,000; duplicates are dropped. If the variant would have more than 2,000, none
            is added.
    """

    member = "users"
    action = "add"

    users: tuple[str, ...] = field(default=(), converter=_users_to_add, repr=short_items)


@frozen
class RemoveUsers(InclusionOperation):
    """The removal of those of the users or devices that a variant includes, 100 per request.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
        users: user or device IDs, at least one; duplicates are dropped.
    """

    member = "users"
    action = "remove"

    users: tuple[str, ...] = field(default=(), converter=_users, repr=short_items)


@frozen
class ReplaceUsers(Replacement):
    """The replacement of the users and devices that a variant includes. Only the difference is sent.

    The rules for new IDs hold for those that are not included yet.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
        users: user or device IDs, at most 2,000; duplicates are dropped.
        max_removals: the most IDs that may be removed: a number such as 50, or a share of the included IDs such as 0.2;
            None for no bound. Beyond it, the operation fails with `TooManyRemovalsError` before it writes anything.
        allow_empty: whether the list may be empty, which removes all.
    """

    member = "users"

    users: tuple[str, ...] = field(default=(), converter=_all_users, repr=short_items)


@frozen
class RemoveAllUsers(VariantOperation):
    """The removal of all users and devices of a variant.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
    """


@frozen
class AddCohorts(InclusionOperation):
    """The inclusion of cohorts in a variant: `cohorts.add` for those that are not included yet.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
        cohorts: cohort IDs, at least one; duplicates are dropped.
    """

    member = "cohorts"
    action = "add"

    cohorts: tuple[str, ...] = field(default=(), converter=_cohorts_to_add, repr=short_items)


@frozen
class RemoveCohorts(InclusionOperation):
    """The removal of those of the cohorts that a variant includes, 100 per request.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
        cohorts: cohort IDs, at least one; duplicates are dropped.
    """

    member = "cohorts"
    action = "remove"

    cohorts: tuple[str, ...] = field(default=(), converter=_cohorts, repr=short_items)


@frozen
class ReplaceCohorts(Replacement):
    """The replacement of the cohorts that a variant includes. Only the difference is sent.

    The rules for new IDs hold for those that are not included yet.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
        cohorts: cohort IDs; duplicates are dropped.
        max_removals, allow_empty: as in `ReplaceUsers`.
    """

    member = "cohorts"

    cohorts: tuple[str, ...] = field(default=(), converter=_all_cohorts, repr=short_items)


@frozen
class Edit(FlagOperation):
    """An edit of fields of a flag or experiment: `flags.edit` or `experiments.edit`.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        changes: field names, as the keywords of `edit`, to new values. `target_segments` and `tags` replace the whole
            list. `archive` must be the only change.
    """

    changes: Mapping[str, Any] = field(factory=dict[str, Any])

    def validate(self) -> None:
        """Reject changes that `edit` would reject."""
        validators = FLAG_EDIT_PARAMS if self.kind == "flags" else EXPERIMENT_EDIT_PARAMS
        _set_changes(self, validate_edit, validators)


@frozen
class CreateVariant(VariantOperation):
    """The creation of a variant: `variants.create`.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the new variant's key.
        name: the name shown in the app.
        description: the description shown in the app.
        payload: any JSON value; `None` is a payload of null.
        rollout_weight: the variant's share of the users who match no segment.
    """

    name: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    payload: Any = UNSET
    rollout_weight: float | UnsetType = UNSET

    def validate(self) -> None:
        """Reject a key and fields that `variants.create` would reject."""
        VARIANT_PARAMS["key"]("variant", self.variant)
        validation.fields(VARIANT_PARAMS, self.fields)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields besides the key."""
        names = ("name", "description", "payload", "rollout_weight")
        return {name: value for name in names if (value := getattr(self, name)) is not UNSET}


@frozen
class EditVariant(VariantOperation):
    """An edit of fields of a variant: `variants.edit`.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
        changes: field names, as the keywords of `variants.edit`, to new values.
    """

    changes: Mapping[str, Any] = field(factory=dict[str, Any])

    def validate(self) -> None:
        """Reject changes that `variants.edit` would reject."""
        _set_changes(self, validation.changes, VARIANT_PARAMS)


@frozen
class RemoveVariant(VariantOperation):
    """The removal of a variant and its inclusions: `variants.remove`.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        variant: the variant's key.
    """


@frozen
class AddDeployments(FlagOperation):
    """The assignment of a flag or experiment to those of the deployments that it is not assigned to yet.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        deployments: deployment IDs, at least one; duplicates are dropped.
    """

    deployments: tuple[str, ...] = field(default=(), converter=_deployments)


@frozen
class RemoveDeployment(FlagOperation):
    """The removal of a flag or experiment from a deployment if it is assigned to it.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `FlagOperation`.
        deployment: the deployment's ID.
    """

    deployment: str = field(default="", converter=_deployment)


@frozen(init=False)
class _CreateOperation(Operation):
    project_id: str
    key: str
    fields: Mapping[str, Any]

    kind: ClassVar[KindName]
    validators: ClassVar[Mapping[str, Validator]]

    def _init_fields(self, project_id: str, key: str, fields: Mapping[str, Any]) -> None:
        object.__setattr__(self, "project_id", validation.project_id("project_id", project_id))
        object.__setattr__(self, "key", validation.key("key", key))
        object.__setattr__(self, "fields", validate_create(self.validators, fields))

    @property
    def order_key(self) -> str | None:
        return pending_key(FlagRef(self.kind, self.project_id, self.key))

    @property
    def flag_ref(self) -> FlagRef | None:
        return None

    @property
    def target(self) -> str:
        return f"{self.kind}/{self.key}"


@frozen(init=False)
class CreateFlag(_CreateOperation):
    """The creation of a flag: `flags.create`, with the same arguments.

    Attributes:
        project_id: the project's ID.
        key: letters, digits, `_` and `-`. Later operations of the same run may name the new flag by it.
        fields: the other arguments; see `FlagCreateParams`.
    """

    kind = "flags"
    validators = FLAG_CREATE_PARAMS

    def __init__(self, project_id: str, key: str, **fields: Unpack[FlagCreateParams]) -> None:
        self._init_fields(project_id, key, fields)


@frozen(init=False)
class CreateExperiment(_CreateOperation):
    """The creation of an experiment: `experiments.create`, with the same arguments.

    Attributes:
        project_id: the project's ID.
        key: letters, digits, `_` and `-`. Later operations of the same run may name the new experiment by it.
        fields: the other arguments; see `ExperimentCreateParams`.
    """

    kind = "experiments"
    validators = EXPERIMENT_CREATE_PARAMS

    def __init__(self, project_id: str, key: str, **fields: Unpack[ExperimentCreateParams]) -> None:
        self._init_fields(project_id, key, fields)


def _split(action: Literal["add", "remove"], ids: Sequence[str], size: int) -> list[InclusionRequest]:
    return [InclusionRequest(action, tuple(ids[start : start + size])) for start in range(0, len(ids), size)]


def _set_changes(
    operation: Edit | EditVariant,
    validate: Callable[[Mapping[str, Validator], Mapping[str, Any]], dict[str, Any]],
    validators: Mapping[str, Validator],
) -> None:
    """Replace the changes of a frozen operation by the validated ones."""
    changes = validate(validators, validation.mapping("changes", operation.changes))
    object.__setattr__(operation, "changes", changes)


OPERATIONS: tuple[type[Operation], ...] = (
    AddUsers,
    RemoveUsers,
    ReplaceUsers,
    RemoveAllUsers,
    AddCohorts,
    RemoveCohorts,
    ReplaceCohorts,
    Edit,
    CreateVariant,
    EditVariant,
    RemoveVariant,
    AddDeployments,
    RemoveDeployment,
    CreateFlag,
    CreateExperiment,
)
"""All operations that a run accepts."""
