"""What a file declares: flags and experiments, each with the fields that are to be as the file says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from amp_exp_async.models import UNSET, ExposureEvent, Maybe, Segment, UnsetType

KindName: TypeAlias = Literal["flags", "experiments"]
KINDS: tuple[KindName, ...] = ("flags", "experiments")


def _tuple(value: Any) -> Any:
    return value if value is UNSET or value is None or isinstance(value, str) else tuple(value)


def _set(value: Any) -> Any:
    """What is compared of a list that is in no order."""
    return value if value is UNSET or isinstance(value, str) else frozenset(value)


@frozen
class SourceLocation:
    """Where something stands in a file.

    Attributes:
        file: the file.
        lines: the line of each field inside it, by its path: `variants[0].payload`.
        name: what it is called there: `flags[3]`.
    """

    file: str
    lines: Mapping[str, int]
    name: str


@frozen(kw_only=True)
class VariantSpec:
    """A variant, as a file declares it. A field that is `UNSET` is left as it is.

    Attributes:
        key: letters, digits, `_` and `-`.
        name: the name shown in the app.
        description: what it is for.
        payload: any JSON value; `None` is a payload of null.
        users: the ids of all users and devices included in it, in no order.
        cohorts: the ids of all cohorts included in it, in no order.
    """

    key: str
    name: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    payload: Any = UNSET
    users: tuple[str, ...] | UnsetType = field(default=UNSET, converter=_tuple, eq=_set)
    cohorts: tuple[str, ...] | UnsetType = field(default=UNSET, converter=_tuple, eq=_set)


@frozen(kw_only=True)
class Dependencies:
    """What a flag or experiment depends on, as a file declares it. No request sets it: a plan tells where it differs.

    Attributes:
        flags: for each flag, experiment, mutex group or holdout group, by key, the variants of it that a user must
            have; `id:1001` names one by id.
        operator: `all`.
    """

    flags: Mapping[str, Sequence[str]]
    operator: str | UnsetType = UNSET


@frozen(kw_only=True)
class FlagConfigSpec:
    """What the declarations of a flag and of an experiment have in common. A field that is `UNSET` is left as it is.

    Attributes:
        key: letters, digits, `_` and `-`.
        project_id: the project's id; needed to create it, and where the key exists in several projects.
        name: the name shown in the app.
        description: what it is for.
        enabled: whether it is active.
        archived: whether it is archived. One that is declared without it is taken out of the archive.
        evaluation_mode: `local` or `remote`.
        bucketing_key: the property that decides who falls into which bucket.
        bucketing_salt: the salt of that decision.
        bucketing_unit: `User`, or a group type.
        tags: all its tags, in no order.
        deployments: the labels of all deployments that it is assigned to, in no order; `id:1001` names one by id.
        variants: all its variants.
        rollout_percentage: 0 to 100, the share of users whom no segment targets who get a variant.
        rollout_weights: variant key to weight, for users whom no segment targets; a variant left out keeps its weight.
        target_segments: all its segments, in the order of evaluation.
        dependencies: all that it depends on, by key. It is compared only, since no request sets it.
        id: the id, for information.
        created_by: who created it, for information.
        created_at: when, for information.
        last_modified_by: who changed it last, for information.
        last_modified_at: when, for information.
        location: where it stands in a file.
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
    tags: tuple[str, ...] | UnsetType = field(default=UNSET, converter=_tuple, eq=_set)
    deployments: tuple[str, ...] | UnsetType = field(default=UNSET, converter=_tuple, eq=_set)
    variants: tuple[VariantSpec, ...] | UnsetType = field(default=UNSET, converter=_tuple)
    rollout_percentage: float | UnsetType = UNSET
    rollout_weights: Mapping[str, float] | UnsetType = UNSET
    target_segments: tuple[Segment, ...] | UnsetType = field(default=UNSET, converter=_tuple)
    dependencies: Dependencies | UnsetType = UNSET
    id: str | UnsetType = UNSET
    created_by: Maybe[str] = UNSET
    created_at: Maybe[datetime] = UNSET
    last_modified_by: Maybe[str] = UNSET
    last_modified_at: Maybe[datetime] = UNSET
    location: SourceLocation | None = field(default=None, eq=False, repr=False)


