"""Flags as files, in a process of its own: piped and on a terminal."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import CommandResult, RunCommand, writes
from tests.cli.terminal import AMP_EXP, environment_of, run_on_terminal, run_piped, started
from tests.polling import TIMEOUT, wait_until

MANY = 120
LATE = 30.0
ASKED = "Make these changes? [y/N]"


class FileAccount:
    """An emulator, and `amp-exp` in a folder of its own."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self.environment = environment_of(emulator)

    def __call__(self, command: str, stdin: str = "") -> CommandResult:
        return run_piped(self.arguments_of(command), self.environment, stdin=stdin)

    def on_terminal(self, command: str, answer: str | None = None) -> CommandResult:
        answers = {} if answer is None else {ASKED: answer}
        return run_on_terminal(self.arguments_of(command), self.environment, answers=answers)

    def arguments_of(self, command: str) -> list[str]:
        """Return the arguments; names that start with @ are files in the folder."""
        return [str(self.folder / item[1:]) if item.startswith("@") else item for item in command.split()]

    def edit(self, name: str, before: str, after: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    def flags(self, project: str) -> dict[str, tuple[object, ...]]:
        shown = ("name", "enabled", "rolloutPercentage")
        return {
            flag["key"]: tuple(flag[name] for name in shown)
            for flag in self.emulator.state.flags
            if flag["projectId"] == project
        }


@pytest.fixture
def amp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileAccount]:
    with Emulator() as emulator:
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        yield FileAccount(emulator, tmp_path)


def test_workflow(amp: FileAccount, amp_exp: RunCommand) -> None:
    """Export, edit, plan, apply and promote to another project. What needs no process of its own runs in this one."""

    def here(command: str) -> CommandResult:
        return amp_exp(*amp.arguments_of(command))

    for project in ("1", "2"):
        amp.emulator.state.add_deployment(id=f"5{project}", label="web", projectId=project)
    for key in ("new-checkout", "search"):
        amp.emulator.state.add_flag(key=key, name=key, projectId="1", deployments=["51"], tags=["until-2020-01-31"])
    assert here("export --project-id 1 --output @flags.yaml").out.startswith("Wrote 2 flags and 0 experiments to ")
    assert here("plan @flags.yaml --detailed-exitcode").status == 0

    amp.edit("flags.yaml", 'name: search\n    description: ""\n    enabled: false', "name: Search\n    enabled: true")
    linted = here("lint @flags.yaml")
    assert (linted.status, "flags.yaml:" in linted.out) == (1, True)
    planned = here("plan @flags.yaml --detailed-exitcode")
    assert planned.status == 3
    assert '+ name: "Search"\n  - enabled: false\n  + enabled: true' in planned.out.replace('- name: "search"\n  ', "")

    refused = amp("apply @flags.yaml")
    assert (refused.status, "no terminal" in refused.err) == (2, True)
    assert "Nothing was changed." in amp.on_terminal("apply @flags.yaml", "\x03").out
    assert writes(amp.emulator) == []
    applied = amp.on_terminal("apply @flags.yaml", "y\n")
    assert (applied.status, "Done: 1 of 1 flags and experiments;" in applied.out) == (0, True)
    assert amp.flags("1")["search"] == ("Search", True, 0)
    assert here("plan @flags.yaml --detailed-exitcode").status == 0

    promoted = here("apply @flags.yaml --project-id 2 --yes")
    assert (promoted.status, "Done: 2 of 2 flags and experiments;" in promoted.out) == (0, True)
    assert amp.flags("2") == amp.flags("1")
    same = here("diff project:1 project:2 --detailed-exitcode")
    assert (same.status, same.out) == (0, "No differences.\n")
    amp.edit("flags.yaml", "name: Search", "name: Find")
    differs = here("diff 2 @flags.yaml --detailed-exitcode")
    assert (differs.status, '+ name: "Find"' in differs.out) == (3, True)


@pytest.fixture
def many(amp: FileAccount) -> FileAccount:
    """A file that renames many flags; each request takes a while."""
    lines = ["project_id: '1'", "flags:"]
    for number in range(MANY):
        amp.emulator.state.add_flag(key=f"flag-{number:03}", name="old", projectId="1")
        lines.append(f"  - {{key: flag-{number:03}, name: new}}")
    (amp.folder / "flags.yaml").write_text("\n".join(lines))
    amp.emulator.latency = 0.1
    return amp


def renamed(amp: FileAccount) -> int:
    return [name for name, *_ in amp.flags("1").values()].count("new")


def applied(amp: FileAccount) -> int:
    """Return the number of applied writes. A new process may first exceed the rate limit."""
    return [request.applied for request in amp.emulator.requests].count(True)


