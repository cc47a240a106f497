"""Charts of figures as SVG, readable on a light and on a dark background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple
from xml.sax.saxutils import escape

from .figures import Figure, format_quantity

_WIDTH, _LEFT, _RIGHT = 760, 270, 80
_BAR, _GAP, _TITLE = 18, 14, 22
_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.what { font-weight: 600 }
.name { text-anchor: end }
.ours { fill: #1f6feb }
.baseline { fill: #9aa4af }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .ours { fill: #58a6ff }
  .baseline { fill: #6e7681 }
}"""


class _Bar(NamedTuple):
    name: str
    style: str
    value: float
    text: str


def draw_chart(title: str, figures: Sequence[Figure]) -> str | None:
    """Return bars of quantities, ours and the baseline's under each other; None if no figure has quantities."""
    groups = [(figure.what, list(_bars(figure))) for figure in figures]
    groups = [(what, bars) for what, bars in groups if bars]
    if not groups:
        return None
    # Quantities of one figure can be compared. Without baselines, those of all figures can.
    shared = None if any(len(bars) > 1 for _, bars in groups) else max(bar.value for _, [bar] in groups)
    elements: list[str] = []
    y = 0
    for what, bars in groups:
        elements.append(f'<text class="what" x="0" y="{y + _TITLE - 8}">{escape(what)}</text>')
        y += _TITLE
        longest = shared or max(bar.value for bar in bars) or 1.0
        for bar in bars:
            elements += _draw(bar, y, bar.value / longest)
            y += _BAR
        y += _GAP
    size = f'width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}"'
    head = f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n</style>"
    body = "\n".join(elements)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n{head}\n{body}\n</svg>\n'


def _bars(figure: Figure) -> Iterator[_Bar]:
    quantities = [("amp_exp_async", "ours", figure.ours), (figure.against, "baseline", figure.baseline)]
    if not figure.baseline:
        quantities = [("", "ours", figure.values)] if figure.unit == "s" else []
    for name, style, values in quantities:
        value = median(values)
        yield _Bar(name, style, value, format_quantity(value, figure.quantity))


def _draw(bar: _Bar, y: int, length: float) -> Iterator[str]:
    width = max(1.0, length * (_WIDTH - _LEFT - _RIGHT))
    yield f'<text class="name" x="{_LEFT - 8}" y="{y + 13}">{escape(bar.name)}</text>'
    yield f'<rect class="{bar.style}" x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="{_BAR - 4}" rx="2"/>'
    yield f'<text x="{_LEFT + width + 6:.1f}" y="{y + 13}">{escape(bar.text)}</text>'
