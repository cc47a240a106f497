"""A run as its consumer sees it: inputs, outcomes, summary, progress, failures and concurrent runs."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import (
    AddUsers,
    AsyncExperimentClient,
    BulkError,
    BulkSummary,
    Edit,
    InvalidInputError,
    NotFoundError,
    RateLimit,
)
from amp_exp_async.bulk.run import AsyncBulkRun
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.emulator_snapshot import collect


def ids_of(emulator: Emulator, count: int) -> list[str]:
    return [emulator.state.add_flag()["id"] for _ in range(count)]


def edits(ids: list[str]) -> list[Edit]:
    return [Edit("flags", id, {"name": f"named {id}"}) for id in ids]


def named(emulator: Emulator) -> list[str]:
    return [flag["id"] for flag in emulator.state.flags if flag["name"] == f"named {flag['id']}"]


def lines(operations: list[Edit]) -> str:
    """Return the operations as the text of a JSON Lines file."""
    texts = [json.dumps({"operation": "Edit", "kind": "flags", "id": e.id, "changes": e.changes}) for e in operations]
    return "\n".join(["# operations", "", *texts])


async def generated(items: list[Any]) -> AsyncGenerator[Any, None]:
    for item in items:
        yield item


def file(operations: list[Edit], folder: Path) -> Path:
    path = folder / "operations.jsonl"
    path.write_text("\ufeff" + lines(operations), encoding="utf-8")
    return path


INPUTS: dict[str, tuple[Callable[[list[Edit], Path], Any], bool]] = {
    "list": (lambda operations, _: operations, True),
    "tuple": (lambda operations, _: tuple(operations), True),
    "set-like": (lambda operations, _: dict(enumerate(operations)).values(), True),
    "generator": (lambda operations, _: (operation for operation in operations), False),
    "async generator": (lambda operations, _: generated(operations), False),
    "path": (file, True),
    "open file": (lambda operations, folder: file(operations, folder).open(encoding="utf-8-sig"), False),
    "text in memory": (lambda operations, _: io.StringIO(lines(operations)), False),
    "JSON texts": (lambda operations, _: lines(operations).splitlines()[2:], True),
    "mappings": (lambda operations, _: [json.loads(line) for line in lines(operations).splitlines()[2:]], True),
}


@pytest.mark.parametrize("way", INPUTS)
async def test_inputs(client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path, way: str) -> None:
    """Operations come from any input; the outcomes have the operation and its position."""
    make, counted = INPUTS[way]
    operations = edits(ids_of(emulator, 30))
    operations_input = make(operations, tmp_path)
    run = client.bulk(operations_input)
    outcomes = await collect(run)
    assert [(outcome.index, outcome.operation, outcome.status) for outcome in outcomes] == [
        (index, operation, "done") for index, operation in enumerate(operations)
    ]
    assert named(emulator) == [operation.id for operation in operations]
    assert (run.progress.total, run.progress.done) == (30 if counted else None, 30)
    if isinstance(operations_input, io.TextIOWrapper):
        operations_input.close()


@pytest.mark.parametrize("value", [None, 7, b"{}", AddUsers, object()])
def test_invalid_inputs(client: AsyncExperimentClient, value: Any) -> None:
    """The message names the accepted inputs."""
    with pytest.raises(InvalidInputError, match="operations: must be an iterable of operations"):
        client.bulk(value)


def test_invalid_on_error(client: AsyncExperimentClient) -> None:
    """Any other value is rejected at once."""
    with pytest.raises(InvalidInputError, match='on_error: must be "continue", "stop" or "stop_flag"'):
        client.bulk([], on_error="raise")


@pytest.mark.parametrize("index", [0, 1, 20])
async def test_a_bad_item_of_a_list_or_file(
    client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path, index: int
) -> None:
    """An invalid item is rejected with its position before anything is sent."""
    operations: list[Any] = edits(ids_of(emulator, 21))
    operations[index] = {"operation": "Edit", "kind": "flags"}
    with pytest.raises(InvalidInputError, match=rf"operations\[{index}\]|id: must be given"):
        await client.bulk(operations)
    path = file(edits(ids_of(emulator, 20)), tmp_path)
    text = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join([*text[: index + 2], "no JSON", *text[index + 2 :]]), encoding="utf-8")
    with pytest.raises(InvalidInputError, match=rf"operations\.jsonl, line {index + 3}: "):
        await client.bulk(path)
    assert emulator.requests == []


@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize("form", ["iterator", "async generator", "open file"])
async def test_a_bad_item_of_a_stream(
    client: AsyncExperimentClient, emulator: Emulator, form: str, by_key: bool
) -> None:
    """The operations before an invalid item are sent, so the error does not claim that nothing was sent."""
    operations: list[Any] = edits(ids_of(emulator, 20))
    if by_key:
        operations = [Edit("flags", key=f"flag-{operation.id}", changes=operation.changes) for operation in operations]
    inputs: dict[str, Any] = {
        "iterator": iter([*operations, 5]),
        "async generator": generated([*operations, 5]),
        "open file": io.StringIO("\n".join(json.dumps(operation.as_json()) for operation in operations) + "\n5"),
    }
    expected = (
        "the file, line 21: operation: must be an Operation, got 5. Nothing was sent for it."
        if form == "open file"
        else "operations[20]: must be an Operation, got 5. Nothing was sent for it."
    )
    with pytest.raises(InvalidInputError) as raised:
        await client.bulk(inputs[form])
    assert str(raised.value) == expected
    assert len(named(emulator)) == 20


async def test_a_bad_operation_made_by_a_stream(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """An operation that a generator cannot make is reported as not sent, without a claim about earlier ones."""
    ids = ids_of(emulator, 2)
    with pytest.raises(InvalidInputError, match=r"must change something.*\. Nothing was sent for it\.$"):
        await client.bulk(Edit("flags", id, changes) for id, changes in zip(ids, [{"name": "a"}, {}], strict=True))
    assert emulator.requests


async def test_a_file_that_cannot_be_read(client: AsyncExperimentClient, tmp_path: Path) -> None:
    """The message has the file and the reason."""
    with pytest.raises(
        InvalidInputError, match=r"nothing\.jsonl: cannot be read \(No such file or directory\)\. Noth.* sent\.$"
    ):
        await client.bulk(tmp_path / "nothing.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xe9\n")
    with pytest.raises(InvalidInputError, match=r"cannot be read \(not UTF-8 text: .* at byte 0\)\. Noth.* sent\.$"):
        await client.bulk(tmp_path / "latin.jsonl")


@pytest.mark.parametrize("error", [ZeroDivisionError("theirs"), InvalidInputError("no operation")])
@pytest.mark.parametrize("by_key", [False, True])
async def test_a_generator_that_fails(
    client: AsyncExperimentClient, emulator: Emulator, error: Exception, by_key: bool
) -> None:
    """The operations before the error have outcomes; then the error is raised."""
    ids = ids_of(emulator, 5)

    def failing() -> Iterator[Any]:
        for id in ids:
            where: dict[str, Any] = {"key": f"flag-{id}"} if by_key else {"id": id}
            yield Edit("flags", changes={"name": f"named {id}"}, **where)
        raise error

    reading, indexes = aiter(client.bulk(failing())), []
    with pytest.raises(type(error), match=str(error)):  # noqa: PT012 - collects the outcomes before it
        while True:
            indexes.append((await anext(reading)).index)
    assert sorted(indexes) == [0, 1, 2, 3, 4]


async def test_no_operations(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A run without operations succeeds at once."""
    run = client.bulk([])
    assert await run == BulkSummary(
        done=0,
        failed=0,
        unknown=0,
        skipped=0,
        not_started=0,
        requests=0,
        changed=0,
        seconds=run.summary.seconds,
        complete=True,
    )
    run.raise_for_failures()
    assert (run.summary.ok, run.progress.total, run.progress.seconds_left) == (True, 0, 0.0)
    assert emulator.requests == []


