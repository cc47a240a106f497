"""Guarded edits with the blocking client."""

from __future__ import annotations

import threading
from typing import Any

import attrs
import pytest

from amp_exp_async import ExperimentClient, Flag, InvalidInputError
from amp_exp_async.emulator import Emulator
from tests.resources.concurrent_writers import PILOT, sent_methods


@pytest.fixture
def id(emulator: Emulator) -> str:
    """The ID of a flag."""
    return str(emulator.state.add_flag(id="5", tags=["a"], targetSegments=[PILOT])["id"])


def test_the_change_is_made_in_the_callers_thread(client: ExperimentClient, emulator: Emulator, id: str) -> None:
    """The change may use the client."""
    threads: list[threading.Thread] = []

    def change(flag: Flag) -> Flag:
        threads.append(threading.current_thread())
        return attrs.evolve(flag, description=client.flags.get(id).key)

    flag = client.flags.guarded_edit(id, change)
    assert flag.description == flag.key
    assert threads == [threading.current_thread()]
    assert sent_methods(emulator) == ["GET", "GET", "GET", "PATCH", "GET"]


def test_a_change_in_place(client: ExperimentClient, id: str) -> None:
    """A list that is changed in place is detected."""

    def change(flag: Flag) -> Flag:
        (flag.tags or []).append("b")
        return flag

    assert client.flags.guarded_edit(id, change).tags == ["a", "b"]


async def test_an_async_change(client: ExperimentClient, emulator: Emulator, id: str) -> None:
    """An async function, or a lambda that returns a coroutine, is rejected."""

    async def change(flag: Flag) -> Flag:
        return flag

    declared: Any = change
    hidden: Any = lambda flag: change(flag)  # noqa: E731, PLW0108 - a lambda hides that the function is async
    for rejected, end in ((declared, "sent"), (hidden, "written")):
        with pytest.raises(InvalidInputError, match=f"must not be async.*Nothing was {end}"):
            client.flags.guarded_edit(id, rejected)
    assert sent_methods(emulator) == ["GET"]


def test_what_the_change_raises(client: ExperimentClient, id: str) -> None:
    """The caller gets the exception."""

    def change(flag: Flag) -> Flag:
        raise KeyError(flag.key)

    with pytest.raises(KeyError):
        client.flags.guarded_edit(id, change)


def test_segments_tags_and_history(client: ExperimentClient, emulator: Emulator, id: str) -> None:
    """Single segments and tags are edited, and a version is restored."""
    assert client.flags.tags.add(id, iter(["b"])).tags == ["a", "b"]
    client.flags.segments.add_values(id, "Pilot", "gp:email", iter(["bo"]), case="exact")
    client.flags.segments.edit(id, "Pilot", percentage=30)
    assert [set(change.differences) for change in client.history("flags", id)] == [
        {"target_segments"},
        {"target_segments"},
        {"tags"},
        set(),
    ]
    assert client.restore_version("flags", id, 1, dry_run=True).differences.keys() == {"target_segments", "tags"}
    assert client.restore_version("flags", id, 1).flag_config.tags == ["a"]
    assert emulator.state.flag(id)["targetSegments"] == [PILOT]


def test_an_earlier_reading_and_a_dry_run(client: ExperimentClient, emulator: Emulator, id: str) -> None:
    """With a base, the first read is skipped; a dry run returns the changed copy."""
    base = client.flags.get(id)
    emulator.requests.clear()
    edited = client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, name="n"), base=base, dry_run=True)
    assert (edited.name, sent_methods(emulator)) == ("n", [])
    assert client.flags.guarded_edit(id, lambda _: edited, base=base).name == "n"
    assert sent_methods(emulator) == ["GET", "PATCH", "GET"]
    with pytest.raises(InvalidInputError, match="base: "):
        client.flags.guarded_edit("6", lambda flag: flag, base=base)
