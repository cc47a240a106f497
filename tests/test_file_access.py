"""Files that others may have put in place: no read hangs, or fills the memory."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import (
    AmpExpError,
    AsyncExperimentClient,
    FlagSpec,
    InvalidInputError,
    InvalidManifestError,
    Manifest,
    Plan,
    file_access,
    load,
    read_ids,
    save,
)
from amp_exp_async.bulk import source
from amp_exp_async.bulk.source import read_operations
from amp_exp_async.emulator import Emulator

PLAN = Path(__file__).parent / "manifests" / "saved_plan.json"
MANIFEST = Manifest(flags=[FlagSpec(key="a", project_id="1")])

READERS: dict[str, Callable[[Any], object]] = {
    "load": load,
    "Plan.load": Plan.load,
    "read_ids": read_ids,
    "bulk": lambda path: list(read_operations(path)),
    "Emulator": Emulator,
    "save": lambda path: save(MANIFEST, path),
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")


@pytest.fixture(params=READERS)
def read(request: pytest.FixtureRequest) -> Callable[[Any], object]:
    """A function that reads a file."""
    return READERS[request.param]


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten all waits and sizes."""
    monkeypatch.setattr(file_access, "_PEER_TIMEOUT", 0.05)
    monkeypatch.setattr(file_access, "MAX_STREAM", 1 << 20)
    monkeypatch.setattr(source, "MAX_STREAM", 1 << 20)


def test_a_pipe_without_a_writer(read: Callable[[Any], object], tmp_path: Path) -> None:
    """It is an error."""
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises((AmpExpError, OSError), match="a pipe that no process writes to"):
        read(tmp_path / "x.json")


def test_a_device_without_end(read: Callable[[Any], object], tmp_path: Path) -> None:
    """It is an error, before the memory is full."""
    (tmp_path / "x.json").symlink_to("/dev/zero")
    with pytest.raises((AmpExpError, OSError), match="more than 1 MiB"):
        read(tmp_path / "x.json")


def test_an_open_stream_without_end() -> None:
    """A pipe is bounded, a text in memory is not."""
    with Path("/dev/zero").open() as stream, pytest.raises(InvalidManifestError, match="more than 1 MiB"):
        load(stream)
    with Path("/dev/zero").open() as stream, pytest.raises(InvalidInputError, match="more than 1 MiB"):
        read_ids(stream)
    assert load(io.StringIO(" " * (1 << 20) + "{}")) == Manifest()


@pytest.mark.parametrize("kind", ["process substitution", "named pipe", "silent writer"])
def test_a_pipe_with_a_writer(tmp_path: Path, kind: str) -> None:
    """Reading waits for its data and its end, also for longer than for a writer."""
    content = PLAN.read_bytes()
    if kind == "process substitution":
        reader, writer = os.pipe()
        path = Path(f"/dev/fd/{reader}")
    else:
        path = tmp_path / "pipe"
        os.mkfifo(path)

    def write() -> None:
        stream = os.fdopen(writer, "wb") if kind == "process substitution" else path.open("wb")
        with stream:
            time.sleep(0.1)  # longer than the wait for a writer
            if kind != "silent writer":
                stream.write(content[:1000])
                stream.flush()
                time.sleep(0.01)
                stream.write(content[1000:])

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    if kind == "silent writer":
        with pytest.raises(InvalidInputError, match="is not a plan"):
            Plan.load(path)
    else:
        assert Plan.load(path) == Plan.load(PLAN)
    thread.join(60)


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "link to a device"])
def test_a_folder_has_regular_files_only(tmp_path: Path, kind: str) -> None:
    """Others are neither read nor ignored nor written to."""
    folder = tmp_path / "folder" / "flags"
    folder.mkdir(parents=True)
    target = folder / "a.yaml" if kind == "pipe" else tmp_path / "pipe"
    if kind == "link to a device":
        target = Path("/dev/zero")
    else:
        os.mkfifo(target)
    if kind != "pipe":
        (folder / "a.yaml").symlink_to(target)
    with pytest.raises(InvalidManifestError, match=r"a\.yaml: cannot be read: not a regular file"):
        load(tmp_path / "folder")
    with pytest.raises(InvalidManifestError, match=r"a\.yaml: cannot be read: not a regular file"):
        save(MANIFEST, tmp_path / "folder")


@pytest.mark.parametrize("path", ["a\0b.json", "\ud800.json"], ids=["NUL", "half surrogate"])
async def test_what_cannot_be_a_path(client: AsyncExperimentClient, path: str) -> None:
    """It is rejected wherever a path is taken."""
    calls: list[Callable[[], object]] = [
        *(lambda reader=reader: reader(path) for name, reader in READERS.items() if name != "Emulator"),
        lambda: Plan.load(PLAN).save(path),
        lambda: client.bulk([], journal=path),
        lambda: client.apply(Plan.load(PLAN), journal=path),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError):
            call()
    for emulate in (Emulator, Emulator().save, Emulator().load):
        with pytest.raises(OSError, match="Invalid argument"):
            emulate(path)


async def test_a_name_that_is_too_long(read: Callable[[Any], object], client: AsyncExperimentClient) -> None:
    """It is an error of the library when reading, and of the system when writing."""
    path = "a" * 300 + ".json"
    with pytest.raises((AmpExpError, OSError), match=r"no such file or folder|File name too long"):
        read(path)
    with pytest.raises(InvalidInputError, match=r"cannot be opened \(File name too long"):
        await client.bulk([], journal=path)


def test_a_key_that_is_too_long_for_a_file(tmp_path: Path) -> None:
    """The error names the flag, and nothing is written."""
    manifest = Manifest(flags=[FlagSpec(key="k" * 300, project_id="1")])
    with pytest.raises(InvalidInputError, match=r'flags/"kkk.*needs a file name.*Save to one file') as caught:
        save(manifest, tmp_path / "folder")
    assert caught.value.argument == "manifest"
    assert not (tmp_path / "folder").exists()
    save(manifest, tmp_path / "flags.json")
    assert load(tmp_path / "flags.json").flags


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file of Linux")
async def test_a_journal_that_cannot_be_read(client: AsyncExperimentClient) -> None:
    """Some files of the system are regular, and cannot be read."""
    with pytest.raises(InvalidInputError, match="cannot be read"):
        await client.bulk([], journal="/proc/self/mem")
