"""`amp-exp flags versions`, `history` and `restore-version`."""

from __future__ import annotations

import pytest
import yaml

from amp_exp_async.cli.output import format_fields
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand, writes


@pytest.fixture
def edited(account: Emulator, amp_exp: RunCommand) -> Emulator:
    """A flag with three versions; the second changed name and tags, the third its rollout."""
    amp_exp("flags", "edit", "1001", "--name", "second", "--add-tag", "a")
    amp_exp("flags", "edit", "1001", "--rollout-percentage", "20")
    account.reset()
    return account


@pytest.mark.usefixtures("edited")
def test_versions(amp_exp: RunCommand) -> None:
    """Versions are listed newest first; one version is shown with all fields; both as JSON."""
    header, *rows = [line.split("\t") for line in amp_exp("flags", "versions", "new-checkout").out.splitlines()]
    assert header == ["version", "when", "who"]
    assert [row[0] for row in rows] == ["3", "2", "1"]
    assert [item["version"] for item in amp_exp("flags", "versions", "1001", "--json").json] == [3, 2, 1]
    shown = amp_exp("flags", "versions", "1001", "2")
    assert "These lines are not a file for plan." in shown.err
    assert "amp-exp flags restore-version 1001 2" in shown.err
    document = amp_exp("flags", "versions", "1001", "2", "--json").json
    assert yaml.safe_load(shown.out) == document
    assert (document["version"], document["config"]["name"]) == (2, "second")


@pytest.mark.usefixtures("edited")
def test_history(amp_exp: RunCommand) -> None:
    """Each version has its time, author and changed fields."""
    lines = amp_exp("flags", "history", "1001").out.splitlines()
    heads = [line.split("  ") for line in lines if not line.startswith(" ")]
    assert [head[0] for head in heads] == ["version 3", "version 2", "version 1"]
    assert all(len(head) == 3 and head[1].endswith(" UTC") and "@" in head[2] for head in heads)
    assert [line.strip() for line in lines if line.startswith(" ")] == [
        "rollout_percentage: 0 -> 20",
        'name: "new-checkout" -> "second"',
        'tags: +"a"',
        "created",
    ]
    newest, *_, oldest = amp_exp("flags", "history", "1001", "--json").json
    assert newest["differences"] == {"rollout_percentage": {"before": 0, "after": 20}}
    assert (oldest["version"], oldest["differences"]) == (1, {})


def test_version_without_difference(account: Emulator, amp_exp: RunCommand) -> None:
    """A version without visible difference is not called a creation."""
    amp_exp("flags", "archive", "1001", "--yes")
    assert account.state.flag("1001")["deleted"]
    lines = amp_exp("flags", "history", "1001").out.splitlines()
    assert [line for line in lines if line.startswith(" ")] == [
        "  no visible difference",
        "  created",
    ]


def test_restore_version(edited: Emulator, amp_exp: RunCommand) -> None:
    """The difference is shown and confirmed; the second time there is nothing to do."""
    dry = amp_exp("flags", "restore-version", "1001", "1", "--dry-run")
    assert dry.out.splitlines()[0] == "flag 1001 (new-checkout):"
    assert dry.out.splitlines()[-1] == "Dry run: nothing was changed."
    result = amp_exp("flags", "restore-version", "1001", "1")
    assert (result.status, "Pass --yes" in result.err) == (2, True)
    assert writes(edited) == []
    assert amp_exp("flags", "restore-version", "1001", "1", "--yes").status == 0
    flag = edited.state.flag("1001")
    assert (flag["name"], flag["tags"], flag["enabled"]) == ("new-checkout", [], False)
    assert "all editable fields are as in this version" in amp_exp("flags", "restore-version", "1001", "1").out
    assert writes(edited) == ["PATCH"]


def test_fields_that_cannot_be_restored(account: Emulator, amp_exp: RunCommand) -> None:
    """Fields that an edit cannot set are named and kept."""
    account.state.stored_flag("flags", "1001").document["variants"] = [{"key": "on"}, {"key": "later"}]
    result = amp_exp("flags", "restore-version", "1001", "1", "--dry-run")
    assert result.err.startswith("Not restored, because an edit cannot set it: variants")


@pytest.mark.parametrize(("version", "status"), [("99", 1), ("0", 2), ("first", 2)])
@pytest.mark.parametrize("command", ["versions", "restore-version"])
@pytest.mark.usefixtures("account")
def test_unknown_version(amp_exp: RunCommand, command: str, version: str, status: int) -> None:
    """An unknown version gives one line."""
    result = amp_exp("flags", command, "1001", version)
    assert (result.status, result.out, result.err.count("\n")) == (status, "", 1)


def test_restore_version_of_an_archived_flag(edited: Emulator, amp_exp: RunCommand) -> None:
    """It is rejected, with the command that restores the flag first. Nothing is written."""
    amp_exp("flags", "archive", "1001", "--yes")
    edited.requests.clear()
    for option in ("--yes", "--dry-run"):
        result = amp_exp("flags", "restore-version", "1001", "1", option)
        assert result.status == 2
        assert "Restore it first: amp-exp flags restore 1001" in result.err
    assert writes(edited) == []


ODD = [
    "on",
    "1",
    "null",
    "a: b",
    "# x",
    "- x",
    "'",
    "é",
    "a  b",
    " a",
    "a,b",
    "[x]",
    "2026-11-03",
    "=",
    "~",
    "",
    "ok",
    "a b",
]


def test_fields_are_yaml() -> None:
    """What is shown of an object is read back as the same object."""
    fields = {"texts": ODD, **{f"key-{index}": text for index, text in enumerate(ODD)}}
    document = {**fields, **dict.fromkeys(ODD, 1), "objects": [{"on": {}}, {}, {"a": [{"b": None}]}], "payload": [1.5]}
    assert yaml.safe_load("\n".join(format_fields(document))) == document
