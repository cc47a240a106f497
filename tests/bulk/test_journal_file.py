"""The file of a journal: its lock, its kind, the length of its lines, and its way to the disk."""

# ruff: noqa: ASYNC240 - the files are small

from __future__ import annotations

import errno
import multiprocessing
import os
import sys
import tracemalloc
import weakref
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AddUsers, AmpExpError, AsyncExperimentClient, ExperimentClient, InvalidInputError, Manifest
from amp_exp_async.bulk import journal as journal_module
from amp_exp_async.bulk.journal import Journal
from amp_exp_async.emulator import Emulator

if sys.platform != "win32":
    import fcntl

TIMEOUT = 60.0
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files, locks and processes of POSIX")
fork: Any = multiprocessing.get_context("fork") if sys.platform != "win32" else None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def operations(emulator: Emulator) -> list[Any]:
    """Additions to three flags."""
    return [AddUsers("flags", emulator.state.add_flag()["id"], "on", ["a", "b"]) for _ in range(3)]


@pytest.fixture
def synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of lines in the file each time that it was forced to the disk."""
    lines: list[int] = []

    def record(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            lines.append(path.read_bytes().count(b"\n"))

    monkeypatch.setattr(os, "fsync", record)
    return lines


class Child:
    """A forked child, which closes the journal if it is told to, and then stays."""

    def __init__(self, journal: Journal) -> None:
        self.closing, self.closed, self.ending = fork.Event(), fork.Event(), fork.Event()
        self.process = fork.Process(target=self._run, args=(journal, self.closing, self.closed, self.ending))
        self.process.start()

    @staticmethod
    def _run(journal: Journal, closing: Event, closed: Event, ending: Event) -> None:
        closing.wait(TIMEOUT)
        journal.close()
        closed.set()
        ending.wait(TIMEOUT)

    def close_journal(self) -> None:
        self.closing.set()
        assert self.closed.wait(TIMEOUT)

    def end(self) -> None:
        self.closing.set()
        self.ending.set()
        self.process.join(TIMEOUT)
        assert self.process.exitcode == 0


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path, "service")
    yield journal
    journal.close()


@pytest.mark.parametrize("hooks", [True, False], ids=["os.fork", "a fork without hooks"])
def test_a_forked_child_does_not_keep_the_lock(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch, hooks: bool
) -> None:
    """The journal is free when the parent's run ends, although the child lives."""
    if not hooks:
        monkeypatch.setattr(journal_module, "_JOURNALS", weakref.WeakSet())
    child = Child(journal)
    try:
        journal.close()
        Journal(path, "service").close()
    finally:
        child.end()


def test_a_forked_child_does_not_release_the_lock(journal: Journal, path: Path) -> None:
    """The journal is in use until the parent's run ends, although the child has closed it."""
    child = Child(journal)
    try:
        child.close_journal()
        with pytest.raises(InvalidInputError, match="is in use by another run"):
            Journal(path, "service")
    finally:
        child.end()


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EWOULDBLOCK])
def test_a_lock_that_another_run_has(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The error says to wait."""
    fail_to_lock(monkeypatch, number)
    with pytest.raises(InvalidInputError, match="is in use by another run"):
        Journal(path, "service")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO])
def test_a_file_system_without_locks(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The error says so, and does not tell of another run that would end."""
    fail_to_lock(monkeypatch, number)
    with pytest.raises(InvalidInputError) as caught:
        Journal(path, "service")
    assert str(caught.value) == (
        f"journal {path}: cannot be locked ({os.strerror(number)}), so another run could use it at the same time. "
        "Pass a path on a local disk. Nothing was sent."
    )
    assert path.read_bytes() == b""


def fail_to_lock(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(_: int, operation: int) -> None:
        if operation != fcntl.LOCK_UN:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("content", [b"{", b'{"', b'{"journal":"', b'{"journal":"amp_exp_async bulk '])
def test_the_beginning_of_another_file(path: Path, content: bytes) -> None:
    """It is not taken for a header that was cut off, unless it names the format."""
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="is not a journal"):
        Journal(path, "service")
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", ["/dev/null", "/dev/zero", "/dev/full", "pipe", "terminal"])
async def test_a_file_that_is_not_regular(
    client: AsyncExperimentClient, emulator: Emulator, operations: list[Any], path: Path, kind: str
) -> None:
    """It is rejected at once, and nothing is sent."""
    descriptors: tuple[int, ...] = ()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "terminal":
        descriptors = os.openpty()
        path = Path(os.ttyname(descriptors[1]))
    else:
        path = Path(kind)
    with pytest.raises(InvalidInputError, match=r"is not a regular file.*Nothing was sent"):
        await client.bulk(operations, journal=path)
    with pytest.raises(InvalidInputError, match="is not a regular file"):
        await client.apply(await client.plan(Manifest()), journal=path)
    assert emulator.requests == []
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_first_line_without_end(path: Path) -> None:
    """A huge file that is not a journal is rejected by its beginning."""
    path.touch()
    os.truncate(path, 2**34)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInputError, match="is not a journal"):
            Journal(path, "service")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert path.stat().st_size == 2**34


