"""Flags and experiments."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

from attrs import frozen

from ._base import Id, Maybe, Model
from ._unset import UNSET
from .exposure import ExposureEvent
from .targeting import Segment, Variant


@frozen(repr=False)
class ParentDependencies(Model):
    """The flags that a flag depends on.

    Attributes:
        flags: flag id to the variants of it that a user must have.
        operator: `all`.
    """

    shown: ClassVar[tuple[str, ...]] = ("flags", "operator")

    flags: Maybe[dict[str, list[str]]] = UNSET
    operator: Maybe[str] = UNSET


@frozen(repr=False, kw_only=True)
class FlagConfig(Model):
    """What a flag and an experiment have in common.

    Attributes:
        id: the id, as in the URL of the app.
        key: letters, digits, `_` and `-`; the same key may exist in several projects.
        project_id: the project's id.
        name: the name shown in the app.
        description: what it is for.
        enabled: whether it is active.
        deployments: ids of the deployments that it is assigned to.
        evaluation_mode: `local` or `remote`.
        bucketing_key: the property that decides who falls into which bucket.
        bucketing_salt: the salt of that decision.
        bucketing_unit: `User`, or a group type.
        variants: the variants, in their short form.
        rollout_percentage: 0 to 100, the share of users whom no segment targets who get a variant.
        rollout_weights: variant key to integer weight.
        target_segments: who is targeted, in the order of evaluation.
        parent_dependencies: the flags that it depends on.
        tags: its tags.
        deleted: whether it is archived.
        created_by: who created it.
        created_at: when, in UTC.
        last_modified_by: who changed it last.
        last_modified_at: when, in UTC.
    """

    shown: ClassVar[tuple[str, ...]] = ("id", "key", "enabled")

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


@frozen(repr=False, kw_only=True)
class Experiment(FlagConfig):
    """An experiment.

    Attributes:
        state: `planning`, `running`, `analyzing`, `decision-made`, or another that the service sends.
        experiment_type: `hypothesis-testing` or `no-harm` (also known as `a-b-test`), `multi-arm-bandit`, or another.
        start_date: a date, or a moment in UTC; `None` when it has not been set.
        end_date: likewise.
        decision: `rollout`, `rollback` or `continue-running`, once it is made.
        decision_reason: why.
        rolled_out_variant: the variant that was rolled out.
        sticky_bucketing: whether users keep the variant that they got first.
        exposure_event: the event that counts as exposure; `None` for Amplitude's own.
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
