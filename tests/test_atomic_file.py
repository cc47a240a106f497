"""Atomic writes: of every file that the package replaces."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from amp_exp_async import FlagSpec, InvalidInputError, Manifest, Plan, file_access, load, save
from amp_exp_async.atomic_file import remove_abandoned_drafts, replace_file
from amp_exp_async.emulator import Emulator
from amp_exp_async.formatting import format_os_error
from tests.manifests.privileges import file_modes_apply

MANIFEST = Manifest(flags=[FlagSpec(key="a", project_id="1")])
PLAN = Path(__file__).parent / "manifests" / "saved_plan.json"

WRITERS: dict[str, Callable[[Path], None]] = {
    "replace_file": lambda path: replace_file(path, b"{}"),
    "save": lambda path: save(MANIFEST, path),
    "Plan.save": lambda path: Plan.load(PLAN).save(path),
    "Emulator.save": lambda path: Emulator().save(path),
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """A function that writes a file."""
    return WRITERS[request.param]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name != ".amp-exp.schema.json")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666])
def test_the_mode_is_kept(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """The file keeps its mode, and only its owner can read the draft until it has the right group."""
    path = tmp_path / "file.json"
    path.write_text("{}")
    path.chmod(mode)
    modes: list[int] = []
    real_open = os.open

    def recorded_open(file: str | Path, flags: int, *args: int) -> int:
        descriptor = real_open(file, flags, *args)
        if flags & os.O_CREAT and "file.json" in str(file):
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", recorded_open)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert modes == [mode & 0o600]
    assert names(tmp_path) == ["file.json"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("mode", [0o640, 0o4755, 0o2750])
@pytest.mark.parametrize("may_give", [True, False], ids=["root", "another user"])
def test_the_owner_and_the_group_are_kept(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, may_give: bool
) -> None:
    """If they cannot be, no other group can read the file, and it does not run as another user."""
    path = tmp_path / "file.json"
    path.write_text("{}")
    os.chown(path, 1234, 5678)
    path.chmod(mode)

    def fail(*_: object) -> None:
        raise PermissionError

    if not may_give:
        monkeypatch.setattr(os, "fchown", fail)
    write(path)
    status = path.stat()
    if may_give:
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 5678, mode)
    else:
        assert (status.st_uid, status.st_gid) == (0, os.getegid())
        assert stat.S_IMODE(status.st_mode) == mode & 0o707


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can choose any group")
def test_the_group_is_kept_if_the_owner_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may choose another group of theirs."""
    path = tmp_path / "file.json"
    path.write_text("{}")
    os.chown(path, 1234, 5678)
    path.chmod(0o6640)
    real_fchown = os.fchown

    def fchown(descriptor: int, user: int, group: int) -> None:
        if user != -1:
            raise PermissionError
        real_fchown(descriptor, user, group)

    monkeypatch.setattr(os, "fchown", fchown)
    replace_file(path, b"{}")
    assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (5678, 0o640)


def test_a_new_file_has_the_mode_of_new_files(write: Callable[[Path], None], tmp_path: Path) -> None:
    """It is the one that the umask gives."""
    (tmp_path / "other.json").touch()
    write(tmp_path / "file.json")
    assert (tmp_path / "file.json").stat().st_mode == (tmp_path / "other.json").stat().st_mode


@pytest.mark.parametrize("exists", [True, False], ids=["existing target", "missing target"])
def test_a_link_is_kept(write: Callable[[Path], None], tmp_path: Path, exists: bool) -> None:
    """Its target is written, in the folder of the target."""
    if exists and write is WRITERS["save"]:
        save(Manifest(), tmp_path / "target.json")
    elif exists:
        (tmp_path / "target.json").write_text("old")
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "file.json"
    link.symlink_to("../target.json")
    write(link)
    assert link.readlink() == Path("../target.json")
    assert (tmp_path / "target.json").read_text() not in ("", "old")
    assert names(tmp_path) == ["links", "target.json"]


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    """It is not replaced by a file."""
    link = tmp_path / "file.json"
    link.symlink_to("file.json")
    with pytest.raises(OSError, match="symbolic links"):
        replace_file(link, b"{}")
    assert link.is_symlink()


