"""The log: why attempts failed, and the fields of its records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from amp_exp_async import APIConnectionError, AsyncExperimentClient, RetryPolicy, ServerError
from amp_exp_async.emulator import Emulator, Fault
from tests.virtual_time import Answer, ScriptedSession, run

pytestmark = pytest.mark.usefixtures("path_in_turn")

FIELDS = {"method", "path", "attempt", "status", "error", "seconds", "request_id", "wait", "wait_reason"}


async def test_why_attempts_failed(
    client: AsyncExperimentClient, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """INFO says the status, or the reason of a lost connection, of each failed attempt, and what follows."""
    caplog.set_level(logging.INFO, logger="amp_exp_async")
    emulator.state.add_flag(id="1")
    emulator.inject(Fault.close())
    emulator.inject(Fault.status(503), nth=2)
    emulator.inject(Fault.status(500), nth=3)
    with pytest.raises(ServerError):
        await client.with_options(retry=RetryPolicy(max_attempts=3, backoff_base=0)).flags.get("1")
    lost, busy, failed = caplog.records
    assert lost.message.startswith("GET /flags/1: attempt 1 failed: the connection was lost")
    assert lost.message.endswith("; retrying in 0.00 s")
    assert busy.message == "GET /flags/1: attempt 2 failed with 503; retrying in 0.00 s"
    assert failed.message == "GET /flags/1: attempt 3 failed with 500; not repeated"
    assert [
        {name: vars(record)[name] for name in ("method", "path", "attempt", "status")} for record in caplog.records
    ] == [
        {"method": "GET", "path": "/flags/1", "attempt": number, "status": status}
        for number, status in [(1, None), (2, 503), (3, 500)]
    ]
    assert "connection" in vars(lost)["error"]
    assert (vars(busy)["wait"], vars(busy)["wait_reason"], vars(failed)["wait"]) == (0.0, "retry", None)
    caplog.clear()
    emulator.inject(Fault.close(), times=3)
    with pytest.raises(APIConnectionError):
        await client.with_options(retry=RetryPolicy(max_attempts=9, backoff_base=99), deadline=0.5).flags.get("1")
    assert "the deadline leaves no time to try again" in caplog.messages[-1]


def test_the_fields_of_every_record(caplog: pytest.LogCaptureFixture) -> None:
    """Each record about a request has all fields, so that a formatter can name them; waits are logged at DEBUG."""
    caplog.set_level(logging.DEBUG, logger="amp_exp_async")
    session = ScriptedSession([Answer(body=b"OK", seconds=2.0)])

    async def scenario() -> None:
        async with AsyncExperimentClient("log-key", base_url="https://service.example", session=session) as client:
            await asyncio.gather(*(client.flags.edit("1", name="new") for _ in range(2)))

    run(scenario())
    assert all(vars(record).keys() >= FIELDS for record in caplog.records)
    assert caplog.messages == [
        "PATCH /flags/1: attempt 1: 200 in 2.000 s",
        "PATCH /flags/1: waited 2.000 s (lock)",
        "PATCH /flags/1: attempt 1: 200 in 2.000 s",
    ]
    sent, wait, _ = map(vars, caplog.records)
    assert (sent["seconds"], sent["wait"], sent["attempt"]) == (2.0, None, 1)
    assert (wait["seconds"], wait["wait"], wait["wait_reason"], wait["attempt"]) == (None, 2.0, "lock", 0)


@pytest.fixture
def record_factory() -> Iterator[None]:
    """Let the application set the ID of its own request on each record, as many do."""
    before = logging.getLogRecordFactory()

    def make_record(*args: object, **kwargs: object) -> logging.LogRecord:
        record: logging.LogRecord = before(*args, **kwargs)
        vars(record)["request_id"] = "of the application"
        return record

    logging.setLogRecordFactory(make_record)
    yield
    logging.setLogRecordFactory(before)


@pytest.mark.usefixtures("record_factory")
async def test_a_record_factory_with_the_same_field(
    client: AsyncExperimentClient, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A call succeeds, and its line is logged, without the fields."""
    caplog.set_level(logging.DEBUG, logger="amp_exp_async")
    emulator.state.add_flag(id="1")
    await client.flags.get("1")
    (record,) = caplog.records
    assert vars(record)["request_id"] == "of the application"
    assert record.message.startswith("GET /flags/1: attempt 1: 200 in")
