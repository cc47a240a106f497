"""`amp-exp deployments`."""

from __future__ import annotations

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand, writes


@pytest.fixture
def id(account: Emulator, amp_exp: RunCommand) -> str:
    """The ID of deployment `web` in project 1."""
    created: str = amp_exp("deployments", "create", "--project-id", "1", "--label", "web", "--type", "client").out
    account.reset()
    return created.strip()


def test_create(account: Emulator, amp_exp: RunCommand) -> None:
    """The output is the ID only, so that a script can read it."""
    arguments = ["deployments", "create", "--project-id", "1", "--type", "server", "--label"]
    result = amp_exp(*arguments, "web")
    assert (result.status, result.err, result.out) == (0, "", f"{account.state.deployments[0]['id']}\n")
    assert amp_exp(*arguments, "ios", "--json").json == {"id": account.state.deployments[1]["id"]}


def test_list(account: Emulator, amp_exp: RunCommand, id: str) -> None:
    """Archived deployments and other projects are listed if the options say so."""
    for label, project, archived in (("b", "1", True), ("c", "8", False)):
        made = amp_exp("deployments", "create", "--project-id", project, "--label", label, "--type", "client").out
        if archived:
            account.state.stored_deployments[made.strip()]["deleted"] = True
    for options, labels in (
        ([], ["c", "web"]),
        (["--include-archived"], ["c", "b", "web"]),
        (["--project-id", "1"], ["web"]),
    ):
        rows = amp_exp("deployments", "list", *options).out.splitlines()[1:]
        assert [row.split("\t")[2] for row in rows] == labels
        assert [item["label"] for item in amp_exp("deployments", "list", "--json", *options).json] == labels
    assert f"{id}\t1\tweb" in amp_exp("deployments", "list").out.splitlines()


def test_edit(account: Emulator, amp_exp: RunCommand, id: str) -> None:
    """Only differing fields are sent; archiving asks first."""
    result = amp_exp("deployments", "edit", id, "--label", "site", "--restore")
    assert (result.status, result.out) == (0, f'deployment {id} (web): label: "web" -> "site"\n')
    assert account.requests[-1].body == {"label": "site"}
    assert "Pass --yes" in amp_exp("deployments", "edit", id, "--archive").err
    assert "archived: false -> true" in amp_exp("deployments", "edit", id, "--archive", "--dry-run").out
    assert writes(account) == ["PATCH"]
    assert amp_exp("deployments", "edit", id, "--archive", "--yes", "--json").json["changes"][0]["state"] == "changed"
    assert account.requests[-1].body == {"archive": True}
    assert "nothing to change" in amp_exp("deployments", "edit", id, "--archive").out
    assert amp_exp("deployments", "edit", id, "--restore").status == 0
    assert writes(account) == ["PATCH"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--project-id", "1", "--label", "a b", "--type", "client"], "must consist of letters"),
        (["create", "--project-id", "1", "--label", "a", "--type", "both"], '"client", "server"'),
        (["create", "--project-id", "", "--label", "a", "--type", "client"], "must not be empty"),
        (["create", "--label", "a", "--type", "client"], "--project-id is missing."),
        (["edit", "1"], "Pass --label, --archive or --restore"),
        (["edit", "1", "--label", "a b"], "must consist of letters"),
    ],
)
def test_invalid_input(account: Emulator, amp_exp: RunCommand, arguments: list[str], message: str) -> None:
    """Invalid input gives one line, and nothing is sent."""
    result = amp_exp("deployments", *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
    assert account.requests == []


def test_invalid_label_as_json(account: Emulator, amp_exp: RunCommand) -> None:
    """With `--json`, the error is on standard output, too."""
    for arguments in (["edit", "1"], ["create", "--project-id", "1", "--type", "client"]):
        result = amp_exp("deployments", *arguments, "--label", "a b", "--json")
        assert (result.status, result.json["error"].startswith("--label: must consist of letters")) == (2, True)
    assert account.requests == []


def test_unknown_deployment(account: Emulator, amp_exp: RunCommand) -> None:
    """An unknown ID is rejected after reading."""
    result = amp_exp("deployments", "edit", "999", "--label", "a")
    assert (result.status, 'no deployment with ID "999"' in result.err) == (2, True)
    assert writes(account) == []


def test_archiving_a_deployment_in_use(account: Emulator, amp_exp: RunCommand, id: str) -> None:
    """If the service refuses to archive a deployment in use, the error names the flags and experiments."""
    account.state.add_flag(key="assigned", deployments=[id])
    account.state.add_flag(key="archived", deployments=[id], deleted=True)
    account.state.add_experiment(key="price", deployments=[id])
    text = "Cannot have unarchived flags or experiments or templates using this deployment"
    account.inject(Fault.status(400, body={"error": text}), method="PATCH", times=None)
    result = amp_exp("deployments", "edit", id, "--archive", "--yes")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert text in result.err
    assert "Assigned to it: flag 1003 (assigned), experiment 1005 (price)." in result.err
    account.inject(Fault.status(403), method="GET", path="/flags", times=None)
    assert "Assigned to it" not in amp_exp("deployments", "edit", id, "--archive", "--yes").err


def test_creation_with_unknown_outcome(account: Emulator, amp_exp: RunCommand) -> None:
    """If the outcome is unknown, no ID is printed and the status is 1."""
    account.inject(Fault.close(), method="POST", times=None)
    account.inject(Fault.status(503), method="GET", times=None)
    result = amp_exp("deployments", "create", "--project-id", "1", "--label", "a", "--type", "client")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