@frozen(kw_only=True)
class FlagSpec(FlagConfigSpec):
    """A flag, as a file declares it. A field that is `UNSET` is left as it is; `FlagConfigSpec` has the fields."""


@frozen(kw_only=True)
class ExperimentSpec(FlagConfigSpec):
    """An experiment, as a file declares it: the fields of `FlagConfigSpec`, and more.

    Attributes:
        experiment_type: `hypothesis-testing` or `no-harm` (also known as `a-b-test`), `multi-arm-bandit`, or another.
        sticky_bucketing: whether users keep the variant that they got first.
        start_date: a date, or a moment with its time zone; null for none.
        end_date: likewise.
        exposure_event: the event that counts as exposure; null for Amplitude's own.
        decision: `rollout`, `rollback` or `continue-running`.
        decision_reason: why.
        rolled_out_variant: the variant that is rolled out.
    """

    experiment_type: Maybe[str] = UNSET
    sticky_bucketing: bool | UnsetType = UNSET
    start_date: Maybe[datetime | date] = UNSET
    end_date: Maybe[datetime | date] = UNSET
    exposure_event: Maybe[ExposureEvent] = UNSET
    decision: Maybe[str] = UNSET
    decision_reason: Maybe[str] = UNSET
    rolled_out_variant: Maybe[str] = UNSET


@frozen(kw_only=True)
class ExportScope:
    """What an export has looked at. What a file declares outside of it is kept when the export is saved over it.

    Attributes:
        project_id: the project's id; None for all projects.
        keys: the keys; None for all.
        include_archived: whether archived ones too.

    Example:
        `state.scope  # ExportScope(project_id="123", keys=None, include_archived=False)`
    """

    project_id: str | None = None
    keys: frozenset[str] | None = None
    include_archived: bool = False

    def covers(self, toggle: FlagConfigSpec) -> bool:
        """Whether the export would have found what is declared so. One that names no project may be of another."""
        return (
            self.project_id in (None, toggle.project_id)
            and (self.keys is None or toggle.key in self.keys)
            and (self.include_archived or toggle.archived is not True)
        )


def _scope(value: Any) -> ExportScope | None:
    if value is None or isinstance(value, ExportScope):
        return value
    raise TypeError(f"scope must be a ExportScope or None, got {value!r}")


@frozen
class Manifest:
    """What a file declares. Make one with `load` or `client.export`, or from its parts.

    Attributes:
        flags: the flags; `UNSET` where the file says nothing of flags.
        experiments: the experiments; likewise.
        scope: what `client.export` has looked at: `save` keeps what a file declares outside of it. None where the state
            is the whole, as from `load`.
    """

    flags: tuple[FlagSpec, ...] | UnsetType = field(default=UNSET, converter=_tuple)
    experiments: tuple[ExperimentSpec, ...] | UnsetType = field(default=UNSET, converter=_tuple)
    scope: ExportScope | None = field(default=None, eq=False, kw_only=True, converter=_scope)

    def of(self, kind: KindName) -> tuple[FlagConfigSpec, ...]:
        """The flags or the experiments."""
        toggles = self.flags if kind == "flags" else self.experiments
        return () if toggles is UNSET else toggles

    def __repr__(self) -> str:
        counted = [f"{kind}=<{len(self.of(kind))}>" for kind in KINDS if getattr(self, kind) is not UNSET]
        return f"Manifest({', '.join(counted)})"


def merge_manifests(states: Iterable[Manifest]) -> Manifest:
    """One state of several; its scope is the one that they all have."""
    parts = list(states)
    given: dict[str, list[FlagConfigSpec]] = {}
    for part in parts:
        for kind in KINDS:
            if getattr(part, kind) is not UNSET:
                given.setdefault(kind, []).extend(part.of(kind))
    scopes = {part.scope for part in parts}
    return Manifest(**given, scope=scopes.pop() if len(scopes) == 1 else None)
