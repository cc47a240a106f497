"""Comparison of two candidates in alternating rounds, printed as text or as JSON."""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median, quantiles
from typing import NamedTuple, TypeVar

T = TypeVar("T")

_SCALES = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((1e6, "MB"), (1e3, "KB"), (1.0, "B")),
    "": ((1.0, ""),),
}


class Timing(NamedTuple):
    """Seconds of processor and wall-clock time."""

    cpu: float
    wall: float


def timed(work: Callable[[], object], times: int = 1) -> Timing:
    """Return the time of the work per repetition; earlier garbage is collected before."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    timing = Timing((time.process_time() - cpu) / times, (time.perf_counter() - wall) / times)
    del result
    return timing


def alternate(ours: Callable[[], T], baseline: Callable[[], T], rounds: int) -> list[tuple[T, T]]:
    """Run both candidates in each round, in alternating order, after a round that does not count."""
    pairs: list[tuple[T, T]] = []
    for number in range(rounds + 1):
        if number % 2:
            first = ours()
            pairs.append((first, baseline()))
        else:
            second = baseline()
            pairs.append((ours(), second))
    return pairs[1:]


@dataclass(frozen=True)
class Comparison:
    """The figures of both candidates.

    Attributes:
        name: the subject and the baseline.
        pairs: our figure and the baseline's for each round.
        unit: `s`, `B`, or empty for a number.
    """

    name: str
    pairs: list[tuple[float, float]]
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios, which a disturbance of a whole round affects little."""
        return median(ours / baseline for ours, baseline in self.pairs)

    @property
    def difference(self) -> float:
        """The median of the rounds' differences."""
        return median(ours - baseline for ours, baseline in self.pairs)

    @property
    def middle_half(self) -> tuple[float, float]:
        """The quartiles of the rounds' ratios."""
        ratios = [ours / baseline for ours, baseline in self.pairs]
        low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
        return low, high

    def __str__(self) -> str:
        ours, baseline = (self._format(median(side)) for side in zip(*self.pairs, strict=True))
        low, high = self.middle_half
        return (
            f"{self.name}: ratio {self.ratio:.2f} (ours {ours}, baseline {baseline}, difference "
            f"{self._format(self.difference)}, {len(self.pairs)} rounds, middle half {low:.2f} to {high:.2f})"
        )

    def as_dict(self) -> dict[str, object]:
        """Return the figures as a JSON object."""
        ours, baseline = (median(side) for side in zip(*self.pairs, strict=True))
        low, high = self.middle_half
        return {
            "name": self.name,
            "unit": self.unit,
            "ratio": self.ratio,
            "middle_half": [low, high],
            "ours": ours,
            "baseline": baseline,
            "difference": self.difference,
            "rounds": len(self.pairs),
        }

    def _format(self, value: float) -> str:
        scales = _SCALES[self.unit]
        size, name = next((scale for scale in scales if abs(value) >= scale[0]), scales[-1])
        return f"{value / size:.3g} {name}".rstrip()


def cpu_and_wall(name: str, pairs: list[tuple[Timing, Timing]]) -> Iterable[Comparison]:
    """Yield the comparisons of the CPU time and of the wall-clock time."""
    yield Comparison(f"{name}, CPU", [(ours.cpu, baseline.cpu) for ours, baseline in pairs])
    yield Comparison(f"{name}, wall", [(ours.wall, baseline.wall) for ours, baseline in pairs])


def arguments(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds of each comparison (default {rounds})")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    return parser


def show(comparison: Comparison, *, as_json: bool) -> None:
    """Print a comparison."""
    print(json.dumps(comparison.as_dict()) if as_json else comparison, flush=True)
