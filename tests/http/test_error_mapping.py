"""The errors for responses and failures: their classes, attributes and messages."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from amp_exp_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncExperimentClient,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.http.error_mapping import error_class
from amp_exp_async.ratelimit.window import seconds_to_midnight
from tests.aioresponses_shim import mocked

KEY = "emulator-management-key"
SERVICE = "https://experiment.eu.amplitude.com/api/1"
ONCE = RetryPolicy(max_attempts=1, backoff_base=0.0)
CLASSES = {
    302: APIStatusError,
    307: APIStatusError,
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    409: ConflictError,
    418: APIStatusError,
    429: RateLimitError,
    500: ServerError,
    502: ServerError,
    503: ServerError,
}
BODIES = {
    "JSON": ({"error": {"code": 7, "words": ["no", None]}}, None, '"code":7'),
    "text": ("no such luck", None, "no such luck"),
    "HTML": ("<html>\n <h1>No</h1></html>", "text/html", "<h1>No</h1>"),
    "HTML said to be JSON": ("<p>No</p>", "application/json", "<p>No</p>"),
    "not UTF-8": (b"\xff\xfe no", "text/plain; charset=latin-1", "no"),
    "nothing": ("", None, "failed with"),
}


@pytest.mark.parametrize(("body", "content_type", "quoted"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("status", "error"), CLASSES.items())
async def test_class_and_contents(
    *,
    client: AsyncExperimentClient,
    emulator: Emulator,
    status: int,
    error: type[APIStatusError],
    body: Any,
    content_type: str | None,
    quoted: str,
) -> None:
    """Each status has its class, whose attributes describe the request and the response, whatever the body is."""
    emulator.inject(Fault.status(status, body=body, content_type=content_type))
    with pytest.raises(APIStatusError) as caught:
        await client.with_options(retry=ONCE).flags.edit("a/b", enabled=True)
    raised = caught.value
    assert type(raised) is error
    assert (raised.status, raised.method, raised.path, raised.attempts) == (status, "PATCH", "/flags/a%2Fb", 1)
    assert raised.body == (body.decode("utf-8", "replace") if isinstance(body, bytes) else body)
    assert raised.headers["Content-Type"].startswith(content_type or ("text" if isinstance(body, str) else "applic"))
    for part in ("PATCH", "/flags/a%2Fb", str(status), quoted):
        assert part in str(raised)


@pytest.mark.parametrize("status", [400, 500])
async def test_a_long_body(client: AsyncExperimentClient, emulator: Emulator, status: int) -> None:
    """The message quotes its beginning; the error contains the first 64 KiB, because parsing all of it takes long."""
    body = "begin " + "x" * 200_000 + " end"
    emulator.inject(Fault.status(status, body=body))
    with pytest.raises(APIStatusError) as caught:
        await client.with_options(retry=ONCE).flags.get("1")
    assert caught.value.body == body[: 1 << 16]
    assert "begin xxx" in str(caught.value)
    assert "end" not in str(caught.value).replace("/flags/1", "")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("retry_after", "body", "seconds", "daily"),
    [
        (None, "slow down", None, False),
        ("1", "slow down", 1.0, False),
        ("0.25", "slow down", 0.25, False),
        ("86400", "slow down", None, True),
        (None, {"error": "daily limit of 100000 requests"}, None, False),
        ("86400", {"error": "100 requests per second, 100000 per day"}, None, True),
        ("1", "too many requests a day", 1.0, False),
    ],
)
async def test_rate_limit(
    *,
    client: AsyncExperimentClient,
    emulator: Emulator,
    retry_after: str | None,
    body: Any,
    seconds: Any,
    daily: bool,
) -> None:
    """The error says when to retry, whether the daily limit is reached, and when it resets."""
    emulator.inject(Fault.status(429, retry_after=retry_after, body=body))
    with pytest.raises(RateLimitError) as caught:
        await client.with_options(retry=ONCE).flags.get("1")
    if daily and seconds is None:
        seconds = pytest.approx(seconds_to_midnight(time.time()), abs=60.0)
        assert "T00:00:00Z" in str(caught.value)
    assert (caught.value.retry_after, caught.value.daily) == (seconds, daily)
    assert ("Continue after the daily limit resets at 20" in str(caught.value)) == daily


async def test_the_daily_limit_of_the_emulator() -> None:
    """The call fails at once, because its deadline passes before midnight."""
    async with (
        Emulator(per_day=1, per_second=None) as emulator,
        AsyncExperimentClient(KEY, base_url=emulator.base_url, rate_limit=None, deadline=0.5) as client,
    ):
        await client.flags.list()
        with pytest.raises(RateLimitError) as caught:
            await client.flags.list()
        assert caught.value.daily
        assert len(emulator.requests) == 2


async def test_a_204(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It is a success for a write. For a read, the empty body is unexpected."""
    emulator.inject(Fault.status(204, body=""))
    emulator.inject(Fault.status(204, body=""), nth=2)
    await client.flags.edit("1", enabled=True)
    with pytest.raises(UnexpectedResponseError, match=r"GET /flags/1 returned an unexpected response: .* \(empty\)"):
        await client.flags.get("1")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_redirect_is_not_followed(
    client: AsyncExperimentClient, emulator: Emulator, status: int, method: str
) -> None:
    """It is an error, and no host receives a second request."""
    async with Emulator() as target:
        emulator.inject(Fault.redirect(f"{target.base_url}/api/1/flags", status=status), method=method)
        with pytest.raises(APIStatusError, match="Redirects are not followed") as caught:
            await client.request(method, "/flags", json={} if method == "POST" else None)
        assert caught.value.status == status
        assert caught.value.headers["Location"].startswith(target.base_url)
        assert target.requests == []
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.close(), APIConnectionError),
        (Fault.truncate(), APIConnectionError),
        (Fault.delay(30.0), APITimeoutError),
    ],
    ids=["closed", "cut off", "too late"],
)
@pytest.mark.parametrize("write", [True, False], ids=["write", "read"])
async def test_without_a_complete_response(
    client: AsyncExperimentClient, emulator: Emulator, fault: Fault, error: type[APIConnectionError], write: bool
) -> None:
    """The error describes the request, says that it may have arrived, and whether to retry a write."""
    emulator.inject(fault)
    copy = client.with_options(retry=ONCE, timeout=0.05 if fault.kind == "delay" else 30.0)
    with pytest.raises(APIConnectionError) as caught:
        await (copy.flags.restore("1") if write else copy.flags.get("1"))
    raised = caught.value
    assert type(raised) is error
    assert isinstance(raised, TimeoutError) is (error is APITimeoutError)
    assert (raised.sent, raised.attempts) == (True, 1)
    assert (raised.method, raised.path) == ("PATCH" if write else "GET", "/flags/1")
    assert ("Retrying is safe" if write else "Try again") in str(raised)


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, MethodNotAllowedError),
        (409, ConflictError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
        (302, APIStatusError),
        (418, APIStatusError),
    ],
)
def test_the_class_of_a_status(status: int, cls: type[APIStatusError]) -> None:
    """A status has a class of its own, or the general one."""
    assert error_class(status) is cls


