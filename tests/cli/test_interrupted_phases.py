"""A signal while any request of a command is in flight."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from amp_exp_async.cli import interrupt
from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import CommandResult, RunCommand, writes
from tests.polling import TIMEOUT, wait_until

pytestmark = pytest.mark.usefixtures("raising_signals")

LATE = 30.0
Interrupt: TypeAlias = Callable[..., CommandResult]
STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
# The commands, and how many requests each sends.
APPLY = ("apply {file} --yes", 6)
COMMANDS = {
    "apply of files": APPLY,
    "apply of a plan": ("apply {plan} --yes", 4),
    "apply with a journal": ("apply {plan} --yes --journal {folder}/journal", 4),
    "plan": ("plan {file}", 2),
    "export": ("export", 2),
    "log": ("log", 2),
    "flags get": ("flags get 1001", 4),
    "flags edit": ("flags edit 1001 --name new", 4),
    "users replace": ("users replace 1001 on --file {ids} --yes", 4),
    "users remove-all": ("users remove-all 1001 on --yes", 3),
}


@pytest.fixture(autouse=True)
def _grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give requests in flight little time."""
    monkeypatch.setattr(interrupt, "_GRACE", 0.2)


@pytest.fixture
def interrupted(account: Emulator, amp_exp: RunCommand, edited: Path, plan: Path) -> Interrupt:
    """Run a command, send a signal when its nth request is in flight, and return the result."""
    ids = edited.parent / "ids.txt"
    ids.write_text("a\nb\n")
    account.state.add_users("flags", "1001", "on", ["a"])

    def run(command: str, nth: int, number: signal.Signals, *, presses: int = 1) -> CommandResult:
        account.inject(Fault.delay(LATE), nth=nth)

        def press() -> None:
            wait_until(lambda: len(account.requests) >= nth)
            for _ in range(presses):
                os.kill(os.getpid(), number)

        presser = threading.Thread(target=press, daemon=True)
        presser.start()
        result = amp_exp(*command.format(file=edited, plan=plan, ids=ids, folder=edited.parent).split())
        presser.join(TIMEOUT)
        assert len(account.requests) >= nth
        return result

    return run


PHASES = {
    f"{name}, request {nth}": (command, nth)
    for name, (command, count) in COMMANDS.items()
    for nth in range(1, count + 1)
}


@pytest.mark.parametrize("presses", [1, 2])
@pytest.mark.parametrize("nth", range(1, APPLY[1] + 1))
def test_apply(interrupted: Interrupt, account: Emulator, nth: int, presses: int) -> None:
    """Whichever signal comes in whichever phase, the status tells the signal, and one JSON document tells the end."""
    number = list(STATUSES)[nth % len(STATUSES)]
    result = interrupted(f"{APPLY[0]} --json", nth, number, presses=presses)
    assert (result.status, result.json["code"]) == (STATUSES[number], "interrupted")
    assert result.json["error"].startswith("Interrupted.")
    assert ("Nothing was changed." in result.json["error"]) == (not writes(account))


@pytest.mark.parametrize(("command", "nth"), PHASES.values(), ids=PHASES)
def test_every_phase(interrupted: Interrupt, account: Emulator, command: str, nth: int) -> None:
    """A command says that it was interrupted; `apply` adds the counts, once it may have changed something."""
    result = interrupted(command, nth, signal.SIGTERM)
    assert result.status == STATUSES[signal.SIGTERM]
    assert "Interrupted" in result.err
    if command.startswith("apply") and writes(account):
        assert "2 flags and experiments" in result.out
    elif not {"edit", "users"} & set(command.split()):
        assert "Nothing was changed." in result.err
