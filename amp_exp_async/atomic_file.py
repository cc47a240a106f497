"""Atomic replacement of files. It knows nothing of the API, so the client and the emulator share it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

from .file_access import open_descriptor, open_for_writing

_SUFFIX = ".amp-exp-draft"
_ABANDONED_SECONDS = 3600.0  # no write takes that long: the process that made the draft was killed
_MAX_NAME = 40  # characters of the target's name in the draft's name, which may have 255 bytes
_NOT_REPLACEABLE = "a mount point, or in use, so it cannot be replaced; mount its folder instead of the file"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def replace_file(path: Path, content: bytes, *, follow_link: bool = True) -> None:
    """Replace the content of a file, completely or not at all, also if the process is killed or the power fails.

    The file keeps its mode, its owner and its group, and its draft never lets others read more. If the process may not
    keep the owner or the group, the file loses what its mode gave to them. Its other names (hard links) keep the old
    content.

    Args:
        path: the file. Its folder must exist.
        content: the new content.
        follow_link: whether to write to the target of a symbolic link, or to a device or pipe, as the user named it.
            Otherwise it is replaced.

    Raises:
        OSError: If the file cannot be written, also because the file that the user named is write-protected, or is a
            mount point or a folder. Its `filename` is the path.
    """
    try:
        _replace(path, content, follow_link=follow_link)
    except OSError as error:  # it names the draft, or no file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def _replace(path: Path, content: bytes, *, follow_link: bool) -> None:
    target = _target_of(path) if follow_link else path
    old = _stat(path, follow_link=follow_link)
    if old is not None and stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if old is not None and not stat.S_ISREG(old.st_mode):
        if follow_link:
            with open_for_writing(path) as stream:
                stream.write(content)
            return
        old = None
    if old is not None and follow_link:
        require_writable(target)
    draft = target.with_name(f".{target.name[:_MAX_NAME]}.{secrets.token_hex(8)}{_SUFFIX}")
    # Its group is not known yet, so only its owner may read it.
    descriptor = os.open(draft, _FLAGS, 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o600)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor has no path
            if old is not None and hasattr(os, "fchown"):
                _keep_owner_and_mode(descriptor, old)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        _rename(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def require_writable(file: Path) -> None:
    """Check that the process may write to a file, because renames and removals ask its folder only.

    Raises:
        OSError: If it may not.
    """
    os.close(open_descriptor(file, os.O_WRONLY))


def _rename(draft: Path, target: Path) -> None:
    try:
        draft.replace(target)
    except OSError as error:
        if error.errno in {errno.EBUSY, errno.EXDEV}:
            raise OSError(error.errno, _NOT_REPLACEABLE) from None
        raise


def _keep_owner_and_mode(descriptor: int, old: os.stat_result) -> None:
    """Give a draft the owner, the group and the mode of the file that it replaces."""
    for owner in (old.st_uid, -1):  # only root may give a file away, but its owner may choose another group of theirs
        with suppress(OSError):
            os.fchown(descriptor, owner, old.st_gid)
            break
    new, mode = os.fstat(descriptor), stat.S_IMODE(old.st_mode)
    if new.st_gid != old.st_gid:
        mode &= ~stat.S_IRWXG
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        mode &= ~(stat.S_ISUID | stat.S_ISGID)
    os.fchmod(descriptor, mode)  # also what the umask took away


def remove_abandoned_drafts(*files: Path) -> None:
    """Remove the drafts that killed processes left beside files an hour ago or earlier."""
    oldest = time.time() - _ABANDONED_SECONDS
    for folder in {_target_of(file).parent for file in files}:
        for draft in folder.glob(f".*{_SUFFIX}"):
            with suppress(OSError):
                if draft.lstat().st_mtime < oldest:
                    draft.unlink()


def _target_of(path: Path) -> Path:
    try:
        target = Path(os.path.realpath(path))
    except ValueError:  # a NUL, or a half surrogate
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path)) from None
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def _stat(path: Path, *, follow_link: bool) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return path.stat(follow_symlinks=follow_link)
    return None
