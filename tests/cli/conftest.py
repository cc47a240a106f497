"""An account that commands find through the environment."""

from __future__ import annotations

import functools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import amp_exp_async.cli.connection
from amp_exp_async import ExperimentClient, RetryPolicy
from amp_exp_async.cli.app import app
from amp_exp_async.cli.signals import interrupt_on_termination
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import CommandResult, RunCommand


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An emulator with flag `1001` and its variant `on`; retries do not wait."""
    with Emulator(group_types=["org"]) as emulator:
        emulator.state.add_flag(key="new-checkout")
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)  # of the machine: each command would read it
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        without_backoff = functools.partial(ExperimentClient, retry=RetryPolicy(backoff_base=0.0))
        monkeypatch.setattr(amp_exp_async, "ExperimentClient", without_backoff)
        yield emulator


@pytest.fixture
def deployed(account: Emulator) -> Emulator:
    """The account, whose flag has the deployment `1`, so that it can be enabled."""
    account.state.add_deployment(id="1")
    account.state.update(account.state.stored_flag("flags", "1001"), deployments=["1"])
    return account


@pytest.fixture
def amp_exp() -> RunCommand:
    """Run `amp-exp` with these arguments in this process."""

    def run(*arguments: object, stdin: str = "") -> CommandResult:
        result = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output or "--debug" in arguments
        return CommandResult(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def users(amp_exp: RunCommand) -> RunCommand:
    """Run `amp-exp users ACTION 1001 on --file -` with these IDs."""

    def run(
        action: str, ids: str, *options: str, flag: str = "1001", variant: str = "on", file: str = "-"
    ) -> CommandResult:
        return amp_exp("users", action, flag, variant, "--file", file, *options, stdin=ids)

    return run


@pytest.fixture
def raising_signals() -> Iterator[None]:
    """Let signals raise, as in `main`."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    interrupt_on_termination()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def file(amp_exp: RunCommand, account: Emulator, tmp_path: Path) -> Path:
    """A file of the account's flag `new-checkout` and two more, as exported."""
    account.state.add_flag(key="search", name="Search")
    account.state.add_flag(key="theme", name="Theme")
    path = tmp_path / "flags.yaml"
    assert amp_exp("export", "--output", path).status == 0
    account.requests.clear()
    return path


@pytest.fixture
def edited(file: Path) -> Path:
    """The file, with new names for two flags."""
    text = file.read_text()
    file.write_text(text.replace("name: Search", "name: Find").replace("name: Theme", "name: Colours"))
    return file


@pytest.fixture
def plan(amp_exp: RunCommand, edited: Path, account: Emulator) -> Path:
    """A saved plan of the edited file."""
    path = edited.parent / "plan.json"
    assert amp_exp("plan", edited, "--out", path).status == 0
    account.requests.clear()
    return path
