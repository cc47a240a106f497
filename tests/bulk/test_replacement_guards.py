"""The guards of replacements: `max_removals` and `allow_empty`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import (
    AsyncExperimentClient,
    ExperimentClient,
    InvalidInputError,
    ReplaceCohorts,
    ReplaceUsers,
    TooManyRemovalsError,
)
from amp_exp_async.emulator import Emulator
from tests.bulk.emulator_snapshot import collect

TEN = [f"u{number}" for number in range(10)]


def replaced(kept: int, max_removals: Any) -> Any:
    return ReplaceUsers("flags", "1", "on", [*TEN[:kept], "new"], max_removals=max_removals).requests(TEN)


@pytest.mark.parametrize(
    ("kept", "max_removals", "allowed"),
    [(0, None, 10), (7, 3, 3), (6, 3, 3), (10, 0, 0), (9, 0, 0), (9, 1, 1), (0, 1.0, 10), (8, 0.2, 2), (7, 0.29, 2)],
)
def test_a_bound(kept: int, max_removals: Any, allowed: int) -> None:
    """A number of IDs and a share of the included IDs bound the removals; without a bound any number is removed."""
    if 10 - kept <= allowed:
        assert sum(len(request.ids) for request in replaced(kept, max_removals)) == 11 - kept
        return
    with pytest.raises(TooManyRemovalsError) as caught:
        replaced(kept, max_removals)
    assert (caught.value.removals, caught.value.included, caught.value.max_removals) == (10 - kept, 10, max_removals)
    fact = f"{10 - kept} of the 10 users of variant on would be removed, and max_removals allows {allowed}"
    assert str(caught.value).startswith(fact)


def test_a_share_is_not_rounded_down_by_floats() -> None:
    """29 % of 100 IDs are 29, although 0.29 * 100 is less."""
    ids = [f"u{number}" for number in range(100)]
    assert ReplaceUsers("flags", "1", "on", ids[29:], max_removals=0.29).requests(ids)


@pytest.mark.parametrize("wrong", [-1, 1.5, float("nan"), "20%", True, object()])
def test_a_wrong_bound(wrong: Any) -> None:
    """A bound is a count, or a share from 0.0 to 1.0."""
    with pytest.raises(InvalidInputError, match="max_removals: must be a number of IDs such as 50, or a share"):
        ReplaceUsers("flags", "1", "on", ["u"], max_removals=wrong)


async def test_the_guards_of_a_run(client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path) -> None:
    """The bound holds for the list at the time of the operation; the operation fails, and nothing is written."""
    id = str(emulator.state.add_flag(key="f")["id"])
    emulator.state.add_users("flags", id, "on", TEN)
    emulator.state.add_cohorts("flags", id, "on", TEN)
    (tmp_path / "empty.txt").write_text("# none\n")
    inclusions: list[Any] = [client.flags.users, client.flags.cohorts]
    for included in inclusions:
        [outcome] = await collect(included.replace(id, "on", ["u1"], max_removals=0.2))
        assert (outcome.status, type(outcome.error), outcome.changed) == ("failed", TooManyRemovalsError, ())
        for empty in ([], tmp_path / "empty.txt", iter(())):
            with pytest.raises(InvalidInputError, match="would remove all"):
                await included.replace(id, "on", empty)
        with pytest.raises(InvalidInputError, match="max_removals"):
            included.replace(id, "on", iter(["u1"]), max_removals="20%")
    assert {request.method for request in emulator.requests} == {"GET"}
    assert (await client.flags.users.replace(id, "on", iter(TEN[2:]), max_removals=0.2)).changed == 2
    assert (await client.flags.cohorts.replace(id, "on", [], allow_empty=True, max_removals=10)).changed == 10


def test_the_guards_of_a_blocking_run() -> None:
    """The blocking client has the same guards."""
    with Emulator() as emulator, ExperimentClient(emulator.api_key, base_url=emulator.base_url) as blocking:
        id = str(emulator.state.add_flag(key="f")["id"])
        emulator.state.add_users("flags", id, "on", TEN)
        run = blocking.flags.users.replace(id, "on", ["u1"], max_removals=5)
        assert isinstance(next(iter(run)).error, TooManyRemovalsError)
        assert blocking.flags.users.replace(id, "on", [], allow_empty=True).wait().changed == 10


async def test_guards_in_files(client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path) -> None:
    """A file of operations keeps the guards, and a rerun with a journal may relax them."""
    id = str(emulator.state.add_flag(key="f")["id"])
    emulator.state.add_cohorts("flags", id, "on", TEN)
    plain = {"kind": "flags", "id": id, "key": None, "project_id": None, "variant": "on"}
    assert ReplaceUsers("flags", id, "on", ["a"]).as_json() == {
        "operation": "ReplaceUsers", **plain, "users": ["a"],
    }  # fmt: skip
    guarded = ReplaceCohorts("flags", id, "on", [], max_removals=1.0, allow_empty=True).as_json()
    assert guarded.items() >= {"max_removals": 1.0, "allow_empty": True}.items()
    path, journal = tmp_path / "operations.jsonl", tmp_path / "journal.jsonl"
    path.write_text(json.dumps(guarded | {"max_removals": 1}))
    [outcome] = await collect(client.bulk(path, journal=journal))
    assert (outcome.status, type(outcome.error)) == ("failed", TooManyRemovalsError)
    path.write_text(json.dumps(guarded))
    assert (await client.bulk(path, journal=journal)).changed == 10
