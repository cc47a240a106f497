"""The program, the demo and the emulator command."""

from __future__ import annotations

import builtins
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import amp_exp_async
import amp_exp_async.cli
from amp_exp_async import ExperimentClient, file_access
from amp_exp_async.cli import demo
from amp_exp_async.cli.app import app
from amp_exp_async.cli.demo_account import FLAG_COUNT
from amp_exp_async.emulator import Emulator
from tests.cli.terminal import AMP_EXP
from tests.polling import TIMEOUT

IN_THE_TREE = os.environ | {"PYTHONPATH": str(Path(amp_exp_async.__file__).parent.parent), "PYTHONUNBUFFERED": "1"}


def test_demo() -> None:
    """The demo edits many flags within the rate limit, and its check passes."""
    result = CliRunner().invoke(app, ["demo", "--json"])
    summary = json.loads(result.stdout)
    assert result.exit_code == 0
    assert summary["ok"]
    assert summary["faults"] == []
    assert summary["flags"] + summary["experiments"] >= 300
    assert summary["changes_checked"] > 200 + 1100
    parts = [summary[f"{name}_checked"] for name in ("fields", "users", "cohorts")]
    assert summary["changes_checked"] == sum(parts)
    assert 0 < summary["share_of_limit"] <= 1
    assert summary["rate_limited"] == 0
    assert summary["requests"] > 200
    assert summary["peak_per_second"] <= summary["limit_per_second"]
    assert summary["seconds"] > 0


def test_demo_prints_plain_lines_when_piped() -> None:
    """In a pipe, each step is one line without control characters."""
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0
    assert "Editing 200 flags concurrently: 200 of 200" in result.stdout
    assert "All changes were applied." in result.stdout
    assert "\x1b" not in result.stdout


def test_demo_fails_when_a_change_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing change is named, and the status is 1."""
    state = Emulator.__dict__["state"].fget

    class Forgetful:
        def __init__(self, state: Any) -> None:
            self._state = state

        def __getattr__(self, name: str) -> Any:
            return getattr(self._state, name)

        def users(self, kind: str, id: str, variant: str) -> list[str]:
            return list(self._state.users(kind, id, variant)[:-1])

    monkeypatch.setattr(Emulator, "state", property(lambda self: Forgetful(state(self))))
    monkeypatch.setattr(demo, "_EDITED", 5)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert "1 missing or unexpected" in result.output
    assert "The check failed." in result.stdout


def test_version() -> None:
    """`--version` prints the package's version."""
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == f"amp-exp {amp_exp_async.__version__}"


