"""`amp-exp lint` and `diff`: requests, output and exit status."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amp_exp_async import LINT_RULES
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand

pytestmark = pytest.mark.usefixtures("account")


@pytest.fixture
def doubtful(file: Path) -> Path:
    """The file, with a flag that is enabled without a deployment."""
    text = file.read_text()
    file.write_text(text.replace("enabled: false", "enabled: true", 1))
    return file


def test_lint(amp_exp: RunCommand, doubtful: Path, account: Emulator) -> None:
    """Each finding has a line with file and line number; the status is 1; nothing is sent."""
    result = amp_exp("lint", doubtful)
    assert (result.status, result.err) == (1, "1 finding.\n")
    assert result.out.startswith(f"{doubtful}:")
    assert result.out.endswith("(enabled-without-deployment)\n")
    assert amp_exp("lint", doubtful, "--json").json["findings"][0]["rule"] == "enabled-without-deployment"
    assert amp_exp("lint", doubtful, "--disable", "enabled-without-deployment").out == "No findings.\n"
    assert account.requests == []


def test_annotations(amp_exp: RunCommand, doubtful: Path, tmp_path: Path) -> None:
    """With `--format github`, each finding and each problem of a file is a workflow command with its escapes."""
    strange = doubtful.rename(tmp_path / "a,b:c%.yaml")
    result = amp_exp("lint", strange, "--format", "github")
    assert (result.status, result.err, result.out.count("\n")) == (1, "1 finding.\n", 1)
    start, line, rest = re.split(r",line=(\d+),", result.out)
    assert start == f"::error file={tmp_path}/a%2Cb%3Ac%25.yaml"
    assert strange.read_text().splitlines()[int(line) - 1].strip().startswith("enabled: true")
    assert rest.startswith("title=enabled-without-deployment::flags[0].enabled: is true without a deployment, so")
    strange.write_text(strange.read_text() + "  - {key: new, nope: 1}\n")
    result = amp_exp("lint", strange, "--format", "github")
    assert (result.status, "::error file=" in result.out, ",title=invalid file::" in result.out) == (2, True, True)
    assert amp_exp("lint", strange, "--format", "github", "--json").status == 2


def test_lint_of_a_project(amp_exp: RunCommand, account: Emulator) -> None:
    """A project is read with all fields that the rules need."""
    account.state.add_flag(key="a", projectId="7", enabled=True)
    account.state.add_users("flags", "1002", "on", ["ada@example.com"])
    rules = {finding["rule"] for finding in amp_exp("lint", "--project-id", "7", "--json").json["findings"]}
    assert rules >= {"enabled-without-deployment", "email-inclusion"}


def test_lint_rules(amp_exp: RunCommand) -> None:
    """The rules are listed as a table and as JSON."""
    assert "\nstale-tag\t" in amp_exp("lint", "--rules").out
    assert amp_exp("lint", "--rules", "--json").json == dict(LINT_RULES)


@pytest.mark.parametrize("options", [[], ["flags.yaml", "--project-id", "1"], ["--project-id", "1", "--disable", "no"]])
def test_lint_with_invalid_options(amp_exp: RunCommand, account: Emulator, options: list[str]) -> None:
    """Invalid options are rejected before anything is read."""
    assert (amp_exp("lint", *options).status, account.requests) == (2, [])


def test_invalid_file(amp_exp: RunCommand, account: Emulator, tmp_path: Path) -> None:
    """The file's problems are listed, the status is 2, and nothing is sent."""
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"flags": [{"key": "a"')
    for arguments in (["lint", wrong], ["diff", wrong, "project:1"], ["diff", "1", tmp_path / "none"]):
        result = amp_exp(*arguments)
        assert (result.status, result.err.splitlines()[0]) == (2, "1 problem.")
    assert account.requests == []


def test_diff_of_files(amp_exp: RunCommand, file: Path, account: Emulator) -> None:
    """The changes that turn the first file into the second; nothing is sent."""
    other = file.parent / "other.yaml"
    other.write_text(file.read_text().replace("name: Search", "name: Find"))
    result = amp_exp("diff", file, other)
    assert (result.status, '- name: "Search"\n  + name: "Find"' in result.out) == (0, True)
    assert amp_exp("diff", file, other, "--detailed-exitcode").status == 3
    assert amp_exp("diff", file, other, "--json").json["changes"][0]["key"] == "search"
    assert amp_exp("diff", file, other, "--markdown").out.startswith("<!-- amp-exp diff -->\n### ")
    assert amp_exp("diff", file, file, "--detailed-exitcode").out == "No differences.\n"
    assert amp_exp("diff", "-", file, stdin=other.read_text()).out.startswith("~ edit flags/search")
    assert amp_exp("diff", "-", "-").status == 2
    assert account.requests == []


@pytest.mark.parametrize("name", ["project:7", "7"])
def test_diff_with_a_project(amp_exp: RunCommand, account: Emulator, tmp_path: Path, name: str) -> None:
    """A project is read with all fields that the file declares."""
    account.state.add_flag(key="a", projectId="7")
    account.state.add_users("flags", "1002", "on", ["ada"])
    file = tmp_path / "flags.json"
    file.write_text('{"flags": [{"key": "a", "variants": [{"key": "on", "users": ["grace"]}]}]}')
    assert amp_exp("diff", name, file, "--json").json["changes"][0]["fields"] == {
        "variants.on.users": {"before": ["ada"], "after": ["grace"]}
    }


def test_diff_of_projects(amp_exp: RunCommand, account: Emulator) -> None:
    """Inclusions are compared with their option; an empty project is reported."""
    for project in ("7", "8"):
        account.state.add_flag(key="a", projectId=project)
    account.state.add_users("flags", "1002", "on", ["ada"])
    assert amp_exp("diff", "project:7", "project:8").out == "No differences.\n"
    assert "variants.on.users" in amp_exp("diff", "project:7", "project:8", "--with-inclusions").out
    assert "no experiments in project 9 visible to this API key" in amp_exp("diff", "project:9", "project:8").err


def test_digits_that_name_a_folder(
    amp_exp: RunCommand, account: Emulator, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An existing folder is preferred to a project."""
    monkeypatch.chdir(file.parent)
    (file.parent / "7").mkdir()
    (file.parent / "7" / "flags.yaml").write_text(file.read_text())
    assert amp_exp("diff", "7", file).out == "No differences.\n"
    assert account.requests == []
