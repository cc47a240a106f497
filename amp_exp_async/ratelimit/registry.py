"""Which clients wait in one line: those of this process that use the same key on the same host."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import weakref

from amp_exp_async.config import Endpoint

from .line import Line

_lock = threading.Lock()
_lines: weakref.WeakValueDictionary[tuple[str, bytes], Line] = weakref.WeakValueDictionary()


def get_shared_limiter(endpoint: Endpoint) -> Line:
    """The line for an endpoint's key and host, kept for as long as a client has a place there."""
    name = endpoint.base_url, hashlib.sha256(endpoint.key.reveal().encode()).digest()
    with _lock:
        line = _lines.get(name)
        if line is None:
            line = _lines[name] = Line(time.time, shared=True)
        return line


def _after_fork() -> None:
    # Another thread may have held the lock. The lines have started anew by themselves.
    global _lock  # noqa: PLW0603 - a lock cannot be made free otherwise
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
