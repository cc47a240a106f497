"""Protection of a parent process from its forked children."""

from __future__ import annotations

import ctypes


def leak(item: object) -> None:
    """Keep an object from ever being finalised, even at exit.

    A forked child shares the parent's epoll. If it finalised the parent's event loop or sockets, it would unregister
    them in the parent too, which would then hang.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(item))
