"""Flags and experiments, their variants and their versions."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any, ClassVar, Generic, TypeVar

from attrs import frozen

from .base import UNSET, Id, Maybe, Model
from .nested import build_on_access
from .segments import Segment


@frozen(repr=False)
class Variant(Model):
    """A variant of a flag or experiment.

    Attributes:
        key: the key. New keys have letters, digits, `_` and `-`.
        name: the name in the app.
        payload: any JSON value, unchanged; `None` is a payload of null, `UNSET` is no payload.
        description: the description.
        rollout_weight: its weight relative to the other variants, for users in no segment.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("key", "name", "rollout_weight")

    key: str
    name: Maybe[str] = UNSET
    payload: Any = UNSET
    description: Maybe[str] = UNSET
    rollout_weight: Maybe[float] = UNSET


@frozen(repr=False)
class ParentDependencies(Model):
    """The flags that a flag depends on.

    Attributes:
        flags: flag ID to the variants of that flag, one of which a user must have.
        operator: `all`.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("flags", "operator")

    flags: Maybe[dict[str, list[str]]] = UNSET
    operator: Maybe[str] = UNSET


@frozen(repr=False)
class ExposureFilter(Model):
    """A filter on the properties of an exposure event.

    Attributes:
        subprop_key: the property.
        subprop_op: the comparison, as in `Condition.op`.
        subprop_type: `event`, `user` or `group`; the service has others, such as `day_time_prop`.
        subprop_value: the values to compare with.
        group_type: `User`, or a group type such as `org name`.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("subprop_key", "subprop_op", "subprop_value")

    subprop_key: Maybe[str] = UNSET
    subprop_op: Maybe[str] = UNSET
    subprop_type: Maybe[str] = UNSET
    subprop_value: Maybe[list[str]] = UNSET
    group_type: Maybe[str] = UNSET


@build_on_access("filters")
@frozen(repr=False)
class ExposureEvent(Model):
    """A custom event that counts as exposure.

    Attributes:
        event_type: the name of the event.
        filters: the filters, which must all match.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("event_type",)

    event_type: Maybe[str] = UNSET
    filters: Maybe[list[ExposureFilter]] = UNSET


@build_on_access("variants", "target_segments", "parent_dependencies")
@frozen(repr=False, kw_only=True)
class FlagConfig(Model):
    """The fields that flags and experiments share.

    Attributes:
        id: the ID, as in the URL of the app.
        key: the key; several projects can have the same key. New keys have letters, digits, `_` and `-`.
        project_id: the ID of the project.
        name: the name in the app.
        description: the description.
        enabled: whether it is active.
        deployments: the IDs of its deployments.
        evaluation_mode: `local` or `remote`.
        bucketing_key: the property that users are bucketed by.
        bucketing_salt: the salt of the bucketing.
        bucketing_unit: `User`, or a group type.
        variants: the variants, in their short form.
        rollout_percentage: 0 to 100, the percentage of users in no segment who get a variant.
        rollout_weights: variant key to integer weight.
        target_segments: the target segments, in order of evaluation.
        parent_dependencies: the flags that it depends on.
        tags: the tags.
        deleted: whether it is archived.
        created_by: the user who created it.
        created_at: the time of creation, in UTC.
        last_modified_by: the user who changed it last.
        last_modified_at: the time of the last change, in UTC.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("id", "key", "enabled")
    _table_fields: ClassVar[tuple[str, ...]] = (
        *("id", "key", "name", "project_id", "enabled", "rollout_percentage", "tags", "last_modified_at"),
    )

    id: Id
    key: str
    project_id: Maybe[Id] = UNSET
    name: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    enabled: Maybe[bool] = UNSET
    deployments: Maybe[list[Id]] = UNSET
    evaluation_mode: Maybe[str] = UNSET
    bucketing_key: Maybe[str] = UNSET
    bucketing_salt: Maybe[str] = UNSET
    bucketing_unit: Maybe[str] = UNSET
    variants: Maybe[list[Variant]] = UNSET
    rollout_percentage: Maybe[float] = UNSET
    rollout_weights: Maybe[dict[str, float]] = UNSET
    target_segments: Maybe[list[Segment]] = UNSET
    parent_dependencies: Maybe[ParentDependencies] = UNSET
    tags: Maybe[list[str]] = UNSET
    deleted: Maybe[bool] = UNSET
    created_by: Maybe[Id] = UNSET
    created_at: Maybe[datetime] = UNSET
    last_modified_by: Maybe[Id] = UNSET
    last_modified_at: Maybe[datetime] = UNSET


@frozen(repr=False, kw_only=True)
class Flag(FlagConfig):
    """A feature flag."""


@build_on_access("exposure_event")
@frozen(repr=False, kw_only=True)
class Experiment(FlagConfig):
    """An experiment.

    Attributes:
        state: `planning`, `running`, `analyzing`, `decision-made`, or another that the service sends.
        experiment_type: `hypothesis-testing` or `no-harm` (also called `a-b-test`), `multi-arm-bandit`, or another.
        start_date: a date, or a time in UTC, as the service sends it; `None` if it is not set. A date and a time cannot
            be compared: sort by `starts_at`.
        end_date: a date, or a time in UTC; `None` if it is not set. See `ends_at`.
        decision: `rollout`, `rollback` or `continue-running`, after it was made.
        decision_reason: the reason for the decision.
        rolled_out_variant: the variant that was rolled out: its key or its name.
        sticky_bucketing: whether users keep their first variant.
        exposure_event: the event that counts as exposure; `None` for Amplitude's default.
        delivery_method: `feature`, or `web` for a web experiment, which can only be edited in the Amplitude app.
    """

    state: Maybe[str] = UNSET
    experiment_type: Maybe[str] = UNSET
    start_date: Maybe[datetime | date] = UNSET
    end_date: Maybe[datetime | date] = UNSET
    decision: Maybe[str] = UNSET
    decision_reason: Maybe[str] = UNSET
    rolled_out_variant: Maybe[str] = UNSET
    sticky_bucketing: Maybe[bool] = UNSET
    exposure_event: Maybe[ExposureEvent] = UNSET
    delivery_method: Maybe[str] = UNSET

    @property
    def starts_at(self) -> datetime | None:
        """The time of `start_date`, to sort and compare: midnight UTC if it is only a date; None if it is not set.

        To sort also experiments without a date::

            never = datetime.max.replace(tzinfo=UTC)
            experiments.sort(key=lambda experiment: experiment.starts_at or never)
        """
        return _as_time(self.start_date)

    @property
    def ends_at(self) -> datetime | None:
        """The time of `end_date`, as `starts_at`."""
        return _as_time(self.end_date)


def _as_time(value: Maybe[datetime | date]) -> datetime | None:
    if isinstance(value, datetime):
        return value
    return datetime.combine(value, time(tzinfo=UTC)) if value else None


FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)


@frozen(repr=False, kw_only=True)
class Version(Model, Generic[FlagConfigT_co]):
    """A version of a flag or experiment.

    Attributes:
        version: the number, from 1.
        config: the `Flag` or `Experiment` in that version.
        created_by: the user who made it.
        created_at: the time of the change, in UTC.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("version", "config", "created_by", "created_at")

    version: int
    config: FlagConfigT_co
    created_by: Maybe[Id] = UNSET
    created_at: Maybe[datetime] = UNSET
