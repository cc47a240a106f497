"""`amp-exp apply`: confirmation, requests, output and exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand, writes

pytestmark = pytest.mark.usefixtures("account")


def names(account: Emulator) -> list[str]:
    return [account.state.flag(str(id))["name"] for id in range(1001, 1004)]


def test_apply(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """The changes are shown, made and counted; afterwards there is nothing to change."""
    result = amp_exp("apply", edited, "--yes")
    assert result.status == 0
    assert '+ name: "Find"' in result.out
    assert f"Done: 2 of 2 flags and experiments; {len(account.requests)} requests in 0." in result.out
    assert names(account) == ["new-checkout", "Find", "Colours"]
    repeat = amp_exp("apply", edited)
    assert (repeat.status, repeat.out) == (0, "Nothing to change: 3 flags in the account match the files.\n")


def test_apply_as_json(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """`--json` prints one object."""
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
def test_apply_needs_confirmation(amp_exp: RunCommand, edited: Path, account: Emulator, options: list[str]) -> None:
    """Without a terminal and without `--yes`, nothing is changed."""
    result = amp_exp("apply", edited, *options)
    assert result.status == 2
    assert result.err.startswith("Nothing was changed: ")
    assert "--yes" in result.err
    assert writes(account) == []


def test_dry_run(amp_exp: RunCommand, edited: Path, plan: Path, account: Emulator) -> None:
    """The changes of files and of a saved plan are shown and not made."""
    for source in (edited, plan):
        result = amp_exp("apply", source, "--dry-run")
        assert (result.status, "Dry run: nothing was changed." in result.out) == (0, True)
        assert amp_exp("apply", source, "--dry-run", "--json").json["state"] == "planned"
    assert writes(account) == []


def test_apply_a_saved_plan(amp_exp: RunCommand, plan: Path, account: Emulator) -> None:
    """A saved plan is recognized by its content and applied as it was shown."""
    assert "Done: 2 of 2" in amp_exp("apply", plan, "--yes").out
    assert names(account) == ["new-checkout", "Find", "Colours"]


def test_outdated_plan(amp_exp: RunCommand, plan: Path, account: Emulator) -> None:
    """Changes since the plan are listed, one per line, and nothing is written."""
    account.state.add_flag(key="other")
    amp_exp("apply", plan, "--yes")
    account.requests.clear()
    result = amp_exp("apply", plan, "--yes", "--json")
    assert (result.status, result.json["state"], result.json["left"]) == (1, "failed", 2)
    assert "Nothing was written" in result.err
    assert "  flags/search in project" in result.err
    assert writes(account) == []


def test_journal(amp_exp: RunCommand, plan: Path, account: Emulator) -> None:
    """After a failure, the same command sends only what is missing."""
    journal = plan.parent / "journal.jsonl"
    account.inject(Fault.status(400), method="PATCH", path="/flags/1002")
    first = amp_exp("apply", plan, "--yes", "--journal", journal)
    assert first.status == 1
    assert "Not done: 1 of 2 flags and experiments, 1 failed;" in first.out
    assert "Run the same command again to continue from the journal." in first.out
    assert names(account) == ["new-checkout", "Search", "Colours"]
    account.requests.clear()
    repeat = amp_exp("apply", plan, "--yes", "--journal", journal)
    assert (repeat.status, "Done: 2 of 2" in repeat.out) == (0, True)
    assert writes(account) == ["PATCH"]
    assert names(account) == ["new-checkout", "Find", "Colours"]


def test_failed_steps_are_named(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """Each failed step has a line with its flag and error on stderr; other steps are done; the status is 1."""
    account.inject(Fault.status(400), method="PATCH", path="/flags/1002")
    result = amp_exp("apply", edited, "--yes", "--json")
    assert result.status == 1
    assert (result.json["done"], result.json["failed"], result.json["state"]) == (1, 1, "failed")
    assert result.json["wrong"][0]["target"].startswith("flags/search in project")
    assert "400" in result.json["error"]
    assert result.err.count("\n") == 1
    assert result.err.startswith("flags/search in project")


def test_unknown_step(amp_exp: RunCommand, file: Path, account: Emulator) -> None:
    """A step whose response was lost counts as neither done nor failed."""
    file.write_text("project_id: '1'\nflags:\n  - {key: a, name: A, variants: [{key: 'on'}]}\n")
    account.inject(Fault.close(applied=True), method="POST")
    account.inject(Fault.status(403), method="GET", nth=11, times=None)  # after the reads of two plans
    result = amp_exp("apply", file, "--yes")
    assert result.status == 1
    assert "Unknown: 0 of 1 flags and experiments, 1 unknown;" in result.out
    assert "unknown whether it was applied" in result.err


def test_partly_failed_flag(amp_exp: RunCommand, file: Path, account: Emulator) -> None:
    """A flag with a failed step counts as failed, and its later steps are not started."""
    file.write_text(
        "project_id: '1'\nflags:\n  - key: new-checkout\n    name: New\n    variants: [{key: 'on'}, {key: 'new'}]\n"
    )
    account.inject(Fault.status(400), method="PATCH")
    result = amp_exp("apply", file, "--yes")
    assert "Not done: 0 of 1 flags and experiments, 1 failed;" in result.out
    assert "to make the remaining changes" in result.out
    account.requests.clear()
    assert "Done: 1 of 1" in amp_exp("apply", file, "--yes").out
    assert writes(account) == ["PATCH"]


@pytest.mark.parametrize("options", [["--prune"], ["--project-id", "2"]])
def test_plan_with_options_of_files(amp_exp: RunCommand, plan: Path, account: Emulator, options: list[str]) -> None:
    """Options that a saved plan ignores are rejected."""
    assert amp_exp("apply", plan, "--yes", *options).status == 2
    assert account.requests == []


def test_journal_with_files(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """A journal requires a saved plan; the error says how to make one."""
    result = amp_exp("apply", edited, "--yes", "--journal", edited.parent / "j")
    assert (result.status, account.requests) == (2, [])
    assert "plan --out PLAN" in result.err


def test_a_plan_among_files(amp_exp: RunCommand, edited: Path, plan: Path) -> None:
    """A saved plan and files exclude each other."""
    assert amp_exp("apply", edited, plan, "--yes").status == 2


@pytest.mark.parametrize("keep", [30, 300])
def test_damaged_plan(amp_exp: RunCommand, plan: Path, account: Emulator, keep: int) -> None:
    """A damaged plan is rejected as a plan, and nothing is sent."""
    plan.write_text(plan.read_text()[:keep])
    result = amp_exp("apply", plan, "--yes")
    assert (result.status, account.requests) == (2, [])
    assert "Create a new plan." in result.err


def test_invalid_journal(amp_exp: RunCommand, plan: Path, account: Emulator) -> None:
    """An invalid journal is rejected, and nothing is written."""
    journal = plan.parent / "journal.jsonl"
    journal.write_text("no journal\n")
    result = amp_exp("apply", plan, "--yes", "--journal", journal)
    assert (result.status, writes(account)) == (2, [])
    assert result.err.count("\n") == 1


def test_failing_service(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """A failing service gives one line and status 1."""
    account.inject(Fault.status(503), times=None)
    result = amp_exp("apply", edited, "--yes")
    assert (result.status, result.err.count("\n")) == (1, 1)


def test_debug_shows_the_traceback(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """`--debug` shows the traceback of a failed step."""
    account.inject(Fault.status(400), method="PATCH", path="/flags/1002")
    assert "Traceback" in amp_exp("apply", edited, "--yes", "--debug").err


def test_failure_before_the_first_step(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """If reading fails, the summary says that nothing was started."""
    account.inject(Fault.status(403), method="GET", nth=3)
    result = amp_exp("apply", edited, "--yes")
    assert result.status == 1
    assert "Not done: 0 of 2 flags and experiments, 2 not started; 3 requests" in result.out
    assert "403" in result.err
    assert writes(account) == []
