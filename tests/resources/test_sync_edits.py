"""The same from blocking code."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from amp_exp_async import ExperimentClient, Flag, InvalidInputError
from amp_exp_async.emulator import Emulator
from tests.resources.fixtures import PILOT, methods


@pytest.fixture
def served() -> Iterator[Emulator]:
    """An emulator on a thread of its own."""
    with Emulator(per_second=None, per_day=None) as emulator:
        yield emulator


@pytest.fixture
def client(served: Emulator) -> Iterator[ExperimentClient]:
    """A blocking client of it."""
    with ExperimentClient(served.api_key, base_url=served.base_url, rate_limit=None) as client:
        yield client


@pytest.fixture
def id(served: Emulator) -> str:
    """The id of a flag."""
    return str(served.state.add_flag(id="5", tags=["a"], targetSegments=[PILOT])["id"])


def test_the_change_is_made_in_the_callers_thread(client: ExperimentClient, served: Emulator, id: str) -> None:
    """There, it may use the client, too."""
    threads: list[threading.Thread] = []

    def change(flag: Flag) -> Flag:
        threads.append(threading.current_thread())
        return attrs.evolve(flag, description=client.flags.get(id).key)

    flag = client.flags.guarded_edit(id, change)
    assert flag.description == flag.key
    assert threads == [threading.current_thread()]
    assert methods(served) == ["GET", "GET", "GET", "PATCH", "GET"]


def test_a_change_in_place(client: ExperimentClient, id: str) -> None:
    """It is seen, as in the async client."""

    def change(flag: Flag) -> Flag:
        (flag.tags or []).append("b")
        return flag

    assert client.flags.guarded_edit(id, change).tags == ["a", "b"]


async def test_an_async_change_is_refused(client: ExperimentClient, served: Emulator, id: str) -> None:
    """Nothing would await it, neither of a function nor of a lambda."""

    async def change(flag: Flag) -> Flag:
        return flag

    given: Any = change
    hidden: Any = lambda flag: change(flag)  # noqa: E731, PLW0108 - it is the case in question
    for refused in (given, hidden):
        with pytest.raises(InvalidInputError, match="must not be async"):
            client.flags.guarded_edit(id, refused)
    assert methods(served) == ["GET"]


def test_what_the_change_raises(client: ExperimentClient, id: str) -> None:
    """It reaches the caller as it is."""

    def change(flag: Flag) -> Flag:
        raise KeyError(flag.key)

    with pytest.raises(KeyError):
        client.flags.guarded_edit(id, change)


def test_the_rest(client: ExperimentClient, served: Emulator, id: str) -> None:
    """Segments, tags, history and going back."""
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
    assert served.state.flag(id)["targetSegments"] == [PILOT]


def test_an_earlier_reading_and_a_dry_run(client: ExperimentClient, served: Emulator, id: str) -> None:
    """As in the async client."""
    base = client.flags.get(id)
    served.requests.clear()
    edited = client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, name="n"), base=base, dry_run=True)
    assert (edited.name, methods(served)) == ("n", [])
    assert client.flags.guarded_edit(id, lambda _: edited, base=base).name == "n"
    assert methods(served) == ["GET", "PATCH", "GET"]
    with pytest.raises(InvalidInputError, match="base: "):
        client.flags.guarded_edit("6", lambda flag: flag, base=base)
