"""What `amp-exp users` and `cohorts` share: lists, cohorts, and the limit of removals."""

from __future__ import annotations

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand, writes


@pytest.fixture
def ten(account: Emulator) -> Emulator:
    """The account, whose variant includes ten users."""
    account.state.add_users("flags", "1001", "on", [f"u{number}" for number in range(10)])
    return account


def test_lists(ten: Emulator, amp_exp: RunCommand) -> None:
    """A list has one ID per line, as `--file` reads it."""
    listed = amp_exp("users", "list", "new-checkout", "on").out
    assert sorted(listed.split()) == sorted(f"u{number}" for number in range(10))
    assert amp_exp("users", "replace", "1001", "on", "--file", "-", stdin=listed).out.endswith("Nothing to change.\n")
    assert amp_exp("cohorts", "list", "1001", "on", "--json").json == []
    assert writes(ten) == []


def test_cohorts(account: Emulator, amp_exp: RunCommand) -> None:
    """Cohorts are added, replaced and removed as users are."""
    command = ("1001", "on", "--file", "-", "--yes")
    assert "2 added" in amp_exp("cohorts", "add", *command, stdin="c1\nc2").out
    assert amp_exp("cohorts", "replace", *command, "--max-removals", "1", stdin="c2\nc3").status == 0
    assert sorted(amp_exp("cohorts", "list", "1001", "on").out.split()) == ["c2", "c3"]
    assert "1 removed" in amp_exp("cohorts", "remove", *command, stdin="c2").out
    assert account.state.users("flags", "1001", "on") == []


@pytest.mark.parametrize(
    ("keep", "options", "is_made"),
    [
        (8, [], True),
        (7, [], False),
        (7, ["--max-removals", "3"], True),
        (7, ["--max-removals", "2"], False),
        (7, ["--max-removals", "30%"], True),
        (7, ["--max-removals", "30.5%"], True),
        (7, ["--max-removals", "29.9%"], False),
        (0, ["--allow-empty"], False),
        (0, ["--allow-empty", "--max-removals", "100%"], True),
    ],
)
def test_the_limit_of_removals(
    ten: Emulator, amp_exp: RunCommand, keep: int, options: list[str], *, is_made: bool
) -> None:
    """Beyond a number or share of removals, 20 % by default, `--yes` is not enough without a terminal."""
    ids = "\n".join(f"u{number}" for number in range(keep))
    result = amp_exp("users", "replace", "1001", "on", "--file", "-", "--yes", *options, stdin=ids)
    if is_made:
        assert (result.status, len(ten.state.users("flags", "1001", "on"))) == (0, keep)
    else:
        fact = f"{10 - keep} of 10 included IDs would be removed, more than --max-removals allows"
        assert (result.status, fact in result.err, writes(ten)) == (2, True, [])


@pytest.mark.parametrize("text", ["x", "-1", "101%", "100.1%", "", "%", "1.5", "0.2", "²"])
def test_an_invalid_limit(account: Emulator, amp_exp: RunCommand, text: str) -> None:
    """A limit is a number or a percentage."""
    result = amp_exp("users", "replace", "1001", "on", "--file", "-", "--max-removals", text, "--yes", stdin="a")
    assert (result.status, "--max-removals: must be a number" in result.err, account.requests) == (2, True, [])
    assert (" Write the share as 20%." in result.err) == (text == "0.2")


def test_removals_without_a_file(ten: Emulator, amp_exp: RunCommand) -> None:
    """One index, or all users, can be removed; both commands ask."""
    listed = amp_exp("users", "list", "1001", "on").out.split()
    for command in (["remove-at", "1001", "on", "3"], ["remove-all", "1001", "on"]):
        assert (amp_exp("users", *command).status, writes(ten)) == (2, [])
    assert amp_exp("users", "remove-at", "1001", "on", "10", "--yes").status == 2
    assert f'users: -"{listed[3]}"' in amp_exp("users", "remove-at", "1001", "on", "3", "--yes").out
    assert amp_exp("users", "remove-all", "1001", "on", "--yes").status == 0
    assert ten.state.users("flags", "1001", "on") == []


def test_a_column_name_in_a_column(account: Emulator, amp_exp: RunCommand) -> None:
    """A cell that is the name of a column is rejected with its line, without advice to read as CSV what is CSV."""
    command = ("users", "add", "1001", "on", "--file", "-", "--column", "email", "--yes")
    result = amp_exp(*command, stdin="email,name\nuser_id,a\n")
    rule = 'standard input, line 2: "user_id" is the name of a column: remove it. Nothing was sent.\n'
    assert (result.status, result.err, account.requests) == (2, rule, [])
