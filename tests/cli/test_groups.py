"""`amp-exp mutexes` and `amp-exp holdouts`."""

from __future__ import annotations

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand, writes


def test_mutex_groups(account: Emulator, amp_exp: RunCommand) -> None:
    """A mutex group is created with its slots, edited, archived and restored."""
    experiment = account.state.add_experiment(key="price")["id"]
    create = ("mutexes", "create", "--project-id", "1", "--name", "Prices", "prices")
    id = amp_exp(*create, "--slot", f"60={experiment}", "--slot", "40").out.strip()
    slots = amp_exp("mutexes", "get", "prices", "--json").json["slots"]
    assert [(slot["percentage"], slot["experiments"]) for slot in slots] == [(60, [experiment]), (40, [])]
    assert amp_exp("mutexes", "list", "--project-id", "1").out.splitlines()[1] == f"{id}\t1\tprices\tPrices"

    assert 'name: "Prices" -> "P"' in amp_exp("mutexes", "edit", id, "--name", "P").out
    assert 'individuals: +"u1"' in amp_exp("mutexes", "edit-slot", id, "2", "--individual", "u1").out
    assert amp_exp("mutexes", "archive", id).status == 2
    assert amp_exp("mutexes", "archive", id, "--yes").status == 0
    assert amp_exp("mutexes", "list").out.splitlines()[1:] == []
    assert "archived: (none) -> false" in amp_exp("mutexes", "restore", id).out


def test_holdout_groups(account: Emulator, amp_exp: RunCommand) -> None:
    """A holdout group is created, edited, archived and restored; a second edit changes nothing."""
    experiment = account.state.add_experiment(key="price")["id"]
    id = amp_exp("holdouts", "create", "--project-id", "1", "--name", "Q4", "--percentage", "5").out.strip()
    edit = ("holdouts", "edit", id, "--member", experiment, "--exclude", "u1")
    assert amp_exp(*edit).status == 0
    assert amp_exp(*edit).out.endswith("nothing to change\n")
    group = amp_exp("holdouts", "get", id, "--json").json
    assert (group["experiments"], group["individual_exclusion"]) == ([experiment], ["u1"])
    assert amp_exp("holdouts", "archive", id, "--yes", "--json").json["changes"][0]["state"] == "changed"
    assert amp_exp("holdouts", "restore", id).status == 0


def test_mistakes(account: Emulator, amp_exp: RunCommand) -> None:
    """An unknown group or slot, an invalid slot and an edit without a change are rejected before anything is sent."""
    id = str(account.state.add_mutex(name="G")["id"])
    for arguments, message in (
        (["get", "nope"], 'no mutex group with key "nope"'),
        (["get", "99"], "no mutex group with ID 99"),
        (["edit", id], "no change given"),
        (["edit-slot", id, "9", "--individual", "u"], "has no slot 9"),
        (["create", "--project-id", "1", "--name", "x", "--slot", "half"], "--slot takes PERCENT"),
        (["create", "--project-id", "1", "--name", "x", "--slot", "50"], "add up to 100"),
    ):
        result = amp_exp("mutexes", *arguments)
        assert (result.status, message in result.err, result.err.count("\n")) == (2, True, 1), result.err
    assert writes(account) == []
