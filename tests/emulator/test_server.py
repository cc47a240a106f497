"""Start, stop, the thread, the log, and serving until a signal."""

import asyncio
import json
import signal
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from amp_exp_async import loop_thread
from amp_exp_async.emulator import Emulator, Fault, json_text, serve, service
from amp_exp_async.emulator.hosts import make_host_filter

Api = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def get(emulator: Emulator, path: str) -> Any:
    """Send a blocking request."""
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    request = urllib.request.Request(f"{emulator.base_url}/api/1{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def test_no_base_url_before_start() -> None:
    """The base URL is not available before the start."""
    with pytest.raises(RuntimeError, match="not been started"):
        _ = Emulator().base_url


async def test_stop_is_idempotent_and_start_keeps_the_port(session: aiohttp.ClientSession) -> None:
    """A stopped emulator refuses connections, and restarts at the same address with the same state."""
    emulator = Emulator(api_key="k")
    await emulator.stop()
    await emulator.start()
    emulator.state.add_flag()
    url = emulator.base_url
    await emulator.stop()
    await emulator.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(f"{url}/api/1/flags")
    async with emulator:
        assert emulator.base_url == url
        response = await session.get(f"{url}/api/1/flags", headers={"Authorization": "Bearer k"})
        assert len((await response.json())["flags"]) == 1


async def test_a_second_start_is_an_error() -> None:
    """The first start is not affected."""
    async with Emulator() as emulator:
        with pytest.raises(RuntimeError, match="already running"):
            await emulator.start()


async def test_a_port_in_use() -> None:
    """The system's error is raised, in the loop and from the thread, and nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        emulator = Emulator(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address"):
            await emulator.start()
        with pytest.raises(OSError, match="address"), emulator:
            pytest.fail("it cannot have been started")
    assert not [thread for thread in threading.enumerate() if thread.name == "experiment-emulator"]


def test_server_thread() -> None:
    """Blocking code can use the emulator, and the thread ends with the block."""
    with Emulator() as emulator:
        id = emulator.state.add_flag(key="x")["id"]
        assert get(emulator, f"/flags/{id}")["key"] == "x"
    assert not [thread for thread in threading.enumerate() if thread.name == "experiment-emulator"]


def test_starting_when_the_program_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Python starts no thread any longer, the error says so, and what to do."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(loop_thread, "start_thread", refuse)
        patch.setattr(threading, "main_thread", threading.Thread)  # one that does not run
        with pytest.raises(RuntimeError, match=r"the program is ending, .* Start the emulator before"):
            Emulator().__enter__()
    with Emulator() as emulator:
        assert get(emulator, "/flags") == {"flags": []}


def test_exit_without_enter() -> None:
    """Nothing happens."""
    Emulator().__exit__(None, None, None)


async def test_stop_and_start_from_another_loop() -> None:
    """An emulator on its own thread can be stopped and restarted from another loop, and the block ends it."""
    with Emulator() as emulator:
        await emulator.stop()
        with pytest.raises(OSError, match="refused"):
            await asyncio.to_thread(get, emulator, "/flags")
        await emulator.start()
        assert await asyncio.to_thread(get, emulator, "/flags") == {"flags": []}
    assert not [thread for thread in threading.enumerate() if thread.name == "experiment-emulator"]


async def test_ipv6_address() -> None:
    """The base URL has the host in brackets."""
    async with Emulator(host="::1") as emulator:
        assert emulator.base_url.startswith("http://[::1]:")


async def test_the_log(api: Api, emulator: Emulator) -> None:
    """The log has the requests in order of arrival, with encoded paths and masked keys."""
    await api("POST", "/flags?a=1%202", {"projectId": "1", "key": "x"})
    await api("GET", "/flags/a%2Fb%20c")
    first, second = emulator.requests
    assert (first.method, first.path, first.query) == ("POST", "/api/1/flags", {"a": "1 2"})
    assert (first.body, first.status, first.applied) == ({"projectId": "1", "key": "x"}, 200, True)
    assert (first.authorized, first.headers["authorization"]) == (True, "Bearer ***")
    assert emulator.api_key not in str(emulator.requests)
    assert (first.received, first.fault) == (emulator.clock(), None)
    assert first.monotonic < second.monotonic
    assert (second.path, second.body, second.status, second.applied) == ("/api/1/flags/a%2Fb%20c", None, 404, False)


async def test_client_that_sends_half_a_request(emulator: Emulator, arrival: Any) -> None:
    """The request is logged without a status, changes nothing, and the emulator continues."""
    _, writer = await connect(emulator)
    writer.write(b"POST /api/1/flags HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    await arrival(emulator)
    writer.close()
    await writer.wait_closed()
    await emulator.stop()
    assert (emulator.requests[0].status, emulator.requests[0].applied) == (None, False)


GET = b"GET /api/1/flags HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/1/flags HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
AUTHORIZATION = b"\r\nAuthorization: Bearer emulator-management-key\r\n\r\n"
MALFORMED_REQUESTS = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 300,
    "no HTTP": b"hello\r\n\r\n",
    "version": b"GET / HTTP/9\r\nHost: localhost\r\n\r\n",
    "two hosts": GET + b"Host: localhost\r\n\r\n",
    "long header": GET + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "URL": b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "length": POST + b"Content-Length: -2\r\n\r\n{}",
    "chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "gzip": POST + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
    "deflate": POST + b"Content-Encoding: deflate\r\nContent-Length: 5\r\n\r\nabcde",
    "gzip without end": POST + b"Content-Encoding: gzip\r\nContent-Length: 50\r\n\r\nabcde",
    "unknown encoding": POST + b"Content-Encoding: made-up\r\nContent-Length: 5\r\n\r\nabcde",
}


async def connect(emulator: Emulator) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = emulator.base_url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


@pytest.mark.parametrize("latency", [None, 0.002])
@pytest.mark.parametrize("name", MALFORMED_REQUESTS)
async def test_a_malformed_request(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, name: str, latency: float | None
) -> None:
    """It is answered with 400, changes nothing, and nothing about it is logged."""
    emulator.latency = latency
    reader, writer = await connect(emulator)
    writer.write(MALFORMED_REQUESTS[name].replace(b"\r\n\r\n", AUTHORIZATION, 1))
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    await emulator.stop()
    assert [(request.status, request.applied) for request in emulator.requests] in ([], [(400, False)])
    assert caplog.records == []


@pytest.mark.parametrize(
    "fault",
    [Fault.truncate(), Fault.delay(0.001), Fault.status(503), None],
    ids=["truncate", "delay", "status", "none"],
)
async def test_a_client_that_disconnects_before_its_response(
    emulator: Emulator, arrival: Any, caplog: pytest.LogCaptureFixture, fault: Fault | None
) -> None:
    """Nothing is logged, whatever the fault."""
    emulator.latency = 0.04
    if fault is not None:
        emulator.inject(fault)
    _, writer = await connect(emulator)
    writer.write(GET + AUTHORIZATION.removeprefix(b"\r\n"))
    await arrival(emulator)
    writer.transport.abort()
    async with asyncio.timeout(60):
        while emulator.requests[0].status is None:  # noqa: ASYNC110 - the log has no event to wait for
            await asyncio.sleep(0.001)
    await emulator.stop()
    assert caplog.records == []


async def test_a_failure_of_the_emulator(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, because no client is the cause: here, a function of the user is."""

    def fail() -> float:
        raise ZeroDivisionError

    emulator.latency = fail
    reader, writer = await connect(emulator)
    writer.write(GET + b"\r\n")
    assert (await reader.readline()).split()[1] == b"500"
    writer.close()
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [ZeroDivisionError]


LOOPBACK = ["localhost", "LOCALHOST.", "127.0.0.1", "127.1.2.3", "[::1]", "[0:0::1]", "[::ffff:127.0.0.1]"]
NAMES = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.1", "0x7f.0.0.1"]
MALFORMED = ["", "127.0.0.1:80@evil.example", "[::1]evil.example", "[127.0.0.1]", "::1", "localhost:1:1", "localhost,a"]
FOREIGN = [*NAMES, *MALFORMED, "192.168.0.1", "[2001:db8::1]"]


async def status_of(session: aiohttp.ClientSession, emulator: Emulator, host: str) -> int:
    headers = {"Authorization": f"Bearer {emulator.api_key}", "Host": host}
    async with session.get(f"{emulator.base_url}/api/1/flags", headers=headers) as response:
        text = await response.text()
        assert ("is not allowed. Use the emulator's base_url" in text) == (response.status == 421)
        return response.status


@pytest.mark.parametrize("bound", ["127.0.0.1", "localhost", "LOCALHOST", "127.1", "0x7f.1", "127.0.0.2"])
async def test_foreign_host_names_are_rejected(session: aiohttp.ClientSession, bound: str) -> None:
    """An emulator on a loopback address serves loopback names with any port, and logs nothing else."""
    async with Emulator(host=bound) as emulator:
        for host in LOOPBACK:
            assert await status_of(session, emulator, host) == 200
            assert await status_of(session, emulator, f"{host}:1") == 200
        for host in FOREIGN:
            assert await status_of(session, emulator, host) == 421
            assert await status_of(session, emulator, f"{host}:{emulator.base_url.rpartition(':')[2]}") == 421
        assert emulator.request_count == len(emulator.requests) == 2 * len(LOOPBACK)


@pytest.mark.parametrize("lines", [b"", b"Host: localhost\r\nHost: localhost\r\n"], ids=["none", "two"])
async def test_there_must_be_one_host_header(emulator: Emulator, lines: bytes) -> None:
    """A request without it, or with several, is not served."""
    reader, writer = await connect(emulator)
    writer.write(b"GET /api/1/flags HTTP/1.1\r\n" + lines + b"\r\n")
    assert (await reader.readline()).split()[1] in {b"400", b"421"}
    assert emulator.requests == []
    writer.close()


@pytest.mark.parametrize(
    ("allowed", "served", "rejected"),
    [
        (["Proxy.example"], ["proxy.example", "PROXY.example:8080"], FOREIGN),
        (["*"], FOREIGN, []),
        ([], [], FOREIGN),
        (["10.0.0.1", "[::2]:80"], ["10.0.0.1:80", "[::2]"], FOREIGN),
    ],
    ids=["a name", "all", "none", "addresses"],
)
async def test_allowed_hosts(
    session: aiohttp.ClientSession, allowed: list[str], served: list[str], rejected: list[str]
) -> None:
    """They are served besides the loopback names."""
    async with Emulator(allowed_hosts=allowed) as emulator:
        assert [await status_of(session, emulator, host) for host in LOOPBACK] == [200] * len(LOOPBACK)
        assert [await status_of(session, emulator, host) for host in served] == [200] * len(served)
        assert [await status_of(session, emulator, host) for host in rejected] == [421] * len(rejected)


@pytest.mark.parametrize("bound", ["0.0.0.0", "::", ""])
async def test_an_emulator_for_other_machines_serves_addresses(session: aiohttp.ClientSession, bound: str) -> None:
    """A page cannot rebind an address. Other names have to be allowed."""
    async with Emulator(host=bound) as emulator:
        for host in [*LOOPBACK, "192.168.0.1", "[2001:db8::1]"]:
            assert await status_of(session, emulator, host) == 200
        for host in [*NAMES, *MALFORMED]:
            assert await status_of(session, emulator, host) == 421


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
async def test_the_advice_on_a_rejected_host(session: aiohttp.ClientSession, host: str) -> None:
    """It says how to allow the name, from the command line and from code, unless the name is invalid."""
    async with Emulator(host=host) as emulator:
        port = emulator.base_url.rpartition(":")[2]
        texts: list[str] = []
        for header in ("Emulator:8080", "a,b"):
            async with session.get(f"http://127.0.0.1:{port}/api/1/flags", headers={"Host": header}) as response:
                texts.append((await response.json())["error"])
    assert texts == [
        (
            'Host "Emulator:8080" is not allowed. Use the emulator\'s base_url, or allow this name: '
            '`amp-exp emulator --allowed-host emulator`, or `Emulator(allowed_hosts=["emulator"])`'
        ),
        'Host "a,b" is not allowed. Use the emulator\'s base_url',
    ]


def test_the_name_that_an_emulator_listens_on() -> None:
    """It is served, whatever its address, and further names with it."""
    is_allowed = make_host_filter(frozenset({"proxy.test"}), "Emulator.test", ["10.0.0.1"])
    assert is_allowed("emulator.test:80")
    assert is_allowed("proxy.test")
    assert not is_allowed("evil.example")


@pytest.mark.parametrize("wrong", ["localhost", [""], ["http://a"], ["a b"]])
def test_wrong_allowed_hosts(wrong: Any) -> None:
    """They are rejected when the emulator is created."""
    with pytest.raises(ValueError, match="allowed_hosts must "):
        Emulator(allowed_hosts=wrong)


async def test_the_log_is_bounded(session: aiohttp.ClientSession) -> None:
    """It keeps the newest requests; the counts are exact."""
    async with Emulator(log_limit=3, per_second=4, window="calendar", clock=lambda: NOON) as emulator:
        for number in range(6):
            async with session.get(f"{emulator.base_url}/api/1/flags/{number}"):
                pass
        assert [request.path[-1] for request in emulator.requests] == ["3", "4", "5"]
        assert [request.status for request in emulator.requests] == [401, 429, 429]
        assert (emulator.request_count, emulator.refused, emulator.peak_per_second) == (6, 2, 4)
        emulator.reset()
        assert (emulator.request_count, emulator.requests) == (0, [])
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="log_limit must be at least 1"):
            Emulator(log_limit=wrong)


