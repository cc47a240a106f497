"""`amp-exp export`: requests and output."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from amp_exp_async import load
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand
from tests.manifests.privileges import file_modes_apply

pytestmark = pytest.mark.usefixtures("account")


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_export_to_standard_output(amp_exp: RunCommand, tmp_path: Path, format: str) -> None:
    """Standard output is a file that can be loaded."""
    result = amp_exp("export", "--format", format)
    file = tmp_path / f"flags.{format}"
    file.write_text(result.out)
    assert (result.status, result.err) == (0, "")
    assert [flag.key for flag in load(file).flags] == ["new-checkout"]


def test_export_as_json(amp_exp: RunCommand) -> None:
    """`--json` prints the same document on one line."""
    assert amp_exp("export", "--json").json == amp_exp("export", "--format", "json").json


@pytest.mark.parametrize(("name", "made"), [("flags.yml", "flags.yml"), ("folder", "folder/flags/new-checkout.yaml")])
def test_export_to_a_file_or_folder(amp_exp: RunCommand, tmp_path: Path, name: str, made: str) -> None:
    """The counts and the path are reported, as text or JSON."""
    path = tmp_path / name
    assert amp_exp("export", "-o", path).out == f"Wrote 1 flag and 0 experiments to {path}.\n"
    assert amp_exp("export", "-o", path, "--json").json == {"flags": 1, "experiments": 0, "output": str(path)}
    assert (tmp_path / made).is_file()


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("--with-inclusions", "variants.0.users"),
        ("--include-archived", "archived"),
        ("--server-fields", "id"),
        ("--with-variants", "variants.0.description"),
    ],
)
def test_export_with_details(amp_exp: RunCommand, account: Emulator, option: str, field: str) -> None:
    """Details are exported only with their options."""
    account.state.add_users("flags", "1001", "on", ["ada"])
    account.state.add_flag(key="archived", deleted=True)
    shown = [str(amp_exp("export", "--json", *options).json["flags"]) for options in ([], [option])]
    name = field.rsplit(".", 1)[-1]
    assert [text.count(f"'{name}'") > ("description" in name) for text in shown] == [False, True]


def test_export_of_some_keys(amp_exp: RunCommand, account: Emulator) -> None:
    """Only these keys are exported; an unknown one is rejected."""
    account.state.add_flag(key="search")
    account.state.add_flag(key="theme")
    assert [item["key"] for item in amp_exp("export", "--key", "theme", "--key", "search", "--json").json["flags"]] == [
        "search",
        "theme",
    ]
    assert amp_exp("export", "--key", "serach").status == 2


def test_empty_export(amp_exp: RunCommand) -> None:
    """The API reports no error for a wrong project, so a line on stderr does."""
    result = amp_exp("export", "--project-id", "99", "--json")
    assert result.json["flags"] == []
    assert result.err == "No flags and no experiments in project 99 visible to this API key.\n"


@pytest.mark.parametrize("options", [["-o", "flags.txt"], ["-o", "flags.yaml", "--format", "json"]])
def test_export_with_mismatched_name(amp_exp: RunCommand, account: Emulator, options: list[str]) -> None:
    """A name that does not match the format is rejected before anything is read."""
    result = amp_exp("export", *options)
    assert (result.status, account.requests) == (2, [])
    assert options[1] in result.err


def test_export_to_unwritable_path(amp_exp: RunCommand, file: Path) -> None:
    """The error is one line that names the option."""
    result = amp_exp("export", "-o", file / "flags.yaml")
    assert result.status == 2
    assert result.err == f"--output {file}/flags.yaml: cannot be written (File exists).\n"


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
@pytest.mark.parametrize("name", ["flags.yaml", "folder"])
def test_export_over_a_protected_file(amp_exp: RunCommand, tmp_path: Path, name: str) -> None:
    """The error names the option, and the file if the option does not."""
    path = tmp_path / name
    assert amp_exp("export", "-o", path, "--key", "new-checkout").status == 0
    [file] = [path] if path.is_file() else (path / "flags").iterdir()
    file.write_text(file.read_text().replace("new-checkout", "old"))
    file.chmod(0o444)
    with file_modes_apply():
        result = amp_exp("export", "-o", path)
    assert result.status == 2
    named = "" if path.is_file() else f" {file}"
    assert result.err == f"--output {path}:{named} cannot be written (Permission denied).\n"


def test_omitted_inclusions(account: Emulator, amp_exp: RunCommand) -> None:
    """Inclusions that a file cannot hold are named."""
    account.state.add_users("flags", "1001", "on", ["a,b"])
    result = amp_exp("export", "--with-inclusions")
    assert result.err == "Omitted, because a file cannot hold them: the inclusions of flags/new-checkout, variant on.\n"
    assert "users" not in result.out


def test_a_new_folder(amp_exp: RunCommand, tmp_path: Path) -> None:
    """A folder that is created for the file is named, because a typing mistake may have asked for it."""
    path = tmp_path / "flgas" / "all.yaml"
    assert amp_exp("export", "--output", path).err == f"Created the folder {path.parent}.\n"
    assert amp_exp("export", "--output", path).err == ""
    assert amp_exp("export", "--output", tmp_path / "folder").err == ""
