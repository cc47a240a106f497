"""A proxy or a server that quotes the request: no error and no log line shows the password of the proxy, or the key."""

from __future__ import annotations

import base64
import html
import logging
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from amp_exp_async import AmpExpError, APIStatusError, AsyncExperimentClient, Attempt, RetryPolicy
from tests.reliability.exposure import find_secrets
from tests.reliability.raw_server import RawConnection, RawServer, Script, response

KEY = "canary-of-the-key+1"
PASSWORD = "canary+password/1"
QUOTED = quote(PASSWORD, safe="")
LOGIN = f"user:{PASSWORD}"
ONCE = RetryPolicy(max_attempts=1)

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded, all": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "JSON": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "HTML": lambda text: html.escape(text).replace("+", "&#43;").replace("/", "&#x2F;"),
}
ANSWERS: dict[str, Callable[[str], bytes]] = {
    "header that is none": lambda text: f"HTTP/1.1 200 OK\r\nX Y{text}\r\n\r\n".encode(),
    "line that is none": lambda text: f"{text}\r\n\r\n".encode(),
    "reason": lambda text: f"HTTP/1.1 403 {text}\r\nContent-Length: 0\r\n\r\n".encode(),
    "body and ID": lambda text: response(
        f"<p>{text}</p>", status="502 Bad Gateway", headers=[("X-Request-Id", text), ("Location", f"http://{text}/")]
    ),
}
SETTINGS = ["client", "session", "session, of yarl", "login of the session", "environment"]


def answer_with(text: str, answer: str) -> Script:
    """Answer each request with a text, in one of the ways, and close the connection."""

    async def serve(connection: RawConnection) -> None:
        if await connection.read_request() is not None:
            await connection.send(ANSWERS[answer](text))

    return serve


@asynccontextmanager
async def client_of(
    setting: str, server: RawServer, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncIterator[AsyncExperimentClient]:
    """Return a client whose proxy has the password, in one of the ways to set it."""
    url = server.url.replace("//", f"//user:{QUOTED}@")
    session: aiohttp.ClientSession | None = None
    if setting == "client":
        options["proxy"] = url
    elif setting == "environment":
        monkeypatch.setenv("https_proxy", url)
        monkeypatch.setenv("http_proxy", url)
        options["trust_env"] = True
    elif setting == "session":
        session = aiohttp.ClientSession(proxy=url)
    elif setting == "session, of yarl":
        session = aiohttp.ClientSession(proxy=URL(url))
    else:
        with warnings.catch_warnings(action="ignore"):  # newer releases of aiohttp deprecate it
            login = aiohttp.BasicAuth("user", PASSWORD)
            session = aiohttp.ClientSession(proxy=server.url, proxy_auth=login)
    try:
        async with AsyncExperimentClient(KEY, session=session, retry=ONCE, deadline=5.0, **options) as client:
            yield client
    finally:
        if session is not None:
            await session.close()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("setting", SETTINGS)
async def test_a_proxy_that_quotes_the_password(
    *,
    setting: str,
    scheme: str,
    answer: str,
    form: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is redacted in each of its forms, alone and with the user, whichever way it was set."""
    caplog.set_level(logging.DEBUG)
    attempts: list[Attempt] = []
    texts = [FORMS[form](PASSWORD), FORMS[form](LOGIN)]
    for text in texts:
        with RawServer(answer_with(text, answer)) as server:
            url = f"{scheme}://service.invalid"
            options = {"base_url": url, "allow_insecure_http": True, "on_attempt": attempts.append}
            async with client_of(setting, server, monkeypatch, **options) as client:
                for call in (client.flags.get, lambda id: client.flags.create(project_id=id, key="k")):
                    with pytest.raises(AmpExpError) as caught:
                        await call("1")
                    assert find_secrets(caught.value, [*texts, "canary"]) == []
                    assert getattr(caught.value, "request_id", None) in {None, "***"}
        assert len(server.requests) > 1
    shown = caplog.text + repr(attempts)
    assert [text for text in (*texts, "canary") if text in shown] == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.usefixtures("path_in_turn")
async def test_a_server_that_quotes_the_key(answer: str, form: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is redacted in each of its forms."""
    caplog.set_level(logging.DEBUG)
    text = FORMS[form](KEY)
    with RawServer(answer_with(text, answer)) as server:
        async with AsyncExperimentClient(KEY, base_url=server.url, retry=ONCE) as client:
            with pytest.raises(AmpExpError) as caught:
                await client.flags.get("1")
    assert find_secrets(caught.value, [text, "canary"]) == []
    assert text not in caplog.text


@pytest.mark.usefixtures("path_in_turn")
async def test_keys_at_the_end_of_a_long_body() -> None:
    """A body that consists of keys becomes shorter, so that what is at the end of the part that is read is shown."""
    body = f"{'x' * 50}{KEY}" * 2000
    with RawServer(answer_with("", "reason")) as server:
        server.script = lambda connection: _refuse(connection, body)
        async with AsyncExperimentClient(KEY, base_url=server.url, retry=ONCE) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.flags.get("1")
    assert "canary" not in str(caught.value.body)


async def _refuse(connection: RawConnection, body: str) -> None:
    if await connection.read_request() is not None:
        await connection.send(response(body, status="400 Bad Request"))
