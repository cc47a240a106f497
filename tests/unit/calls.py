"""Calls of the client that tests of its checks share: every place that takes an id, a key or a list of ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any, TypeAlias

import pytest

from amp_exp_async import AsyncExperimentClient

Call: TypeAlias = Callable[[AsyncExperimentClient], Awaitable[object]]
Refused: TypeAlias = Callable[[Call, str, str], Awaitable[str]]

KINDS = ["flags", "experiments"]

BAD: Any = object()  # stands for the value that a test is about
Place: TypeAlias = tuple[str, tuple[Any, ...], dict[str, Any], str]

# Every place that takes an id or a key, as the method, its arguments, and the name of the one in question.
IDS: list[Place] = [
    ("{kind}.get", (BAD,), {}, "id"),
    ("{kind}.edit", (BAD,), {"enabled": True}, "id"),
    ("{kind}.archive", (BAD,), {}, "id"),
    ("{kind}.restore", (BAD,), {}, "id"),
    ("{kind}.create", (), {"project_id": BAD, "key": "k"}, "project_id"),
    ("{kind}.list", (), {"project_id": BAD}, "project_id"),
    ("{kind}.variants.list", (BAD,), {}, "id"),
    ("{kind}.users.add", (BAD, "on", ["u"]), {}, "id"),
    ("{kind}.users.remove_all", (BAD, "on"), {}, "id"),
    ("{kind}.cohorts.list", (BAD, "on"), {}, "id"),
    ("{kind}.deployments.remove", ("1", BAD), {}, "deployment"),
    ("{kind}.versions.get", ("1", BAD), {}, "version"),
    ("deployments.edit", (BAD,), {"label": "x"}, "id"),
    ("deployments.archive", (BAD,), {}, "id"),
    ("deployments.restore", (BAD,), {}, "id"),
    ("mutexes.get", (BAD,), {}, "id"),
    ("mutexes.edit", (BAD,), {"name": "x"}, "id"),
    ("mutexes.edit_slot", (BAD, 1), {"experiments": []}, "id"),
    ("mutexes.archive", (BAD,), {}, "id"),
    ("mutexes.restore", (BAD,), {}, "id"),
    ("holdouts.get", (BAD,), {}, "id"),
    ("holdouts.edit", (BAD,), {"name": "x"}, "id"),
    ("holdouts.archive", (BAD,), {}, "id"),
    ("holdouts.restore", (BAD,), {}, "id"),
]
KEYS: list[Place] = [
    ("{kind}.create", (), {"project_id": "1", "key": BAD}, "key"),
    ("{kind}.find", (BAD,), {}, "key"),
    ("{kind}.variants.create", ("1",), {"key": BAD}, "key"),
    ("{kind}.variants.edit", ("1", "on"), {"key": BAD}, "key"),
    ("{kind}.variants.get", ("1", BAD), {}, "variant"),
    ("{kind}.variants.remove", ("1", BAD), {}, "variant"),
    ("{kind}.users.list", ("1", BAD), {}, "variant"),
    ("{kind}.users.remove_at", ("1", BAD, 0), {}, "variant"),
    ("{kind}.cohorts.add", ("1", BAD, ["c"]), {}, "variant"),
    ("deployments.create", (), {"project_id": "1", "label": BAD, "type": "client"}, "label"),
    ("deployments.edit", ("1",), {"label": BAD}, "label"),
    ("mutexes.create", (), {"project_id": "1", "name": "n", "slots": [{"percentage": 100}], "key": BAD}, "key"),
    ("holdouts.create", (), {"project_id": "1", "name": "n", "holdout_percentage": 5, "key": BAD}, "key"),
]
# Every list of ids, and the most that it takes.
LISTS: dict[str, tuple[Place, int]] = {
    "users.add": (("{kind}.users.add", ("1", "on", BAD), {}, "users"), 2000),
    "users.remove": (("{kind}.users.remove", ("1", "on", BAD), {}, "users"), 100),
    "cohorts.add": (("{kind}.cohorts.add", ("1", "on", BAD), {}, "cohorts"), 2000),
    "cohorts.remove": (("{kind}.cohorts.remove", ("1", "on", BAD), {}, "cohorts"), 100),
    "deployments.add": (("{kind}.deployments.add", ("1", BAD), {}, "deployments"), 0),
}


def at(place: Place, kind: str) -> tuple[Callable[[Any], Call], str]:
    """A call of the method with a value in the place in question, and the argument's name."""
    path, args, keywords, argument = place

    def with_value(value: Any) -> Call:
        given = [value if item is BAD else item for item in args]
        named = {name: value if item is BAD else item for name, item in keywords.items()}
        return lambda client: attrgetter(path.format(kind=kind))(client)(*given, **named)

    return with_value, argument


every_kind = pytest.mark.parametrize("kind", KINDS)
every_id = pytest.mark.parametrize("place", IDS, ids=lambda place: place[0])
every_key = pytest.mark.parametrize("place", KEYS, ids=lambda place: place[0])
every_list = pytest.mark.parametrize("place", LISTS)
