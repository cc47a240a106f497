"""The journal file: its entries, damage, journals of other jobs, and other files."""

# ruff: noqa: ASYNC240 - the files are small

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AddUsers, AsyncExperimentClient, Edit, InvalidInputError
from amp_exp_async.emulator import Emulator, Fault
from tests.bulk.emulator_snapshot import collect


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def operations(emulator: Emulator) -> list[Any]:
    """Additions to six flags, of which the third does not exist."""
    ids = [emulator.state.add_flag()["id"] for _ in range(6)]
    ids[2] = "none"
    return [AddUsers("flags", id, "on", ["a", "b"]) for id in ids]


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def generated(items: list[Any]) -> AsyncGenerator[Any, None]:
    for item in items:
        yield item


async def test_header_and_entries(client: AsyncExperimentClient, operations: list[Any], path: Path) -> None:
    """A header names the service; each operation has an entry for its start and one for its outcome."""
    await client.bulk(operations, journal=str(path))
    header, *rest = entries(path)
    assert header == {
        "journal": "amp_exp_async bulk journal 1",
        "service": client._transport.session.endpoint.base_url,
    }
    for index, operation in enumerate(operations):
        start, end = (entry for entry in rest if entry["index"] == index)
        assert (start["state"], end["state"]) == ("begun", "failed" if index == 2 else "done")
        assert start["digest"] == end["digest"]
        assert (start["operation"], start["target"]) == ("AddUsers", operation.target)
        assert end.get("changed") == (None if index == 2 else ["a", "b"])
        assert ("NotFoundError: GET " in end.get("error", "")) == (index == 2)
    assert len({entry["digest"] for entry in rest}) == 6
    assert "emulator-management-key" not in path.read_text()


async def test_entries_are_written_ahead(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Any], path: Path
) -> None:
    """An outcome is in the file before it is yielded, and a start before its first request."""
    is_in_file: list[bool] = []
    copy = client.with_options(
        on_attempt=lambda attempt: is_in_file.append(f"{attempt.path.split('/variants')[0][1:]}/" in path.read_text())
    )
    async for outcome in copy.bulk(operations, journal=path):
        states = [entry["state"] for entry in entries(path)[1:] if entry["index"] == outcome.index]
        assert states == ["begun", outcome.status]
    assert is_in_file == [True] * len(emulator.requests)


@pytest.mark.parametrize("source", ["list", "generator", "async generator"])
async def test_a_rerun(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Any], path: Path, source: str
) -> None:
    """Completed operations are skipped without a request and count as done; failed ones are repeated."""
    inputs: dict[str, Callable[[], Any]] = {
        "list": lambda: operations,
        "generator": lambda: iter(operations),
        "async generator": lambda: generated(operations),
    }
    await client.bulk(inputs[source](), journal=path)
    emulator.requests.clear()
    emulator.state.add_flag(id="none")
    run = client.bulk(inputs[source](), journal=path)
    outcomes = await collect(run)
    assert [outcome.status for outcome in outcomes] == ["skipped", "skipped", "done", "skipped", "skipped", "skipped"]
    assert all(outcome.ok for outcome in outcomes)
    assert {request.path.split("/")[4] for request in emulator.requests} == {"none"}
    assert (run.summary.ok, run.summary.skipped, run.summary.not_started, run.progress.done) == (True, 5, 0, 6)
    run.raise_for_failures()
    size = path.stat().st_size
    assert (await client.bulk(inputs[source](), journal=path)).skipped == 6
    assert path.stat().st_size == size


async def test_a_cut_off_last_line(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Any], path: Path
) -> None:
    """A file that was cut off in its header or last line is continued with the same result."""
    await client.bulk(operations[:2], journal=path)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    expected = [emulator.state.users("flags", operation.id, "on") for operation in operations[:2]]
    named = content.index(b"journal 1") + len("journal 1")
    for length in [0, *range(named, len(lines[0]) + 1), *range(len(content) - len(lines[-1]), len(content) + 1)]:
        path.write_bytes(content[:length])
        summary = await client.bulk(operations[:2], journal=path)
        assert summary.ok
        assert summary.changed == 0
        assert [entry["state"] for entry in entries(path)[1:]].count("done") == 2
        assert summary.skipped == (2 if length == len(content) else 1 if length > len(lines[0]) else 0)
    assert [emulator.state.users("flags", operation.id, "on") for operation in operations[:2]] == expected


DAMAGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a line cut short": lambda lines: [lines[0], lines[1][:20] + b"\n", *lines[2:]],
    "another state": lambda lines: [lines[0], lines[1].replace(b'"begun"', b'"began"'), *lines[2:]],
    "no index": lambda lines: [lines[0], lines[1].replace(b'"index"', b'"inbox"'), *lines[2:]],
    "a negative index": lambda lines: [lines[0], lines[1].replace(b'"index":0', b'"index":-1'), *lines[2:]],
    "a blank line": lambda lines: [lines[0], b"\n", *lines[1:]],
    "no digest": lambda lines: [lines[0], lines[1].replace(b'"digest":"', b'"digest":"x'), *lines[2:]],
    "true instead of an index": lambda lines: [lines[0], lines[1].replace(b'"index":0', b'"index":true'), *lines[2:]],
    "a list": lambda lines: [lines[0], b"[]\n", *lines[1:]],
    "a created ID that is not text": lambda lines: [lines[0], lines[1][:-2] + b',"created":1}\n', *lines[2:]],
    "an index out of range": lambda lines: [
        lines[0],
        lines[1].replace(b'"index":', b'"index":123456789012'),
        *lines[2:],
    ],
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damaged_lines(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Any], path: Path, damage: str
) -> None:
    """A damaged line is named; nothing is sent or written."""
    await client.bulk(operations[:1], journal=path)
    path.write_bytes(b"".join(DAMAGES[damage](path.read_bytes().splitlines(keepends=True))))
    before = path.read_bytes()
    emulator.requests.clear()
    with pytest.raises(InvalidInputError, match=r"journal .*journal\.jsonl: line 2 is damaged.*Nothing was sent"):
        await client.bulk(operations[:1], journal=path)
    assert path.read_bytes() == before
    assert emulator.requests == []