async def test_the_summary(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The summary counts the outcomes, also as text, and the failures can be raised."""
    ids = ids_of(emulator, 20)
    operations = [*edits(ids), AddUsers("flags", ids[0], "on", ["a", "b"]), *edits([f"none{n}" for n in range(12)])]
    emulator.inject(Fault.close(applied=True), method="PATCH", path=f"/flags/{ids[3]}", times=5)
    run = client.bulk(operations)
    summary = await run
    assert (summary.done, summary.failed, summary.unknown, summary.skipped) == (20, 12, 1, 0)
    assert (summary.requests, summary.changed, summary.ok) == (len(emulator.requests), 2, False)
    assert str(summary).startswith(f"20 done, 12 failed, 1 unknown; {len(emulator.requests)} requests in ")
    assert (run.progress.done, run.progress.failed, run.progress.total) == (20, 13, 33)
    with pytest.raises(BulkError, match=r"(?s)^13 of 33 operations are not done .*and 3 more") as caught:
        run.raise_for_failures()
    assert len(caught.value.errors) == 10
    assert "#21 Edit flags/none0 failed: PATCH " in str(caught.value)
    assert repr(run) == f"<AsyncBulkRun: {run.summary}>"


async def test_on_error_stop(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """With `on_error="stop"` no operation starts after a failure; those already read are skipped with the reason."""
    ids = ids_of(emulator, 300)
    emulator.inject(Fault.delay(0.02), path="/flags/*", times=None)
    operations = [*edits(ids[:10]), *edits(["none"]), *edits(ids[10:])]
    run = client.bulk(operations, on_error="stop")
    outcomes = {outcome.index: outcome for outcome in await collect(run)}
    assert list(outcomes) == list(range(len(outcomes)))
    assert isinstance(outcomes[10].error, NotFoundError)
    skipped = [outcome for outcome in outcomes.values() if outcome.status == "skipped"]
    assert run.summary.not_started == len(skipped) == run.summary.skipped > 0
    assert all("stopped by a failure (#10 Edit flags/none failed" in str(outcome.error) for outcome in skipped)
    done = [outcome.operation.id for outcome in outcomes.values() if outcome.status == "done"]
    assert sorted(named(emulator)) == sorted(done)
    assert run.summary.done <= 2 * 64
    with pytest.raises(BulkError, match="#10 Edit"):
        run.raise_for_failures()


async def test_progress(emulator: Emulator) -> None:
    """Progress has the counts, the rate and an estimate of the remaining time."""
    options: dict[str, Any] = {"rate_limit": RateLimit(per_second=40), "max_concurrency": 4}
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, **options) as client:
        run = client.bulk(edits(ids_of(emulator, 60)))
        assert (run.progress.rate, run.progress.seconds_left) == (0.0, None)
        seen = [run.progress async for _ in run]
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert {progress.total for progress in seen} == {60}
    last = seen[-1]
    assert all(progress.rate <= 40 for progress in seen)
    assert (last.done, last.seconds_left) == (60, 0.0)
    assert run.summary.seconds > 0


async def test_two_concurrent_runs(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Concurrent runs have separate outcomes and counters; their writes to one flag never overlap."""
    ids = ids_of(emulator, 5)
    emulator.inject(Fault.delay(0.005), method="POST", times=None)
    runs = [client.bulk([AddUsers("flags", id, "on", [f"{n}-{m}"]) for m in range(4) for id in ids]) for n in range(2)]
    summaries = await asyncio.gather(*runs)
    assert [(summary.done, summary.requests, summary.changed) for summary in summaries] == [(20, 40, 20)] * 2
    for id in ids:
        assert len(emulator.state.users("flags", id, "on")) == 8


async def test_several_readers(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Several readers of one run share its outcomes; awaiting it again returns the summary."""
    run = client.bulk(edits(ids_of(emulator, 40)))
    shares = await asyncio.gather(*(collect(run) for _ in range(3)))
    assert sorted(outcome.index for share in shares for outcome in share) == list(range(40))
    assert (await run).done == 40


async def test_warning_if_never_read(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A run that is never iterated sends nothing and warns when it is collected; a closed one does not warn."""
    run = client.bulk(edits(ids_of(emulator, 1)))
    assert "not started; iterate it" in repr(run)
    held = [run]
    del run
    with pytest.warns(RuntimeWarning, match="never iterated: nothing was sent"):
        held.clear()
    async with client.bulk(edits(ids_of(emulator, 1))):
        pass
    stopped = client.bulk([])
    stopped.stop()
    del stopped
    assert emulator.requests == []


async def test_streams(client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path) -> None:
    """`add_many`, `remove_many` and `replace` are runs of the operations of the same name."""
    [id] = ids_of(emulator, 1)
    ids = [f"i{number}" for number in range(4500)]
    path = tmp_path / "ids.txt"
    path.write_text("# ids\n\n" + "\n".join(ids), encoding="utf-8")
    for included, listed in (
        (client.flags.users, emulator.state.users),
        (client.flags.cohorts, emulator.state.cohorts),
    ):
        assert (await included.add_many(id, "on", (i for i in ids[:2000] * 2))).changed == 2000
        assert listed("flags", id, "on") == ids[:2000]
        run: AsyncBulkRun = included.remove_many(id, "on", path)
        outcomes = await collect(run)
        assert [len(outcome.operation.ids) for outcome in outcomes] == [2000, 2000, 500]
        assert (run.summary.changed, run.summary.requests) == (2000, 3 + 20)
        assert (await included.replace(id, "on", generated(ids[5:15]))).changed == 10
        assert (await included.replace(id, "on", ids[10:12])).changed == 8
        assert listed("flags", id, "on") == ids[10:12]
        assert (await included.replace(id, "on", [], allow_empty=True)).changed == 2
        assert listed("flags", id, "on") == []
    with pytest.raises(InvalidInputError, match="at most 2000"):
        client.flags.users.add_many(id, "on", ids)
    with pytest.raises(InvalidInputError, match="2000"):
        await client.flags.users.add_many(id, "on", generated(ids))
    with pytest.raises(InvalidInputError, match="at least one"):
        client.flags.users.remove_many(id, "on", [])
    path.write_text(path.read_text() + "\na,b")
    with pytest.raises(InvalidInputError, match=r"ids\.txt, line 4503: .a,b. must not contain a comma"):
        client.flags.users.add_many(id, "on", path)
    emulator.state.add_users("flags", id, "on", ["a,b"])
    assert (await client.flags.users.remove_many(id, "on", path)).changed == 1
    assert emulator.state.users("flags", id, "on") == []
