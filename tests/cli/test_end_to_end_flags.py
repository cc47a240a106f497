"""Commands on flags, in a process of its own: piped and on a terminal."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import CommandResult, writes
from tests.cli.terminal import AMP_EXP, environment_of, run_on_terminal, run_piped
from tests.crossing import slow
from tests.polling import TIMEOUT

LATE = 30.0


@pytest.fixture
def environment(deployed: Emulator) -> dict[str, str]:
    """The environment of a process that finds an account with three flags, which have a deployment."""
    deployed.state.add_flag(key="second", name="残る", deployments=["1"])
    deployed.state.add_flag(key="third", deployments=["1"])
    return environment_of(deployed)


def has_writes(account: Emulator, count: int) -> Callable[[], bool]:
    """Return a condition: the emulator received this number of writes."""
    return lambda: len(writes(account)) >= count


def test_piped(environment: dict[str, str]) -> None:
    """In a pipe, columns are separated by tabs, and the text is UTF-8 whatever the locale is."""
    result = run_piped(["flags", "list", "--key", "second"], environment | {"PYTHONIOENCODING": "latin-1"})
    assert (result.status, result.err) == (0, "")
    header, row = result.out.splitlines()
    assert header.count("\t") == row.count("\t") == 8
    assert "\u6b8b" in row


def test_narrow_terminal(environment: dict[str, str]) -> None:
    """Columns that do not fit are left out and named."""
    result = run_on_terminal(["flags", "list"], environment | {"COLUMNS": "60"})
    header, *rows, left_out = result.out.splitlines()
    assert header.split() == ["id", "project", "key", "enabled", "rollout", "name"]
    assert [row.split()[2] for row in rows] == ["third", "second", "new-checkout"]
    assert left_out == "Terminal too narrow for: last modified, variants, tags."


def test_confirmation_on_a_terminal(account: Emulator, environment: dict[str, str]) -> None:
    """The changes are shown before the question."""
    result = run_on_terminal(["flags", "archive", "second", "third"], environment, answers={"[y/N]": "y\n"})
    assert result.status == 0
    shown, asked = result.out.index("flag 1003 (third): archived"), result.out.index("Archive these 2 flags?")
    assert shown < asked < result.out.index("flag 1003 (third): done")
    assert account.state.flag("1003")["deleted"]


def test_ctrl_c_between_changes(account: Emulator, environment: dict[str, str]) -> None:
    """The last line lists what was changed and what is unknown; the status is 130."""
    account.inject(Fault.delay(LATE), method="PATCH", nth=2)
    arguments = ["flags", "enable", "1001", "1002", "1003"]
    result = run_on_terminal(arguments, environment, interrupt=has_writes(account, 2))
    assert result.status == 130
    assert result.out.splitlines()[-1] == (
        "Interrupted. It is unknown whether flag 1002 (second) was changed. Changed before: flag 1001 (new-checkout)."
    )
    assert not account.state.flag("1003")["enabled"]


def test_ctrl_c_with_json(account: Emulator, environment: dict[str, str]) -> None:
    """Standard output is still one document."""
    account.inject(Fault.delay(LATE), method="PATCH", nth=2)
    arguments = ["flags", "enable", "1001", "1002", "1003", "--json"]
    result = run_piped(arguments, environment, interrupt=has_writes(account, 2))
    assert result.status == 130
    assert [change["state"] for change in result.json["changes"]] == ["changed", "unknown", "planned"]
    assert result.json["error"] == result.err.strip()


def test_ctrl_c_before_the_first_change(account: Emulator, environment: dict[str, str]) -> None:
    """The message says that nothing was changed."""
    account.inject(Fault.delay(LATE), path="/flags/1001")
    result = run_on_terminal(["flags", "enable", "1001"], environment, interrupt=lambda: account.requests)
    assert (result.status, result.out.splitlines()[-1]) == (130, "Interrupted. Nothing was changed.")


def test_closed_pipe(account: Emulator, environment: dict[str, str]) -> None:
    """`| head` gets its lines, without a traceback."""
    for number in range(3000):
        account.state.add_flag(key=f"flag-{number}")
    result = run_in_shell("amp-exp flags list | head -n 2", environment)
    assert (result.out.count("\n"), result.err) == (2, "")


@pytest.mark.parametrize(
    ("key", "status", "message"), [("wrong-key", 1, "failed with 401"), ("", 2, "no management API key")]
)
def test_invalid_and_missing_key(environment: dict[str, str], key: str, status: int, message: str) -> None:
    """An invalid or missing key gives one line, without the key."""
    result = run_piped(["flags", "list"], environment | {"AMPLITUDE_MANAGEMENT_API_KEY": key})
    assert (result.status, result.out, result.err.count("\n")) == (status, "", 1)
    assert message in result.err
    assert "wrong-key" not in result.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("amp-exp fl", {"flags"}, marks=pytest.mark.slow),
        pytest.param("amp-exp flags e", {"enable", "edit"}, marks=pytest.mark.slow),
        pytest.param("amp-exp flags list --reg", {"--region"}, marks=pytest.mark.slow),
        ("amp-exp flags list --region ", {"us", "eu"}),
        ("amp-exp experiments edit 1 --experiment-type m", {"multi-arm-bandit"}),
    ],
)
def test_completion(environment: dict[str, str], words: str, expected: set[str]) -> None:
    """Shells complete commands, options and option values."""
    asked = {
        "_AMP_EXP_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    assert set(run_piped([], environment | asked).out.split()) == expected


def run_in_shell(command: str, environment: dict[str, str], stdin: str = "") -> CommandResult:
    """Run a shell command that contains `amp-exp`."""
    line = command.replace("amp-exp", shlex.join(AMP_EXP))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


def test_pipe_closed_between_changes(account: Emulator, environment: dict[str, str]) -> None:
    """All changes are made as requested, and stderr lists them."""
    account.latency = 0.02
    result = run_in_shell("amp-exp flags enable 1001 1002 1003 | head -n 1", environment)
    assert result.out == "flag 1001 (new-checkout): enabled: false -> true\n"
    assert (result.status, result.err.count("\n")) == (0, 1)
    assert result.err.startswith("The output was closed. Changed: flag 1001 (new-checkout), flag 1002 ")
    assert account.state.flag("1003")["enabled"]


def test_reader_that_goes_away(account: Emulator, environment: dict[str, str]) -> None:
    """Commands that print end silently with status 0, and read no further."""
    for _ in range(2100):
        account.state.add_flag()
    lines = ["flags list", "lint --rules", "--help"]
    results = {line: run_in_shell(f"amp-exp {line} | true", environment) for line in lines}
    assert {line: (result.status, result.err) for line, result in results.items()} == dict.fromkeys(lines, (0, ""))
    requests = len(account.requests)
    result = run_in_shell("amp-exp flags list | head -n 2", environment)
    assert (result.status, result.err, len(account.requests) - requests < 3) == (0, "", True)


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("flags enable 1001 --json | true", 0, "The output was closed. Changed: flag 1001 (new-checkout)."),
        ("users add 1001 on -f - --yes | head -n 1", 0, "Done: 1 added, 0 removed;"),
        (
            "flags enable 1001 --json > /dev/full",
            1,
            "standard output: No space left on device. Changed before: flag 1001 (new-checkout).",
        ),
        *slow(
            [
                (
                    "users add 1001 on -f - --yes --json | true",
                    0,
                    "The output was closed. Changed: flag 1001 (new-checkout), variant on: 1 added, 0 removed.",
                ),
                ("flags list --json > /dev/full", 1, "standard output: No space left on device."),
                ("flags list > /dev/full", 1, "standard output: No space left on device."),
            ]
        ),
    ],
)
def test_unwritable_output(
    account: Emulator, environment: dict[str, str], command: str, status: int, message: str
) -> None:
    """One line on stderr says so, and lists what was changed."""
    account.latency = 0.1
    result = run_in_shell(f"amp-exp {command}", environment, stdin="a")
    assert (result.status, result.err.count("\n"), message in result.err) == (status, 1, True), result.err


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("flags list >&-", 1, "standard output: Bad file descriptor."),
        ("flags create dark-mode --project-id 1 >&-", 0, "The output was closed. Changed: flag dark-mode."),
        ("--help >&-", 1, "standard output: Bad file descriptor."),
        ("flags archive 1001 <&-", 2, "there is no terminal to ask on. Pass --yes"),
        ("flags disable 1001 >&- <&-", 0, ""),
        *slow(
            [
                ("flags list --json >&-", 1, "standard output: Bad file descriptor."),
                ("export >&-", 1, "standard output: Bad file descriptor."),
                ("export --output {folder}/flags.yaml >&-", 1, "standard output: Bad file descriptor."),
                (
                    "flags create dark-mode --project-id 1 --json >&-",
                    0,
                    "The output was closed. Changed: flag dark-mode.",
                ),
                ("--version >&-", 1, "standard output: Bad file descriptor."),
                ("users add 1001 on --file - --yes <&-", 2, "standard input: contains no IDs"),
                (
                    "flags edit 1001 --name new >&- <&-",
                    0,
                    "The output was closed. Changed: flag 1001 (new-checkout).",
                ),
                ("flags get none 2>&-", 2, ""),
            ]
        ),
    ],
)
def test_closed_streams(environment: dict[str, str], tmp_path: Path, command: str, status: int, message: str) -> None:
    """Closed input reads as empty. Closed output is an error, unless the command has made changes."""
    result = run_in_shell(f"amp-exp {command.format(folder=tmp_path)}", environment)
    assert (result.status, result.err.count("\n"), message in result.err) == (status, bool(message), True), result.err
