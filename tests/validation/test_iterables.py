"""A list of single values may come from any iterable whose items they are, and from no other."""

from __future__ import annotations

import io
from array import array
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import (
    AddUsers,
    AmpExpError,
    AsyncExperimentClient,
    Edit,
    ExperimentClient,
    InvalidInputError,
    Manifest,
    find_emails,
    lint,
)
from amp_exp_async.emulator import Emulator
from tests.validation.call_sites import KINDS

NAMES = ["price", "plan"]


class _Iterable:
    def __iter__(self) -> Iterator[Any]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


class Table(_Iterable):
    """It iterates the names of its columns, as a DataFrame of pandas does."""

    columns = NAMES
    ndim = 2


class OtherTable(_Iterable):
    """A table that does not tell its dimensions."""

    columns = NAMES


class Scalar(_Iterable):
    """An array without dimensions, as in numpy: iterating it fails."""

    ndim = 0

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("iteration over a 0-d array")


class Column(_Iterable):
    """It iterates its values, as a Series of pandas does, whose items are also attributes."""

    ndim = 1
    columns = "the value that the index calls columns"

    def keys(self) -> list[int]:
        """Return the index."""
        return [0, 1]


def headers() -> Message:
    """Return an object that iterates its keys, and is not registered as a mapping."""
    message = Message()
    message["user_id"] = "ann"
    return message


class OtherFile(_Iterable):
    """A file that is not an instance of a class of `io`, such as a temporary one."""

    def readline(self) -> str:
        """Return the next line."""
        return "ann\n"


WRONG: dict[str, Callable[[], Any]] = {
    "table": Table,
    "other table": OtherTable,
    "scalar": Scalar,
    "bytearray": lambda: bytearray(b"ab"),
    "memoryview": lambda: memoryview(b"ab"),
    "headers": headers,
    "binary file": lambda: io.BytesIO(b"ann\nbo\n"),
}
# These methods read text files.
FILES: dict[str, Callable[[], Any]] = {"text file": lambda: io.StringIO("ann\n"), "other file": OtherFile}
METHODS: dict[str, Callable[[Any, Any], Any]] = {
    "edit tags": lambda c, value: c.edit("1", tags=value),
    "edit segments": lambda c, value: c.edit("1", target_segments=value),
    "edit conditions": lambda c, value: c.edit("1", target_segments=[{"conditions": value}]),
    "edit values": lambda c, value: c.edit(
        "1", target_segments=[{"conditions": [{"prop": "p", "op": "is", "values": value}]}]
    ),
    "create variants": lambda c, value: c.create(project_id="1", key="k", variants=value),
    "create deployments": lambda c, value: c.create(project_id="1", key="k", deployments=value),
    "tags.add": lambda c, value: c.tags.add("1", value),
    "tags.remove": lambda c, value: c.tags.remove("1", value),
    "segments.edit": lambda c, value: c.segments.edit("1", "Pilot", conditions=value),
    "segments.add_values": lambda c, value: c.segments.add_values("1", "Pilot", "p", value, case="exact"),
    "users.add": lambda c, value: c.users.add("1", "on", value),
    "users.remove": lambda c, value: c.users.remove("1", "on", value),
    "cohorts.add": lambda c, value: c.cohorts.add("1", "on", value),
    "cohorts.remove": lambda c, value: c.cohorts.remove("1", "on", value),
    "deployments.add": lambda c, value: c.deployments.add("1", value),
}
RUNS: dict[str, Callable[[Any, Any], Any]] = {
    "users.add_many": lambda c, value: c.users.add_many("1", "on", value),
    "users.remove_many": lambda c, value: c.users.remove_many("1", "on", value),
    "users.replace": lambda c, value: c.users.replace("1", "on", value),
    "cohorts.add_many": lambda c, value: c.cohorts.add_many("1", "on", value),
    "cohorts.remove_many": lambda c, value: c.cohorts.remove_many("1", "on", value),
    "cohorts.replace": lambda c, value: c.cohorts.replace("1", "on", value),
}
CLIENT_METHODS: dict[str, Callable[[Any, Any], Any]] = {
    "export": lambda c, value: c.export(keys=value),
    "mutexes.create": lambda c, value: c.mutexes.create(project_id="1", name="n", slots=value),
    "mutexes.edit_slot": lambda c, value: c.mutexes.edit_slot("1", 1, experiments=value),
    "holdouts.create": lambda c, value: c.holdouts.create(
        project_id="1", name="n", holdout_percentage=5, experiments=value
    ),
}


