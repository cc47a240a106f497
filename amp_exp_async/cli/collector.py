"""Python's garbage collector, in the process of a command."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Let the garbage collector look for reference cycles rarely.

    A command may hold the objects of 100,000 flags, few of which are in cycles, until it ends. With Python's defaults,
    the collector would examine all of them again and again, which takes up to half of the time of a plan.
    """
    gc.set_threshold(50_000, 20, 100)
