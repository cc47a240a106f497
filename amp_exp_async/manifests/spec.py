"""Manifests: the desired state of flags and experiments, as files declare it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET, ExposureEvent, Maybe, Segment, UnsetType

from .document import NO_LINES, SourceLines

KindName: TypeAlias = Literal["flags", "experiments"]
KINDS: tuple[KindName, ...] = ("flags", "experiments")


def _to_tuple(value: Any) -> Any:
    return value if value is UNSET or value is None or isinstance(value, str) else tuple(value)


def _to_set(value: Any) -> Any:
    """Return the value by which lists without an order are compared."""
    return value if value is UNSET or isinstance(value, str) else frozenset(value)


@frozen
class SourceLocation:
    """The location of a flag or experiment in a file.

    Attributes:
        file: the file.
        path: the path of its entry in the document: `flags[3]`.
        lines: the lines of the document.
    """

    file: str
    path: str
    lines: SourceLines = field(default=NO_LINES, eq=False, repr=False)


@frozen(kw_only=True)
class VariantSpec:
    """The desired state of a variant. A field that is `UNSET` stays as it is.

    Attributes:
        key: the key; of a new variant: letters, digits, `_` and `-`, but not `off`.
        name: the name shown in the app.
        description: what it is for.
        payload: any JSON value; `None` is a payload of null.
        users: the IDs of all users and devices included in it, in any order.
        cohorts: the IDs of all cohorts included in it, in any order.
    """

    key: str
    name: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    payload: Any = UNSET
    users: tuple[str, ...] | UnsetType = field(default=UNSET, converter=_to_tuple, eq=_to_set)
    cohorts: tuple[str, ...] | UnsetType = field(default=UNSET, converter=_to_tuple, eq=_to_set)


@frozen(kw_only=True)
class Dependencies:
    """The desired dependencies of a flag or experiment. The API cannot set them; a plan reports differences.

    Attributes:
        flags: the variants that a user must have, for each flag, experiment, mutex group or holdout group, by its key;
            `id:1001` stands for an ID.
        operator: `all`.
    """

    flags: Mapping[str, Sequence[str]]
    operator: str | UnsetType = UNSET


@frozen(kw_only=True)
class FlagConfigSpec:
    """The fields that `FlagSpec` and `ExperimentSpec` share. A field that is `UNSET` stays as it is.

    Attributes:
        key: the key; of a new flag or experiment: letters, digits, `_` and `-`.
        project_id: the project's ID; required to create it, and if the key exists in several projects.
        name: the name shown in the app.
        description: what it is for.
        enabled: whether it is active.
        archived: whether it is archived. If left out, an archived flag or experiment is restored.
        evaluation_mode: `local` or `remote`.
        bucketing_key: the property by which users are assigned to buckets.
        bucketing_salt: the salt of this assignment.
        bucketing_unit: `User`, or a group type.
        tags: all its tags, in any order.
        deployments: the labels of all deployments that it is assigned to, in any order; `id:1001` stands for an ID.
        variants: all its variants.
        rollout_percentage: 0 to 100, the share of the users outside all segments who get a variant.
        rollout_weights: variant key to weight, for users outside all segments; a variant left out keeps its weight.
        target_segments: all its segments, in the order of evaluation.
        dependencies: all its dependencies, by key. They are only compared, since the API cannot set them.
        id: the ID (read-only).
        created_by: who created it (read-only).
        created_at: when it was created (read-only).
        last_modified_by: who changed it last (read-only).
        last_modified_at: when it was changed last (read-only).
        location: its location in a file, if it was read from one.
        omitted: the fields that an export left out, because the format cannot hold their live values.
        is_valid: whether its values come from a valid file. A copy with changes is validated before it is used.
    """

    key: str
    project_id: str | UnsetType = UNSET
    name: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    enabled: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    evaluation_mode: Maybe[str] = UNSET
    bucketing_key: Maybe[str] = UNSET
    bucketing_salt: Maybe[str] = UNSET
    bucketing_unit: Maybe[str] = UNSET
    tags: tuple[str, ...] | UnsetType = field(default=UNSET, converter=_to_tuple, eq=_to_set)
    deployments: tuple[str, ...] | UnsetType = field(default=UNSET, converter=_to_tuple, eq=_to_set)
    variants: tuple[VariantSpec, ...] | UnsetType = field(default=UNSET, converter=_to_tuple)
    rollout_percentage: float | UnsetType = UNSET
    rollout_weights: Mapping[str, float] | UnsetType = UNSET
    target_segments: tuple[Segment, ...] | UnsetType = field(default=UNSET, converter=_to_tuple)
    dependencies: Dependencies | UnsetType = UNSET
    id: str | UnsetType = UNSET
    created_by: Maybe[str] = UNSET
    created_at: Maybe[datetime] = UNSET
    last_modified_by: Maybe[str] = UNSET
    last_modified_at: Maybe[datetime] = UNSET
    location: SourceLocation | None = field(default=None, eq=False, repr=False)
    omitted: tuple[str, ...] = field(default=(), eq=False, repr=False)
    is_valid: bool = field(default=False, init=False, eq=False, repr=False)

    def mark_valid(self) -> None:
        """Record that the values were validated. `attrs.evolve` does not copy this."""
        object.__setattr__(self, "is_valid", True)


@frozen(kw_only=True)
class FlagSpec(FlagConfigSpec):
    """The desired state of a flag. A field that is `UNSET` stays as it is; `FlagConfigSpec` documents the fields."""


@frozen(kw_only=True)
class ExperimentSpec(FlagConfigSpec):
    """The desired state of an experiment: the fields of `FlagConfigSpec`, and more.

    Attributes:
        experiment_type: `hypothesis-testing` or `no-harm` (also known as `a-b-test`), `multi-arm-bandit`, or another.
        sticky_bucketing: whether users keep the variant that they got first.
        start_date: a date, or a time with its time zone; null removes it.
        end_date: a date, or a time with its time zone; null removes it.
        exposure_event: the event that counts as exposure; null for Amplitude's own.
        decision: `rollout`, `rollback` or `continue-running`.
        decision_reason: the reason for the decision.
        rolled_out_variant: the variant that is rolled out: its key or its name.
        delivery_method: `web` for a web experiment, which can only be edited in the app (read-only).
    """

    experiment_type: Maybe[str] = UNSET
    sticky_bucketing: bool | UnsetType = UNSET
    start_date: Maybe[datetime | date] = UNSET
    end_date: Maybe[datetime | date] = UNSET
    exposure_event: Maybe[ExposureEvent] = UNSET
    decision: Maybe[str] = UNSET
    decision_reason: Maybe[str] = UNSET
    rolled_out_variant: Maybe[str] = UNSET
    delivery_method: Maybe[str] = UNSET


@frozen(kw_only=True)
class ExportScope:
    """The part of the account that an export covers. `save` keeps what a file declares outside this scope.

    Attributes:
        project_id: the project's ID; None for all projects.
        keys: the keys; None for all.
        include_archived: whether archived flags and experiments are included.

    Example:
        `manifest.scope  # ExportScope(project_id="123", keys=None, include_archived=False)`
    """

    project_id: str | None = None
    keys: frozenset[str] | None = None
    include_archived: bool = False

    def covers(self, flag: FlagConfigSpec) -> bool:
        """Return whether an export of this scope would contain the flag or experiment, if it exists.

        One without a project may belong to a project outside the scope.
        """
        return (
            self.project_id in (None, flag.project_id)
            and (self.keys is None or flag.key in self.keys)
            and (self.include_archived or flag.archived is not True)
        )


def _check_scope(value: Any) -> ExportScope | None:
    if value is None or isinstance(value, ExportScope):
        return value
    raise TypeError(f"scope must be an ExportScope or None, got {format_value(value)}")


@frozen
class Manifest:
    """The desired state of flags and experiments. Make one with `load` or `client.export`, or from its parts.

    Attributes:
        flags: the flags; `UNSET` if the manifest does not declare flags.
        experiments: the experiments; `UNSET` if the manifest does not declare experiments.
        scope: what `client.export` covered: `save` keeps what a file declares outside this scope. None if the manifest
            is complete, as from `load`.
    """

    flags: tuple[FlagSpec, ...] | UnsetType = field(default=UNSET, converter=_to_tuple)
    experiments: tuple[ExperimentSpec, ...] | UnsetType = field(default=UNSET, converter=_to_tuple)
    scope: ExportScope | None = field(default=None, eq=False, kw_only=True, converter=_check_scope)

    def of(self, kind: KindName) -> tuple[FlagConfigSpec, ...]:
        """Return the flags or the experiments."""
        flags = self.flags if kind == "flags" else self.experiments
        return () if flags is UNSET else flags

    def __repr__(self) -> str:
        counts = [f"{kind}=<{len(self.of(kind))}>" for kind in KINDS if getattr(self, kind) is not UNSET]
        return f"Manifest({', '.join(counts)})"


def merge_manifests(manifests: Iterable[Manifest]) -> Manifest:
    """Return one manifest with the flags and experiments of several. It keeps their scope if they share one."""
    parts = list(manifests)
    flags: dict[str, list[FlagConfigSpec]] = {}
    for part in parts:
        for kind in KINDS:
            if getattr(part, kind) is not UNSET:
                flags.setdefault(kind, []).extend(part.of(kind))
    scopes = {part.scope for part in parts}
    return Manifest(**flags, scope=scopes.pop() if len(scopes) == 1 else None)
