"""Output: values as text and as JSON, tables, and progress."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard

import attrs

import amp_exp_async

from .status_line import STATUS_LINE, repeating

if TYPE_CHECKING:  # importing rich takes longer than showing a help page
    from rich.console import Console
    from rich.progress import Progress as ProgressDisplay
    from rich.segment import Segment

Advance: TypeAlias = Callable[[int], None]

_COLUMN_GAP = 2
KEY_WIDTH = 32
"""The width below which a key is not wrapped, so that most keys stay in one piece."""

TEXT_WIDTH = 16
"""The width below which text is not wrapped."""

_PLAIN = re.compile(r"[A-Za-z_][\w./@-]*(?: [\w./@-]+)*", re.ASCII)
_YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
_MIN_BAR_TERMINAL = 80
_REFRESH_INTERVAL = 0.1
_LOG_INTERVAL = 10.0  # seconds; a log needs a sign of life, not every step


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a value is a JSON object."""
    return isinstance(value, dict)


def is_model(value: object) -> TypeGuard[attrs.AttrsInstance]:
    """Return whether a value is an instance of an attrs class."""
    return attrs.has(type(value))


def is_array(value: object) -> TypeGuard[Sequence[Any]]:
    """Return whether a value is a list or tuple."""
    return isinstance(value, list | tuple)


def to_json(value: Any) -> Any:
    """Return a model, or anything made of models, as plain JSON with the library's field names.

    Fields that are `UNSET` are left out. Fields that the library does not know are under `extra`.
    """
    if is_model(value):
        fields = attrs.asdict(value, recurse=False)
        known = {
            name: item for name, item in fields.items() if item is not amp_exp_async.UNSET and (item or name != "extra")
        }
        return {name: to_json(item) for name, item in known.items()}
    if is_array(value):
        return [to_json(item) for item in value]
    return amp_exp_async.to_json(value)


def printable(value: object) -> str:
    """Return the text of a value on one line: escapes replace characters that control a terminal or split cells."""
    return "".join(character if character.isprintable() else _escape(character) for character in str(value))


def _escape(character: str) -> str:
    escaped = json.dumps(character)[1:-1]
    return escaped if escaped != character else f"\\u{ord(character):04x}"  # json leaves U+007F


def printable_lines(text: str) -> str:
    """Return a text whose lines are printable."""
    return "\n".join(map(printable, text.split("\n")))


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun: `1 request`, `2 requests`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_value(value: Any) -> str:
    """Return a plain value as JSON on one line."""
    return printable(json.dumps(value, ensure_ascii=False))


def format_cell(value: Any) -> str:
    """Return a value for a table; empty text for null and for a field that the service did not send."""
    if value is None or value is amp_exp_async.UNSET:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_array(value):
        return ",".join(map(format_cell, value))
    return f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "strftime") else str(value)


def format_fields(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield plain fields as lines of YAML; the content of an object or list of objects is indented below its name."""
    for key, value in fields.items():
        name = _format_scalar(key)
        if name == "payload":
            yield f"{name}: {format_value(value)}"
        elif is_object(value) and value:
            yield f"{name}:"
            yield from (f"  {line}" for line in format_fields(value))
        elif is_array(value) and any(map(is_object, value)):
            yield f"{name}:"
            for item in value:
                first, *others = format_fields(item) if is_object(item) and item else [_format_scalar(item)]
                yield f"  - {first}"
                yield from (f"    {line}" for line in others)
        else:
            yield f"{name}: {_format_scalar(value)}"


def _format_scalar(value: Any) -> str:
    """Return a value as JSON, or without quotes if every reader of YAML takes it for the same string."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.casefold() not in _YAML_WORDS:
        return value
    return format_value(value)


def render_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], importance: Sequence[str], wrapped: Mapping[str, int]
) -> Sequence[str]:
    """Print a table on the terminal, and return the columns that did not fit.

    Args:
        columns: the columns' names.
        rows: printable cells.
        importance: the columns, the most important one first.
        wrapped: the columns whose text may be wrapped, and the least width of each.
    """
    from rich.console import Console  # noqa: PLC0415 - help and completion do not need it
    from rich.segment import Segment, Segments  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    widths = fit_columns(columns, rows, console.width, importance, wrapped)
    table = Table(box=None, pad_edge=False, padding=(0, _COLUMN_GAP, 0, 0), collapse_padding=True)
    for column, width in widths.items():
        table.add_column(column, width=width, overflow="fold")
    kept = [columns.index(column) for column in widths]
    for row in rows:
        table.add_row(*(Text(row[index]) for index in kept))
    for line in console.render_lines(table, pad=False):
        console.print(Segments([*_without_padding(line), Segment.line()]))
    return [column for column in columns if column not in widths]


