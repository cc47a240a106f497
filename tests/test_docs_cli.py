"""docs/cli.md names commands and options that exist, and every command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from amp_exp_async.cli.app import app
from tests.cli.commands import COMMANDS

PAGE = (Path(__file__).parents[1] / "docs" / "cli.md").read_text(encoding="utf-8")
LINES = {
    "".join(groups)
    for groups in re.findall(r"`(amp-exp [^`]+)`|^(?:\$ |id=\$\()?(amp-exp [^|\n)]+)", PAGE, re.MULTILINE)
}
GROUPS = {"flags": ("flags", "experiments"), "experiments": ("flags", "experiments"), "deployments": ("deployments",)}


def test_examples() -> None:
    """Every command and option in an example exists."""
    failures = {}
    for line in sorted(LINES):
        result = CliRunner().invoke(app, [*shlex.split(line, comments=True)[1:], "--help"])
        if "--install-completion" not in line and (result.exit_code or result.stderr):
            failures[line] = result.stderr
    assert len(LINES) > 20
    assert failures == {}


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
