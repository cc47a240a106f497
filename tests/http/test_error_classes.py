"""From a reply to its error: the class, what it tells, and that the key is nowhere in it."""

from __future__ import annotations

import time
from typing import Any

import pytest

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
from amp_exp_async.ratelimit.window import seconds_to_midnight

KEY = "emulator-management-key"
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
    """Each status has its class, which tells what was asked and what came back, whatever the body is."""
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
async def test_a_huge_body_is_excerpted(client: AsyncExperimentClient, emulator: Emulator, status: int) -> None:
    """The message quotes the beginning; the error keeps all of it."""
    body = "begin " + "x" * 200_000 + " end"
    emulator.inject(Fault.status(status, body=body))
    with pytest.raises(APIStatusError) as caught:
        await client.with_options(retry=ONCE).flags.get("1")
    assert caught.value.body == body
    assert "begin xxx" in str(caught.value)
    assert "end" not in str(caught.value).replace("/flags/1", "")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("retry_after", "body", "seconds", "daily"),
    [
        (None, "slow down", None, False),
        ("1", "slow down", 1.0, False),
        ("0.25", "slow down", 0.25, False),
        ("40000", "slow down", 40000.0, True),
        (None, {"error": "daily limit of 100000 requests"}, None, True),
        ("1", "too many requests a day", 1.0, True),
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
    """A 429 tells after how many seconds to come again, and whether it is the limit of the day and when that resets."""
    emulator.inject(Fault.status(429, retry_after=retry_after, body=body))
    with pytest.raises(RateLimitError) as caught:
        await client.with_options(retry=ONCE).flags.get("1")
    if daily and seconds is None:
        seconds = pytest.approx(seconds_to_midnight(time.time()), abs=5.0)
        assert "T00:00:00Z" in str(caught.value)
    assert (caught.value.retry_after, caught.value.daily) == (seconds, daily)
    assert ("Continue after the daily limit resets at 20" in str(caught.value)) == daily


async def test_the_emulators_daily_limit_is_told_as_daily() -> None:
    """A refusal for the rest of the day fails at once, since the deadline comes before midnight."""
    async with (
        Emulator(per_day=1, per_second=None) as emulator,
        AsyncExperimentClient(KEY, base_url=emulator.base_url, rate_limit=None, deadline=0.5) as client,
    ):
        await client.flags.list()
        with pytest.raises(RateLimitError) as caught:
            await client.flags.list()
        assert caught.value.daily
        assert len(emulator.requests) == 2


async def test_a_status_between_is_no_success(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Where the reply does not matter every 2xx is a success; what is not JSON is refused where it does."""
    emulator.inject(Fault.status(204, body=""))
    emulator.inject(Fault.status(204, body=""), nth=2)
    await client.flags.edit("1", enabled=True)
    with pytest.raises(UnexpectedResponseError, match=r"GET /flags/1 returned an unexpected response: .* \(empty\)"):
        await client.flags.get("1")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_redirect_is_refused(
    client: AsyncExperimentClient, emulator: Emulator, status: int, method: str
) -> None:
    """It is an error that says so, and neither another host nor the same one gets a second request."""
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
async def test_without_a_complete_reply(
    client: AsyncExperimentClient, emulator: Emulator, fault: Fault, error: type[APIConnectionError], write: bool
) -> None:
    """The error tells what was asked, that it may have arrived, and whether a write may be sent again."""
    emulator.inject(fault)
    view = client.with_options(retry=ONCE, timeout=0.05 if fault.kind == "delay" else 30.0)
    with pytest.raises(APIConnectionError) as caught:
        await (view.flags.archive("1") if write else view.flags.get("1"))
    raised = caught.value
    assert type(raised) is error
    assert isinstance(raised, TimeoutError) is (error is APITimeoutError)
    assert (raised.sent, raised.attempts) == (True, 1)
    assert (raised.method, raised.path) == ("PATCH" if write else "GET", "/flags/1")
    assert ("Retrying is safe" if write else "Try again") in str(raised)