def _without_padding(line: Sequence[Segment]) -> list[Segment]:
    """Return a line without the blanks at its end, which a terminal would copy, and would wrap if it is narrowed."""
    kept = list(line)
    while kept and not kept[-1].text.strip():
        del kept[-1]
    if kept:
        kept[-1] = kept[-1]._replace(text=kept[-1].text.rstrip())
    return kept


def fit_columns(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    importance: Sequence[str],
    wrapped: Mapping[str, int],
) -> dict[str, int]:
    """Return the columns that fit into a width, in their order, with the width of each.

    The most important column is always kept. Each other one is kept if there is room: for a column that is wrapped, its
    least width; for any other, its widest cell. What room is left goes to the wrapped columns, by importance.

    Args:
        columns: the columns' names.
        rows: printable cells.
        width: the width.
        importance: the columns, the most important one first.
        wrapped: the columns whose text may be wrapped, and the least width of each.
    """
    from rich.cells import cell_len  # noqa: PLC0415 - help and completion do not need it

    cells = zip(columns, *rows, strict=True)
    natural = {column[0]: max(map(cell_len, column)) for column in cells}
    room = width + _COLUMN_GAP
    widths: dict[str, int] = {}
    for column in importance:
        least = max(cell_len(column), min(natural[column], wrapped.get(column, natural[column])))
        if least + _COLUMN_GAP <= room or not widths:
            widths[column] = min(least, width)
            room -= widths[column] + _COLUMN_GAP
    for column in importance:
        if column in widths:
            extra = max(0, min(natural[column] - widths[column], room))
            widths[column] += extra
            room -= extra
    return {column: widths[column] for column in columns if column in widths}


class WatchedRun(Protocol):
    """A run whose progress is shown: an `AsyncBulkRun` or a `BulkRun`."""

    @property
    def progress(self) -> amp_exp_async.Progress:
        """How far the run is; read from another thread."""
        ...


class Reporter(Protocol):
    """A display of the progress of one step after the other."""

    def step(self, title: str, total: int | None) -> AbstractContextManager[Advance]:
        """Show a step that the caller counts.

        Args:
            title: the name of the step.
            total: the final count; None if it is not known.

        Returns:
            A context manager that gives the function to count with.
        """
        ...

    def watch(self, title: str, run: WatchedRun) -> AbstractContextManager[None]:
        """Show a bulk run while it is iterated or awaited in the block.

        Args:
            title: the name of the step.
            run: the run.
        """
        ...


def make_console(*, stderr: bool = False) -> Console:
    """Return the console of standard output, or of standard error."""
    from rich.console import Console  # noqa: PLC0415 - help and completion do not need it

    class TolerantConsole(Console):
        """A console that prints nothing more when its reader is gone."""

        def on_broken_pipe(self) -> None:
            self.quiet = True

    return TolerantConsole(stderr=stderr)


