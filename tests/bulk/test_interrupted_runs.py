"""Runs in which an operation ends with an exception that is not an `AmpExpError`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from amp_exp_async import AmpExpError, AsyncExperimentClient, CreateFlag, Edit, Outcome
from amp_exp_async.emulator import Emulator
from amp_exp_async.http import exchange
from tests.bulk.test_regressions import flags
from tests.clients import client_of
from tests.polling import TIMEOUT


class StopError(BaseException):
    """What code of the user raises to end the program."""


class Rendezvous:
    """Lets three requests arrive, then ends that of one flag with an exception, and then the others normally.

    Args:
        id: the ID of the flag.
        error: the exception.
    """

    def __init__(self, id: str, error: BaseException) -> None:
        self._id = id
        self._error = error
        self._arrived = 0
        self._all_arrived = asyncio.Event()
        self._has_raised = asyncio.Event()

    async def pass_by(self, path: str) -> None:
        """Wait for the others, and raise the exception if the path is of the flag."""
        self._arrived += 1
        if self._arrived == 3:
            self._all_arrived.set()
        await self._all_arrived.wait()
        if path.endswith(self._id):
            asyncio.get_running_loop().call_soon(self._has_raised.set)
            raise self._error
        await self._has_raised.wait()


def _traced_client(emulator: Emulator, rendezvous: Rendezvous) -> AsyncExperimentClient:
    async def on_request_end(_: object, __: object, params: aiohttp.TraceRequestEndParams) -> None:
        await rendezvous.pass_by(params.url.path)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(on_request_end)
    return client_of(emulator, trace_configs=[trace], max_concurrency=3)


async def _collect(client: AsyncExperimentClient, run: Any, error: type[BaseException]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    async with asyncio.timeout(TIMEOUT), client:
        with pytest.raises(error):  # noqa: PT012 - collects the outcomes before it
            async for outcome in run:
                outcomes.append(outcome)  # noqa: PERF401 - those before the exception count
    return sorted(outcomes, key=lambda outcome: outcome.index)


async def test_an_exception_that_ends_the_program(emulator: Emulator, tmp_path: Path) -> None:
    """The operation that may have been applied is unknown, those in flight finish, and the exception goes on."""
    ids = flags(emulator, 6)
    operations = [Edit("flags", id, {"name": "x"}) for id in ids]
    error = StopError()
    client = _traced_client(emulator, Rendezvous(ids[1], error))
    run = client.bulk(operations, journal=tmp_path / "journal")
    outcomes = await _collect(client, run, StopError)
    assert [outcome.status for outcome in outcomes][:3] == ["done", "unknown", "done"]
    assert {outcome.status for outcome in outcomes[3:]} <= {"skipped"}
    assert str(outcomes[1].error) == "the run was ended during the operation by StopError"
    assert outcomes[1].error is not None
    assert outcomes[1].error.__cause__ is error
    assert (run.summary.done, run.summary.unknown, run.summary.requests) == (2, 1, 3)
    async with client_of(emulator) as other:
        rerun = [outcome async for outcome in other.bulk(operations, journal=tmp_path / "journal")]
    assert [outcome.status for outcome in sorted(rerun, key=lambda outcome: outcome.index)] == [
        *("skipped", "done", "skipped"),
        *["done"] * 3,
    ]


@pytest.mark.parametrize("error", [MemoryError, RecursionError, KeyError, StopError])
async def test_an_exception_without_code_of_the_user(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """The same holds for unexpected exceptions, such as `MemoryError` while a response is read."""

    async def read_body(*_: Any, **__: Any) -> bytes:
        raise error

    monkeypatch.setattr(exchange, "read_body", read_body)
    client = client_of(emulator)
    run = client.bulk([CreateFlag(project_id="1", key="new")])
    (outcome,) = await _collect(client, run, error)
    assert outcome.status == "unknown"
    assert (run.summary.unknown, run.summary.requests) == (1, 1)


async def test_a_cancelled_hook(emulator: Emulator) -> None:
    """Its cancellation ends the run with an error of this library, since the run itself was not cancelled."""
    ids = flags(emulator, 3)
    client = _traced_client(emulator, Rendezvous(ids[1], asyncio.CancelledError()))
    run = client.bulk([Edit("flags", id, {"name": "x"}) for id in ids])
    outcomes = await _collect(client, run, AmpExpError)
    assert [outcome.status for outcome in outcomes] == ["done", "unknown", "done"]


async def test_another_exception_of_a_hook(emulator: Emulator) -> None:
    """It is a failure of its operation alone."""
    ids = flags(emulator, 3)
    client = _traced_client(emulator, Rendezvous(ids[1], KeyError("region")))
    async with asyncio.timeout(TIMEOUT), client:
        outcomes = [outcome async for outcome in client.bulk([Edit("flags", id, {"name": "x"}) for id in ids])]
    outcomes.sort(key=lambda outcome: outcome.index)
    assert [outcome.status for outcome in outcomes] == ["done", "unknown", "done"]
    assert "KeyError: 'region'" in str(outcomes[1].error)
