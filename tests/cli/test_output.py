"""Progress of bulk runs."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from rich.console import Console

from amp_exp_async import AddUsers, ExperimentClient, Progress, RetryPolicy
from amp_exp_async.cli import output
from amp_exp_async.emulator import Emulator, Fault
from tests.polling import wait_until


class FakeRun:
    """A run whose progress a test sets."""

    def __init__(self) -> None:
        self.looked = 0
        self.now = Progress(done=0, failed=0, total=None, rate=0.0, seconds_left=None)

    @property
    def progress(self) -> Progress:
        self.looked += 1
        return self.now

    def come_to(self, done: int, failed: int, total: int | None, left: float | None) -> None:
        """Set the progress, and wait until it was shown."""
        self.now = Progress(done=done, failed=failed, total=total, rate=98.4, seconds_left=left)
        before = self.looked
        wait_until(lambda: self.looked > before + 4)


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Avoid waiting ten seconds for a line."""
    monkeypatch.setattr(output, "_LOG_INTERVAL", 0.01)
    monkeypatch.setattr(output, "_REFRESH_INTERVAL", 0.01)
    return


def test_log_reporter() -> None:
    """In a pipe, lines without control characters are printed now and then, and at the end."""
    console, run = Console(file=io.StringIO(), width=40), FakeRun()
    with output.make_reporter(console, silent=False).watch("Editing [flags] of a project that has many", run):
        run.come_to(3, 0, None, None)
        run.come_to(10, 2, 20, 1.2)
        run.come_to(17, 3, 20, 0.0)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "\x1b" not in shown
    assert "Editing [flags] of a project that has many: 3, 98 a second in 0." in shown
    assert ": 12 of 20, 2 failed, 98 a second, 1 s left in 0." in shown
    assert shown.splitlines()[-1].startswith("Editing [flags] of a project that has many: 20 of 20, 3 failed in 0.")


def test_bar_reporter() -> None:
    """On a terminal, a bar has the counts, the rate and the time left."""
    console, run = Console(file=io.StringIO(), width=140, force_terminal=True), FakeRun()
    with output.make_reporter(console, silent=False).watch("Editing", run):
        run.come_to(3, 0, None, None)
        run.come_to(10, 2, 20, 1.2)
        wait_until(lambda: "98 a second, 1 s left" in str(getattr(console.file, "getvalue")()))  # noqa: B009
        run.come_to(17, 3, 20, 0.0)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "12/20" in shown
    at_the_end = shown[shown.rindex("20/20") :]
    assert ", 3 failed" in at_the_end
    assert "a second" not in at_the_end


@pytest.mark.parametrize("width", [60, 80, 120])
def test_counts_are_never_cut(width: int) -> None:
    """On any terminal, a bar has the whole title, counts, rate and remaining time."""
    console, run = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None), FakeRun()
    run.now = Progress(done=123, failed=2, total=4567, rate=98.4, seconds_left=3611.0)
    with output.make_reporter(console, silent=False).watch("Editing 4567 flags concurrently", run):
        wait_until(lambda: "3611" in str(getattr(console.file, "getvalue")()))  # noqa: B009
    assert isinstance(console.file, io.StringIO)
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", console.file.getvalue())
    words = shown.split()
    assert {"125/4567", "0:00:00", "Editing", "4567", "flags", "concurrently", "98", "3611"} <= set(words)
    assert "…" not in shown


def test_no_rate_before_it_is_known() -> None:
    """While the rate is not known, only counts are shown."""
    console, run = Console(file=io.StringIO(), width=140, force_terminal=True), FakeRun()
    with output.make_reporter(console, silent=False).watch("Editing", run):
        run.now = Progress(done=3, failed=0, total=20, rate=0.0, seconds_left=None)
        before = run.looked
        wait_until(lambda: run.looked > before + 4)
    assert isinstance(console.file, io.StringIO)
    assert "3/20" in console.file.getvalue()
    assert "second" not in console.file.getvalue()


def test_lines_end_with_their_last_cell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A row is not padded to the width of a column; blanks between columns stay, and empty cells before others."""
    monkeypatch.setenv("COLUMNS", "80")
    output.render_table(("id", "key", "name"), [("1", "k" * 9, ""), ("2", "", "n" * 9)], ("id", "key", "name"), {})
    assert capsys.readouterr().out.splitlines() == ["id  key        name", "1   kkkkkkkkk", "2              nnnnnnnnn"]


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_long_cells_are_wrapped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    """No ID, key or name is cut, however long it is: it is wrapped, or its column is named as left out."""
    monkeypatch.setenv("COLUMNS", str(width))
    columns = ["id", "key", "enabled", "name"]
    row = ["1" * 12, "k" * 80, "+++", "n" * 90]
    wrapped = {"key": output.KEY_WIDTH, "name": output.TEXT_WIDTH}
    hidden = output.render_table(columns, [row], columns, wrapped)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    assert [line for line in shown.splitlines() if line != line.rstrip()] == []
    for column, cell in zip(columns, row, strict=True):
        assert (column in hidden) or shown.count(cell[0]) >= len(cell)
    assert "id" not in hidden


def test_null_reporter() -> None:
    """With `--json`, nothing is shown and the progress is not read."""
    console, run = Console(file=io.StringIO()), FakeRun()
    with output.make_reporter(console, silent=True).watch("Editing", run):
        pass
    with output.make_reporter(console, silent=True).step("Counting", 3) as advance:
        advance(3)
    assert isinstance(console.file, io.StringIO)
    assert (console.file.getvalue(), run.looked) == ("", 0)


def test_run_that_raises() -> None:
    """The progress so far is shown."""
    console, run = Console(file=io.StringIO()), FakeRun()

    def interrupted() -> None:
        with output.make_reporter(console, silent=False).watch("Editing", run):
            run.come_to(3, 0, 5, None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[-1].startswith("Editing: 3 of 5 in")


def test_bulk_run() -> None:
    """A run of the blocking client is shown while it is carried out."""
    console = Console(file=io.StringIO())
    with Emulator() as emulator:
        ids = [emulator.state.add_flag()["id"] for _ in range(5)]
        emulator.inject(Fault.status(403), method="POST", path=f"/flags/{ids[1]}/*")
        with ExperimentClient(
            emulator.api_key, base_url=emulator.base_url, retry=RetryPolicy(backoff_base=0.0)
        ) as client:
            run = client.bulk([AddUsers("flags", id, "on", ["a"]) for id in ids])
            with output.make_reporter(console, silent=False).watch("Adding", run):
                run.wait()
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[-1].startswith("Adding: 5 of 5, 1 failed in")