def calls(methods: dict[str, Callable[[Any, Any], Any]]) -> Iterator[Callable[[Any, Any], Any]]:
    """Yield methods of flags and of experiments, as functions of a client and a value."""
    for call in methods.values():
        for kind in KINDS:
            yield lambda client, value, call=call, kind=kind: call(getattr(client, kind), value)


@pytest.mark.parametrize("make", (WRONG | FILES).values(), ids=WRONG | FILES)
async def test_what_iterates_other_items_is_rejected(
    make: Callable[[], Any], client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """Names of columns, keys, bytes and lines would become tags, IDs or values; nothing is sent."""
    for call in (*calls(METHODS), *CLIENT_METHODS.values()):
        with pytest.raises(InvalidInputError, match="must be a list") as caught:
            await call(client, make())
        assert caught.value.code_advice or not isinstance(make(), Table | OtherTable | io.IOBase)
    assert emulator.requests == []


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
async def test_a_run_over_what_iterates_other_items_is_rejected(
    make: Callable[[], Any], client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """It is rejected when the run is made."""
    for call in calls(RUNS):
        with pytest.raises(InvalidInputError, match="must be a list"):
            call(client, make())
    with pytest.raises(InvalidInputError, match="must be a"):
        client.bulk(make())
    assert emulator.requests == []


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_the_blocking_client_rejects_it(make: Callable[[], Any], emulator: Emulator) -> None:
    """The same holds for the blocking client, which reads iterators in the caller's thread."""
    with ExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        for call in (*calls(METHODS), *CLIENT_METHODS.values(), *calls(RUNS)):
            with pytest.raises(InvalidInputError, match="must be a list"):
                call(client, make())
        with pytest.raises(InvalidInputError, match="must be a"):
            client.bulk(make())
        for make_file in FILES.values():
            with pytest.raises(InvalidInputError, match="must be a list, not an open file"):
                client.flags.users.remove("1", "on", make_file())
    assert emulator.requests == []


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_what_is_made_without_a_client_rejects_it(make: Callable[[], Any]) -> None:
    """Operations, lint and the search for addresses take lists, too."""
    attempts: list[Callable[[], object]] = [
        lambda: AddUsers("flags", "1", "on", make()),
        lambda: Edit("flags", "1", {"tags": make()}),
        lambda: find_emails(make()),
        lambda: lint(Manifest(), disable=make()),
    ]
    for attempt in attempts:
        with pytest.raises(AmpExpError, match="must be a list"):
            attempt()


async def test_any_iterable_of_the_values_is_accepted(
    client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path
) -> None:
    """A column, an array, a view of a mapping, a set, an iterator and a range are lists of IDs."""
    emulator.state.add_flag(id="1", projectId="1", key="k", variants=[{"key": "on"}])
    file = tmp_path / "ids.txt"
    file.write_text("ann\nbo\n", encoding="utf-8")
    accepted: list[Any] = [Column(), dict.fromkeys(NAMES), {"price": 1}.keys(), set(NAMES), iter(NAMES), range(2)]
    for value in [*accepted[:1], *accepted[2:], array("q", [5, 6]), (name for name in NAMES)]:
        await client.flags.users.add("1", "on", value)
    for value in (Column(), iter(NAMES), file, str(file), io.StringIO("ann\nbo\n")):
        await client.flags.users.add_many("1", "on", value)
    listed = await client.flags.users.list("1", "on")
    assert set(listed) == {"ann", "bo", "price", "plan", "0", "1", "5", "6"}
