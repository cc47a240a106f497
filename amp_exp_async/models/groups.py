"""Groups of experiments: those that exclude each other, and those that users are held out of."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from attrs import frozen

from ._base import Id, Maybe, Model
from ._unset import UNSET


@frozen(repr=False, kw_only=True)
class MutexSlot(Model):
    """A slot of a mutex group: a share of the users, and the experiments that only they can be in.

    Attributes:
        percentage: 1 to 100, a whole number; the slots of a group add up to 100.
        experiments: ids of the experiments in it.
        holdouts: ids of the holdout groups in it.
        individuals: user and device ids that are always in it.
        name: the name shown in the app.
        index: its number in the group, which `edit_slot` takes; the first is 1.
        variant_key: the key of the variant that stands for it.
        cohorts: ids of the cohorts that are always in it.
    """

    shown: ClassVar[tuple[str, ...]] = ("index", "percentage", "experiments")

    percentage: Maybe[float] = UNSET
    experiments: Maybe[list[Id]] = UNSET
    holdouts: Maybe[list[Id]] = UNSET
    individuals: Maybe[list[str]] = UNSET
    name: Maybe[str] = UNSET
    index: Maybe[int] = UNSET
    variant_key: Maybe[str] = UNSET
    cohorts: Maybe[list[Id]] = UNSET


@frozen(repr=False, kw_only=True)
class Group(Model):
    """What both sorts of groups have."""

    shown: ClassVar[tuple[str, ...]] = ("id", "key", "name")

    id: Id
    project_id: Maybe[Id] = UNSET
    name: Maybe[str] = UNSET
    key: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    evaluation_mode: Maybe[str] = UNSET
    bucketing_key: Maybe[str] = UNSET
    bucketing_salt: Maybe[str] = UNSET
    deleted: Maybe[bool] = UNSET


@frozen(repr=False, kw_only=True)
class MutexGroup(Group):
    """A mutual exclusion group: a user is in one of its slots, and only in experiments of that slot.

    Attributes:
        id: the id.
        project_id: the project's id.
        name: the name shown in the app.
        key: letters, digits, `_` and `-`.
        description: what it is for.
        evaluation_mode: `local` or `remote`.
        bucketing_key: the property that decides who falls into which slot.
        bucketing_salt: the salt of that decision.
        slots: the slots, in order.
        deleted: whether it is archived.
    """

    slots: Maybe[list[MutexSlot]] = UNSET


@frozen(repr=False, kw_only=True)
class HoldoutGroup(Group):
    """A holdout group: a share of the users who are in none of its experiments.

    Attributes:
        id: the id.
        project_id: the project's id.
        name: the name shown in the app.
        key: letters, digits, `_` and `-`.
        description: what it is for.
        holdout_percentage: 1 to 99, a whole number: the share of the users who are held out.
        evaluation_mode: `local` or `remote`.
        bucketing_key: the property that decides who is held out.
        bucketing_salt: the salt of that decision.
        variant_name: the name of the variant that stands for it.
        experiments: ids of its experiments.
        individual_inclusion: user and device ids that are always held out.
        individual_exclusion: user and device ids that never are.
        deleted: whether it is archived.
        created_by: who created it.
        last_modified_by: who changed it last.
        created_at: when, in UTC.
        last_modified_at: when, in UTC.
    """

    holdout_percentage: Maybe[float] = UNSET
    variant_name: Maybe[str] = UNSET
    experiments: Maybe[list[Id]] = UNSET
    individual_inclusion: Maybe[list[str]] = UNSET
    individual_exclusion: Maybe[list[str]] = UNSET
    created_by: Maybe[Id] = UNSET
    last_modified_by: Maybe[Id] = UNSET
    created_at: Maybe[datetime] = UNSET
    last_modified_at: Maybe[datetime] = UNSET
