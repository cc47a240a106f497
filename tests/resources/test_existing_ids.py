"""Included IDs that a new one could not be: they can be removed in every way, and messages tell the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import (
    AddUsers,
    AsyncExperimentClient,
    InvalidInputError,
    RemoveAllUsers,
    RemoveCohorts,
    RemoveUsers,
    ReplaceCohorts,
    ReplaceUsers,
)
from amp_exp_async.emulator import Emulator

ODD = ["a,b", " x ", "", "line\nbreak", "cut \ud83d", "\N{PARTY POPPER}"]
OPERATIONS: dict[str, tuple[Any, Any]] = {
    "users": (RemoveUsers, ReplaceUsers),
    "cohorts": (RemoveCohorts, ReplaceCohorts),
}


@pytest.fixture(params=["users", "cohorts"])
def member(request: pytest.FixtureRequest, emulator: Emulator) -> str:
    """Include odd users or cohorts in the variant `on` of flag 5."""
    emulator.state.add_flag(id="5", key="f")
    getattr(emulator.state, f"add_{request.param}")("flags", "5", "on", [*ODD, "u1"])
    return str(request.param)


def included(emulator: Emulator, member: str) -> list[str]:
    """Return the users or cohorts of the variant."""
    ids: list[str] = getattr(emulator.state, member)("flags", "5", "on")
    return ids


@pytest.mark.parametrize("way", ["remove", "remove_many", "replace", "bulk remove", "bulk replace"])
async def test_existing_ids_can_be_removed(
    way: str, member: str, client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path
) -> None:
    """They are sent as they are; JSON carries a half surrogate as its escape."""
    resource = getattr(client.flags, member)
    remove, replace = OPERATIONS[member]
    listed = await resource.list("5", "on")
    assert listed == [*ODD, "u1"]
    match way:
        case "remove":
            await resource.remove("5", "on", listed[:-1])
        case "remove_many":
            await resource.remove_many("5", "on", listed[:-1], journal=tmp_path / "journal")
        case "replace":
            await resource.replace("5", "on", ["u1"], journal=tmp_path / "journal")
        case "bulk remove":
            await client.bulk([remove("flags", "5", "on", listed[:-1])], journal=tmp_path / "journal")
        case _:
            await client.bulk([replace("flags", "5", "on", ["u1"])], journal=tmp_path / "journal")
    assert included(emulator, member) == ["u1"]


async def test_existing_ids_can_be_kept(member: str, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A replacement that lists them adds only the new ones."""
    await getattr(client.flags, member).replace("5", "on", [*ODD, "u2"])
    assert included(emulator, member) == [*ODD, "u2"]


@pytest.mark.parametrize("new", ["c,d", " y", "cut \ud83e"])
async def test_a_new_id_of_a_replacement_is_rejected(
    new: str, member: str, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """The IDs were read, so the error says that nothing was written, which is true."""
    [outcome] = [outcome async for outcome in getattr(client.flags, member).replace("5", "on", ["u2", new])]
    assert isinstance(outcome.error, InvalidInputError)
    assert str(outcome.error).endswith("Nothing was written.")
    assert {request.method for request in emulator.requests} == {"GET"}
    assert included(emulator, member) == [*ODD, "u1"]


async def test_too_many_users(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The IDs were read, so the error says that nothing was written."""
    emulator.state.add_flag(id="5", key="f")
    emulator.state.add_users("flags", "5", "on", [f"u{number}" for number in range(1998)])
    operations = [
        AddUsers("flags", "5", "on", ["a", "b", "c"]),
        AddUsers("flags", "5", "on", ["a", "b"]),
    ]
    outcomes = [outcome async for outcome in client.bulk(operations)]
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert "Nothing was written." in str(outcomes[0].error)


async def test_a_run_with_a_journal_removes_a_half_surrogate(
    client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path
) -> None:
    """The journal keeps the removed IDs, and a rerun continues from it."""
    emulator.state.add_flag(id="5", key="f")
    emulator.state.add_users("flags", "5", "on", ["cut \ud83d"])
    operations = [RemoveAllUsers("flags", "5", "on"), RemoveUsers("flags", "5", "on", ["cut \ud83d"])]
    assert (await client.bulk(operations, journal=tmp_path / "journal")).done == 2
    assert "\\ud83d" in (tmp_path / "journal").read_text("utf-8")
    rerun = [outcome async for outcome in client.bulk(operations, journal=tmp_path / "journal")]
    assert [(outcome.status, outcome.error) for outcome in rerun] == [("skipped", None)] * 2
