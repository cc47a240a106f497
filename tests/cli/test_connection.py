"""The options of a command that concern its connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import amp_exp_async
from amp_exp_async import ExperimentClient
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that the command's client is created with."""
    recorded: dict[str, Any] = {}

    def create(*arguments: Any, **options: Any) -> ExperimentClient:
        recorded.update(options)
        return ExperimentClient(*arguments, **options)

    monkeypatch.setattr(amp_exp_async, "ExperimentClient", create)
    return recorded


@pytest.mark.usefixtures("account")
def test_times(amp_exp: RunCommand, settings: dict[str, Any]) -> None:
    """`--timeout` and `--deadline` are seconds; without them the library's defaults hold."""
    assert amp_exp("flags", "list", "--timeout", "3", "--deadline", "4.5").status == 0
    assert (settings["timeout"], settings["deadline"]) == (3, 4.5)
    settings.clear()
    assert amp_exp("flags", "list").status == 0
    assert {"timeout", "deadline"} & settings.keys() == set()
    assert "--timeout must be a number of seconds above 0" in amp_exp("flags", "list", "--timeout", "0").err


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("name", ["proxy", "environment"])
def test_a_proxy(amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """`--proxy`, or the environment's proxy, gets the request."""
    monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", "http://service.example")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Emulator(allowed_hosts=["service.example"]) as proxy:
        options = ["--proxy", proxy.base_url] if name == "proxy" else []
        if not options:
            monkeypatch.setenv("http_proxy", proxy.base_url)
        amp_exp("flags", "list", "--allow-insecure-http", *options)
        assert {request.headers["host"] for request in proxy.requests} == {"service.example"}


def test_plain_http(account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP to another host is rejected with the name of the option."""
    monkeypatch.delenv("AMPLITUDE_EXPERIMENT_BASE_URL")
    result = amp_exp("flags", "list", "--base-url", "http://emulator.example:8080")
    assert (result.status, "--base-url" in result.err, account.requests) == (2, True, [])


@pytest.mark.usefixtures("account")
def test_a_region_in_capitals(amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    """A region may be written in any case."""
    monkeypatch.delenv("AMPLITUDE_EXPERIMENT_BASE_URL")
    amp_exp("flags", "list", "--region", "EU", "--proxy", "http://127.0.0.1:9", "--deadline", "1")
    assert settings["region"] == "eu"


@pytest.mark.parametrize("by_variable", [False, True])
def test_certificates(
    account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, by_variable: bool
) -> None:
    """A file without certificates is rejected by the name of the option or of the variable."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    account.requests.clear()
    for path in (file, tmp_path / "missing.pem"):
        if by_variable:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        result = amp_exp("flags", "list", *([] if by_variable else ["--ca-bundle", path]))
        name = "REQUESTS_CA_BUNDLE" if by_variable else "--ca-bundle"
        assert (result.status, result.err.startswith(f"{name} {path}: cannot be used ("), account.requests) == (
            2,
            True,
            [],
        )