def test_a_later_line_without_end(path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and the file stays as it is. Only a shorter line at the end was cut off."""
    monkeypatch.setattr(journal_module, "_MAX_LINE", 1000)
    journal.close()
    header = path.read_bytes()
    path.write_bytes(header + b"x" * 999)
    Journal(path, "service").close()
    assert path.read_bytes() == header
    path.write_bytes(header + b"x" * 2500)
    with pytest.raises(InvalidInputError, match="line 2 has no end"):
        Journal(path, "service")
    assert path.stat().st_size == len(header) + 2500


async def test_an_outcome_longer_than_a_line(
    client: AsyncExperimentClient, operations: list[Any], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entry has the first IDs only, so that a rerun can read it."""
    monkeypatch.setattr(journal_module, "_MAX_LINE", 1000)
    monkeypatch.setattr(journal_module, "_MAX_CHANGED", 3)
    added = AddUsers("flags", operations[0].id, "on", [f"user-{number}" for number in range(90)])
    assert (await client.bulk([added], journal=path)).changed == 90
    assert max(map(len, path.read_bytes().splitlines())) < 1000
    assert (await client.bulk([added], journal=path)).skipped == 1


async def test_lines_are_forced_to_the_disk_on_request(
    client: AsyncExperimentClient, operations: list[Any], path: Path, synced: list[int]
) -> None:
    """Each one, before the run continues."""
    await client.bulk(operations[:1], journal=path)
    assert synced == []
    await client.bulk(operations, journal=path, fsync=True)
    assert synced == [4, 5, 6, 7]


def test_the_name_of_a_new_journal_is_forced_to_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power failure, the file would otherwise not be in its folder."""
    folders: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda fd: folders.append(os.path.samestat(os.fstat(fd), path.parent.stat())))
    Journal(path, "service", fsync=True).close()
    assert folders == [False, True]
    Journal(path, "service", fsync=True).close()
    path.unlink()
    Journal(path, "service").close()
    assert folders == [False, True]


def test_a_line_that_does_not_fit_is_removed(path: Path) -> None:
    """On a full disk. Other programs that read the journal see complete lines only."""
    import resource

    operation = AddUsers("flags", "1", "on", ["a"])
    journal = Journal(path, "service")
    header = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(header) + 10, limits[1]))
    try:
        with pytest.raises(AmpExpError, match="written only in part; the disk may be full"):
            journal.write_start(0, 0, operation, "flags/1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == header
    journal.close()


async def test_a_plan_is_applied_with_a_journal_on_the_disk(
    client: AsyncExperimentClient, path: Path, synced: list[int]
) -> None:
    """Its header too."""
    await client.apply(await client.plan(Manifest()), journal=path, fsync=True)
    assert synced == [1]


def test_the_blocking_client_forces_lines_to_the_disk(tmp_path: Path, path: Path, synced: list[int]) -> None:
    """In its runs and plans."""
    with Emulator() as emulator, ExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        id = emulator.state.add_flag()["id"]
        client.bulk([AddUsers("flags", id, "on", ["a"])], journal=path, fsync=True).wait()
        assert synced == [1, 2, 3]
        other = tmp_path / "other.jsonl"
        client.apply(client.plan(Manifest()), journal=other, fsync=True).wait()
        assert other.exists()


async def test_a_disk_that_fails(
    client: AsyncExperimentClient,
    operations: list[Any],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run stops before it sends what the journal may not have."""

    def fail(_: int) -> None:
        raise OSError("the disk failed")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(AmpExpError, match=r"cannot be written .*the disk failed"):
        await client.bulk(operations, journal=path, fsync=True)
    assert client.usage.requests == 0


async def test_a_useless_option_is_rejected(client: AsyncExperimentClient, operations: list[Any], path: Path) -> None:
    """It needs a journal, and is a bool."""
    with pytest.raises(InvalidInputError, match="fsync: applies to a journal only"):
        client.bulk(operations, fsync=True)
    with pytest.raises(InvalidInputError, match="fsync: "):
        client.bulk(operations, journal=path, fsync=1)  # type: ignore[arg-type] - what is tested
