"""How wrong usage is told, for all commands."""

from __future__ import annotations

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.commands import ALL
from tests.cli.outcome import AmpExp

SECRET = "this-is-a-secret-key"


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_help(amp_exp: AmpExp, command: tuple[str, ...], option: str) -> None:
    """Each command says in a sentence what it does."""
    outcome = amp_exp(*command, option)
    assert (outcome.status, outcome.err) == (0, "")
    assert "Usage: " in outcome.out


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_there_is_no_api_key(account: Emulator, amp_exp: AmpExp, command: tuple[str, ...]) -> None:
    """Who passes it is told where the key goes; it is not repeated, and nothing is sent."""
    for arguments in ([*command, "--api-key", SECRET], [f"--api-key={SECRET}", *command]):
        outcome = amp_exp(*arguments)
        assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert "AMPLITUDE_MANAGEMENT_API_KEY" in outcome.err
        assert "--api-key-file" in outcome.err
        assert SECRET not in outcome.err
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
def test_wrong_usage(amp_exp: AmpExp, arguments: list[str], said: str) -> None:
    """It is one line, with what may be meant and where help is; the status is 2."""
    outcome = amp_exp(*arguments)
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert said in outcome.err
    assert outcome.err.rstrip().endswith("--help tells how it is used.)")
    assert "\x1b" not in outcome.err


def test_exit_statuses_are_told(amp_exp: AmpExp) -> None:
    """By the help of the program."""
    said = " ".join(amp_exp("--help").out.split())
    for status in ("0 done", "1 failed", "2 the command", "3 there are changes", "130 interrupted"):
        assert status in said


@pytest.mark.parametrize("place", ["amp_exp_async.cli.app.run", "typer.core.TyperGroup.parse_args"])
def test_ctrl_c_without_a_client(amp_exp: AmpExp, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """One line says so there, too: in the demo, and while the arguments are taken apart."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, press)
    outcome = amp_exp("demo")
    assert (outcome.status, outcome.out, outcome.err) == (130, "", "Interrupted.\n")


def test_nothing_asked_for(amp_exp: AmpExp) -> None:
    """Without a command there is help, and no error line."""
    outcome = amp_exp("flags")
    assert (outcome.status, outcome.err) == (2, "")
    assert "enable" in outcome.out
