"""`amp-exp flags list` and `get`, and how commands find a flag."""

from __future__ import annotations

from pathlib import Path

import pytest

from amp_exp_async.cli.output import fit_columns
from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand

EVIL = "\x1b[31mred\nline\u202e\tend"


@pytest.fixture
def several(account: Emulator) -> Emulator:
    """Flags that differ in the fields that `list` filters."""
    account.state.add_flag(key="on-one", enabled=True, tags=["a", "b"], rolloutPercentage=20)
    account.state.add_flag(key="other", projectId="8", enabled=True, tags=["a"])
    account.state.add_flag(key="gone", deleted=True)
    return account


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ([], ["other", "on-one", "new-checkout"]),
        (["--include-archived"], ["gone", "other", "on-one", "new-checkout"]),
        (["--enabled"], ["other", "on-one"]),
        (["--disabled"], ["new-checkout"]),
        (["--tag", "a"], ["other", "on-one"]),
        (["--tag", "a", "--tag", "b"], ["on-one"]),
        (["--project-id", "8"], ["other"]),
        (["--key", "on-one"], ["on-one"]),
        (["--key", "nope"], []),
    ],
)
def test_filters(amp_exp: RunCommand, options: list[str], keys: list[str]) -> None:
    """Each option filters the table and the JSON alike."""
    result = amp_exp("flags", "list", *options)
    assert (result.status, bool(result.err)) == (0, not keys)
    header, *rows = [line.split("\t") for line in result.out.splitlines()]
    assert header[:4] == ["id", "project", "key", "enabled"]
    assert [row[2] for row in rows] == keys
    assert [flag["key"] for flag in amp_exp("flags", "list", "--json", *options).json] == keys


@pytest.mark.usefixtures("several")
def test_row(amp_exp: RunCommand) -> None:
    """A row has the fields that distinguish flags."""
    out = amp_exp("flags", "list", "--key", "on-one", "--include-archived").out
    header, row = (line.split("\t") for line in out.splitlines())
    shown = dict(zip(header, row, strict=True))
    assert shown.pop("last modified")[:2] == "20"
    assert shown == {
        "id": "1002",
        "project": "1",
        "key": "on-one",
        "enabled": "yes",
        "archived": "no",
        "rollout": "20",
        "name": "on-one",
        "variants": "on",
        "tags": "a,b",
    }


def test_several_pages(account: Emulator, amp_exp: RunCommand) -> None:
    """All pages are read."""
    for number in range(1500):
        account.state.add_flag(key=f"flag-{number}")
    assert amp_exp("flags", "list").out.count("\n") == 1 + 1501
    assert len(amp_exp("flags", "list", "--json").json) == 1501


def test_failing_page(account: Emulator, amp_exp: RunCommand) -> None:
    """A page that fails is an error, never a shorter list; JSON has the error only."""
    for number in range(1500):
        account.state.add_flag(key=f"flag-{number}")
    account.inject(Fault.status(403), nth=2, times=1)
    result = amp_exp("flags", "list")
    assert (result.status, "403" in result.err) == (1, True)
    account.inject(Fault.status(403), nth=2, times=1)
    document = amp_exp("flags", "list", "--json").json
    assert (document["code"], document["status"], document["message"]) == ("permission_denied", 403, document["error"])
    assert len(document) == 4


def test_failing_first_page(account: Emulator, amp_exp: RunCommand) -> None:
    """No header is printed, which would suggest an empty table."""
    account.inject(Fault.status(403))
    assert amp_exp("flags", "list").out == ""


def test_get(account: Emulator, amp_exp: RunCommand, tmp_path: Path) -> None:
    """The output is a file without a difference for `plan`; `--json` has the library's names and all fields."""
    account.state.add_flag(
        key="full",
        tags=["a", "b"],
        variants=[{"key": "on", "payload": {"x": [1]}}, {"key": "off"}],
        targetSegments=[
            {
                "name": "Pilot",
                "conditions": [{"type": "property", "prop": "gp:beta", "op": "is", "values": ["true"]}],
                "percentage": 10,
                "rolloutWeights": {"on": 1},
            }
        ],
        newToUs="kept",
    )
    file = tmp_path / "full.yaml"
    file.write_text(amp_exp("flags", "get", "full").out, encoding="utf-8")
    text = file.read_text(encoding="utf-8")
    assert "  - key: full\n" in text
    assert "experiments" not in text
    assert amp_exp("plan", file, "--detailed-exitcode").status == 0
    document = amp_exp("flags", "get", "1002", "--json").json
    assert document["target_segments"][0]["conditions"][0]["values"] == ["true"]
    assert document["variants"][0]["payload"] == {"x": [1]}
    assert document["extra"] == {"newToUs": "kept"}