CONNECTING = ConnectionKey("x", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("failure", "error", "sent"),
    [
        (aiohttp.ClientOSError(104, "reset"), APIConnectionError, True),
        (aiohttp.ServerDisconnectedError(), APIConnectionError, True),
        (aiohttp.ClientPayloadError("cut off"), APIConnectionError, True),
        (ConnectionResetError(), APIConnectionError, True),
        (aiohttp.SocketTimeoutError(), APITimeoutError, True),
        (TimeoutError(), APITimeoutError, True),
        (aiohttp.ConnectionTimeoutError(), APITimeoutError, False),
        (aiohttp.ClientConnectorError(CONNECTING, OSError("refused")), APIConnectionError, False),
        (aiohttp.ClientConnectorDNSError(CONNECTING, OSError("no such host")), APIConnectionError, False),
        (aiohttp.InvalidURL("http://"), APIConnectionError, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_exceptions_of_aiohttp(failure: Exception, error: type[APIConnectionError], sent: bool) -> None:
    """Each becomes an error of this library, which says whether the request may have arrived."""
    with mocked() as service:
        service.get(f"{SERVICE}/flags/1", exception=failure)
        async with AsyncExperimentClient(KEY, region="eu", retry=ONCE) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.flags.get("1")
    assert type(caught.value) is error
    assert caught.value.sent is sent


@pytest.mark.parametrize(("attempt", "seconds"), [(30, "10"), (1000, "10"), (10, "9"), (0.5, "0.45")])
async def test_a_connection_that_times_out(attempt: float, seconds: str) -> None:
    """The message has the seconds that aiohttp was told to wait for it, not those of the attempt."""
    with mocked() as service:
        service.get(f"{SERVICE}/flags/1", exception=aiohttp.ConnectionTimeoutError())
        async with AsyncExperimentClient(KEY, region="eu", retry=ONCE, timeout=attempt) as client:
            with pytest.raises(
                APITimeoutError, match=rf"failed: no connection within {seconds} s \(connect timeout\)\."
            ):
                await client.flags.get("1")
        [[call]] = service.requests.values()
    assert call.kwargs["timeout"].connect == float(seconds)
