"""Opening and reading of files that others may have put in place: nothing hangs on a pipe, or is read without a bound.

It knows nothing of the API, so the client and the emulator share it.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import time
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_STREAM = 64 * 1024**2
"""The bytes or characters that are read of a device, a pipe or a terminal."""

_PEER_TIMEOUT = 2.0  # seconds for another process to open the other end of a pipe
_RETRY_INTERVAL = 0.01
_SAFE_FLAGS = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)  # opening a terminal does not make it the process's own
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe does not wait for its other end
    | getattr(os, "O_BINARY", 0)
)


def open_descriptor(path: str | os.PathLike[str], flags: int, mode: int = 0o666) -> int:
    """Open a file in non-blocking mode, without waiting.

    Raises:
        OSError: If it cannot be opened, or the path cannot be one.
    """
    try:
        return os.open(path, flags | _SAFE_FLAGS, mode)
    except ValueError as error:  # a NUL, or a half surrogate
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), os.fspath(path)) from error


def open_file(path: str | os.PathLike[str], *, only_regular: bool = False) -> BinaryIO:
    """Open a file for reading. Reading waits for the writer of a pipe, but not for one that never comes.

    Args:
        path: the file.
        only_regular: whether to reject devices, pipes and terminals, as fits files that the user did not name.

    Raises:
        OSError: If it cannot be opened.
    """
    descriptor = open_descriptor(path, os.O_RDONLY)
    try:
        mode = _checked_mode(descriptor, path, only_regular=only_regular)
        if stat.S_ISFIFO(mode):
            return cast("BinaryIO", io.BufferedReader(_PipeReader(descriptor)))
        return _open_blocking(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_for_writing(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a device or pipe for writing, without waiting for a reader that never comes.

    Raises:
        OSError: If it cannot be opened.
    """
    deadline = time.monotonic() + _PEER_TIMEOUT
    while True:
        try:
            descriptor = open_descriptor(path, os.O_WRONLY)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:  # no process has it open for reading
                raise
            if time.monotonic() >= deadline:
                raise OSError(error.errno, "a pipe that no process reads", os.fspath(path)) from None
        time.sleep(_RETRY_INTERVAL)
    try:
        return _open_blocking(descriptor, "wb")
    except BaseException:
        os.close(descriptor)
        raise


def _checked_mode(descriptor: int, path: str | os.PathLike[str], *, only_regular: bool) -> int:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if only_regular and not stat.S_ISREG(mode):
        raise OSError("not a regular file")
    return mode


def _open_blocking(descriptor: int, mode: Literal["rb", "wb"]) -> BinaryIO:
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return open(descriptor, mode)


def read_file(path: str | os.PathLike[str], *, only_regular: bool = False) -> bytes:
    """Return the content of a file, of which a device, a pipe or a terminal has at most `MAX_STREAM` bytes.

    Args:
        path: the file.
        only_regular: whether to reject devices, pipes and terminals, as fits files that the user did not name.

    Raises:
        OSError: If it cannot be read.
    """
    with open_file(path, only_regular=only_regular) as stream:
        if is_regular(stream):
            return stream.read()
        content = stream.read(MAX_STREAM + 1)
    if len(content) > MAX_STREAM:
        raise too_large()
    return content


def read_text_stream(stream: io.TextIOBase) -> str:
    """Return the text of an open file, of which a device, a pipe or a terminal has at most `MAX_STREAM` characters.

    Raises:
        OSError: If it has more.
    """
    try:
        is_endless = not is_regular(stream)
    except OSError:  # a text in memory
        is_endless = False
    text = stream.read(MAX_STREAM + 1 if is_endless else -1)
    if is_endless and len(text) > MAX_STREAM:
        raise too_large()
    return text


def too_large() -> OSError:
    """Return the error about a stream that may be endless."""
    return OSError(f"more than {MAX_STREAM // 1024**2} MiB, and not a regular file")


def is_regular(stream: io.TextIOBase | BinaryIO) -> bool:
    """Return whether an open file is neither a device nor a pipe nor a terminal.

    Raises:
        OSError: If it is not a file of the system.
    """
    return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)


def exists(path: str | os.PathLike[str]) -> bool:
    """Return whether a path leads to something; not if it cannot be a path, for which `Path.exists` raises."""
    return os.path.exists(path)  # noqa: PTH110 - see the docstring


class _PipeReader(io.RawIOBase):
    """The reading end of a pipe. It waits for data as long as a process may write some."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._had_writer = False

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read what there is, or wait for it.

        Raises:
            OSError: If no process opens the pipe to write to it.
        """
        has_waited = False
        while True:
            try:
                count = os.readv(self._descriptor, [buffer])
            except BlockingIOError:  # it has a writer
                self._had_writer = True
                self._poll(None)
                continue
            # Without a writer, a pipe is at its end: before the first one, and after the last.
            if count or self._had_writer:
                self._had_writer = True
                return count
            if has_waited:
                raise OSError("a pipe that no process writes to")
            self._had_writer = self._poll(_PEER_TIMEOUT)  # false also for a writer that has not written yet
            has_waited = True

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def _poll(self, seconds: float | None) -> bool:
        """Wait until there is data, or the last writer has closed the pipe; return whether that is so."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))