OTHER_JOBS: dict[str, tuple[Callable[[list[Any]], list[Any]], str]] = {
    "another operation": (lambda ops: [*ops[:3], Edit("flags", "1", {"enabled": True}), *ops[4:]], r"operation #3"),
    "other ids": (lambda ops: [AddUsers("flags", ops[0].id, "on", ["x"]), *ops[1:]], r"operation #0"),
    "another order": (lambda ops: [ops[1], ops[0], *ops[2:]], r"operation #0"),
    "fewer": (lambda ops: ops[:5], "it has 6 operations, the job has 5"),
    "none": (lambda _: [], "it has 6 operations, the job has 0"),
}


# The number of operations of a generator is known only at its end.
@pytest.mark.parametrize(
    ("other", "source"),
    [*((other, "list") for other in OTHER_JOBS), *((other, "async generator") for other in list(OTHER_JOBS)[:3])],
)
async def test_the_journal_of_another_job(  # noqa: PLR0917 - fixtures
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Any], path: Path, other: str, source: str
) -> None:
    """A journal of another job is rejected unchanged: a list at once, a generator at the first difference."""
    change, message = OTHER_JOBS[other]
    await client.bulk(operations, journal=path)
    before = path.read_bytes()
    emulator.requests.clear()
    changed_operations = change(operations)
    with pytest.raises(InvalidInputError, match=rf"belongs to another job: .*{message}"):
        await client.bulk(changed_operations if source == "list" else generated(changed_operations), journal=path)
    if source == "list":
        assert emulator.requests == []
        assert path.read_bytes() == before


async def test_a_stream_that_differs_after_requests(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Any], path: Path
) -> None:
    """If earlier operations of a stream were sent, the error speaks only of the one that differs."""
    emulator.inject(Fault.status(403), times=1)
    await client.bulk(operations, journal=path)
    emulator.requests.clear()
    first, second, third, *rest = operations
    with pytest.raises(InvalidInputError, match="operation #1 differs") as caught:
        await client.bulk(generated([first, third, second, *rest]), journal=path)
    assert emulator.requests
    assert str(caught.value).endswith("Nothing was sent for it.")


async def test_an_extended_job(client: AsyncExperimentClient, operations: list[Any], path: Path) -> None:
    """A job that was extended at its end is continued."""
    await client.bulk(operations[:2], journal=path)
    assert [o.status for o in await collect(client.bulk(operations, journal=path))] == [
        *["skipped"] * 2,
        "failed",
        *["done"] * 3,
    ]


async def test_another_service(client: AsyncExperimentClient, operations: list[Any], path: Path) -> None:
    """The same operations on another service are another job."""
    await client.bulk(operations, journal=path)
    async with Emulator() as other:
        elsewhere = AsyncExperimentClient(other.api_key, base_url=other.base_url)
        with pytest.raises(
            InvalidInputError, match=rf"belongs to another job: it is for http://.*, not for {other.base_url}"
        ):
            await elsewhere.bulk(operations, journal=path)
        await elsewhere.aclose()
        assert other.requests == []


OTHER_FILES: dict[str, bytes] = {
    "text": b"something important",
    "lines": b"something important\nand more\n",
    "JSON": b'{"flags": []}\n',
    "another version": b'{"journal":"amp_exp_async bulk journal 2","service":"x"}\n',
    "binary": bytes(range(256)),
    "a list": b"[]\n",
    "a blank line": b"\n",
}


@pytest.mark.parametrize("content", OTHER_FILES)
async def test_other_files_are_not_overwritten(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Any], path: Path, content: str
) -> None:
    """Another file is rejected and left unchanged."""
    path.write_bytes(OTHER_FILES[content])
    with pytest.raises(InvalidInputError, match="is not a journal that this version can read"):
        await client.bulk(operations, journal=path)
    assert path.read_bytes() == OTHER_FILES[content]
    assert emulator.requests == []


async def test_a_journal_that_cannot_be_opened(
    client: AsyncExperimentClient, operations: list[Any], tmp_path: Path
) -> None:
    """The message has the reason."""
    for wrong in (tmp_path, tmp_path / "nowhere" / "journal"):
        with pytest.raises(InvalidInputError, match="cannot be opened"):
            await client.bulk(operations, journal=wrong)


async def test_in_use_by_another_run(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Any], path: Path
) -> None:
    """Two runs cannot share a journal; it is free when the first run ends."""
    emulator.inject(Fault.delay(0.5))
    async with client.bulk(operations, journal=path) as first:
        await anext(aiter(first))
        with pytest.raises(InvalidInputError, match="is in use by another run"):
            await client.bulk(operations, journal=path)
    assert (await client.bulk(operations, journal=path)).unknown == 0
