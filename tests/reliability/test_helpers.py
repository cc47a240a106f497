"""The servers of the harness do what its tests rely on."""

from __future__ import annotations

import pytest

from amp_exp_async import APIConnectionError
from amp_exp_async.emulator import Emulator, Fault
from tests.reliability.conftest import ClientFactory
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.raw_server import RawConnection, RawServer, answer_all, response


def add_flag(emulator: Emulator, key: str) -> str:
    """Add a flag, and return its ID."""
    return emulator.state.add_flag(key=key)["id"]


def inject_close(emulator: Emulator) -> None:
    """Close the connection of the next request."""
    emulator.inject(Fault.close())


def received(emulator: Emulator) -> list[str]:
    """Return the methods and paths of all requests."""
    return [f"{request.method} {request.path}" for request in emulator.requests]


async def test_an_emulator_in_its_own_process(emulator_process: EmulatorProcess, make_client: ClientFactory) -> None:
    """Functions run beside it: they change its state, inject faults and read its log."""
    id = emulator_process.run(add_flag, "there")
    client = await make_client(emulator_process.base_url, api_key=emulator_process.api_key)
    emulator_process.run(inject_close)
    assert (await client.flags.get(id)).key == "there"
    assert emulator_process.run(received) == [f"GET /api/1/flags/{id}"] * 2


def test_an_error_beside_the_emulator(emulator_process: EmulatorProcess) -> None:
    """It is raised in the test, and the process goes on serving."""
    with pytest.raises(TypeError, match="fault must be a Fault"):
        emulator_process.run(Emulator.inject, "no fault")
    assert emulator_process.run(received) == []


async def test_a_killed_emulator(make_client: ClientFactory) -> None:
    """It starts again on the same port, with an empty state."""
    with EmulatorProcess() as process:
        process.run(add_flag, "lost")
        client = await make_client(process.base_url, api_key=process.api_key)
        process.kill()
        with pytest.raises(APIConnectionError, match="could not connect"):
            await client.flags.list()
        process.start()
        assert await client.flags.list() == []


async def test_a_raw_server(make_client: ClientFactory) -> None:
    """It sends what the script says, and records what arrives."""
    with RawServer(answer_all(response('{"flags": []}'))) as server:
        client = await make_client(server.url)
        assert await client.flags.list() == []
        assert await client.flags.list() == []
    assert server.lines == ["GET /api/1/flags"] * 2
    assert server.connections == 1


async def test_a_raw_server_resets(make_client: ClientFactory) -> None:
    """A reset is a lost connection for the client."""

    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        connection.reset()

    with RawServer(script) as server:
        client = await make_client(server.url)
        with pytest.raises(APIConnectionError, match="the connection was lost"):
            await client.flags.list()
    assert len(server.requests) == server.connections == 5


async def test_a_script_that_fails(make_client: ClientFactory) -> None:
    """Its error is raised at the end of the block."""

    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        raise ValueError("a mistake in the script")

    server = RawServer(script)
    server.__enter__()
    client = await make_client(server.url)
    with pytest.raises(APIConnectionError):
        await client.flags.list()
    with pytest.raises(ValueError, match="a mistake"):
        server.__exit__(None, None, None)