def test_control_characters(account: Emulator, amp_exp: RunCommand) -> None:
    """Outputs show the control characters of a name as escapes."""
    account.state.add_flag(key="evil", name=EVIL, description=EVIL)
    outputs = [
        amp_exp("flags", "list", "--key", "evil").out.splitlines()[1],
        amp_exp("flags", "get", "evil").out,
        amp_exp("flags", "edit", "evil", "--name", "good").out,
        amp_exp("flags", "history", "evil").out,
        amp_exp("flags", "versions", "evil", "1").out,
    ]
    for output in outputs:
        assert not {"\x1b", "\u202e"} & set(output), output
        assert "\nline" not in output, output
        assert r"\u001b[31mred\nline\u202e\tend" in output, output
    assert outputs[0].count("\t") == 8


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (["999"], "If 999 is a key, pass --by-key."),
        (["nope"], 'no flag with key "nope"'),
        (["no pe"], 'no flag with key "no pe"'),
        (["twice"], "Choose one with --project-id, or pass an ID."),
        (["1001", "--project-id", "1"], "pass --by-key"),
        (["2024"], "If 2024 is a key, pass --by-key."),
    ],
)
def test_unresolved_targets(account: Emulator, amp_exp: RunCommand, name: list[str], message: str) -> None:
    """One line says why no flag matches and what to pass."""
    account.state.add_flag(key="2024")
    for project in ("7", "8"):
        account.state.add_flag(key="twice", projectId=project)
    result = amp_exp("flags", "get", *name)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err


@pytest.mark.parametrize(
    ("name", "id"),
    [
        (["2024", "--by-key"], "1002"),
        (["twice", "--project-id", "8"], "1004"),
        (["gone"], "1005"),
        (["again"], "1007"),
    ],
)
def test_targets(account: Emulator, amp_exp: RunCommand, name: list[str], id: str) -> None:
    """A key names its flag; an archived flag only if no active one has the key."""
    account.state.add_flag(key="2024")
    for project in ("7", "8"):
        account.state.add_flag(key="twice", projectId=project)
    account.state.add_flag(key="gone", deleted=True)
    account.state.add_flag(key="again", deleted=True, projectId="7")
    account.state.add_flag(key="again", projectId="8")
    assert amp_exp("flags", "get", *name, "--json").json["id"] == id


def test_experiments(account: Emulator, amp_exp: RunCommand) -> None:
    """Experiments have the same commands and their own fields."""
    account.state.add_experiment(key="price")
    assert [item["key"] for item in amp_exp("experiments", "list", "--json").json] == ["price"]
    assert "experiment_type: hypothesis-testing" in amp_exp("experiments", "get", "price").out


@pytest.mark.parametrize(
    ("width", "widths"),
    [
        (1, {"key": 1}),
        (29, {"key": 29}),
        (34, {"key": 30}),
        (35, {"id": 3, "key": 30}),
        (44, {"id": 3, "key": 30, "project": 7}),
        (53, {"id": 3, "key": 30, "name": 16}),
        (61, {"id": 3, "key": 30, "name": 24}),
        (62, {"id": 3, "key": 30, "name": 16, "project": 7}),
        (86, {"id": 3, "key": 30, "name": 40, "project": 7}),
        (200, {"id": 3, "key": 30, "name": 40, "project": 7}),
    ],
)
def test_fit_columns(width: int, widths: dict[str, int]) -> None:
    """Columns are kept by importance, two spaces apart; names are wrapped; wide characters count twice."""
    rows = [["123", "k" * 30, "残" * 20, "7"]]
    fitted = fit_columns(["id", "key", "name", "project"], rows, width, ["key", "id", "name", "project"], {"name": 16})
    assert fitted == widths


@pytest.mark.parametrize("key", ["checkout.v2", "with space ", "ünï/cødé", "a?b&c=d", "..", "50%", "'quoted'"])
def test_any_key(account: Emulator, amp_exp: RunCommand, key: str) -> None:
    """An existing flag is addressed by any key, and keeps it."""
    id = account.state.add_flag(key=key, deployments=["51"], variants=[{"key": "v.1/ä"}])["id"]
    assert amp_exp("flags", "get", key, "--json").json["key"] == key
    assert [flag["id"] for flag in amp_exp("flags", "list", "--key", key, "--json").json] == [id]
    for arguments in (["enable", key], ["edit", key, "--name", "new"], ["disable", key], ["archive", key, "--yes"]):
        result = amp_exp("flags", *arguments)
        assert (result.status, result.err) == (0, "")
    assert amp_exp("flags", "restore", key).status == 0
    result = amp_exp("users", "add", key, "v.1/ä", "--file", "-", "--yes", stdin="u1\n")
    assert (result.status, result.err) == (0, "")
    assert account.state.users("flags", id, "v.1/ä") == ["u1"]
    assert account.state.flag(id).items() >= {"key": key, "name": "new", "enabled": False, "deleted": False}.items()


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("command", ["flags list", "experiments find", "deployments list", "mutexes list"])
def test_an_unknown_project(amp_exp: RunCommand, command: str) -> None:
    """An unknown or empty project says so on stderr."""
    result = amp_exp(*command.split(), "--project-id", "777")
    noun = {"mutexes": "mutex groups"}.get(command.split(maxsplit=1)[0], command.split(maxsplit=1)[0])
    assert (result.status, result.err) == (
        0,
        f"No {noun} found in project 777. Archived ones are listed with --include-archived only.\n",
    )
    assert len(result.out.splitlines()) == 1
    assert amp_exp(*command.split(), "--project-id", "777", "--json").json == []
