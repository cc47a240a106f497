"""Mutex groups, whose experiments exclude each other, and holdout groups, whose experiments some users never get."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from attrs import frozen

from .base import UNSET, Id, Maybe, Model
from .nested import build_on_access


@frozen(repr=False, kw_only=True)
class MutexSlot(Model):
    """A slot of a mutex group: a percentage of the users, and the experiments that only they can get.

    Attributes:
        percentage: an integer from 1 to 100; the percentages of a group add up to 100.
        experiments: the IDs of its experiments.
        holdouts: the IDs of its holdout groups.
        individuals: user and device IDs that are always in this slot.
        name: the name in the app.
        index: its number in the group, from 1, which `edit_slot` takes.
        variant_key: the key of the variant that represents it.
        cohorts: the IDs of the cohorts that are always in this slot.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("index", "percentage", "experiments")

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
    """The fields that mutex groups and holdout groups share."""

    _repr_fields: ClassVar[tuple[str, ...]] = ("id", "key", "name")

    id: Id
    project_id: Maybe[Id] = UNSET
    name: Maybe[str] = UNSET
    key: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    evaluation_mode: Maybe[str] = UNSET
    bucketing_key: Maybe[str] = UNSET
    bucketing_salt: Maybe[str] = UNSET
    deleted: Maybe[bool] = UNSET


@build_on_access("slots")
@frozen(repr=False, kw_only=True)
class MutexGroup(Group):
    """A mutual exclusion group: each user is in one slot, and only gets experiments of that slot.

    Attributes:
        id: the ID.
        project_id: the ID of the project.
        name: the name in the app.
        key: letters, digits, `_` and `-`.
        description: the description.
        evaluation_mode: `local` or `remote`.
        bucketing_key: the property that users are bucketed by.
        bucketing_salt: the salt of the bucketing.
        slots: the slots, in order of their index.
        deleted: whether it is archived.
    """

    slots: Maybe[list[MutexSlot]] = UNSET


@frozen(repr=False, kw_only=True)
class HoldoutGroup(Group):
    """A holdout group: a percentage of the users, who get none of its experiments.

    Attributes:
        id: the ID.
        project_id: the ID of the project.
        name: the name in the app.
        key: letters, digits, `_` and `-`.
        description: the description.
        holdout_percentage: an integer from 1 to 99, the percentage of the users who are held out.
        evaluation_mode: `local` or `remote`.
        bucketing_key: the property that users are bucketed by.
        bucketing_salt: the salt of the bucketing.
        variant_name: the name of the variant that represents it.
        experiments: the IDs of its experiments.
        individual_inclusion: user and device IDs that are always held out.
        individual_exclusion: user and device IDs that are never held out.
        deleted: whether it is archived.
        created_by: the user who created it.
        last_modified_by: the user who changed it last.
        created_at: the time of creation, in UTC.
        last_modified_at: the time of the last change, in UTC.
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
