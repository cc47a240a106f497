"""Which ids are to be sent, and in which requests, to get from one set to another. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from attrs import frozen

from amp_exp_async import validation

from .operations import Inclusion


@frozen
class Step:
    """One request.

    Attributes:
        action: what is done to the ids.
        ids: the ids.
    """

    action: Literal["add", "remove"]
    ids: tuple[str, ...]


def steps(operation: Inclusion, present: Sequence[str]) -> list[Step]:
    """The requests that an operation takes, of those for which it makes a difference.

    Additions go first, so that nobody is left out meanwhile; removals do where there would be no room.

    Args:
        operation: the operation.
        present: the ids that the variant includes.

    Raises:
        InvalidInputError: the variant would have too many.
    """
    there, given = set(present), set(operation.ids)
    add = [] if operation.action == "remove" else [id for id in operation.ids if id not in there]
    remove = (
        [] if operation.action == "add" else [id for id in present if (id in given) == (operation.action == "remove")]
    )
    additions = [Step("add", chunk) for chunk in _chunks(add, validation.MAX_ADDED)]
    removals = [Step("remove", chunk) for chunk in _chunks(remove, validation.MAX_REMOVED)]
    if operation.what != "users" or not add or len(there) + len(add) <= validation.MAX_ADDED:
        return additions + removals
    if len(there) + len(add) - len(remove) > validation.MAX_ADDED:
        validation.reject(
            operation.what,
            f"must leave at most {validation.MAX_ADDED} in the variant: it has {len(there)}, and {len(add)} "
            "would be added",
        )
    return removals + additions


def _chunks(ids: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(ids[start : start + size]) for start in range(0, len(ids), size)]