def test_a_planted_link_is_not_followed(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the name of the draft could be guessed."""
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("precious")
    folder.mkdir()
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    for name in ("file.json", ".amp-exp.schema.json"):
        (folder / f".{name}.guessed.amp-exp-draft").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write(folder / "file.json")
    assert victim.read_text() == "precious"
    assert not (folder / "file.json").exists()


def test_a_linked_schema_is_not_followed(tmp_path: Path) -> None:
    """The JSON Schema beside a manifest replaces a link, which the user did not name."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".amp-exp.schema.json").symlink_to(victim)
    save(MANIFEST, tmp_path / "flags.json")
    assert victim.read_text() == "precious"
    assert not (tmp_path / ".amp-exp.schema.json").is_symlink()


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()], ids=["full disk", "Ctrl-C"])
def test_a_failure_leaves_the_old_file(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    """No draft remains."""
    path = tmp_path / "file.json"
    path.write_text("{}\n")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(type(error)):
        write(path)
    assert path.read_text() == "{}\n"
    assert names(tmp_path) == ["file.json"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV])
def test_a_mount_point_is_not_replaced(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The error names the file that the user passed, and says what to mount."""
    path = tmp_path / "file.json"
    path.write_text("{}\n")
    real_replace = Path.replace

    def replace(draft: Path, target: Path) -> Path:
        if target == path:
            raise OSError(number, os.strerror(number), str(draft), None, str(target))
        return real_replace(draft, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match=r"mount its folder instead of the file: '[^']*/file\.json'$") as caught:
        write(path)
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert format_os_error(caught.value).endswith("mount its folder instead of the file")
    assert path.read_text() == "{}\n"
    assert names(tmp_path) == ["file.json"]


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root can mount")
def test_a_file_that_is_mounted(write: Callable[[Path], None], tmp_path: Path) -> None:
    """As a single file is in a container."""
    source, path = tmp_path / "source.json", tmp_path / "file.json"
    source.write_text("{}\n")
    path.touch()
    if subprocess.run(["mount", "--bind", source, path], check=False, capture_output=True).returncode != 0:
        pytest.skip("this container cannot mount")
    try:
        with pytest.raises(OSError, match=r"mount its folder instead of the file: '[^']*/file\.json'$"):
            write(path)
    finally:
        subprocess.run(["umount", path], check=True)
    assert source.read_text() == "{}\n"
    assert names(tmp_path) == ["file.json", "source.json"]


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "save"])
def test_a_folder_is_not_replaced(tmp_path: Path, name: str) -> None:
    """The error names the folder that the user passed, through a link too. `save` writes files into it."""
    path = tmp_path / "folder.json"
    path.mkdir()
    (tmp_path / "link.json").symlink_to(path)
    for target in (path, tmp_path / "link.json"):
        with pytest.raises(IsADirectoryError) as caught:
            WRITERS[name](target)
        assert caught.value.filename == str(target)
    assert list(path.iterdir()) == []


def test_a_folder_in_place_of_the_schema(tmp_path: Path) -> None:
    """The error names it, although the user did not."""
    schema = tmp_path / ".amp-exp.schema.json"
    schema.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        save(MANIFEST, tmp_path / "flags.json")
    assert caught.value.filename == str(schema)


def test_a_write_protected_file_is_not_replaced(write: Callable[[Path], None], tmp_path: Path) -> None:
    """Its folder would allow it. A link to it does not help."""
    path = tmp_path / "file.json"
    path.write_text("{}\n")
    path.chmod(0o444)
    (tmp_path / "link.json").symlink_to(path)
    for target in (path, tmp_path / "link.json"):
        with file_modes_apply(), pytest.raises(PermissionError, match="Permission denied") as caught:
            write(target)
        assert caught.value.filename == str(target)
    assert path.read_text() == "{}\n"
    assert names(tmp_path) == ["file.json", "link.json"]


def test_a_write_protected_file_is_not_removed(tmp_path: Path) -> None:
    """From a folder whose manifest no longer has its flag."""
    save(MANIFEST, tmp_path)
    [file] = (tmp_path / "flags").iterdir()
    file.chmod(0o444)
    with file_modes_apply(), pytest.raises(PermissionError) as caught:
        save(Manifest(flags=[]), tmp_path)
    assert caught.value.filename == str(file)
    assert file.exists()


def test_a_write_protected_schema_is_replaced(tmp_path: Path) -> None:
    """Its content is the library's, and another user may have written it."""
    schema = tmp_path / ".amp-exp.schema.json"
    schema.write_text("old")
    schema.chmod(0o444)
    with file_modes_apply():
        save(MANIFEST, tmp_path / "flags.json")
    assert schema.read_text() != "old"


def test_a_hard_link_is_detached(write: Callable[[Path], None], tmp_path: Path) -> None:
    """The other name keeps the old content."""
    (tmp_path / "other.json").write_text("{}\n")
    path = tmp_path / "file.json"
    path.hardlink_to(tmp_path / "other.json")
    write(path)
    assert (tmp_path / "other.json").read_text() == "{}\n"
    assert path.stat().st_nlink == 1


def test_a_full_disk(write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the file, which the system does not."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path / "file.json")
    assert caught.value.filename in {str(tmp_path / name) for name in ("file.json", ".amp-exp.schema.json")}


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "save"])
def test_a_missing_folder(tmp_path: Path, name: str) -> None:
    """The error names the file, not its draft. `save` creates the folder."""
    path = tmp_path / "missing" / "file.json"
    with pytest.raises(FileNotFoundError) as caught:
        WRITERS[name](path)
    assert caught.value.filename == str(path)


