"""The responses of successful calls: `client.capture_responses()`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing

import attrs
import pytest

from amp_exp_async import (
    APIResponse,
    AsyncExperimentClient,
    Edit,
    ExperimentClient,
    Flag,
    NotFoundError,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.reliability.raw_server import RawConnection, RawServer, response

KEY = "capture-management-key"


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """Add five flags."""
    for id in range(1, 6):
        emulator.state.add_flag(id=str(id))
    return emulator


def lines(responses: list[APIResponse]) -> list[str]:
    """Return the method, path and status of each response."""
    return [f"{response.method} {response.path} {response.status}" for response in responses]


async def test_the_fields_of_a_response() -> None:
    """It has status, headers in any case and without the key, the request ID, attempts and seconds."""
    headers = [("X-Request-Id", "a"), ("X-Echo", KEY)]
    answers = [response(status="503 Busy"), response(b'{"id": "1", "key": "k"}', headers=headers)]

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(answers.pop(0))

    with RawServer(serve) as server:
        async with AsyncExperimentClient(KEY, base_url=server.url) as client:
            with client.capture_responses() as responses:
                flag = await client.flags.get("1")
            attempts, seconds = client.usage.requests, responses[0].seconds
    assert isinstance(flag, Flag)
    (captured,) = responses
    assert attrs.evolve(captured, headers={}) == APIResponse(
        method="GET", path="/flags/1", status=200, headers={}, request_id="a", attempts=attempts, seconds=seconds
    )
    assert attempts == 2
    assert 0.0 < seconds < 30.0
    assert (captured.headers["x-request-id"], captured.headers["X-ECHO"]) == ("a", "***")
    assert KEY not in f"{captured!r} {captured.headers}"


async def test_methods_that_make_several_calls(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Each page, each request of a guarded edit, and each operation of a bulk run has a response."""
    with client.capture_responses() as responses:
        assert len(await client.flags.list(limit=2)) == 5
    assert lines(responses) == ["GET /flags 200"] * 3
    with client.capture_responses() as responses:
        async for _ in client.flags.list(limit=2):
            break
        await client.flags.list(limit=2).pages().__anext__()
    assert set(lines(responses)) == {"GET /flags 200"}
    with client.capture_responses() as responses:
        await client.flags.tags.add("1", ["reviewed"])
    sent = emulator.requests[-len(responses) :]
    assert [response.method for response in responses] == [request.method for request in sent]
    assert "PATCH /flags/1 200" in lines(responses)
    with client.capture_responses() as responses:
        await client.bulk([Edit("flags", "1", {"name": "a"}), Edit("flags", "2", {"name": "b"})])
    assert sorted(lines(responses)) == ["PATCH /flags/1 200", "PATCH /flags/2 200"]


async def test_what_belongs_to_a_block(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Calls of the block and of its tasks, also of copies and in blocks in it; no failed ones, and none of others."""

    async def get_after(event: asyncio.Event) -> None:
        await event.wait()
        await client.flags.get("3")

    entered, left = asyncio.Event(), asyncio.Event()
    other = asyncio.ensure_future(get_after(entered))
    await asyncio.sleep(0)
    with client.capture_responses() as outer:
        entered.set()
        await other
        with client.capture_responses() as inner:
            await asyncio.gather(client.with_options(timeout=5).flags.get("1"), client.flags.get("2"))
        late = asyncio.ensure_future(get_after(left))
        with pytest.raises(NotFoundError):
            await client.flags.get("9")
        emulator.inject(Fault.status(500), times=5)
        with pytest.raises(ServerError):
            await client.flags.get("1")
        async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as another:
            await another.flags.get("4")
    left.set()
    await late
    await client.flags.get("5")
    assert sorted(lines(inner)) == sorted(lines(outer)) == ["GET /flags/1 200", "GET /flags/2 200"]
    assert client._transport.session.blocks == set()


async def test_a_removal_that_is_confirmed(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A removal whose repeat finds nothing is a success, with the status of that response."""
    emulator.inject(Fault.close(applied=True), method="DELETE")
    with client.capture_responses() as responses:
        await client.flags.variants.remove("1", "on")
    assert [(response.method, response.status, response.attempts) for response in responses] == [("DELETE", 400, 2)]


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[]", b'{"id": 1}'])
async def test_a_response_that_cannot_be_parsed(client: AsyncExperimentClient, emulator: Emulator, body: bytes) -> None:
    """Its call fails, so it is not in the list."""
    emulator.inject(Fault("status", code=200, body=body), method="GET")
    with client.capture_responses() as responses:
        with pytest.raises(UnexpectedResponseError):
            await client.flags.get("1")
        emulator.inject(Fault("status", code=200, body=b"<html>"), method="PATCH")
        with pytest.raises(UnexpectedResponseError):
            await client.flags.edit("1", name="new")
    assert responses == []


async def test_a_block_in_an_async_generator(client: AsyncExperimentClient) -> None:
    """A generator that is closed in another task ends its block."""

    async def names() -> AsyncGenerator[APIResponse, None]:
        with client.capture_responses() as responses:
            for id in ("1", "2"):
                await client.flags.get(id)
                yield responses[-1]

    async with aclosing(names()) as source:
        first = await asyncio.ensure_future(source.__anext__())
    assert lines([first]) == ["GET /flags/1 200"]
    assert client._transport.session.blocks == set()
    capture = client.capture_responses()
    with capture, pytest.raises(RuntimeError, match="only once"):
        capture.__enter__()


def test_the_blocking_client() -> None:
    """Each thread captures its own calls, pages included."""
    with Emulator() as emulator, ExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        for id in range(1, 6):
            emulator.state.add_flag(id=str(id))
        seen: dict[str, list[str]] = {}

        def get(id: str) -> None:
            with client.capture_responses() as responses:
                assert client.flags.get(id).id == id
                assert len(list(client.flags.list(limit=3))) == 5
            seen[id] = lines(responses)

        threads = [threading.Thread(target=get, args=[id]) for id in ("1", "2", "3")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert seen == {id: [f"GET /flags/{id} 200", "GET /flags 200", "GET /flags 200"] for id in ("1", "2", "3")}
