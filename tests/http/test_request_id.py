"""The ID that the service gives a request: in attempts, errors, messages and log records."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest
from multidict import CIMultiDict

from amp_exp_async import (
    APIConnectionError,
    AsyncExperimentClient,
    Attempt,
    CallEnd,
    OutcomeUnknownError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.config import Secret
from amp_exp_async.http.request_id import read_request_id
from tests.reliability.raw_server import RawConnection, RawServer, response

KEY = "request-id-management-key"
ONCE = RetryPolicy(max_attempts=1, backoff_base=0)


def read(*headers: tuple[str, str]) -> str | None:
    return read_request_id(CIMultiDict(headers), Secret(KEY))


def test_the_order_of_headers() -> None:
    """The ID of the service comes before those of gateways; an empty one does not count; names have any case."""
    assert read() is None
    assert read(("x-request-id", " "), ("cf-ray", "ray")) == "ray"
    assert read(("CF-Ray", "ray"), ("X-Amzn-Trace-Id", "Root=1-2")) == "Root=1-2"
    assert read(("X-Amzn-Trace-Id", "Root=1-2"), ("x-amzn-requestid", "aws")) == "aws"
    assert (
        read(("X-Amzn-RequestId", "aws"), ("X-Correlation-Id", "c"), ("Request-Id", "b"), ("X-REQUEST-ID", "a")) == "a"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"id-{KEY}-1", "id-***-1"),
        ("a\x1b[31mb", "a\\u001b[31mb"),
        ("a\u202eb\udcffc", "a\\u202eb\\udcffc"),
        ("x" * 5000, "x" * 127 + "…"),
        ("\x01" * 5000 + KEY, "\\u0001" * 21 + "\\…"),
    ],
)
def test_hostile_values(value: str, shown: str) -> None:
    """Control characters and lone surrogates are escaped, long values are cut, and the key is redacted."""
    assert read(("X-Request-Id", value)) == shown
    shown.encode()


@pytest.mark.usefixtures("path_in_turn")
async def test_on_the_wire(caplog: pytest.LogCaptureFixture) -> None:
    """Each error names the ID of the last attempt; so do attempts, the end of a call, and the records of the log."""
    caplog.set_level(logging.DEBUG, logger="amp_exp_async")
    answers = [
        ("503 Busy", b"busy", "first"),
        ("503 Busy", b"busy", f"second-{KEY}"),
        ("200 OK", b"{}", "third"),
        ("502 Bad Gateway", b"", "fourth"),
        None,
    ]

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            if (answer := answers.pop(0)) is None:
                return
            status, body, request_id = answer
            await connection.send(response(body, status=status, headers=[("X-Request-Id", request_id)]))

    attempts: list[Attempt] = []
    ends: list[CallEnd] = []
    options: dict[str, Any] = {"retry": ONCE, "on_attempt": attempts.append, "on_call_end": ends.append}
    with RawServer(serve) as server:
        async with AsyncExperimentClient(KEY, base_url=server.url, **options) as client:
            with pytest.raises(ServerError) as refused:
                await client.with_options(retry=RetryPolicy(max_attempts=2, backoff_base=0)).flags.get("1")
            with pytest.raises(UnexpectedResponseError) as unexpected:
                await client.flags.get("1")
            with pytest.raises(OutcomeUnknownError) as unknown:
                await client.request("POST", "/flags/1/duplicate")
            with pytest.raises(APIConnectionError) as lost:
                await client.flags.get("1")
    ids = ["first", "second-***", "third", "fourth", None]
    assert [attempt.request_id for attempt in attempts] == ids
    assert [end.request_id for end in ends] == ids[1:]
    errors = [refused.value, unexpected.value, unknown.value, lost.value]
    assert [error.request_id for error in errors] == ids[1:]
    assert [str(error).endswith(f"Request ID: {error.request_id}.") for error in errors] == [True, True, True, False]
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)
    failed = [record for record in caplog.records if record.levelno == logging.INFO]
    assert [vars(record)["request_id"] for record in failed] == ["first", "second-***", "fourth", None]
    assert [vars(record)["status"] for record in failed] == [503, 503, 502, None]
    assert "GET /flags/1: attempt 1 failed with 503 (request ID first); retrying in 0.00 s" in caplog.messages
    assert "GET /flags/1: attempt 2 failed with 503 (request ID second-***); not repeated" in caplog.messages
    assert KEY not in caplog.text
