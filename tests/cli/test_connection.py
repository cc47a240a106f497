"""The options of a command that concern its connection."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path
from typing import Any

import pytest

import amp_exp_async
from amp_exp_async import APIConnectionError, ExperimentClient
from amp_exp_async.cli.errors import describe_error
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand
from tests.reliability.raw_server import RawConnection, RawServer
from tests.reliability.test_hostile_tls import server_context


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


CERTIFICATE = Path(__file__).parents[1] / "reliability/certificates/localhost.pem"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a certificate under the name that `openssl rehash` gives it."""
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates/8e005f52.0").write_text(CERTIFICATE.read_text(), encoding="utf-8")
    return tmp_path / "certificates"


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("name", ["--ca-bundle", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_folder_of_certificates(
    amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], folder: Path, name: str
) -> None:
    """The option and each variable may name a folder, whose certificates are trusted."""
    if not name.startswith("-"):
        monkeypatch.setenv(name, str(folder))
    assert amp_exp("flags", "list", *(["--ca-bundle", folder] if name.startswith("-") else [])).status == 0
    context = settings["ssl"] if isinstance(settings["ssl"], ssl.SSLContext) else ssl.create_default_context()
    assert is_trusted(context)
    monkeypatch.delenv(name, raising=False)
    assert not is_trusted(ssl.create_default_context())


def is_trusted(context: ssl.SSLContext) -> bool:
    """Return whether a context accepts the certificate, by a handshake in memory."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(CERTIFICATE)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError:
            return False
    return True


def test_a_variable_without_certificates(amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A certificate that is not trusted tells of the variable that OpenSSL ignores, beside the option."""

    async def end(connection: RawConnection) -> None:
        await connection.read_request()

    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "a-management-key")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nope.pem"))
    with RawServer(end, server_context("localhost.pem")) as server:
        result = amp_exp("flags", "get", "1", "--base-url", server.url)
    assert result.status == 1
    assert f"SSL_CERT_FILE, which names {tmp_path}/nope.pem, is ignored: No such file or directory)" in result.err
    assert result.err.endswith("correct SSL_CERT_FILE, or name that CA with --ca-bundle.\n")


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_the_emulator_behind_a_proxy(
    account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The proxy of a company does not hide an emulator on this machine; `--proxy` is taken at its word."""
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert amp_exp("flags", "get", "1001").status == 0
    count = len(account.requests)
    assert amp_exp("flags", "get", "1001", "--proxy", "http://127.0.0.1:1").status == 1
    assert len(account.requests) == count


@pytest.mark.parametrize("text", ["http://u:qzx-1@[::1", "http://", "http://u:qzx/1@h:1", "http://h:99999"])
def test_a_malformed_proxy(amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """It is a usage error that names the option or the variable, also as JSON, and shows no part of the password."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "a-management-key")
    monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", "http://service.invalid")
    run = functools.partial(amp_exp, "flags", "list", "--allow-insecure-http")
    messages = [run("--proxy", text)]
    monkeypatch.setenv("http_proxy", text)
    messages += [run(), run("--json")]
    for result, name in zip(messages, ("--proxy", "http_proxy", "http_proxy"), strict=True):
        assert result.status == 2
        assert f"{name} is not the URL of an HTTP proxy. " in result.err + result.out
        assert "qzx" not in result.err + result.out
    monkeypatch.setenv("https_proxy", text)
    assert "qzx" not in amp_exp("config", "list").out


@pytest.mark.parametrize(
    ("setting", "advice", "expected"),
    [
        ("proxy", "Check the host in proxy.", "Check the host in --proxy."),
        ("HTTPS_PROXY", "Check the host in HTTPS_PROXY.", "Check the host in HTTPS_PROXY."),
        ("ssl", "Name it with ssl.", "Name it with --ca-bundle."),
        ("base_url", "Check the host in base_url.", "Check the host in --base-url."),
    ],
)
def test_the_setting_to_correct(setting: str, advice: str, expected: str) -> None:
    """The advice on a failed connection names the option for the argument."""
    error = APIConnectionError("GET /flags failed.", method="GET", path="/flags", attempts=1)
    error.setting, error.advice, error.code_advice = setting, advice, "Pass it in Python."
    assert describe_error(error, sent=False) == f"GET /flags failed. {expected}"
