"""`amp-exp log`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from amp_exp_async.cli.times import parse_time
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand

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
