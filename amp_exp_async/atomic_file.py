"""Atomic replacement of files. It knows nothing of the API, so the client and the emulator share it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".amp-exp-draft"
_ABANDONED_SECONDS = 3600.0  # no write takes that long: the process that made the draft was killed
_MAX_NAME = 40  # characters of the target's name in the draft's name, which may have 255 bytes
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def replace_file(path: Path, content: bytes, *, follow_link: bool = True) -> None:
    """Replace the content of a file, completely or not at all, also if the process is killed or the power fails.

    The file keeps its mode, and its draft never has a wider one. A device or pipe is written to directly.

    Args:
        path: the file. Its folder must exist.
        content: the new content.
        follow_link: whether to replace the target of a symbolic link, instead of the link.

    Raises:
        OSError: If the file cannot be written.
    """
    target = _target_of(path) if follow_link else path
    kind = _mode_of(target)
    if kind is not None and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind)):
        target.write_bytes(content)
        return
    mode = stat.S_IMODE(kind) if kind is not None and stat.S_ISREG(kind) else None
    draft = target.with_name(f".{target.name[:_MAX_NAME]}.{secrets.token_hex(8)}{_SUFFIX}")
    descriptor = os.open(draft, _FLAGS, 0o666 if mode is None else mode)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor has no path
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)  # what the umask took away
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def remove_abandoned_drafts(*files: Path) -> None:
    """Remove the drafts that killed processes left beside files an hour ago or earlier."""
    oldest = time.time() - _ABANDONED_SECONDS
    for folder in {_target_of(file).parent for file in files}:
        for draft in folder.glob(f".*{_SUFFIX}"):
            with suppress(OSError):
                if draft.lstat().st_mtime < oldest:
                    draft.unlink()


def _target_of(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def _mode_of(target: Path) -> int | None:
    with suppress(FileNotFoundError):
        return target.lstat().st_mode
    return None