def make_reporter(console: Console, *, silent: bool, transient: bool = False) -> Reporter:
    """Return the reporter for a console: bars on a terminal, lines elsewhere.

    Args:
        console: the console.
        silent: whether to show nothing.
        transient: whether to remove bars at the end.
    """
    if silent:
        return NullReporter()
    return BarReporter(console, transient=transient) if console.is_terminal else LogReporter(console)


class NullReporter:
    """A reporter that shows nothing."""

    @contextmanager
    def step(self, title: str, total: int | None) -> Generator[Advance, None, None]:  # noqa: ARG002 - the protocol's
        """See `Reporter.step`."""
        yield lambda _: None

    @contextmanager
    def watch(self, title: str, run: WatchedRun) -> Generator[None, None, None]:  # noqa: ARG002 - the protocol's
        """See `Reporter.watch`."""
        yield


class LogReporter:
    """A reporter that prints lines without control characters."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, title: str, total: int | None) -> Generator[Advance, None, None]:
        """See `Reporter.step`."""
        counts: list[int] = []
        started = time.monotonic()
        yield counts.append
        self._print(title, _format_count(sum(counts), total), started)

    @contextmanager
    def watch(self, title: str, run: WatchedRun) -> Generator[None, None, None]:
        """See `Reporter.watch`."""
        started = time.monotonic()

        def show() -> None:
            progress = run.progress
            self._print(title, f"{_format_progress(progress)}{_format_rate(progress)}", started)

        try:
            with repeating(_LOG_INTERVAL, show):
                yield
        finally:
            self._print(title, _format_progress(run.progress), started)

    def _print(self, title: str, count: str, started: float) -> None:
        line = f"{title}: {count} in {time.monotonic() - started:.2f} s"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class BarReporter:
    """A reporter that draws bars on a terminal."""

    def __init__(self, console: Console, *, transient: bool) -> None:
        self._console = console
        self._transient = transient

    @contextmanager
    def step(self, title: str, total: int | None) -> Generator[Advance, None, None]:
        """See `Reporter.step`."""
        with self._display() as display:
            task = display.add_task(title, total=total, note="")
            yield lambda count: display.advance(task, count)
            if total is None:
                display.update(task, total=display.tasks[task].completed)

    @contextmanager
    def watch(self, title: str, run: WatchedRun) -> Generator[None, None, None]:
        """See `Reporter.watch`."""
        with self._display() as display:
            task = display.add_task(title, total=run.progress.total, note="")

            def show(*, is_finished: bool = False) -> None:
                progress = run.progress
                note = _format_failed(progress) + ("" if is_finished else _format_rate(progress))
                display.update(task, completed=progress.done + progress.failed, total=progress.total, note=note)

            try:
                with repeating(_REFRESH_INTERVAL, show):
                    yield
            finally:
                show(is_finished=True)

    @contextmanager
    def _display(self) -> Generator[ProgressDisplay, None, None]:
        """Show the display in the block. A narrow terminal gets no bar, and a wrapped title: counts are never cut."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - help and completion do not need it
        from rich.table import Column  # noqa: PLC0415

        width = self._console.width
        bar = [BarColumn(bar_width=(width - 60) // 2)] if width >= _MIN_BAR_TERMINAL else []
        display = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold")),
            *bar,
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=self._transient,
        )
        with STATUS_LINE.suspended(), display:
            yield display


def _format_count(count: int, total: int | None) -> str:
    return f"{count}" if total is None else f"{count} of {total}"


def _format_progress(progress: amp_exp_async.Progress) -> str:
    return _format_count(progress.done + progress.failed, progress.total) + _format_failed(progress)


def _format_failed(progress: amp_exp_async.Progress) -> str:
    return f", {progress.failed} failed" if progress.failed else ""


def _format_rate(progress: amp_exp_async.Progress) -> str:
    """Return the rate and the remaining time; empty text while they are not known."""
    left = progress.seconds_left
    if not progress.rate:
        return ""
    return f", {progress.rate:.0f} a second" + ("" if left is None else f", {left:.0f} s left")
