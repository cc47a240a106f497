"""docs/cli.md names commands and options that exist, and every command; its examples and those of the README run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amp_exp_async.cli.app import app
from amp_exp_async.cli.documented_objects import add_documented_objects
from amp_exp_async.emulator import Emulator
from tests.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = {
    "".join(groups)
    for groups in re.findall(r"`(amp-exp [^`]+)`|^(?:\$ |id=\$\()?(amp-exp [^|\n)]+)", PAGE, re.MULTILINE)
}
GROUPS = {"flags": ("flags", "experiments"), "experiments": ("flags", "experiments"), "deployments": ("deployments",)}


# They change the machine, or serve until they are stopped.
NOT_RUN = ("--install-completion", "emulator")


def examples_to_run() -> list[list[str]]:
    """Return the commands of the code blocks in their order, without those of pipelines, after those of the README."""
    text = "\n".join(re.findall(r"```(?:bash|console)\n(.*?)```", PAGE, re.DOTALL))
    lines = re.findall(r"^amp-exp [^&\n]+|(?<=&& )amp-exp [^&\n]+", README, re.MULTILINE)
    lines += re.findall(r"^(?:\$ |id=\$\()?(amp-exp [^|>\n]+?)(?:\)| > .*)?$", text, re.MULTILINE)
    return [words for line in lines if not set(NOT_RUN) & set(words := shlex.split(line, comments=True))]


def test_examples_exist() -> None:
    """Every command and option in an example that is not run exists."""
    failures, is_run = {}, examples_to_run()
    for line in sorted(LINES):
        words = shlex.split(line, comments=True)
        if words in is_run or "--install-completion" in words:
            continue
        result = CliRunner().invoke(app, [*words[1:], "--help"])
        if result.exit_code or result.stderr:
            failures[line] = result.stderr
    assert len(LINES) > 20
    assert failures == {}


def test_examples_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each example of the page succeeds, one after the other, on the account that `emulator --demo` serves."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AMP_EXP_CONFIG_FILE", "config.toml")
    (profiles,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    Path("config.toml").write_text(profiles.partition("\n\n")[2])  # without default_profile
    (tmp_path / "ids.txt").write_text("user-1\nuser-2\n")
    (tmp_path / "emails.csv").write_text("name,email\nAnn,ann@example.com\n")
    failures = []
    with Emulator() as emulator:
        add_documented_objects(emulator.state)
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        for words in examples_to_run():
            if "flags/" in words and not Path("flags").exists():
                Path("flags").mkdir()
                shutil.copy("flags.yaml", "flags")
            result = CliRunner().invoke(app, words[1:])
            if "Pass --yes" in result.stderr:
                result = CliRunner().invoke(app, [*words[1:], "--yes"])
            if result.exit_code:
                failures.append(f"{shlex.join(words)}: {result.output} {result.exception}")
    assert len(examples_to_run()) > 50
    assert failures == []


def test_every_command_has_an_example() -> None:
    """A command that flags and experiments share needs one example; `disable` is named beside `enable`."""
    missing = [
        command
        for command in COMMANDS
        if command[0] in GROUPS
        and command[1] != "disable"
        and not any(f"amp-exp {group} {command[1]}" in PAGE for group in GROUPS[command[0]])
    ]
    assert missing == []
