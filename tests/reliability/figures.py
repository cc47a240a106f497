"""The figures that tests measure, and how they reach the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import frozen

Combine = Literal["sum", "max"]
PREFIX = "figure:"
"""Begins the names of the properties in a JUnit report that are figures."""


@frozen
class Figures:
    """The figures of one test. The report combines those with one name.

    Args:
        record: writes a property of the test.
        area: the part of the harness, such as "Fault matrix".
    """

    _record: Callable[[str, object], None]
    _area: str

    def count(self, name: str, number: int = 1) -> None:
        """Add to a count."""
        self._write("sum", name, number)

    def peak(self, name: str, value: float) -> None:
        """Record a value of which the report shows the highest."""
        self._write("max", name, value)

    def _write(self, combine: Combine, name: str, value: float) -> None:
        self._record(f"{PREFIX}{combine}:{self._area}:{name}", value)
