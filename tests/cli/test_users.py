"""`amp-exp users`: confirmation, requests and output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amp_exp_async.cli import context as module
from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand, writes

MANY = "\n".join(f"user-{number:04}" for number in range(1500))


def included(emulator: Emulator, id: str = "1001") -> list[str]:
    return emulator.state.users("flags", id, "on")


def test_add(account: Emulator, users: RunCommand) -> None:
    """Only missing IDs are sent, and the summary counts them."""
    account.state.add_users("flags", "1001", "on", ["a"])
    result = users("add", "# who\n\na\n b \nc\nc\n", "--yes")
    assert (result.status, result.err) == (0, "")
    assert "flag 1001 (new-checkout), variant on: 2 to add, 0 to remove, 1 unchanged\n" in result.out
    assert "Done: 2 added, 0 removed; 4 requests in 0." in result.out
    assert included(account) == ["a", "b", "c"]
    assert account.requests[-1].body == {"inclusions": ["b", "c"]}


def test_remove(account: Emulator, users: RunCommand) -> None:
    """IDs that are not included count as unchanged; 100 IDs are removed per request."""
    account.state.add_users("flags", "1001", "on", [*MANY.split(), "kept"])
    result = users("remove", f"{MANY}\nnever-there", "--yes", "--json")
    assert result.json | {"requests": 0} == {
        "kind": "flags",
        "id": "1001",
        "key": "new-checkout",
        "variant": "on",
        "to_add": 0,
        "to_remove": 1500,
        "already": 1,
        "added": 0,
        "removed": 1500,
        "unknown": 0,
        "requests": 0,
        "state": "done",
        "error": None,
    }
    assert result.json["requests"] == len(account.requests) == 3 + 15
    assert included(account) == ["kept"]


def test_replace(account: Emulator, users: RunCommand) -> None:
    """Afterwards the variant includes the IDs of the file only."""
    account.state.add_users("flags", "1001", "on", ["a", "b", "c"])
    result = users("replace", "c\nd", "--yes", "--max-removals", "2")
    assert "1 to add, 2 to remove, 1 unchanged" in result.out
    assert "Done: 1 added, 2 removed;" in result.out
    assert included(account) == ["c", "d"]


@pytest.mark.parametrize("action", ["add", "remove", "replace"])
def test_dry_run(account: Emulator, users: RunCommand, action: str) -> None:
    """The changes are shown and not made."""
    account.state.add_users("flags", "1001", "on", ["a", "b"])
    result = users(action, "b\nc", "--dry-run")
    assert result.status == 0
    assert "Dry run: nothing was changed." in result.out
    assert users(action, "b\nc", "--dry-run", "--json").json["state"] == "planned"
    assert writes(account) == []


@pytest.mark.parametrize(("action", "ids"), [("add", "a"), ("remove", "c"), ("replace", "b\na")])
def test_nothing_to_change(account: Emulator, users: RunCommand, action: str, ids: str) -> None:
    """Nothing is asked or sent, and the status is 0."""
    account.state.add_users("flags", "1001", "on", ["a", "b"])
    result = users(action, ids)
    assert (result.status, result.err) == (0, "")
    assert "Nothing to change." in result.out
    assert users(action, ids, "--json", "--yes").json["state"] == "unchanged"
    assert writes(account) == []


def test_by_key(account: Emulator, users: RunCommand) -> None:
    """A value that is not all digits is a key; with `--key`, any value is."""
    account.state.add_flag(key="2024")
    assert users("add", "a", "--yes", flag="new-checkout").status == 0
    assert users("add", "a", "--yes", "--by-key", flag="2024").status == 0
    assert included(account) == included(account, "1002") == ["a"]


def test_key_in_several_projects(account: Emulator, users: RunCommand) -> None:
    """The projects are listed until one is chosen."""
    for project in ("7", "8"):
        account.state.add_flag(key="twice", projectId=project)
    result = users("add", "a", "--yes", flag="twice")
    assert result.status == 2
    assert "--project-id" in result.err
    assert "7 (flag 1002)" in result.err
    assert users("add", "a", "--yes", "--project-id", "8", flag="twice").status == 0
    assert (included(account, "1002"), included(account, "1003")) == ([], ["a"])


def test_project_with_an_id(account: Emulator, users: RunCommand) -> None:
    """A project goes with a key only."""
    result = users("add", "a", "--yes", "--project-id", "1")
    assert (result.status, "pass --by-key" in result.err) == (2, True)
    assert account.requests == []


def test_experiments(account: Emulator, users: RunCommand) -> None:
    """FLAG may name an experiment."""
    id = account.state.add_experiment(key="price")["id"]
    result = users("add", "a", "--yes", flag="price", variant="treatment")
    assert f"experiment {id} (price), variant treatment: 1 to add" in result.out
    assert account.state.users("experiments", id, "treatment") == ["a"]


@pytest.mark.parametrize(
    ("flag", "variant", "message"),
    [
        ("999", "on", "no flag or experiment with ID 999."),
        ("999", "on", "If 999 is a key, pass --by-key."),
        ("nope", "on", 'no flag or experiment with key "nope"'),
        ("no pe", "on", 'no flag or experiment with key "no pe"'),
        ("1001", "onn", 'Flag 1001 has no variant "onn". Its variants: on.'),
        ("1001", "o n", 'has no variant "o n"'),
    ],
)
def test_unknown_flag_or_variant(account: Emulator, users: RunCommand, flag: str, variant: str, message: str) -> None:
    """One line says what does not exist, and nothing is written."""
    result = users("add", "a", "--yes", flag=flag, variant=variant)
    assert result.status == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert writes(account) == []


def test_invalid_lines(account: Emulator, users: RunCommand, tmp_path: Path) -> None:
    """Invalid lines are listed with file and line number, and nothing is sent."""
    file = tmp_path / "ids.txt"
    file.write_text("good\na,b\n\nc\x01d\n")
    result = users("add", "", "--yes", file=str(file))
    assert result.status == 2
    assert result.err.startswith(
        f'{file}, line 2: "a,b" must not contain a comma: pass each ID as its own item; line 4: '
    )
    assert result.err.count("\n") == 1
    assert account.requests == []


def test_existing_ids_are_removed(account: Emulator, users: RunCommand) -> None:
    """IDs that a new one could not be can be removed by name, and by a replacement without them."""
    account.state.add_users("flags", "1001", "on", ["a,b", " x ", "cut \ud83d", "c"])
    assert "Done: 0 added, 1 removed;" in users("remove", "a,b", "--yes").out
    assert "Done: 1 added, 2 removed;" in users("replace", "c\nd", "--yes", "--max-removals", "100%").out
    assert included(account) == ["c", "d"]


def test_an_invalid_line_of_a_replacement(account: Emulator, users: RunCommand) -> None:
    """Only a line with an ID that is not included yet is invalid. The message names it, and nothing is written."""
    account.state.add_users("flags", "1001", "on", ["a,b"])
    result = users("replace", "a,b\nok\nc,d\nc,d", "--yes")
    assert result.status == 2
    rule = "must not contain a comma: pass each ID as its own item"
    lines = f'standard input, line 3: "c,d" {rule}; line 4: "c,d" {rule}. Nothing was written.'
    assert lines in result.err
    assert writes(account) == []
    assert "Done: 1 added, 0 removed;" in users("replace", "a,b\nok", "--yes").out


@pytest.mark.parametrize("action", ["add", "remove", "replace"])
def test_a_flag_that_cannot_be_edited(account: Emulator, users: RunCommand, action: str) -> None:
    """The users of a web experiment or of an archived flag are not offered to be changed."""
    account.state.add_experiment(id="7", key="web", deliveryMethod="web")
    account.state.add_users("experiments", "7", "control", ["a"])
    account.state.add_flag(id="8", key="old", deleted=True)
    account.state.add_users("flags", "8", "on", ["a"])
    ids = "b" if action != "remove" else "a"
    result = users(action, ids, "--yes", flag="web", variant="control")
    assert (result.status, result.out) == (2, "")
    assert "experiment 7 (web) is a web experiment, which the API cannot edit. Nothing was changed." in result.err
    result = users(action, ids, "--yes", flag="old")
    assert (result.status, result.out) == (2, "")
    assert "flag 8 (old) is archived" in result.err
    assert "flags restore 8" in result.err
    assert writes(account) == []


def test_many_invalid_lines(account: Emulator, users: RunCommand) -> None:
    """The first few are listed, the others are counted."""
    result = users("add", "a,b\n" * 20, "--yes")
    assert "standard input, line 1: " in result.err
    assert "and 15 more lines" in result.err
    assert account.requests == []


def test_unreadable_files(account: Emulator, users: RunCommand, tmp_path: Path) -> None:
    """A missing file, a folder and text in another encoding give one line."""
    (tmp_path / "utf16.txt").write_text("a", encoding="utf-16")
    for name, message in (("missing", "No such file"), ("", "Is a directory"), ("utf16.txt", "not UTF-8 text")):
        result = users("add", "", "--yes", file=str(tmp_path / name))
        assert (result.status, message in result.err, result.err.count("\n")) == (2, True, 1), result.err
    assert account.requests == []


def test_byte_order_mark(account: Emulator, users: RunCommand, tmp_path: Path) -> None:
    """A byte order mark is not part of the first ID."""
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    assert users("add", "", "--yes", file=str(tmp_path / "ids.txt")).status == 0
    assert included(account) == ["a", "b"]


def test_empty_file(account: Emulator, users: RunCommand) -> None:
    """A file without IDs is rejected; only for `replace`, where the option removes all users, the message names it."""
    account.state.add_users("flags", "1001", "on", ["a", "b"])
    messages = {
        "add": ": nothing to add. Check the file.",
        "remove": ": nothing to remove. Check the file.",
        "replace": ", so all that are included would be removed. If that is intended, pass --allow-empty.",
    }
    for action, message in messages.items():
        result = users(action, "# no users\n", "--yes")
        assert (result.status, result.err) == (2, f"standard input: contains no IDs{message}\n")
    assert account.requests == []
    for action in ("add", "remove"):
        assert "Nothing to change." in users(action, "", "--yes", "--allow-empty").out
    assert "Done: 0 added, 2 removed" in users("replace", "", "--yes", "--allow-empty", "--max-removals", "2").out
    assert included(account) == []


@pytest.mark.usefixtures("account")
def test_emails(users: RunCommand) -> None:
    """E-mail addresses are sent with one warning that counts them and shows the first."""
    result = users("add", "user-1\nann@example.com\nbob@example.com\n@handle", "--yes", "--json")
    assert result.json["added"] == 4
    assert result.err.startswith("Warning: 2 IDs look like e-mail addresses, such as ann@example.com.")
    assert result.err.count("\n") == 1
    assert "1 ID looks like an e-mail address" in users("remove", "ann@example.com", "--dry-run").err


def test_a_column_of_csv(account: Emulator, users: RunCommand) -> None:
    """`--column` reads CSV; without it, a line with several columns is rejected before anything is sent."""
    content = '"Name";"User ID"\r\n"Ann";"user-1"\r\nBo;user-2\r\n'
    rejected = users("add", content, "--yes")
    assert "standard input, line 1:" in rejected.err
    assert "Choose a column to read the file as CSV. Nothing was sent." in rejected.err
    assert account.requests == []
    assert users("add", content, "--column", "User ID", "--yes").status == 0
    assert included(account) == ["user-1", "user-2"]
    quoted = users("remove", '"user-1"', "--yes")
    assert "is in quotes: remove them. Nothing was written." in quoted.err


def test_too_many_users(account: Emulator, users: RunCommand) -> None:
    """2,000 is the maximum of a file and of a variant; nothing is written."""
    result = users("add", "\n".join(map(str, range(2001))), "--yes")
    assert (result.status, "at most 2000" in result.err, account.requests) == (2, True, [])
    account.state.add_users("flags", "1001", "on", map(str, range(1999)))
    result = users("add", "a\nb", "--yes", "--json")
    assert result.status == 2
    assert "must leave at most 2000 in the variant" in result.json["error"]
    assert writes(account) == []


def test_without_a_terminal(account: Emulator, users: RunCommand) -> None:
    """The changes are shown, and the error says what to pass."""
    result = users("add", "a")
    assert result.status == 2
    assert "1 to add" in result.out
    assert "Pass --yes" in result.err
    assert writes(account) == []


def test_json_never_asks(account: Emulator, users: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--json`, nothing is asked even on a terminal."""
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    result = users("add", "a", "--json")
    assert (result.status, "--yes" in result.json["error"], account.requests) == (2, True, [])


