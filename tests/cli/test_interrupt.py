"""`amp-exp users` on a terminal, and after Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from amp_exp_async.cli import interrupt
from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand, writes
from tests.cli.terminal import environment_of, run_on_terminal, started
from tests.polling import TIMEOUT, wait_until

MANY = "\n".join(f"user-{number:04}" for number in range(1500))
LATE = 30.0


@pytest.fixture(autouse=True)
def _default_handler() -> Iterator[None]:
    """Let Ctrl-C raise, as in any script."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def press_after(emulator: Emulator, *counts: int, number: int = signal.SIGINT) -> threading.Thread:
    """Press Ctrl-C, or send a signal, for each of these numbers of writes, when the emulator has received them."""

    def press() -> None:
        for count in counts:
            wait_until(lambda count=count: len(writes(emulator)) >= count)
            time.sleep(0.05)
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def environment(account: Emulator) -> dict[str, str]:
    """The environment of a process that finds the account."""
    return environment_of(account)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file of 1,500 IDs."""
    path = tmp_path / "ids.txt"
    path.write_text(MANY)
    return str(path)


def test_prompts_on_a_terminal(account: Emulator, environment: dict[str, str], file: str) -> None:
    """A missing key and the confirmation are asked for; then bars show the progress."""
    environment["AMPLITUDE_MANAGEMENT_API_KEY"] = ""
    answers = {"API key": f"{account.api_key}\n", "[y/N]": "y\n"}
    result = run_on_terminal(["users", "add", "1001", "on", "--file", file], environment, answers=answers)
    assert result.status == 0, result.out
    assert account.api_key not in result.out
    assert "1500 to add, 0 to remove" in result.out
    assert "2/2" in result.out
    assert "Done: 1500 added" in result.out
    assert len(account.state.users("flags", "1001", "on")) == 1500


@pytest.mark.parametrize(
    ("answer", "status"), [("n\n", 1), pytest.param("\n", 1, marks=pytest.mark.slow), ("\x03", 130)]
)
def test_no_confirmation(account: Emulator, environment: dict[str, str], file: str, answer: str, status: int) -> None:
    """Any answer but yes changes nothing."""
    arguments = ["users", "add", "1001", "on", "--file", file]
    result = run_on_terminal(arguments, environment, answers={"[y/N]": answer})
    assert (result.status, result.out.count("Nothing was changed.")) == (status, 1), result.out
    assert writes(account) == []


def test_two_ctrl_c_in_a_process(account: Emulator, environment: dict[str, str]) -> None:
    """A second Ctrl-C ends the run; the summary counts what is done and what is unknown."""
    account.state.add_users("flags", "1001", "on", MANY.split())
    account.inject(Fault.delay(LATE), method="DELETE", nth=3)
    with started(["users", "remove", "1001", "on", "--file", "-", "--yes"], environment) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(MANY)
        process.stdin.close()
        process.stdin = None
        wait_until(lambda: len(writes(account)) == 3)
        process.send_signal(signal.SIGINT)
        assert "Ctrl-C again" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert "Unknown: 0 added, 200 removed, 100 unknown, 1200 left;" in out
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_operation_in_flight_finishes(account: Emulator, users: RunCommand) -> None:
    """After one Ctrl-C, the operation in flight finishes and no other starts."""
    account.state.add_users("flags", "1001", "on", MANY.split())
    account.inject(Fault.delay(0.3), method="DELETE", nth=2)
    ids = "\n".join(map(str, range(2000)))
    presser = press_after(account, 2)
    result = users("remove", f"{MANY}\n{ids}\nlast", "--yes")
    presser.join(TIMEOUT)
    assert result.status == 130
    assert "Not done: 0 added, 1500 removed;" in result.out
    assert result.err.endswith("\nInterrupted.\n")
    assert writes(account) == ["DELETE"] * 15


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=int,
)
def test_signal_after_the_last_operation(account: Emulator, users: RunCommand, number: int, status: int) -> None:
    """If all operations finished, the summary says so. The exit status is 128 and the number of the signal."""
    account.inject(Fault.delay(0.3), method="POST")
    presser = press_after(account, 1, number=number)
    result = users("add", "a", "--yes", "--json")
    presser.join(TIMEOUT)
    assert (result.status, result.json["state"], result.json["added"]) == (status, "done", 1)


@pytest.mark.parametrize("presses", [1, 2])
def test_requests_in_flight_are_abandoned(
    account: Emulator, users: RunCommand, monkeypatch: pytest.MonkeyPatch, presses: int
) -> None:
    """After the grace period or a second Ctrl-C, one request is unknown, also in a replacement."""
    account.state.add_users("flags", "1001", "on", MANY.split())
    account.inject(Fault.delay(LATE), method="DELETE", nth=2)
    monkeypatch.setattr(interrupt, "_GRACE", 0.2 if presses == 1 else LATE)
    presser = press_after(account, *[3] * presses)
    started = time.monotonic()
    result = users("replace", "a\nb", "--yes", "--json", "--max-removals", "100%")
    presser.join(TIMEOUT)
    assert time.monotonic() - started < TIMEOUT
    document = result.json
    assert (result.status, document["state"]) == (130, "unknown")
    assert (document["added"], document["removed"], document["unknown"]) == (2, 100, 100)
    assert document["requests"] == len(account.requests)


def test_ctrl_c_before_the_first_write(account: Emulator, users: RunCommand) -> None:
    """Ctrl-C while reading changes nothing."""
    account.inject(Fault.delay(LATE))

    def press() -> None:
        wait_until(lambda: account.requests)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press, daemon=True)
    presser.start()
    result = users("add", "a", "--yes", "--json")
    presser.join(TIMEOUT)
    assert (result.status, result.json["error"]) == (130, "Interrupted. Nothing was changed.")
    assert writes(account) == []
