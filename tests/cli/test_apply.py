"""`amp-exp apply`: what it asks for, sends and says, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.cli.outcome import AmpExp, written

pytestmark = pytest.mark.usefixtures("account")


def names(account: Emulator) -> list[str]:
    return [account.state.flag(str(id))["name"] for id in range(1001, 1004)]


def test_apply(amp_exp: AmpExp, edited: Path, account: Emulator) -> None:
    """It shows the changes, makes them, and counts; afterwards there is nothing to change."""
    outcome = amp_exp("apply", edited, "--yes")
    assert outcome.status == 0
    assert '+ name: "Find"' in outcome.out
    assert f"Done: 2 of 2 flags and experiments; {len(account.requests)} requests in 0." in outcome.out
    assert names(account) == ["new-checkout", "Find", "Colours"]
    again = amp_exp("apply", edited)
    assert (again.status, again.out) == (0, "Nothing to change: everything is as declared.\n")


def test_apply_as_json(amp_exp: AmpExp, edited: Path, account: Emulator) -> None:
    """One object says it all."""
    outcome = amp_exp("apply", edited, "--yes", "--json")
    assert outcome.json | {"seconds": 0} == {
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
def test_apply_needs_consent(amp_exp: AmpExp, edited: Path, account: Emulator, options: list[str]) -> None:
    """Where nobody can be asked, nothing is changed without `--yes`."""
    outcome = amp_exp("apply", edited, *options)
    assert outcome.status == 2
    assert outcome.err.startswith("Nothing was changed: ")
    assert "--yes" in outcome.err
    assert written(account) == []


def test_a_dry_run(amp_exp: AmpExp, edited: Path, plan: Path, account: Emulator) -> None:
    """It shows what would change, also of a saved plan, and changes nothing."""
    for given in (edited, plan):
        outcome = amp_exp("apply", given, "--dry-run")
        assert (outcome.status, "Dry run: nothing was changed." in outcome.out) == (0, True)
        assert amp_exp("apply", given, "--dry-run", "--json").json["state"] == "planned"
    assert written(account) == []


def test_apply_a_saved_plan(amp_exp: AmpExp, plan: Path, account: Emulator) -> None:
    """It is known by its content, and made as it was shown."""
    assert "Done: 2 of 2" in amp_exp("apply", plan, "--yes").out
    assert names(account) == ["new-checkout", "Find", "Colours"]


def test_a_saved_plan_that_fits_no_more(amp_exp: AmpExp, plan: Path, account: Emulator) -> None:
    """What was changed in between is named, a line each, and nothing is written."""
    account.state.add_flag(key="other")
    amp_exp("apply", plan, "--yes")
    account.requests.clear()
    outcome = amp_exp("apply", plan, "--yes", "--json")
    assert (outcome.status, outcome.json["state"], outcome.json["left"]) == (1, "failed", 2)
    assert "Nothing was written" in outcome.err
    assert "  flags/search in project" in outcome.err
    assert written(account) == []


def test_a_journal_goes_on(amp_exp: AmpExp, plan: Path, account: Emulator) -> None:
    """After a failure the same command sends what is missing only."""
    journal = plan.parent / "journal.jsonl"
    account.inject(Fault.status(400), method="PATCH", path="/flags/1002")
    first = amp_exp("apply", plan, "--yes", "--journal", journal)
    assert first.status == 1
    assert "Not done: 1 of 2 flags and experiments, 1 failed;" in first.out
    assert "The same command again goes on from the journal." in first.out
    assert names(account) == ["new-checkout", "Search", "Colours"]
    account.requests.clear()
    again = amp_exp("apply", plan, "--yes", "--journal", journal)
    assert (again.status, "Done: 2 of 2" in again.out) == (0, True)
    assert written(account) == ["PATCH"]
    assert names(account) == ["new-checkout", "Find", "Colours"]


def test_failed_steps_are_named(amp_exp: AmpExp, edited: Path, account: Emulator) -> None:
    """A line each on standard error, with the flag and the error; the rest is done, and the status is 1."""
    account.inject(Fault.status(400), method="PATCH", path="/flags/1002")
    outcome = amp_exp("apply", edited, "--yes", "--json")
    assert outcome.status == 1
    assert (outcome.json["done"], outcome.json["failed"], outcome.json["state"]) == (1, 1, "failed")
    assert outcome.json["wrong"][0]["target"].startswith("flags/search in project")
    assert "400" in outcome.json["error"]
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("flags/search in project")


def test_an_unknown_step_is_named(amp_exp: AmpExp, file: Path, account: Emulator) -> None:
    """Where nobody knows whether it was done, nobody says that it was, or was not."""
    file.write_text("project_id: '1'\nflags:\n  - {key: a, name: A, variants: [{key: 'on'}]}\n")
    account.inject(Fault.close(applied=True), method="POST")
    account.inject(Fault.status(403), method="GET", nth=3, times=None)
    outcome = amp_exp("apply", file, "--yes")
    assert outcome.status == 1
    assert "Not known: 0 of 1 flags and experiments, 1 not known;" in outcome.out
    assert "not known whether it was done" in outcome.err


def test_half_of_a_flag(amp_exp: AmpExp, file: Path, account: Emulator) -> None:
    """A flag whose steps were done only in part is said to be failed, and what follows on it is not begun."""
    file.write_text(
        "project_id: '1'\nflags:\n  - key: new-checkout\n    name: New\n    variants: [{key: 'on'}, {key: 'off'}]\n"
    )
    account.inject(Fault.status(400), method="PATCH")
    outcome = amp_exp("apply", file, "--yes")
    assert "Not done: 0 of 1 flags and experiments, 1 failed;" in outcome.out
    assert "sends only what is missing" in outcome.out
    account.requests.clear()
    assert "Done: 1 of 1" in amp_exp("apply", file, "--yes").out
    assert written(account) == ["PATCH"]


@pytest.mark.parametrize("options", [["--prune"], ["--project-id", "2"]])
def test_a_plan_takes_no_options_of_files(amp_exp: AmpExp, plan: Path, account: Emulator, options: list[str]) -> None:
    """They would have no effect."""
    assert amp_exp("apply", plan, "--yes", *options).status == 2
    assert account.requests == []


def test_files_take_no_journal(amp_exp: AmpExp, edited: Path, account: Emulator) -> None:
    """It would be of another plan the next time; the refusal says what to do."""
    outcome = amp_exp("apply", edited, "--yes", "--journal", edited.parent / "j")
    assert (outcome.status, account.requests) == (2, [])
    assert "plan --out PLAN" in outcome.err


def test_a_plan_among_files(amp_exp: AmpExp, edited: Path, plan: Path) -> None:
    """It is applied by itself."""
    assert amp_exp("apply", edited, plan, "--yes").status == 2


@pytest.mark.parametrize("keep", [30, 300])
def test_a_damaged_plan(amp_exp: AmpExp, plan: Path, account: Emulator, keep: int) -> None:
    """It is refused as a plan, and nothing is sent."""
    plan.write_text(plan.read_text()[:keep])
    outcome = amp_exp("apply", plan, "--yes")
    assert (outcome.status, account.requests) == (2, [])
    assert "Create a new plan." in outcome.err


def test_a_journal_of_another_plan(amp_exp: AmpExp, plan: Path, account: Emulator) -> None:
    """It is refused, and nothing is written."""
    journal = plan.parent / "journal.jsonl"
    journal.write_text("no journal\n")
    outcome = amp_exp("apply", plan, "--yes", "--journal", journal)
    assert (outcome.status, written(account)) == (2, [])
    assert outcome.err.count("\n") == 1


def test_a_service_that_fails_at_once(amp_exp: AmpExp, edited: Path, account: Emulator) -> None:
    """One line, status 1."""
    account.inject(Fault.status(503), times=None)
    outcome = amp_exp("apply", edited, "--yes")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)


def test_debug_shows_the_traceback(amp_exp: AmpExp, edited: Path, account: Emulator) -> None:
    """Of the error that a step failed with."""
    account.inject(Fault.status(400), method="PATCH", path="/flags/1002")
    assert "Traceback" in amp_exp("apply", edited, "--yes", "--debug").err


def test_a_failure_before_anything_is_begun(amp_exp: AmpExp, edited: Path, account: Emulator) -> None:
    """What is read again before it is written may fail: the summary says that nothing was begun."""
    account.inject(Fault.status(403), method="GET", nth=3)
    outcome = amp_exp("apply", edited, "--yes")
    assert outcome.status == 1
    assert "Not done: 0 of 2 flags and experiments, 2 not begun; 3 requests" in outcome.out
    assert "403" in outcome.err
    assert written(account) == []
