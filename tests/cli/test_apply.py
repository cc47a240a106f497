"""`amp-exp apply`: what it asks for, sends and says, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand, writes

pytestmark = pytest.mark.usefixtures("account")


def names(account: Emulator) -> list[str]:
    return [account.state.flag(str(id))["name"] for id in range(1001, 1004)]


def test_apply(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """It shows the changes, makes them, and counts; afterwards there is nothing to change."""
    result = amp_exp("apply", edited, "--yes")
    assert result.status == 0
    assert '+ name: "Find"' in result.out
    assert f"Done: 2 of 2 flags and experiments; {len(account.requests)} requests in 0." in result.out
    assert names(account) == ["new-checkout", "Find", "Colours"]
    again = amp_exp("apply", edited)
    assert (again.status, again.out) == (0, "Nothing to change: everything matches the files.\n")


def test_apply_as_json(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """One object says it all."""
    result = amp_exp("apply", edited, "--yes", "--json")
    assert result.json | {"seconds": 0} == {
        "changes": 2,
        "done": 2,
        "failed": 0,
        "unknown": 0,
        "begun": 0,
        "left": 0,
        "requests": len(account.requests),
        "seconds": 0,
        "state": "done",
        "wrong": [],
        "error": None,
    }
    assert amp_exp("apply", edited, "--json").json["state"] == "unchanged"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_apply_needs_consent(amp_exp: RunCommand, edited: Path, account: Emulator, options: list[str]) -> None:
    """Where nobody can be asked, nothing is changed without `--yes`."""
    result = amp_exp("apply", edited, *options)
    assert result.status == 2
    assert result.err.startswith("Nothing was changed: ")
    assert "--yes" in result.err
    assert writes(account) == []


def test_a_dry_run(amp_exp: RunCommand, edited: Path, plan: Path, account: Emulator) -> None:
    """It shows what would change, also of a saved plan, and changes nothing."""
    for given in (edited, plan):
        result = amp_exp("apply", given, "--dry-run")
        assert (result.status, "Dry run: nothing was changed." in result.out) == (0, True)
        assert amp_exp("apply", given, "--dry-run", "--json").json["state"] == "planned"
    assert writes(account) == []


def test_apply_a_saved_plan(amp_exp: RunCommand, plan: Path, account: Emulator) -> None:
    """It is known by its content, and made as it was shown."""
    assert "Done: 2 of 2" in amp_exp("apply", plan, "--yes").out
    assert names(account) == ["new-checkout", "Find", "Colours"]


def test_a_saved_plan_that_fits_no_more(amp_exp: RunCommand, plan: Path, account: Emulator) -> None:
    """What was changed in between is named, a line each, and nothing is written."""
    account.state.add_flag(key="other")
    amp_exp("apply", plan, "--yes")
    account.requests.clear()
    result = amp_exp("apply", plan, "--yes", "--json")
    assert (result.status, result.json["state"], result.json["left"]) == (1, "failed", 2)
    assert "Nothing was written" in result.err
    assert "  flags/search in project" in result.err
    assert writes(account) == []


def test_a_journal_goes_on(amp_exp: RunCommand, plan: Path, account: Emulator) -> None:
    """After a failure the same command sends what is missing only."""
    journal = plan.parent / "journal.jsonl"
    account.inject(Fault.status(400), method="PATCH", path="/flags/1002")
    first = amp_exp("apply", plan, "--yes", "--journal", journal)
    assert first.status == 1
    assert "Not done: 1 of 2 flags and experiments, 1 failed;" in first.out
    assert "Run the same command again to continue from the journal." in first.out
    assert names(account) == ["new-checkout", "Search", "Colours"]
    account.requests.clear()
    again = amp_exp("apply", plan, "--yes", "--journal", journal)
    assert (again.status, "Done: 2 of 2" in again.out) == (0, True)
    assert writes(account) == ["PATCH"]
    assert names(account) == ["new-checkout", "Find", "Colours"]


def test_failed_steps_are_named(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """A line each on standard error, with the flag and the error; the rest is done, and the status is 1."""
    account.inject(Fault.status(400), method="PATCH", path="/flags/1002")
    result = amp_exp("apply", edited, "--yes", "--json")
    assert result.status == 1
    assert (result.json["done"], result.json["failed"], result.json["state"]) == (1, 1, "failed")
    assert result.json["wrong"][0]["target"].startswith("flags/search in project")
    assert "400" in result.json["error"]
    assert result.err.count("\n") == 1
    assert result.err.startswith("flags/search in project")


def test_an_unknown_step_is_named(amp_exp: RunCommand, file: Path, account: Emulator) -> None:
    """Where nobody knows whether it was done, nobody says that it was, or was not."""
    file.write_text("project_id: '1'\nflags:\n  - {key: a, name: A, variants: [{key: 'on'}]}\n")
    account.inject(Fault.close(applied=True), method="POST")
    account.inject(Fault.status(403), method="GET", nth=3, times=None)
    result = amp_exp("apply", file, "--yes")
    assert result.status == 1
    assert "Unknown: 0 of 1 flags and experiments, 1 unknown;" in result.out
    assert "unknown whether it was applied" in result.err


def test_half_of_a_flag(amp_exp: RunCommand, file: Path, account: Emulator) -> None:
    """A flag whose steps were done only in part is said to be failed, and what follows on it is not begun."""
    file.write_text(
        "project_id: '1'\nflags:\n  - key: new-checkout\n    name: New\n    variants: [{key: 'on'}, {key: 'off'}]\n"
    )
    account.inject(Fault.status(400), method="PATCH")
    result = amp_exp("apply", file, "--yes")
    assert "Not done: 0 of 1 flags and experiments, 1 failed;" in result.out
    assert "to make the remaining changes" in result.out
    account.requests.clear()
    assert "Done: 1 of 1" in amp_exp("apply", file, "--yes").out
    assert writes(account) == ["PATCH"]


@pytest.mark.parametrize("options", [["--prune"], ["--project-id", "2"]])
def test_a_plan_takes_no_options_of_files(
    amp_exp: RunCommand, plan: Path, account: Emulator, options: list[str]
) -> None:
    """They would have no effect."""
    assert amp_exp("apply", plan, "--yes", *options).status == 2
    assert account.requests == []


def test_files_take_no_journal(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """It would be of another plan the next time; the refusal says what to do."""
    result = amp_exp("apply", edited, "--yes", "--journal", edited.parent / "j")
    assert (result.status, account.requests) == (2, [])
    assert "plan --out PLAN" in result.err


def test_a_plan_among_files(amp_exp: RunCommand, edited: Path, plan: Path) -> None:
    """It is applied by itself."""
    assert amp_exp("apply", edited, plan, "--yes").status == 2


@pytest.mark.parametrize("keep", [30, 300])
def test_a_damaged_plan(amp_exp: RunCommand, plan: Path, account: Emulator, keep: int) -> None:
    """It is refused as a plan, and nothing is sent."""
    plan.write_text(plan.read_text()[:keep])
    result = amp_exp("apply", plan, "--yes")
    assert (result.status, account.requests) == (2, [])
    assert "Create a new plan." in result.err


def test_a_journal_of_another_plan(amp_exp: RunCommand, plan: Path, account: Emulator) -> None:
    """It is refused, and nothing is written."""
    journal = plan.parent / "journal.jsonl"
    journal.write_text("no journal\n")
    result = amp_exp("apply", plan, "--yes", "--journal", journal)
    assert (result.status, writes(account)) == (2, [])
    assert result.err.count("\n") == 1


def test_a_service_that_fails_at_once(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """One line, status 1."""
    account.inject(Fault.status(503), times=None)
    result = amp_exp("apply", edited, "--yes")
    assert (result.status, result.err.count("\n")) == (1, 1)


def test_debug_shows_the_traceback(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """Of the error that a step failed with."""
    account.inject(Fault.status(400), method="PATCH", path="/flags/1002")
    assert "Traceback" in amp_exp("apply", edited, "--yes", "--debug").err


def test_a_failure_before_anything_is_begun(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """What is read again before it is written may fail: the summary says that nothing was begun."""
    account.inject(Fault.status(403), method="GET", nth=3)
    result = amp_exp("apply", edited, "--yes")
    assert result.status == 1
    assert "Not done: 0 of 2 flags and experiments, 2 not started; 3 requests" in result.out
    assert "403" in result.err
    assert writes(account) == []
