"""Names of objects that do not exist: the code for programs, and what to do instead."""

from __future__ import annotations

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand, writes

UNKNOWN = [
    "flags get nope",
    "flags get 99",
    "flags enable new-checkout nope",
    "experiments roll-out nope treatment --reason r --yes",
    "variants list nope",
    "variants edit new-checkout nope --weight 1",
    "users list new-checkout nope",
    "users remove-at new-checkout on 7 --yes",
    "users add 99 on --file - --yes",
    "segments list nope",
    "deployments edit 99 --label site",
    "deployments add new-checkout nope",
    "mutexes get 99",
    "mutexes get nope",
    "holdouts edit nope --name a",
]


@pytest.mark.parametrize("line", UNKNOWN)
def test_the_code_of_an_unknown_name(account: Emulator, amp_exp: RunCommand, line: str) -> None:
    """A script can tell an object that is gone from an invalid option: the code is that of the library's error."""
    result = amp_exp(*line.split(), "--json", stdin="u1")
    assert (result.status, result.json["code"], result.json["status"]) == (2, "not_found", None), result.err
    assert writes(account) == []


def test_the_code_of_invalid_input(account: Emulator, amp_exp: RunCommand) -> None:
    """A value that breaks a rule is not a name that does not exist."""
    assert amp_exp("flags", "edit", "1001", "--rollout-percentage", "150", "--json").json["code"] == "invalid_input"
    assert account.requests == []


def test_the_code_of_too_many_removals(account: Emulator, amp_exp: RunCommand) -> None:
    """A replacement that removes too much has a code of its own, as in the library."""
    account.state.add_users("flags", "1001", "on", ["a", "b", "c"])
    result = amp_exp("users", "replace", "1001", "on", "--file", "-", "--yes", "--json", stdin="a")
    assert (result.status, result.json["code"]) == (2, "too_many_removals")
    assert "2 of 3 included IDs would be removed, more than --max-removals allows. Nothing was changed." in result.err
    assert writes(account) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("experiments get new-checkout", "no experiment with key {0} in any project visible to this API key. {1}"),
        ("experiments get 1001", "no experiment with ID 1001. {1}"),
        ("experiments edit 1001 --by-key --name a", "no experiment with key {0} in any project"),
        ("experiments roll-out new-checkout on --reason r", "{1}"),
        ("flags get price", "It is an experiment: use amp-exp experiments.\n"),
        ("flags archive price --project-id 1 --yes", "in project 1. It is an experiment: use amp-exp experiments.\n"),
        ("mutexes get later", "It is a holdout group: use amp-exp holdouts.\n"),
        ("holdouts get offers", "It is a mutex group: use amp-exp mutexes.\n"),
        ("mutexes get {holdout}", "It is a holdout group: use amp-exp holdouts.\n"),
    ],
)
def test_a_name_of_the_other_kind(account: Emulator, amp_exp: RunCommand, line: str, message: str) -> None:
    """A flag that is looked up as an experiment is found, and the message names the command for it; also in reverse."""
    account.state.add_experiment(key="price")
    account.state.add_mutex(key="offers")
    holdout = account.state.add_holdout(key="later")
    name = '"1001"' if "--by-key" in line else '"new-checkout"'
    result = amp_exp(*line.format(holdout=holdout["id"]).split())
    assert (result.status, message.format(name, "It is a flag: use amp-exp flags.\n") in result.err) == (2, True), (
        result.err
    )


def test_a_failure_of_the_second_lookup(account: Emulator, amp_exp: RunCommand) -> None:
    """If the other kind cannot be read, the message is the one without it."""
    account.inject(Fault.status(403), path="/api/1/experiments")
    result = amp_exp("flags", "get", "nope")
    assert result.err == 'no flag with key "nope" in any project visible to this API key. Check the key.\n'