def test_failure_between_requests(account: Emulator, users: RunCommand) -> None:
    """Changed and remaining IDs are counted; the same command sends the rest."""
    account.state.add_users("flags", "1001", "on", MANY.split())
    account.inject(Fault.status(403), method="DELETE", nth=4)
    result = users("remove", MANY, "--yes")
    assert result.status == 1
    assert "Not done: 0 added, 300 removed, 1200 left; 7 requests in" in result.out
    assert "send only what is missing" in result.out
    assert result.err.startswith("DELETE /flags/1001/variants/on/bulk-delete-users failed with 403")
    assert result.err.count("\n") == 1
    assert users("remove", MANY, "--yes", "--json").json["removed"] == 1200
    assert included(account) == []


def test_lost_response(account: Emulator, users: RunCommand) -> None:
    """IDs whose response was lost are counted as unknown."""
    account.state.add_users("flags", "1001", "on", MANY.split())
    account.inject(Fault.close(applied=True), method="DELETE", nth=3, times=None)
    result = users("remove", MANY, "--yes")
    assert result.status == 1
    assert "Unknown: 0 added, 200 removed, 100 unknown, 1200 left;" in result.out
    assert "may have been applied." in result.err


def test_invalid_key(account: Emulator, users: RunCommand, tmp_path: Path) -> None:
    """The error is one line without the key, also in JSON."""
    (tmp_path / "key").write_text("wrong-management-key\n")
    result = users("add", "a", "--yes", "--json", "--api-key-file", str(tmp_path / "key"))
    assert (result.status, result.json["state"]) == (1, "failed")
    assert "401" in result.json["error"]
    assert "wrong-management-key" not in result.out + result.err
    assert len(account.requests) == 1


