"""`amp-exp flags enable`, `disable`, `archive` and `restore`."""

from __future__ import annotations

import json

import pytest

from amp_exp_async.cli import context as module
from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand, writes


@pytest.fixture
def three(deployed: Emulator) -> Emulator:
    """Flags 1001, 1002 and 1003 with a deployment; the second is enabled and has an all-digit key."""
    deployed.state.add_flag(key="2024", enabled=True, deployments=["1"])
    deployed.state.add_flag(key="third", deployments=["1"])
    return deployed


@pytest.mark.parametrize(
    ("command", "field", "before", "after"),
    [
        ("enable", "enabled", False, True),
        ("disable", "enabled", True, False),
        ("archive", "deleted", False, True),
        ("restore", "deleted", True, False),
    ],
)
@pytest.mark.parametrize("kind", ["flags", "experiments"])
def test_switches(
    account: Emulator, amp_exp: RunCommand, *, kind: str, command: str, field: str, before: bool, after: bool
) -> None:
    """Each command writes one field and reports it; the second time it writes nothing."""
    add = account.state.add_flag if kind == "flags" else account.state.add_experiment
    id = add(key="switched", deployments=[account.state.add_deployment()["id"]], **{field: before})["id"]
    yes = ["--yes"] if command == "archive" else []
    word = "archived" if field == "deleted" else field
    result = amp_exp(kind, command, id, *yes)
    assert (result.status, result.err) == (0, "")
    assert result.out == f"{kind[:-1]} {id} (switched): {word}: {json.dumps(before)} -> {json.dumps(after)}\n"
    assert account.requests[-2].body == {"archive" if field == "deleted" else field: after}
    repeat = amp_exp(kind, command, "switched", *yes)
    assert (repeat.status, repeat.out.count("already") + repeat.out.count("not archived")) == (0, 1)
    assert writes(account) == ["PATCH"]


def test_several(three: Emulator, amp_exp: RunCommand) -> None:
    """IDs and keys can be mixed; a flag named twice is changed once; an unchanged flag is not sent."""
    result = amp_exp("flags", "enable", "1001", "new-checkout", "1002", "third")
    assert result.out.splitlines() == [
        "flag 1001 (new-checkout): enabled: false -> true",
        "flag 1002 (2024): already enabled",
        "flag 1003 (third): enabled: false -> true",
    ]
    assert writes(three) == ["PATCH", "PATCH"]


def test_all_are_looked_up_first(three: Emulator, amp_exp: RunCommand) -> None:
    """An unknown flag prevents all changes."""
    result = amp_exp("flags", "enable", "1001", "nope", "third")
    assert (result.status, '"nope"' in result.err) == (2, True)
    assert writes(three) == []


def test_dry_run(three: Emulator, amp_exp: RunCommand) -> None:
    """The changes are shown and not made; `archive` does not ask."""
    result = amp_exp("flags", "archive", "1001", "1003", "--dry-run")
    assert result.status == 0
    assert result.out.splitlines() == [
        "flag 1001 (new-checkout): archived: false -> true",
        "flag 1003 (third): archived: false -> true",
        "Dry run: nothing was changed.",
    ]
    states = [
        item["state"] for item in amp_exp("flags", "enable", "1001", "1002", "--dry-run", "--json").json["changes"]
    ]
    assert states == ["planned", "unchanged"]
    assert writes(three) == []


def test_failure_between_changes(three: Emulator, amp_exp: RunCommand) -> None:
    """The error lists earlier changes; later ones are not started."""
    three.state.add_flag(key="last", deployments=["1"])
    three.inject(Fault.status(403), method="PATCH", nth=2)
    result = amp_exp("flags", "enable", "1001", "1003", "1004")
    assert (result.status, result.out.count("\n"), result.err.count("\n")) == (1, 1, 1)
    assert result.err.endswith("Changed before: flag 1001 (new-checkout).\n")
    three.inject(Fault.status(403), method="PATCH", nth=1)
    document = amp_exp("flags", "enable", "1001", "1003", "1004", "--json").json
    assert [change["state"] for change in document["changes"]] == ["unchanged", "failed", "planned"]
    assert "403" in document["error"]


