"""`amp-exp log`."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from amp_exp_async import ExperimentClient
from amp_exp_async.cli.times import parse_time
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand
from tests.polling import wait_until

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_changes_of_all_flags(account: Emulator, amp_exp: RunCommand) -> None:
    """The newest change comes first, with its author and each field."""
    account.state.add_experiment(key="price", projectId="2")
    amp_exp("flags", "edit", "1001", "--name", "New")
    amp_exp("experiments", "edit", "price", "--description", "x")
    lines = amp_exp("log", "--since", "1h").out.splitlines()
    assert ("experiment 1002 (price), version 2" in lines[0], lines[1]) == (True, '  description: "" -> "x"')
    assert ("flag 1001 (new-checkout), version 2" in lines[2], "emulator@example.com" in lines[2]) == (True, True)
    entries = amp_exp("log", "--since", "1h", "--project-id", "1", "--json").json
    assert [(entry["key"], entry["version"]) for entry in entries] == [("new-checkout", 2), ("new-checkout", 1)]
    assert entries[0]["differences"]["name"]["after"] == "New"


def interrupt_after(emulator: Emulator, count: int) -> None:
    """Press Ctrl-C after some lists of versions."""

    def press() -> None:
        wait_until(lambda: [request.path for request in emulator.requests].count("/api/1/versions") >= count)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


@pytest.fixture(autouse=True)
def _default_handler() -> Iterator[None]:
    """Let Ctrl-C raise, as in any script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_follow(account: Emulator, amp_exp: RunCommand) -> None:
    """Changes are printed as they are made, oldest first, until Ctrl-C; the cursor of a line continues after it."""
    amp_exp("flags", "edit", "new-checkout", "--name", "New")
    account.requests.clear()
    interrupt_after(account, 3)
    result = amp_exp("log", "--follow", "--since", "1h", "--poll-interval", "0.01")
    headlines = [line for line in result.out.splitlines() if not line.startswith(" ")]
    assert [line.rpartition(", ")[2] for line in headlines] == ["version 1", "version 2"]
    assert (result.status, result.err) == (130, "Interrupted. Nothing was changed.\n")

    account.requests.clear()
    interrupt_after(account, 3)
    *lines, end = amp_exp("log", "--follow", "--since", "1h", "--poll-interval", "0.01", "--json").out.splitlines()
    changes = [json.loads(line) for line in lines]
    assert [(change["key"], change["version"]) for change in changes] == [("new-checkout", 1), ("new-checkout", 2)]
    assert json.loads(end)["error"] == "Interrupted. Nothing was changed."

    account.requests.clear()
    interrupt_after(account, 3)
    result = amp_exp("log", "--cursor", changes[0]["cursor"], "--poll-interval", "0.01")
    assert result.out.splitlines() == [headlines[1], '  name: "new-checkout" -> "New"']


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--follow", "--until", "1h"), "--until: --follow has no end"),
        (("--follow", "--poll-interval", "0"), "--poll-interval: must be a number of seconds of more than 0"),
        (("--cursor", "x"), "--cursor: must be the cursor of a"),
        (("--cursor", "x", "--since", "1h"), "--since: must not be given together with"),
    ],
)
def test_mistakes_of_follow(amp_exp: RunCommand, account: Emulator, options: tuple[str, ...], problem: str) -> None:
    """Options that do not fit are rejected by their name before anything is sent."""
    result = amp_exp("log", *options)
    assert problem in result.err
    assert (result.status, account.requests) == (2, [])


@pytest.mark.usefixtures("account")
def test_no_changes(amp_exp: RunCommand) -> None:
    """A period without changes says so."""
    assert amp_exp("log", "--since", "2026-01-01", "--until", "2026-01-02").out == (
        "No changes between 2026-01-01 00:00 and 2026-01-02 00:00 UTC.\n"
    )


@pytest.mark.parametrize("text", ["yesterday", "7", "7 days", "2026-13-01", ""])
def test_mistakes(amp_exp: RunCommand, account: Emulator, text: str) -> None:
    """A time that cannot be read is rejected before anything is sent."""
    result = amp_exp("log", "--since", text)
    assert (result.status, "--since: must be a duration such as 7d" in result.err, account.requests) == (2, True, [])


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30s", NOW - timedelta(seconds=30)),
        ("90m", NOW - timedelta(minutes=90)),
        ("12h", NOW - timedelta(hours=12)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-11-03", datetime(2026, 11, 3, tzinfo=UTC)),
        ("2026-11-03T09:00", datetime(2026, 11, 3, 9, tzinfo=UTC)),
        ("2026-11-03T09:00+02:00", datetime(2026, 11, 3, 7, tzinfo=UTC)),
    ],
)
def test_times(text: str, time: datetime) -> None:
    """Durations count back from now; times without a zone are in UTC."""
    assert parse_time("--since", text, NOW) == time


@pytest.mark.parametrize("text", ["99999999d", "36501d", "5215w", f"{'9' * 4000}s"])
def test_too_long_durations(amp_exp: RunCommand, account: Emulator, text: str) -> None:
    """A duration that is too long is called so."""
    for command in (("log", "--since"), ("flags", "find", "--unchanged-for")):
        result = amp_exp(*command, text)
        assert (result.status, f'must be at most 36500d, got "{text}"' in result.err) == (2, True), result.err
    assert account.requests == []
    assert amp_exp("flags", "find", "--unchanged-for", "36500d").status == 0


def test_version_1_has_one_text(account: Emulator, amp_exp: RunCommand) -> None:
    """`log`, `history` and the library call it by the same word, whatever comes after it."""
    amp_exp("flags", "archive", "1001", "--yes")
    with ExperimentClient(account.api_key, base_url=account.base_url) as client:
        archived, created = client.history("flags", "1001")
    assert (archived.summary, created.summary) == ("no visible difference", "created")
    assert str(created).endswith(": created")
    for command in (("log", "--since", "1h"), ("flags", "history", "1001")):
        lines = [line.strip() for line in amp_exp(*command).out.splitlines()]
        assert {"no visible difference", "created"} <= set(lines)
