"""What a TAB proposes, and the options that show and install completion."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from amp_exp_async import LINT_RULES
from amp_exp_async.cli import completion
from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand
from tests.cli.test_help import find


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(completion, "_MAX_WAIT", 5.0)
    return tmp_path / "amp-exp"


def complete(*path: str, incomplete: str = "") -> list[str]:
    """Return what a TAB proposes for the FLAG of a command."""
    context: typer.Context = find(path)[1]
    return completion.complete_flag(context, incomplete)


def test_rules() -> None:
    """All lint rules are proposed."""
    assert completion.complete_rule("") == list(LINT_RULES)
    assert completion.complete_rule("stale") == ["stale-tag"]


def test_keys(account: Emulator, cache: Path) -> None:
    """Keys of what the command takes are proposed; they are read once, and only their owner can read the cache."""
    account.state.add_experiment(key="new-price")
    account.state.add_flag(key="needs quotes")
    assert complete("flags", "get") == ["new-checkout"]
    requests = len(account.requests)
    assert complete("experiments", "edit", incomplete="new") == ["new-price"]
    assert complete("users", "list") == ["new-checkout", "new-price"]
    assert complete("users", "list", incomplete="x") == []
    assert len(account.requests) == requests
    (file,) = cache.iterdir()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("account")
def test_other_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another account has keys of its own."""
    assert complete("flags", "get") == ["new-checkout"]
    with Emulator() as other:
        other.state.add_flag(key="other")
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", other.base_url)
        assert complete("flags", "get") == ["other"]


@pytest.mark.parametrize("reason", ["no key", "wrong key", "slow"])
def test_nothing_to_propose(
    account: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    """Without a key, with a wrong one, or if the service is slow, a TAB proposes and prints nothing."""
    if reason == "slow":
        monkeypatch.setattr(completion, "_MAX_WAIT", 0.2)
        account.inject(Fault.delay(30.0))
    else:
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "" if reason == "no key" else "wrong-management-key")
    assert complete("flags", "get") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [["--show-completion", "zsh"], ["--show-completion=zsh"]])
def test_script_of_a_shell(amp_exp: RunCommand, arguments: list[str]) -> None:
    """The script is that of the shell that is named."""
    result = amp_exp(*arguments)
    assert (result.status, "#compdef" in result.out) == (0, True)
    invalid = amp_exp("--show-completion", "tcsh")
    assert (invalid.status, "bash, zsh, fish" in invalid.err, invalid.err.count("\n")) == (2, True, 1)


def test_installation(amp_exp: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script is written into the home folder; a folder that cannot be written gives one line."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert amp_exp("--install-completion", "fish").status == 0
    assert "amp-exp" in (home / ".config/fish/completions/amp-exp.fish").read_text()
    monkeypatch.setenv("HOME", str(tmp_path / "home" / ".config" / "fish" / "completions" / "amp-exp.fish"))
    result = amp_exp("--install-completion", "fish")
    assert (result.status, result.err.count("\n"), "--install-completion: " in result.err) == (1, 1, True)