def test_debug_shows_the_traceback(account: Emulator, users: RunCommand, tmp_path: Path) -> None:
    """`--debug` shows the traceback before the error, without the key."""
    (tmp_path / "key").write_text("wrong-management-key\n")
    result = users("add", "a", "--yes", "--debug", "--api-key-file", str(tmp_path / "key"))
    assert "Traceback" in result.err
    assert "wrong-management-key" not in result.err
    account.inject(Fault.status(403), method="POST")
    result = users("add", "a", "--yes", "--debug")
    assert "PermissionDeniedError" in result.err
    assert "403" in result.err.splitlines()[-1]


def test_key_file(account: Emulator, users: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file must contain one key; line ends and a byte order mark are ignored."""
    monkeypatch.delenv("AMPLITUDE_MANAGEMENT_API_KEY")
    file = tmp_path / "key"
    for content, status, message in (
        ("", 2, "file is empty"),
        ("key\nkey\n", 2, "more than one word"),
        (f"{account.api_key}\n", 0, ""),
        (f"\ufeff{account.api_key}\r\n", 0, ""),
    ):
        file.write_bytes(content.encode())
        result = users("add", "a", "--yes", "--api-key-file", str(file))
        assert (result.status, message in result.err) == (status, True)
    result = users("add", "a", "--yes", "--api-key-file", str(tmp_path / "missing"))
    assert (result.status, "cannot be read" in result.err) == (2, True)


def test_missing_key(account: Emulator, users: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, the error says where a key is looked for."""
    monkeypatch.delenv("AMPLITUDE_MANAGEMENT_API_KEY")
    result = users("add", "a", "--yes")
    assert result.status == 2
    assert "set AMPLITUDE_MANAGEMENT_API_KEY, or pass --api-key-file" in result.err
    assert account.requests == []


def test_the_second_variable_of_the_key(account: Emulator, users: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is found there if the first variable is missing."""
    monkeypatch.delenv("AMPLITUDE_MANAGEMENT_API_KEY")
    monkeypatch.setenv("AMPLITUDE_EXPERIMENT_MANAGEMENT_API_KEY", account.api_key)
    assert users("add", "a", "--yes").status == 0


def test_region_and_base_url(account: Emulator, users: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are passed to the client, which validates them."""
    assert '"mars" is not one of "us", "eu"' in users("add", "a", "--yes", "--region", "mars").err
    monkeypatch.delenv("AMPLITUDE_EXPERIMENT_BASE_URL")
    assert users("add", "a", "--yes", "--base-url", account.base_url).status == 0
    assert included(account) == ["a"]


def test_journal(account: Emulator, users: RunCommand, tmp_path: Path) -> None:
    """A journal of another job is rejected; what it marks as done is not sent again."""
    journal = str(tmp_path / "journal.jsonl")
    assert users("add", "a", "--yes", "--journal", journal).status == 0
    lines = [json.loads(line) for line in Path(journal).read_text().splitlines()]
    assert [line["state"] for line in lines[1:]] == ["begun", "done"]
    result = users("add", "b", "--yes", "--journal", journal)
    assert (result.status, "belongs to another job" in result.err) == (2, True)
    account.state.stored_flag("flags", "1001").inclusions.clear()
    result = users("add", "a", "--yes", "--journal", journal, "--json")
    assert (result.status, result.json["state"]) == (1, "failed")
    assert "Use a new journal" in result.json["error"]
    assert writes(account) == ["POST"]


def test_confirmation(account: Emulator, users: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only yes changes anything; the end of input is not an answer."""
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    (tmp_path / "ids.txt").write_text("a")
    for answer, status in (("n\n", 1), ("", 130), ("y\n", 0)):
        result = users("add", answer, file=str(tmp_path / "ids.txt"))
        assert result.status == status
        assert ("Nothing was changed." in result.err) == (status != 0)
    assert writes(account) == ["POST"]


@pytest.mark.parametrize("member", ["users", "cohorts"])
def test_an_empty_list(account: Emulator, amp_exp: RunCommand, member: str) -> None:
    """A list without IDs says so, and an index in it is rejected as such."""
    result = amp_exp(member, "list", "1001", "on")
    assert (result.status, result.out) == (0, "")
    assert result.err == f"Variant on of flag 1001 (new-checkout) includes no {member}.\n"
    rejected = amp_exp("users", "remove-at", "1001", "on", "3", "--yes")
    assert (rejected.status, "includes 0 users, so nothing can be removed" in rejected.err) == (2, True)
    account.state.add_users("flags", "1001", "on", ["a", "b"])
    assert "so the highest index is 1." in amp_exp("users", "remove-at", "1001", "on", "2", "--yes").err
