"""Who gets a variant by id: users and devices, and cohorts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from attrs import field, frozen

from amp_exp_async import validation

from .base import OnVariant


def _users(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.ids("users", value))


def _users_to_add(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.ids("users", value, validation.MAX_ADDED))


def _all_users(value: Iterable[str]) -> tuple[str, ...]:
    distinct = validation.id_set("users", value)
    return tuple(validation.ids("users", distinct, validation.MAX_ADDED)) if distinct else ()


def _cohorts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.ids("cohorts", value))


def _all_cohorts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(validation.id_set("cohorts", value))


@frozen
class InclusionRequest:
    """One request of an operation on the IDs that a variant includes.

    Attributes:
        action: `add` or `remove`.
        ids: the IDs that the request adds or removes.
    """

    action: Literal["add", "remove"]
    ids: tuple[str, ...]


def _chunks(action: Literal["add", "remove"], ids: Sequence[str], size: int) -> list[InclusionRequest]:
    return [InclusionRequest(action, tuple(ids[start : start + size])) for start in range(0, len(ids), size)]


@frozen
class Inclusion(OnVariant):
    """An operation on the ids that a variant includes.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
        what: what the ids are of.
        action: what is done with them.
    """

    what: ClassVar[Literal["users", "cohorts"]]
    action: ClassVar[Literal["add", "remove", "replace"]]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids."""
        given: tuple[str, ...] = getattr(self, self.what)
        return given

    def requests(self, included: Sequence[str]) -> list[InclusionRequest]:
        """Return the requests that make this change, without IDs for which it makes no difference.

        Additions go first, so that no user is left out meanwhile. If the variant has no room for them, removals do.

        Args:
            included: the IDs that the variant includes now.

        Raises:
            InvalidInputError: If the variant would include too many.
        """
        current, given = set(included), set(self.ids)
        added = [] if self.action == "remove" else [id for id in self.ids if id not in current]
        removed = [] if self.action == "add" else [id for id in included if (id in given) == (self.action == "remove")]
        additions = _chunks("add", added, validation.MAX_ADDED)
        removals = _chunks("remove", removed, validation.MAX_REMOVED)
        if self.what != "users" or not added or len(current) + len(added) <= validation.MAX_ADDED:
            return additions + removals
        if len(current) + len(added) - len(removed) > validation.MAX_ADDED:
            validation.reject(
                self.what,
                f"must leave at most {validation.MAX_ADDED} in the variant: it has {len(current)}, and {len(added)} "
                "would be added",
            )
        return removals + additions


@frozen
class AddUsers(Inclusion):
    """Include users or devices in a variant: what `users.add` does, for those that are not included yet.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
        users: user or device ids, 1 to 2,000; doubles are dropped. If the variant would have more than 2,000, none is
            added.
    """

    what = "users"
    action = "add"

    users: tuple[str, ...] = field(default=(), converter=_users_to_add)


@frozen
class RemoveUsers(Inclusion):
    """Remove users or devices by id, 100 a request: those of them that are included.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
        users: user or device ids, at least one; doubles are dropped.
    """

    what = "users"
    action = "remove"

    users: tuple[str, ...] = field(default=(), converter=_users)


@frozen
class ReplaceUsers(Inclusion):
    """Make a variant include these users and devices and no others. Only the difference is sent.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
        users: user or device ids, at most 2,000; doubles are dropped. With none, all are removed.
    """

    what = "users"
    action = "replace"

    users: tuple[str, ...] = field(default=(), converter=_all_users)


@frozen
class RemoveAllUsers(OnVariant):
    """Remove all users and devices of a variant.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
    """


@frozen
class AddCohorts(Inclusion):
    """Include cohorts in a variant: those that are not included yet.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
        cohorts: cohort ids, at least one; doubles are dropped.
    """

    what = "cohorts"
    action = "add"

    cohorts: tuple[str, ...] = field(default=(), converter=_cohorts)


@frozen
class RemoveCohorts(Inclusion):
    """Remove cohorts by id, 100 a request: those of them that are included.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
        cohorts: cohort ids, at least one; doubles are dropped.
    """

    what = "cohorts"
    action = "remove"

    cohorts: tuple[str, ...] = field(default=(), converter=_cohorts)


@frozen
class ReplaceCohorts(Inclusion):
    """Make a variant include these cohorts and no others. Only the difference is sent.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
        cohorts: cohort ids; doubles are dropped. With none, all are removed.
    """

    what = "cohorts"
    action = "replace"

    cohorts: tuple[str, ...] = field(default=(), converter=_all_cohorts)
