"""What a forked child must not do to its parent."""

from __future__ import annotations

import ctypes


def leak(thing: object) -> None:
    """Keep an object from ever being finalised, also at exit.

    A forked child shares the parent's epoll: finalising the parent's event loop or sockets in the child would
    unregister them in the parent too, which would then hang.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
