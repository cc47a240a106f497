"""Figures: the rows that a benchmark reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from .measurement import Timing

_SCALES = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((1e6, "MB"), (1e3, "KB"), (1.0, "B")),
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured figure.

    Attributes:
        what: the subject.
        measure: what the value is, and whether more or less of it is better.
        values: the value of each round.
        unit: `s`, `B`, `%`, or empty for a number.
        wall: the value of each round by wall-clock time instead of processor time; empty if it is not about time.
        ours: the quantities of each round that a ratio is made of.
        baseline: the same for the baseline.
        against: the name of the baseline.
        quantity: the unit of `ours` and `baseline`.
    """

    what: str
    measure: str
    values: Sequence[float]
    unit: str = ""
    wall: Sequence[float] = ()
    ours: Sequence[float] = ()
    baseline: Sequence[float] = ()
    against: str = ""
    quantity: str = "s"

    @property
    def value(self) -> float:
        """The median of the rounds, which a disturbance of some rounds affects little."""
        return median(self.values)

    @property
    def middle_half(self) -> tuple[float, float]:
        """The quartiles of the rounds."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return low, high

    def texts(self) -> dict[str, str]:
        """Return the cells of this row, by the title of their column."""
        low, high = (format_quantity(value, self.unit) for value in self.middle_half)
        return {
            "what": self.what,
            "measured as": self.measure,
            "median": format_quantity(self.value, self.unit),
            "middle half": f"{low} to {high}" if len(self.values) > 1 else "",
            "by wall clock": format_quantity(median(self.wall), self.unit) if self.wall else "",
            "ours": format_quantity(median(self.ours), self.quantity) if self.ours else "",
            "baseline": format_quantity(median(self.baseline), self.quantity) if self.baseline else "",
        }

    def as_dict(self) -> dict[str, object]:
        """Return the figure as a JSON object."""
        return {
            "what": self.what,
            "measured_as": self.measure,
            "value": self.value,
            "unit": self.unit,
            "middle_half": self.middle_half,
            "by_wall_clock": median(self.wall) if self.wall else None,
            "ours": median(self.ours) if self.ours else None,
            "baseline": median(self.baseline) if self.baseline else None,
            "against": self.against or None,
            "quantity": self.quantity,
            "rounds": len(self.values),
        }


def share(what: str, against: str, pairs: Sequence[tuple[Timing, Timing]]) -> Figure:
    """Return our speed as a share of the baseline's: above 1 we take less processor time."""
    return Figure(
        what=what,
        measure=f"speed ÷ {against}",
        values=[baseline.cpu / ours.cpu for ours, baseline in pairs],
        wall=[baseline.wall / ours.wall for ours, baseline in pairs],
        ours=[ours.cpu for ours, _ in pairs],
        baseline=[baseline.cpu for _, baseline in pairs],
        against=against,
    )


def ratio(what: str, against: str, pairs: Sequence[tuple[Timing, Timing]]) -> Figure:
    """Return our processor time divided by the baseline's: below 1 we take less."""
    return Figure(
        what=what,
        measure=f"CPU ÷ {against}",
        values=[ours.cpu / baseline.cpu for ours, baseline in pairs],
        wall=[ours.wall / baseline.wall for ours, baseline in pairs],
        ours=[ours.cpu for ours, _ in pairs],
        baseline=[baseline.cpu for _, baseline in pairs],
        against=against,
    )


def seconds(what: str, timings: Sequence[Timing]) -> Figure:
    """Return the processor time of work that has no baseline."""
    return Figure(
        what=what,
        measure="CPU",
        values=[timing.cpu for timing in timings],
        unit="s",
        wall=[timing.wall for timing in timings],
    )


def format_quantity(value: float, unit: str) -> str:
    """Return a quantity with three digits or two decimals, and its unit. Counts are whole, and shares in percent."""
    if isinstance(value, int):
        return f"{value:,} {unit}".rstrip()
    if unit == "%":
        return f"{value:.1%}".replace("%", " %")
    scales = _SCALES.get(unit, ((1.0, unit),))
    size, name = next((scale for scale in scales if abs(value) >= scale[0]), scales[-1])
    scaled = value / size
    digits = max(0, 3 - len(str(int(abs(scaled)))))
    return f"{scaled:,.{digits}f} {name}".rstrip()