@pytest.mark.parametrize(
    ("fault", "method", "nth", "state"),
    [
        (Fault.status(403), "PATCH", 1, "failed"),
        (Fault.close(applied=True), "PATCH", 1, "unknown"),
        (Fault.status(403), "GET", 3, "unknown"),
    ],
)
def test_status_after_a_failure(
    deployed: Emulator, amp_exp: RunCommand, *, fault: Fault, method: str, nth: int, state: str
) -> None:
    """A change that may have been applied does not count as failed."""
    deployed.inject(fault, method=method, nth=nth, times=None)
    result = amp_exp("flags", "enable", "1001", "--json")
    assert (result.status, result.json["changes"][0]["state"]) == (1, state)
    assert result.err.count("\n") == 1
    if method == "GET":
        assert "succeeded. Only the read that verifies it failed." in result.err


def test_archive_asks(account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only yes archives; without a terminal, the error says what to pass."""
    result = amp_exp("flags", "archive", "1001")
    assert (result.status, "Pass --yes" in result.err) == (2, True)
    assert "Pass --yes" in amp_exp("flags", "archive", "1001", "--json").json["error"]
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    for answer, status in (("n\n", 1), ("", 130)):
        result = amp_exp("flags", "archive", "1001", stdin=answer)
        assert (result.status, "Archive this flag?" in result.out) == (status, True)
        assert "Nothing was changed." in result.err
    assert writes(account) == []
    result = amp_exp("flags", "archive", "1001", stdin="y\n")
    assert (result.status, result.out.splitlines()[-1]) == (0, "flag 1001 (new-checkout): done")
    assert account.state.flag("1001")["deleted"]


def test_restore_prefers_archived_flags(account: Emulator, amp_exp: RunCommand) -> None:
    """If two flags have the key, the archived one is restored."""
    account.state.add_flag(key="new-checkout", projectId="7", deleted=True)
    result = amp_exp("flags", "restore", "new-checkout")
    assert result.out.startswith("flag 1002 ")
    assert not account.state.flag("1002")["deleted"]


@pytest.mark.parametrize("kind", ["flags", "experiments"])
@pytest.mark.parametrize("command", [["enable"], ["enable", "--dry-run"], ["edit", "--enabled"]])
def test_enabling_without_a_deployment(account: Emulator, amp_exp: RunCommand, kind: str, command: list[str]) -> None:
    """It is rejected before anything is asked or written: the flag was read, and has no deployment."""
    add = account.state.add_flag if kind == "flags" else account.state.add_experiment
    id = add(key="lonely", enabled=False, deployments=[])["id"]
    result = amp_exp(kind, command[0], id, *command[1:])
    assert result.status == 2
    assert "deployment" in result.err
    assert "Add a deployment first." in result.err
    assert writes(account) == []


def test_rejection_by_the_service(deployed: Emulator, amp_exp: RunCommand) -> None:
    """A rejection by the service is one line."""
    id = deployed.state.add_experiment(key="guide", _type="guide", deployments=["1"])["id"]
    result = amp_exp("experiments", "enable", id)
    assert (result.status, "405" in result.err, result.err.count("\n")) == (1, True, 1)


@pytest.mark.parametrize("kind", ["flags", "experiments"])
def test_archived_flags_are_not_edited(account: Emulator, amp_exp: RunCommand, kind: str) -> None:
    """The service edits nothing that is archived: the error names the command that restores it."""
    add = account.state.add_flag if kind == "flags" else account.state.add_experiment
    id = add(key="old", deleted=True)["id"]
    for command in (["enable"], ["edit", "--name", "new"], ["enable", "--dry-run"], ["edit", "--add-tag", "a"]):
        result = amp_exp(kind, command[0], "old", *command[1:])
        assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
        assert f"{kind[:-1]} {id} (old) is archived" in result.err
        assert result.err.endswith(f"Restore it first: amp-exp {kind} restore {id}\n")
    assert "already disabled" in amp_exp(kind, "disable", "old").out
    assert writes(account) == []
    assert amp_exp(kind, "restore", id).status == 0
    assert amp_exp(kind, "edit", id, "--name", "new").status == 0
    assert [request.body for request in account.requests if request.method == "PATCH"] == [
        {"archive": False},
        {"name": "new"},
    ]
