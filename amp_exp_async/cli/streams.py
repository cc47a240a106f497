"""The standard streams of the process, and reading of streams that may not end."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import BinaryIO

MAX_BYTES = 64 * 1024**2


def prepare_streams() -> None:
    """Let the standard streams be as commands expect them.

    Standard input that the caller closed (`<&-`) reads as empty, and standard error discards what is written. Standard
    output cannot be written, because a command whose output is lost has not succeeded. Output is UTF-8 whatever the
    locale is, because files are; half a surrogate pair does not end a command half-way.
    """
    flags = {"stdin": os.O_RDONLY, "stdout": os.O_RDONLY, "stderr": os.O_WRONLY}
    for name, flag in flags.items():
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(os.open(os.devnull, flag), mode, encoding="utf-8"))  # open until exit
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def is_closed(error: OSError) -> bool:
    """Return whether output failed because its reader is gone, or because the caller closed it."""
    return error.errno in {errno.EPIPE, errno.EBADF}


def read_bounded(stream: BinaryIO) -> bytes:
    """Return what a stream contains.

    Raises:
        OSError: If it cannot be read, or has more than `MAX_BYTES` bytes.
    """
    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(f"more than {MAX_BYTES // 1024**2} MiB")
    return content


def discard_stdout() -> None:
    """Send standard output to the null device, because its reader is gone; also the text that is still buffered."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
