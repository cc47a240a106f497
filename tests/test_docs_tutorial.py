"""docs/tutorial.md: its commands and scripts run one after the other, and print what it shows."""

from __future__ import annotations

import contextlib
import re
import runpy
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amp_exp_async.cli.app import app
from amp_exp_async.cli.documented_objects import add_documented_objects
from amp_exp_async.emulator import Emulator

PAGE = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")
# They set up the machine; the test sets up the same.
NOT_RUN = re.compile(r"python3 -m venv|\. \.venv|pip install|amp-exp emulator|export |unset ")


def comparable(text: str) -> list[str]:
    """Return the lines without what differs between runs: times, the IDs of new flags, widths, the order of flags."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", re.sub(r"^\d+$", "ID", text, flags=re.MULTILINE))
    return sorted(" ".join(line.split()) for line in text.splitlines())


def test_tutorial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each block of commands prints the block of output that follows."""
    monkeypatch.chdir(tmp_path)
    shown, compared = "", 0
    with Emulator() as emulator:
        add_documented_objects(emulator.state)
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        for language, block in re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL):
            if block.startswith("flag,user_id\n"):
                Path("pilots.csv").write_text(block)
            elif language == "python":
                Path(block.split()[1]).write_text(block)
            elif language == "bash":
                shown = "".join(run(command, capsys) for command in block.splitlines() if not NOT_RUN.match(command))
            elif shown:
                assert comparable(shown) == comparable(block)
                compared += 1
    assert compared == PAGE.count("```text") - 2  # all but that of the emulator and the file
    [created] = [flag["id"] for flag in emulator.state.flags if flag["key"] == "new-search"]
    assert emulator.state.users("flags", created, "on") == ["kim"]


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command in this process, and return what it prints."""
    program, *arguments = shlex.split(command)
    if program == "amp-exp":
        return CliRunner().invoke(app, arguments).output
    assert program == "python"
    with contextlib.suppress(SystemExit):
        runpy.run_path(arguments[0], run_name="__main__")
    return capsys.readouterr().out