def test_drafts_of_killed_processes_are_removed(write: Callable[[Path], None], tmp_path: Path) -> None:
    """Old ones: a recent one may belong to a process that is writing."""
    program = (
        "import os, pathlib, sys; from amp_exp_async.atomic_file import replace_file\n"
        "os.fsync = lambda _: os.kill(os.getpid(), 9)\n"
        "replace_file(pathlib.Path(sys.argv[1]), b'{}')"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program, tmp_path / "killed.json"], check=False)
    old, recent = tmp_path.iterdir()
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    if write is WRITERS["replace_file"]:
        remove_abandoned_drafts(tmp_path / "file.json")
    write(tmp_path / "file.json")
    assert names(tmp_path) == sorted([recent.name, "file.json"])


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """A file that is not regular is not replaced."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    replace_file(pipe, b"content")
    reader.join(60)
    assert received == [b"content"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    remove_abandoned_drafts(pipe)


def test_a_pipe_that_no_process_reads(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error, soon."""
    monkeypatch.setattr(file_access, "_PEER_TIMEOUT", 0.02)
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises((OSError, InvalidInputError), match="a pipe that no process"):
        write(pipe)


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/full")], ids=["pipe", "link to a device"]
)
def test_a_planted_schema_is_replaced(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """The user did not name it."""
    make(tmp_path / ".amp-exp.schema.json")
    save(MANIFEST, tmp_path / "flags.json")
    assert stat.S_ISREG((tmp_path / ".amp-exp.schema.json").lstat().st_mode)


def test_a_long_name(tmp_path: Path) -> None:
    """The draft's name fits, whatever the length of the file's."""
    path = tmp_path / ("ä" * 127)
    replace_file(path, b"{}")
    assert path.read_bytes() == b"{}"


@pytest.mark.parametrize("linked", ["flags", "1", "1/flags"])
def test_a_folder_is_not_saved_through_a_linked_folder(tmp_path: Path, linked: str) -> None:
    """`load` would not read it. A link to the whole folder is followed by both."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / linked).parent.mkdir(exist_ok=True)
    (folder / linked).symlink_to(outside)
    manifest = Manifest(flags=[FlagSpec(key="a", project_id=id) for id in ("1", "2")[: 1 if linked == "flags" else 2]])
    with pytest.raises(InvalidInputError, match="which load does not read") as caught:
        save(manifest, folder)
    assert caught.value.argument == "path"
    assert list(outside.iterdir()) == []

    (tmp_path / "link").symlink_to(outside)
    save(manifest, tmp_path / "link")
    assert load(tmp_path / "link") == load(outside) == manifest
