"""How wrong usage is told, for all commands."""

from __future__ import annotations

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand
from tests.cli.commands import COMMANDS

SECRET = "this-is-a-secret-key"


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(amp_exp: RunCommand, command: tuple[str, ...], option: str) -> None:
    """Each command says in a sentence what it does."""
    result = amp_exp(*command, option)
    assert (result.status, result.err) == (0, "")
    assert "Usage: " in result.out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_there_is_no_api_key(account: Emulator, amp_exp: RunCommand, command: tuple[str, ...]) -> None:
    """Who passes it is told where the key goes; it is not repeated, and nothing is sent."""
    for arguments in ([*command, "--api-key", SECRET], [f"--api-key={SECRET}", *command]):
        result = amp_exp(*arguments)
        assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
        assert "AMPLITUDE_MANAGEMENT_API_KEY" in result.err
        assert "--api-key-file" in result.err
        assert SECRET not in result.err
    assert account.requests == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["flgs"], "Did you mean 'flags'?"),
        (["flags", "lst"], "Did you mean 'list'?"),
        (["flags", "get"], "Missing argument 'FLAG'"),
        (["flags", "list", "--projct-id", "1"], "--project-id"),
        (["flags", "list", "--region", "mars"], "'us', 'eu'"),
        (["flags", "get", "a", "b\x1b[31m"], "unexpected extra argument"),
    ],
)
def test_wrong_usage(amp_exp: RunCommand, arguments: list[str], said: str) -> None:
    """It is one line, with what may be meant and where help is; the status is 2."""
    result = amp_exp(*arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert said in result.err
    assert result.err.rstrip().endswith("--help.)")
    assert "\x1b" not in result.err


def test_exit_statuses_are_told(amp_exp: RunCommand) -> None:
    """By the help of the program."""
    said = " ".join(amp_exp("--help").out.split())
    for status in ("0 success", "1 failure", "2 invalid command", "3 changes found", "130 interrupted"):
        assert status in said


@pytest.mark.parametrize("place", ["amp_exp_async.cli.app.run_demo", "typer.core.TyperGroup.parse_args"])
def test_ctrl_c_without_a_client(amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """One line says so there, too: in the demo, and while the arguments are taken apart."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, press)
    result = amp_exp("demo")
    assert (result.status, result.out, result.err) == (130, "", "Interrupted.\n")


def test_nothing_asked_for(amp_exp: RunCommand) -> None:
    """Without a command there is help, and no error line."""
    result = amp_exp("flags")
    assert (result.status, result.err) == (2, "")
    assert "enable" in result.out
