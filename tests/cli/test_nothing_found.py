"""Commands that find nothing: the message says whether the account is empty, or what was left out."""

from __future__ import annotations

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand

ANYWHERE = "any project visible to this API key"
ARCHIVED = " Archived ones are listed with --include-archived only."


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("flags list --project-id 1 --tag nosuch", f"No flags in project 1 match --tag nosuch.{ARCHIVED}"),
        ("flags list --key a --enabled", f"No flags in {ANYWHERE} match --key a --enabled.{ARCHIVED}"),
        ("flags list --tag a --tag b", f"No flags in {ANYWHERE} match --tag a --tag b.{ARCHIVED}"),
        (
            "flags list --tag a,b --include-archived",
            f'No flags in {ANYWHERE} match --tag a,b. "a,b" is one tag. Repeat --tag for several.',
        ),
        ("flags find --prefix z* --disabled", f"No flags in {ANYWHERE} match --prefix 'z*' --disabled.{ARCHIVED}"),
        ("flags find --unchanged-for 9d", f"No flags in {ANYWHERE} match --unchanged-for 9d.{ARCHIVED}"),
        (
            "experiments list --delivery-method web",
            f"No experiments in {ANYWHERE} match --delivery-method web.{ARCHIVED}",
        ),
        ("experiments list", f"No experiments found in {ANYWHERE}.{ARCHIVED}"),
        ("flags list --project-id 9 --include-archived", "No flags found in project 9."),
        ("deployments list --project-id 9", f"No deployments found in project 9.{ARCHIVED}"),
        ("mutexes list --project-id 9", f"No mutex groups found in project 9.{ARCHIVED}"),
        ("holdouts list --include-archived", f"No holdout groups found in {ANYWHERE}."),
    ],
)
def test_lists(amp_exp: RunCommand, line: str, message: str) -> None:
    """A filter that matches nothing does not read as an empty project, or as an empty account."""
    result = amp_exp(*line.split())
    assert (result.status, result.err) == (0, f"{message}\n")
    assert amp_exp(*line.split(), "--json").json == []


@pytest.mark.parametrize(
    ("project", "note"), [("1", ""), ("9", "No flags and no experiments in project 9 visible to this API key.\n")]
)
def test_log_of_a_project(account: Emulator, amp_exp: RunCommand, project: str, note: str) -> None:
    """A log without changes names the project, and says so if the project has nothing that could change."""
    account.state.update(account.state.stored_flag("flags", "1001"), deleted=True)
    result = amp_exp("log", "--project-id", project, "--since", "2026-01-01", "--until", "2026-01-02")
    message = f"No changes in project {project} between 2026-01-01 00:00 and 2026-01-02 00:00 UTC.\n"
    assert (result.status, result.out, result.err) == (0, message, note)


def test_lint_of_a_project_without_flags(account: Emulator, amp_exp: RunCommand) -> None:
    """A mistyped project does not pass the check, as an empty folder does not."""
    result = amp_exp("lint", "--project-id", "9", "--json")
    message = "No flags and no experiments in project 9 visible to this API key."
    assert (result.status, result.json["code"], result.err) == (2, "not_found", f"{message}\n")
    assert len(account.requests) == 2