def test_ctrl_c_while_applying(many: FileAccount) -> None:
    """The summary matches the emulator; the same command continues and sends each change once."""
    assert many("plan @flags.yaml --out @plan.json").status == 0
    command = many.arguments_of("apply @plan.json --yes --journal @journal.jsonl")
    result = run_piped(command, many.environment, interrupt=lambda: len(writes(many.emulator)) >= 20)
    done = renamed(many)
    assert result.status == 130
    assert 20 <= done < MANY
    assert f"Not done: {done} of {MANY} flags and experiments, {MANY - done} not started;" in result.out
    assert "Run the same command again to continue from the journal." in result.out
    assert result.err.endswith("Interrupted.\n")
    many.emulator.latency = 0
    assert f"Done: {MANY} of {MANY}" in run_piped(command, many.environment).out
    assert (renamed(many), applied(many)) == (MANY, MANY)


def test_ctrl_c_on_a_terminal(many: FileAccount) -> None:
    """With files, the same command continues without a journal."""
    command = many.arguments_of("apply @flags.yaml --yes")
    result = run_on_terminal(command, many.environment, interrupt=lambda: len(writes(many.emulator)) >= 20)
    done = renamed(many)
    assert result.status == 130
    assert f"Not done: {done} of {MANY} flags and experiments, {MANY - done} not started;" in result.out
    many.emulator.latency = 0
    assert f"Done: {MANY - done} of {MANY - done}" in run_piped(command, many.environment).out
    assert applied(many) == MANY


def test_ctrl_c_twice(many: FileAccount) -> None:
    """A second Ctrl-C abandons requests in flight, whose outcome is unknown."""
    many.emulator.latency = 0
    many.emulator.inject(Fault.delay(LATE), method="PATCH", nth=MANY)
    with started(many.arguments_of("apply @flags.yaml --yes --json"), many.environment) as process:
        assert process.stderr is not None
        wait_until(lambda: len(writes(many.emulator)) >= MANY)
        wait_until(lambda: renamed(many) == MANY)
        process.send_signal(signal.SIGINT)
        assert "Ctrl-C again" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT)
    document = CommandResult(process.returncode, out, err)
    assert (document.status, document.json["state"], document.json["error"]) == (130, "unknown", "Interrupted.")
    assert (document.json["done"], document.json["unknown"], document.json["left"]) == (MANY - 1, 1, 0)
    assert document.json["requests"] == len(many.emulator.requests)
    assert "unknown whether it was applied" in err


def test_ctrl_c_before_the_first_change(many: FileAccount) -> None:
    """The message says that nothing was changed."""
    many.emulator.inject(Fault.delay(LATE), times=None)
    result = run_piped(
        many.arguments_of("apply @flags.yaml --yes"), many.environment, interrupt=lambda: many.emulator.requests
    )
    assert (result.status, result.err) == (130, "Interrupted. Nothing was changed.\n")


def run_with_closed_output(account: FileAccount, command: str) -> str:
    """Run a command whose output is closed, and return its stderr."""
    with subprocess.Popen(
        [*AMP_EXP, *account.arguments_of(command)],
        env=account.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=TIMEOUT)
    assert "Traceback" not in err
    assert process.returncode == 0
    return err.strip()


def test_closed_output(many: FileAccount) -> None:
    """A read-only command ends silently; a command that writes does so, and its summary goes to stderr."""
    many.emulator.latency = 0
    assert run_with_closed_output(many, "plan @flags.yaml") == ""
    assert f"Done: {MANY} of {MANY} flags and experiments;" in run_with_closed_output(many, "apply @flags.yaml --yes")
    assert renamed(many) == MANY


def test_closed_output_of_json_lines(amp: FileAccount) -> None:
    """A command that prints lines of JSON without end ends silently, too."""
    amp.emulator.state.add_flag()
    assert run_with_closed_output(amp, "log --follow --since 1h --json") == ""


def test_closed_json_output(amp: FileAccount) -> None:
    """JSON is printed at the end, so stderr lists what was changed."""
    amp.emulator.state.add_flag(key="a", projectId="1", name="old")
    (amp.folder / "flags.json").write_text('{"project_id": "1", "flags": [{"key": "a", "name": "new"}]}')
    assert run_with_closed_output(amp, "apply @flags.json --yes --json").endswith(
        "Changed: 1 of 1 flags and experiments."
    )
    assert amp.flags("1")["a"][0] == "new"


def test_output_closed_while_applying(many: FileAccount) -> None:
    """The run continues to its end, and its summary goes to stderr."""
    with started(many.arguments_of("apply @flags.yaml --yes"), many.environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, renamed(many)) == (0, MANY)
    assert f"Done: {MANY} of {MANY} flags and experiments;" in err
    assert "BrokenPipe" not in err


def test_truncated_file(many: FileAccount) -> None:
    """A truncated file is rejected with its line, and nothing is sent."""
    path = many.folder / "flags.yaml"
    path.write_text(path.read_text()[:-5])
    result = many("apply @flags.yaml --yes")
    assert result.status == 2
    assert f"flags.yaml:{MANY + 2}: is not YAML, or is cut off" in result.err
    assert many.emulator.requests == []


def test_invalid_key(many: FileAccount) -> None:
    """One line names the likely mistake and does not contain the key."""
    many.environment["AMPLITUDE_MANAGEMENT_API_KEY"] = "not-the-key"
    result = many("plan @flags.yaml")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert "401" in result.err
    assert "not-the-key" not in result.err
