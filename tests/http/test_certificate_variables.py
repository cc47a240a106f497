"""`SSL_CERT_FILE` and `SSL_CERT_DIR` that name nothing of use, which OpenSSL ignores without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from amp_exp_async import APIConnectionError, AsyncExperimentClient, ExperimentClient, RetryPolicy
from tests.reliability.raw_server import RawConnection, RawServer
from tests.reliability.test_hostile_tls import server_context

CERTIFICATE = Path(__file__).parents[1] / "reliability/certificates/localhost.pem"
NO_NAME = "it has no file with a name that openssl rehash gives to certificates"
KEY = "a-management-key"


def missing(folder: Path) -> Path:
    return folder / "nope"


def text(folder: Path) -> Path:
    (folder / "text.pem").write_text("no certificate", encoding="utf-8")
    return folder / "text.pem"


def unnamed(folder: Path) -> Path:
    (folder / "ca.pem").write_text(CERTIFICATE.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


CASES = [
    ("SSL_CERT_FILE", missing, "No such file or directory"),
    ("SSL_CERT_FILE", text, "it contains no certificate in PEM format"),
    ("SSL_CERT_FILE", unnamed, NO_NAME),
    ("SSL_CERT_DIR", missing, "No such file or directory"),
    ("SSL_CERT_DIR", unnamed, NO_NAME),
    ("SSL_CERT_DIR", text, "Not a directory"),
]


async def answer_nothing(connection: RawConnection) -> None:
    """End the connection after the handshake."""
    await connection.read_request()


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("name", "make", "reason"), CASES)
async def test_the_error_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, make: Callable[[Path], Path], reason: str
) -> None:
    """A certificate that is not trusted tells of the variable that was to make it trusted, and why it does not."""
    path = make(tmp_path)
    monkeypatch.setenv(name, str(path))
    with RawServer(answer_nothing, server_context("localhost.pem")) as server:
        async with AsyncExperimentClient(KEY, base_url=server.url, retry=RetryPolicy(max_attempts=1)) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.flags.get("1")
    assert f"; {name}, which names {path}, is ignored: {reason}). Nothing was sent. " in str(caught.value)
    assert f"If a private CA has issued it, correct {name}, or name that CA with ssl." in str(caught.value)
    assert caught.value.setting == "ssl"


@pytest.mark.parametrize("is_set", [False, True])
def test_variables_of_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_set: bool) -> None:
    """Variables that are not set, or name certificates, are not mentioned."""
    if is_set:
        (tmp_path / "0123abcd.0").write_text(CERTIFICATE.read_text(encoding="utf-8"), encoding="utf-8")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE.with_name("other-host.pem")))
        monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'nope'}:{tmp_path}")
    with (
        RawServer(answer_nothing, server_context("localhost.pem")) as server,
        ExperimentClient(KEY, base_url=server.url, retry=RetryPolicy(max_attempts=1)) as client,
        pytest.raises(APIConnectionError) as caught,
    ):
        client.flags.get("1")
    assert "not trusted" in str(caught.value)
    assert "SSL_CERT" not in str(caught.value)
