"""docs/cli.md against the commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amp_exp_async.cli.app import app
from tests.cli.commands import COMMANDS

PAGE = (Path(__file__).parents[1] / "docs" / "cli.md").read_text(encoding="utf-8")
EXAMPLES = sorted(set(re.findall(r"`(amp-exp [^`]+)`|^(?:\$ |id=\$\()?(amp-exp [^|\n)]+)", PAGE, re.MULTILINE)))
# Trying this one would install it.
LINES = [line for line in map("".join, EXAMPLES) if "--install-completion" not in line]
MANAGING = [command for command in COMMANDS if command[0] in {"flags", "experiments", "deployments"}]


@pytest.mark.parametrize("line", LINES)
def test_examples(line: str) -> None:
    """Every command and option of an example exists."""
    result = CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"])
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize("command", MANAGING, ids=" ".join)
def test_every_command_is_there(command: tuple[str, ...]) -> None:
    """Of commands that flags and experiments share, it is enough to have one of the two."""
    group, name = command
    groups = ("flags", "experiments") if group != "deployments" else (group,)
    known = [f"amp-exp {one} {name}" in PAGE for one in groups]
    assert any(known) or name == "disable"
