"""`amp-exp plan`: requests and output."""

from __future__ import annotations

from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand, writes

pytestmark = pytest.mark.usefixtures("account")


def test_plan(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """The diff goes to stdout, and the next step to stderr; nothing is changed."""
    result = amp_exp("plan", edited)
    assert result.status == 0
    assert "~ edit flags/search in project" in result.out
    assert '- name: "Search"\n  + name: "Find"' in result.out
    assert "\x1b" not in result.out
    assert result.err == f"To make these changes: amp-exp apply {edited}\n"
    assert writes(account) == []


def test_next_step_keeps_the_options(amp_exp: RunCommand, edited: Path, account: Emulator) -> None:
    """The next step is for the same account and has the same options."""
    result = amp_exp("plan", edited, "--prune", "--base-url", account.base_url)
    assert result.err == f"To make these changes: amp-exp apply {edited} --prune --base-url {account.base_url}\n"


@pytest.mark.parametrize(("change", "status"), [("name: Find", 3), ("name: Search", 0)])
def test_detailed_exitcode(amp_exp: RunCommand, file: Path, change: str, status: int) -> None:
    """With `--detailed-exitcode`, the status is 3 if there are changes."""
    file.write_text(file.read_text().replace("name: Search", change))
    assert amp_exp("plan", file, "--detailed-exitcode").status == status
    assert amp_exp("plan", file, "--detailed-exitcode", "--json").status == status
    assert amp_exp("plan", file).status == 0


def test_plan_as_json_and_markdown(amp_exp: RunCommand, edited: Path) -> None:
    """Standard output has the plan only; JSON and Markdown exclude each other."""
    assert [change["key"] for change in amp_exp("plan", edited, "--json").json["changes"]] == ["search", "theme"]
    assert amp_exp("plan", edited, "--markdown").out.startswith("<!-- amp-exp plan -->\n### Flags: 2 to edit\n")
    assert amp_exp("plan", edited, "--markdown", "--json").status == 2


def test_empty_plan(amp_exp: RunCommand, file: Path) -> None:
    """An empty plan has no next step."""
    result = amp_exp("plan", file)
    assert (result.out, result.err) == ("Nothing to change: 3 flags in the account match the files.\n", "")


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ([], ", so nothing is compared."),
        (["--prune"], ", so no project is read, and --prune archives nothing. To empty a project, pass --project-id."),
        (["--prune", "--project-id", "9"], ". With --prune, project 9 is to have no flags."),
    ],
)
def test_plan_of_an_empty_list(amp_exp: RunCommand, account: Emulator, options: list[str], note: str) -> None:
    """A file that declares nothing matches nothing: the command says what it compares."""
    result = amp_exp("plan", "-", *options, stdin="flags: []\n")
    assert (result.status, result.out) == (0, "Nothing to change.\n")
    assert result.err == f"The files declare no flags and no experiments{note}\n"
    assert bool(account.requests) == ("9" in options)
    assert amp_exp("apply", "-", *options, "--json", stdin="flags: []\n").json["state"] == "unchanged"


def test_plan_of_several_files(amp_exp: RunCommand, file: Path, tmp_path: Path) -> None:
    """Files count as one; a flag declared twice is rejected with both places."""
    other = tmp_path / "other.json"
    other.write_text('{"project_id": "1",\n "flags": [{"key": "brand-new"}]}')
    assert [item["key"] for item in amp_exp("plan", file, other, "--json").json["changes"]] == ["brand-new"]
    other.write_text('{"flags": [\n {"key": "search"}]}')
    result = amp_exp("plan", file, other, "--json")
    assert result.status == 2
    assert [problem["line"] for problem in result.json["problems"]] == [2]
    assert f"first in {file}:" in result.err


@pytest.mark.parametrize("text", ["flags:\n  - key: brand-new\n", '{"flags": [{"key": "brand-new"}]}'])
def test_plan_of_standard_input(amp_exp: RunCommand, text: str) -> None:
    """Standard input is YAML or JSON, and problems name it."""
    content = text.replace("brand-new", "new-checkout")
    assert amp_exp("plan", "-", stdin=content).out == "Nothing to change: 1 flag in the account matches the files.\n"
    assert "standard input:" in amp_exp("plan", "-", stdin=text.replace("key", "kee")).err


def test_problems_of_all_files_in_one_message(amp_exp: RunCommand, account: Emulator, tmp_path: Path) -> None:
    """Each problem has a line with file and line number; nothing is sent."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"flags:\n  - key: {name}\n    nmae: x\n")
    result = amp_exp("plan", tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml")
    assert (result.status, account.requests) == (2, [])
    assert result.err.startswith("3 problems.\n")
    assert result.err.count(".yaml:") == 3


@pytest.mark.parametrize("content", [None, "project_id: '1'\n"])
def test_folder_without_flags(amp_exp: RunCommand, account: Emulator, tmp_path: Path, content: str | None) -> None:
    """A folder without flags is rejected, because an empty plan would look like success."""
    if content is not None:
        (tmp_path / "flags.yaml").write_text(content)
    result = amp_exp("plan", tmp_path)
    assert (result.status, account.requests) == (2, [])
    assert "no flags and no experiments" in result.err


def test_out_overwrites_plans_only(amp_exp: RunCommand, edited: Path) -> None:
    """A plan is saved over another plan, and over no other file."""
    out = edited.parent / "new.json"
    assert amp_exp("plan", edited, "--out", out).err == f"To make exactly these changes: amp-exp apply {out}\n"
    assert amp_exp("plan", edited, "--out", out).status == 0
    before = edited.read_text()
    assert amp_exp("plan", edited, "--out", edited).status == 2
    assert edited.read_text() == before
    assert "cannot be written" in amp_exp("plan", edited, "--out", edited.parent / "none" / "plan.json").err


def test_plan_of_a_saved_plan(amp_exp: RunCommand, plan: Path) -> None:
    """The error says how to apply it."""
    result = amp_exp("plan", plan)
    assert (result.status, result.err.endswith(f"amp-exp apply {plan}\n")) == (2, True)


def test_saved_plan_on_standard_input(amp_exp: RunCommand, plan: Path) -> None:
    """A saved plan on standard input is recognized and rejected."""
    assert "is a saved plan" in amp_exp("plan", "-", stdin=plan.read_text()).err
