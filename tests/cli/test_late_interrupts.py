"""Signals that come when a command has done all that it had to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import ExperimentClient
from amp_exp_async.cli import inclusions, interrupt, plan
from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand

pytestmark = pytest.mark.usefixtures("raising_signals")

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def press_after(function: Callable[..., Any], number: signal.Signals) -> Callable[..., Any]:
    """Return a function that ends with a signal to this process."""

    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        finally:
            os.kill(os.getpid(), number)

    return call


@pytest.fixture(params=SIGNALS, ids=lambda number: number.name)
def late(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Send a signal after each bulk run, before it is reported, and return the exit status for the signal."""
    for module in (inclusions, plan):
        monkeypatch.setattr(module, "run_interruptibly", press_after(interrupt.run_interruptibly, request.param))
    return SIGNALS[request.param]


def test_ids(account: Emulator, users: RunCommand, late: int) -> None:
    """All IDs were added, and the summary says so; the exit status tells the signal."""
    text = users("add", "a\nb", "--yes")
    document = users("add", "c", "--yes", "--json").json
    assert (text.status, text.err) == (late, "")
    assert "\nDone: 2 added, 0 removed; " in text.out
    assert (document["state"], document["added"], document["error"], "code" in document) == ("done", 1, None, False)
    assert account.state.users("flags", "1001", "on") == ["a", "b", "c"]


def test_a_plan(amp_exp: RunCommand, edited: Path, late: int) -> None:
    """All changes were made, so JSON has no error."""
    result = amp_exp("apply", edited, "--yes", "--json")
    document = result.json
    assert (result.status, result.err) == (late, "")
    assert (document["state"], document["done"], document["error"], "code" in document) == ("done", 2, None, False)


def test_the_summary_of_a_plan(amp_exp: RunCommand, edited: Path, late: int) -> None:
    """The summary says that all is done."""
    result = amp_exp("apply", edited, "--yes")
    assert (result.status, result.err.count("Interrupted")) == (late, 0), result.err
    assert "\nDone: 2 of 2 flags and experiments; " in result.out


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("line", "end"),
    [
        ("users add 1001 on --file - --yes", {"state": "done", "added": 1, "error": None}),
        ("flags edit 1001 --name new", {"changes": [{"state": "changed"}]}),
        ("flags create dark-mode --project-id 1", {"id": "1002"}),
    ],
)
def test_while_the_client_closes(
    amp_exp: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    end: dict[str, Any],
    number: signal.Signals,
) -> None:
    """What a command did is known when its client closes, so a signal then adds no error."""
    monkeypatch.setattr(ExperimentClient, "close", press_after(ExperimentClient.close, number))
    result = amp_exp(*line.split(), "--json", stdin="a")
    document = result.json
    assert (result.status, result.err) == (SIGNALS[number], "")
    assert "code" not in document
    if "changes" in end:
        assert [change["state"] for change in document["changes"]] == ["changed"]
    else:
        assert {name: document[name] for name in end} == end


def test_a_failure_that_is_interrupted(account: Emulator, users: RunCommand, late: int) -> None:
    """A run that failed keeps its reason."""
    account.inject(Fault.status(403), method="POST")
    result = users("add", "a", "--yes", "--json")
    assert (result.status, result.json["state"], result.json["code"]) == (late, "failed", "interrupted")
    assert result.json["error"].startswith("Interrupted: POST /flags/1001/variants/on/users failed with 403")