@pytest.mark.parametrize(("limit", "kept"), [(10_000, [3, 4, 5]), (2, [4, 5]), (None, [0, 1, 2, 3, 4, 5])])
@pytest.mark.parametrize("part", ["body", "headers", "query"])
async def test_the_memory_of_the_log_is_bounded(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, part: str, limit: int | None, kept: list[int]
) -> None:
    """The oldest requests are dropped, also after the log was cleared by hand."""
    monkeypatch.setattr(service, "_MAX_LOG_BYTES", 24_000)
    filler = "x" * 6000
    arguments: dict[str, Any] = {
        "body": {"data": filler},
        "headers": {"headers": {"X-Filler": filler}},
        "query": {"params": {"filler": filler}},
    }[part]
    async with Emulator(log_limit=limit) as emulator:
        for _ in range(2):
            for number in range(6):
                async with session.post(f"{emulator.base_url}/api/1/flags/{number}", **arguments):
                    pass
            assert [int(request.path[-1]) for request in emulator.requests] == kept
            emulator.requests.clear()


async def test_a_body_is_parsed_only_when_it_is_read(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parsed form takes many times its bytes, and requests without a key must cost little."""
    parsed: list[bytes] = []
    loads = json_text.loads
    monkeypatch.setattr(json_text, "loads", lambda content: (parsed.append(content), loads(content))[1])
    async with Emulator() as emulator:
        async with session.post(f"{emulator.base_url}/api/1/flags", data=b"[{}]") as response:
            assert response.status == 401
        assert parsed == []
        [request] = emulator.requests
        assert (request.body, request.size) == ([{}], 4)


async def test_a_body_without_end(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered when it is too large, without its end."""
    monkeypatch.setattr(service, "_MAX_BODY", 1000)
    reader, writer = await connect(emulator)
    writer.write(b"POST /api/1/flags HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"100\r\n" + b"x" * 256 + b"\r\n")
    for _ in range(9):
        await asyncio.sleep(0)
        writer.write(b"100\r\n" + b"x" * 256 + b"\r\n")
    assert (await asyncio.wait_for(reader.readline(), 30)).split()[1] == b"413"
    writer.close()


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("latency", [None, 0.01])
async def test_a_body_that_is_too_large(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, chunked: bool, latency: float | None
) -> None:
    """It is answered with 413 and changes nothing; its request is logged without it. The maximum size is served."""
    monkeypatch.setattr(service, "_MAX_BODY", 1000)
    headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
    content = json.dumps({"projectId": "1", "key": "a"}).encode().ljust(1000)

    async def chunks(content: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100):
            yield content[start : start + 100]

    async with Emulator(api_key="k", latency=latency) as emulator:
        url = f"{emulator.base_url}/api/1/flags"
        for body, status in ((content + b" ", 413), (content, 200), (b" " * 100_000, 413)):
            async with session.post(url, data=chunks(body) if chunked else body, headers=headers) as response:
                assert response.status == status
        assert [request.status for request in emulator.requests] == [413, 200, 413]
        assert [request.body and request.body["key"] for request in emulator.requests] == [None, "a", None]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serving_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """`serve` calls `on_ready`, ends on the signal, and saves the state."""
    path = tmp_path / "state.json"
    ready: list[str] = []
    emulator = Emulator()

    def on_ready(served: Emulator) -> None:
        ready.append(served.base_url)
        served.state.add_flag(key="x")
        asyncio.get_running_loop().call_soon(signal.raise_signal, number)

    await serve(emulator, state_file=path, on_ready=on_ready)
    assert ready == [emulator.base_url]
    assert [flag["key"] for flag in Emulator(path).state.flags] == ["x"]


async def test_serving_without_a_file() -> None:
    """Cancelling ends it like a signal, and no file is written."""
    ready = asyncio.Event()
    serving = asyncio.ensure_future(serve(Emulator(), state_file=None, on_ready=lambda _: ready.set()))
    await ready.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
