"""The key is in no error, log line, local variable or attribute that an error leads to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncExperimentClient,
    Attempt,
    OutcomeUnknownError,
    RetryPolicy,
    UnexpectedResponseError,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.leaks import leaks
from tests.reliability.raw_server import RawServer, answer_all, response

pytestmark = pytest.mark.usefixtures("each_path")

KEY = "emulator-management-key"
ONCE = RetryPolicy(max_attempts=1, backoff_base=0.0)


def test_the_search_for_leaks() -> None:
    """It finds the key in every place that it searches."""

    def work(text: str) -> None:
        raise KeyError(1) from ValueError(text)

    code = compile("def outer(work, local): work(local)", "elsewhere.py", "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    with pytest.raises(KeyError) as caught:
        names["outer"](work, KEY)
    places = "\n".join(leaks(caught.value, KEY))
    assert "local in outer:1 of KeyError" in places
    for source in ("str", "repr", "args"):
        assert f"{source} of ValueError" in places


ECHO = f'{{"sent": "Bearer {KEY}"}}'


def echo(status: int) -> Fault:
    return Fault("status", code=status, headers=(("X-Echo", f"Bearer {KEY}"),), body=ECHO.encode())


@pytest.mark.parametrize("status", [302, 400, 401, 429, 500])
async def test_an_echoed_key_is_redacted(client: AsyncExperimentClient, emulator: Emulator, status: int) -> None:
    """A response with the key in its body and headers leads to an error without it."""
    emulator.inject(echo(status))
    with pytest.raises(APIStatusError) as caught:
        await client.with_options(retry=ONCE).flags.get("1")
    assert caught.value.body == {"sent": "Bearer ***"}
    assert caught.value.headers["X-Echo"] == "Bearer ***"
    assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("body", [ECHO, f"Bearer {KEY}"], ids=["JSON", "text"])
async def test_an_echoed_key_in_an_unexpected_response(
    client: AsyncExperimentClient, emulator: Emulator, body: str
) -> None:
    """The error for an unexpected response that contains the key does not contain it."""
    emulator.inject(Fault.status(200, body=body))
    with pytest.raises(UnexpectedResponseError) as caught:
        await client.flags.get("1")
    assert "***" in caught.value.body
    assert KEY not in str(caught.value) + caught.value.body + repr(caught.value)


Call = Callable[[AsyncExperimentClient], Any]


async def error_of(call: Awaitable[Any]) -> AmpExpError | None:
    """Return the error of a call, or None if it succeeds."""
    try:
        await call
    except AmpExpError as error:
        return error
    return None


ESCAPED = "".join(f"\\u{ord(char):04x}" for char in KEY).replace("\\u006d", "m").replace("u006e", "u006E")
ECHOES: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "escaped": ("400 Bad Request", f'{{"error": "{ESCAPED}", "{ESCAPED}": 1}}', []),
    "in a header's name": ("400 Bad Request", "{}", [(f"X-{KEY}", "1")]),
    "beside a value of a wrong type": ("200 OK", f'{{"id": "1", "key": "{KEY}", "name": 5}}', []),
    "for a value of a wrong type": ("200 OK", f'{{"id": "1", "key": "k", "enabled": "{KEY}"}}', []),
    "cut off in the message": ("200 OK", f'{{"id": "1", "key": "k", "enabled": "{"x" * 60}{KEY}"}}', []),
    "for an ID": ("200 OK", f'{{"id": "{KEY}", "key": "k"}}', []),
    "for a name": ("200 OK", f'{{"{KEY}": {{}}, "id": []}}', []),
    "in a location": ("200 OK", f'{{"id": "1", "key": "k", "rolloutWeights": {{"{KEY}": []}}}}', []),
    "not JSON": ("200 OK", f"Bearer {KEY}", []),
}


@pytest.mark.parametrize(("status", "body", "headers"), ECHOES.values(), ids=ECHOES)
async def test_an_echoed_key(status: str, body: str, headers: list[tuple[str, str]]) -> None:
    """No error shows it, and no local variable or context of it, whatever the form is in which the service sends it."""
    echo = response(body, status=status, headers=headers)
    calls: dict[str, Call] = {
        "get": lambda c: c.flags.get("1"),
        "list": lambda c: c.flags.list(),
        "edit": lambda c: c.flags.edit("1", name="x"),
        "create": lambda c: c.flags.create(project_id="1", key="k"),
        "users": lambda c: c.flags.users.list("1", "on"),
    }
    del body, headers
    with RawServer(answer_all(echo)) as server:
        del echo
        async with AsyncExperimentClient(KEY, base_url=server.url, retry=ONCE, deadline=2.0) as client:
            errors = [await error_of(call(client)) for call in calls.values()]
    assert [leaks(error, KEY) for error in errors if error is not None] == [[]] * sum(map(bool, errors))
    assert KEY[:12] not in str(errors)


FAILURES: dict[str, tuple[Fault, Call]] = {
    "400": (Fault.status(400), lambda c: c.flags.get("1")),
    "503": (Fault.status(503), lambda c: c.flags.edit("1", enabled=True)),
    "429": (Fault.status(429), lambda c: c.flags.list()),
    "closed": (Fault.close(), lambda c: c.flags.get("1")),
    "cut off": (Fault.truncate(), lambda c: c.flags.list()),
    "too late": (Fault.delay(30.0), lambda c: c.flags.edit("1", name="x")),
    "not JSON": (Fault.invalid_json(), lambda c: c.flags.list()),
    "unknown": (Fault.close(), lambda c: c.flags.users.remove_at("1", "on", 0)),
    "not reconciled": (Fault.close(), lambda c: c.flags.create(project_id="1", key="x")),
    "redirect": (Fault.redirect("http://127.0.0.1:1"), lambda c: c.request("GET", "/x")),
}


@pytest.mark.parametrize(("fault", "call"), FAILURES.values(), ids=FAILURES)
async def test_errors_of_requests(client: AsyncExperimentClient, emulator: Emulator, fault: Fault, call: Call) -> None:
    """Neither the error, nor its causes, nor the local variables of any frame show the key."""
    emulator.inject(fault, times=None)
    with pytest.raises(AmpExpError) as caught:
        await call(client.with_options(retry=ONCE, timeout=0.05))
    assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
async def test_errors_of_connections(unused_tcp_port: int, secure: bool) -> None:
    """The same holds if no connection was made."""
    url = f"http{'s' * secure}://127.0.0.1:{unused_tcp_port}"
    async with AsyncExperimentClient(KEY, base_url=url, retry=ONCE) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.flags.get("1")
    assert leaks(caught.value, KEY) == []


@asynccontextmanager
async def answering(reply: bytes) -> AsyncIterator[str]:
    """Run a server that answers every request with these bytes, and yield its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "reply",
    ["Bearer <key>\r\n\r\n", "HTTP/1.1 200 OK\r\nBearer <key>\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", ""],
    ids=["echo for a status", "echo for a header", "no status", "nothing"],
)
async def test_a_server_without_http(reply: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is a lost connection, and an echoed key is shown nowhere."""
    caplog.set_level("DEBUG", logger="amp_exp_async")
    seen: list[Attempt] = []
    async with (
        answering(reply.replace("<key>", KEY).encode()) as url,
        AsyncExperimentClient(KEY, base_url=url, retry=ONCE, on_attempt=seen.append) as client,
    ):
        with pytest.raises(APIConnectionError) as caught:
            await client.flags.get("1")
        with pytest.raises(OutcomeUnknownError):
            await client.flags.users.remove_at("1", "on", 0)
    assert leaks(caught.value, KEY) == []
    assert KEY not in repr(seen)
    assert KEY not in caplog.text


@pytest.mark.parametrize("unsafe", [True, False], ids=["unsafe write", "read"])
async def test_a_slow_handshake(unsafe: bool) -> None:
    """Nothing was sent, so every request is retried, and no error shows the key."""
    connections: list[asyncio.StreamWriter] = []

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    policy = RetryPolicy(max_attempts=2, backoff_base=0.0)
    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with AsyncExperimentClient(KEY, base_url=url, retry=policy, timeout=0.4) as client:
            with pytest.raises(AmpExpError) as caught:
                await (client.flags.users.remove_at("1", "on", 0) if unsafe else client.flags.get("1"))
        while not all(writer.is_closing() for writer in connections):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
    error = caught.value
    assert leaks(error, KEY) == []
    assert isinstance(error, APITimeoutError)
    assert (error.sent, error.attempts) == (False, 2)