@contextmanager
def emulator_process(*arguments: str, stderr: int | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `amp-exp emulator` in a process, and give its URL."""
    with subprocess.Popen(
        [*AMP_EXP, "emulator", "--port", "0", *arguments],
        env=IN_THE_TREE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = re.search(r"http://[\d.]+:\d+", line)
            assert url is not None, line
            yield process, url.group()
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_emulator_keeps_its_state_in_the_file(tmp_path: Path, ending: signal.Signals) -> None:
    """An object created in one run exists in the next, however the first run ended."""
    file = tmp_path / "state.json"
    with emulator_process("--state", str(file)) as (process, url):
        with ExperimentClient("emulator-management-key", base_url=url) as client:
            created = client.flags.create(project_id="1", key="kept", name="übrig 残る")
        process.send_signal(ending)
        assert process.wait(TIMEOUT) == 0
    with (
        emulator_process("--state", str(file)) as (_, url),
        ExperimentClient("emulator-management-key", base_url=url) as client,
    ):
        assert client.flags.get(created.id).name == "übrig 残る"


def test_emulator_prints_what_to_export() -> None:
    """The lines of the output can be copied: with what they export, the command that they show lists the flags."""
    with emulator_process("--demo") as (process, url):
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(8)]
        exports = dict(line.removeprefix("export ").split("=") for line in lines if line.startswith("export "))
        assert exports == {
            "AMPLITUDE_EXPERIMENT_BASE_URL": url,
            "AMPLITUDE_MANAGEMENT_API_KEY": "emulator-management-key",
        }
        (command,) = [line.split() for line in lines if line.startswith("amp-exp")]
        result = CliRunner().invoke(app, command[1:], env=exports)
        assert "new-checkout" in result.stdout
        with ExperimentClient(exports["AMPLITUDE_MANAGEMENT_API_KEY"], base_url=url) as client:
            assert len(list(client.flags.list(include_archived=True))) == FLAG_COUNT + 3


def test_emulator_with_further_host_names() -> None:
    """`--allowed-host` is repeatable; loopback names are served as well."""
    with emulator_process("--allowed-host", "emulator", "--allowed-host", "proxy.example") as (_, url):
        for host, status in (("emulator:80", 401), ("proxy.example", 401), ("localhost", 401), ("evil.example", 421)):
            request = urllib.request.Request(url + "/api/1/flags", headers={"Host": host})
            with pytest.raises(urllib.request.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=TIMEOUT)
            caught.value.close()
            assert caught.value.code == status, host


@pytest.mark.parametrize("name", ["http://emulator", "a b", ""])
def test_emulator_with_an_invalid_host_name(name: str) -> None:
    """The error names the option; the status is that of invalid usage."""
    result = CliRunner().invoke(app, ["emulator", "--port", "0", "--allowed-host", name])
    assert result.exit_code == 2
    assert f'--allowed-host: "{name}" must be a name or an address' in " ".join(result.output.split())


@pytest.mark.parametrize("latency", ["0.04", "0.04-0.05"])
def test_emulator_with_latency(latency: str) -> None:
    """Responses take at least the time that the option sets."""
    with emulator_process("--latency", latency) as (_, url):
        started = time.monotonic()
        with pytest.raises(urllib.request.HTTPError, match="401") as caught:
            urllib.request.urlopen(url + "/api/1/flags", timeout=TIMEOUT)
        caught.value.close()
        assert time.monotonic() - started >= 0.04


@pytest.mark.parametrize("latency", ["fast", "0.2-0.1", "-1", "0.1-", "nan", "0.1-0.2-0.3"])
def test_emulator_with_invalid_latency(latency: str) -> None:
    """The error describes the format; the status is that of invalid usage."""
    result = CliRunner().invoke(app, ["emulator", "--port", "0", "--latency", latency])
    assert result.exit_code == 2
    assert "must be a number of seconds, or a range" in result.output


def test_emulator_with_invalid_state(tmp_path: Path) -> None:
    """An invalid state file gives one line and status 1."""
    file = tmp_path / "state.json"
    file.write_text("[1, 2")
    result = CliRunner().invoke(app, ["emulator", "--state", str(file)])
    assert result.exit_code == 1
    assert "The emulator cannot start" in result.output
    assert "Traceback" not in result.output


def test_emulator_with_port_in_use() -> None:
    """A port in use gives one line and status 1."""
    with Emulator() as emulator:
        port = emulator.base_url.rsplit(":", 1)[1]
        result = CliRunner().invoke(app, ["emulator", "--port", port])
    assert result.exit_code == 1
    assert "The emulator cannot start" in result.output


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without typer or rich, one line names the extra."""
    monkeypatch.setitem(sys.modules, "amp_exp_async.cli.app", None)

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("typer"):
            raise ModuleNotFoundError("No module named 'typer'", name="typer")
        return real_import(name, *arguments, **options)

    real_import = builtins.__import__

    monkeypatch.setattr("amp_exp_async.cli.program.collect_rarely", lambda: None)  # the tests go on in this process
    monkeypatch.setattr("builtins.__import__", missing)
    with pytest.raises(SystemExit, match=r"amp_exp_async\[cli\]"):
        amp_exp_async.cli.main()


def test_ctrl_c_at_startup(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C while the program is loaded gives one line."""

    def press(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("amp_exp_async.cli.program.collect_rarely", lambda: None)  # the tests go on in this process
    monkeypatch.setattr("typer.main.get_command", press)
    with pytest.raises(SystemExit, match="130"):
        amp_exp_async.cli.main()
    assert capsys.readouterr().err == "Interrupted. Nothing was changed.\n"


def test_bars_on_a_terminal() -> None:
    """On a terminal, steps are drawn as bars."""
    from rich.console import Console  # the extra's own

    from amp_exp_async.cli.output import make_reporter

    console = Console(force_terminal=True, width=100, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    with console.file:
        with make_reporter(console, silent=False).step("Counting", 3) as advance:
            advance(2)
            advance(1)
        assert "3/3" in console.export_text()


@pytest.mark.parametrize("step", ["fsync", "replace", "folder"])
def test_emulator_with_unwritable_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A state file that cannot be saved is rejected at startup. The message names it, and not the address."""
    file = tmp_path / ("missing" if step == "folder" else "") / "state.json"
    reason = {
        "fsync": "No space left on device",
        "replace": "a mount point, or in use, so it cannot be replaced; mount its folder instead of the file",
        "folder": "No such file or directory",
    }[step]

    def fail(*_: object) -> None:
        number = errno.ENOSPC if step == "fsync" else errno.EBUSY
        raise OSError(number, os.strerror(number))

    if step != "folder":
        monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    result = CliRunner().invoke(app, ["emulator", "--port", "0", "--state", str(file)])
    assert (result.exit_code, result.output) == (1, f"The emulator cannot start: {file}: {reason}.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_emulator_with_a_state_that_no_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the file."""
    monkeypatch.setattr(file_access, "_PEER_TIMEOUT", 0.02)
    pipe = tmp_path / "state.json"
    os.mkfifo(pipe)
    result = CliRunner().invoke(app, ["emulator", "--port", "0", "--state", str(pipe)])
    assert result.output == f"The emulator cannot start: {pipe}: a pipe that no process writes to.\n"


def test_emulator_whose_state_cannot_be_saved_at_its_end(tmp_path: Path) -> None:
    """The message says that, and not that the emulator cannot start."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with emulator_process("--state", str(folder / "state.json"), stderr=subprocess.PIPE) as (process, _):
        folder.rename(tmp_path / "moved")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert error == f"The state cannot be saved: {folder}/state.json: No such file or directory.\n"


def test_failed_start_keeps_the_state(tmp_path: Path) -> None:
    """An emulator that could not start does not touch its state file."""
    file = tmp_path / "state.json"
    file.write_text('{"flags": [{"key": "a"}]}')
    with Emulator() as emulator:
        port = emulator.base_url.rsplit(":", 1)[1]
        assert CliRunner().invoke(app, ["emulator", "--port", port, "--state", str(file)]).exit_code == 1
    assert file.read_text() == '{"flags": [{"key": "a"}]}'
