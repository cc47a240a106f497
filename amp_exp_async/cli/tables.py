"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_GAP = 2


def draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Sequence[str]:
    """Draw a table. Columns that there is no room for are left out from the right.

    Args:
        columns: the columns' names.
        rows: printable cells.

    Returns:
        The columns that were left out.
    """
    console = Console()
    fitting = max(1, room(columns, rows, console.width))
    table = Table(*columns[:fitting], box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row[:fitting]))
    console.print(table)
    return columns[fitting:]


def room(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> int:
    """How many columns there is room for, each as wide as its widest cell.

    Args:
        columns: the columns' names.
        rows: the cells.
        width: that of the terminal, in characters.
    """
    widths = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
    return sum(end - _GAP <= width for end in accumulate(own + _GAP for own in widths))
