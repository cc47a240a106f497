"""Decisions of the transport, one at a time: what a request looks like, what a failure means, what comes next."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from amp_exp_async import APIConnectionError, APITimeoutError, AsyncExperimentClient, RetryPolicy, __version__
from amp_exp_async.http import Idempotency, Request, build_path
from amp_exp_async.http.retry import AttemptResult, RetryDecision, decide, parse_retry_after
from tests.aioresponses_shim import mocked

KEY = "decisions-management-key"
SERVICE = "https://experiment.eu.amplitude.com/api/1"
ONCE = RetryPolicy(max_attempts=1)


async def test_what_a_request_looks_like() -> None:
    """The URL with its encoded path and query, and the headers, are those of the contract."""
    with mocked() as service:
        url = f"{SERVICE}/flags?includeArchived=true&key=a-b&limit=5"  # aioresponses sorts the query
        service.get(url, payload={"flags": []})
        async with AsyncExperimentClient(KEY, region="eu") as client:
            await client.flags.list(key="a-b", include_archived=True, limit=5)
        ((method, sent_to), (call,)) = next(iter(service.requests.items()))
    assert (method, sent_to) == ("GET", URL(url))
    assert dict(call.kwargs["headers"]) == {
        "Authorization": f"Bearer {KEY}",
        "Accept": "application/json",
        "User-Agent": f"amp_exp_async/{__version__}",
    }
    assert call.kwargs["allow_redirects"] is False
    assert call.kwargs["data"] is None


@pytest.mark.parametrize("write", [True, False])
async def test_only_a_body_has_a_content_type(write: bool) -> None:
    """A request with a body says that it is JSON; one without says nothing of the kind."""
    with mocked() as service:
        service.patch(f"{SERVICE}/flags/1", body="OK")
        service.get(f"{SERVICE}/flags/1", payload={"id": 1, "key": "x"})
        async with AsyncExperimentClient(KEY, region="eu") as client:
            await (client.flags.edit("1", description=None) if write else client.flags.get("1"))
        ((call,),) = service.requests.values()
    assert ("Content-Type" in call.kwargs["headers"]) is write
    assert call.kwargs["data"] == (b'{"description":null}' if write else None)


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
async def test_what_a_failure_means(failure: Exception, error: type[APIConnectionError], sent: bool) -> None:
    """Each of aiohttp's errors becomes one of ours, which tells whether the request may have arrived."""
    with mocked() as service:
        service.get(f"{SERVICE}/flags/1", exception=failure)
        async with AsyncExperimentClient(KEY, region="eu", retry=ONCE) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.flags.get("1")
    assert type(caught.value) is error
    assert caught.value.sent is sent


LOST = [AttemptResult(None), AttemptResult(500), AttemptResult(503), AttemptResult(599)]
NEVER_REPEATED = {Idempotency.CREATE, Idempotency.NON_IDEMPOTENT}
NEVER_SENT = [AttemptResult(None, sent=False), AttemptResult(429)]


@pytest.mark.parametrize("attempts_left", [True, False])
@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize("result", LOST + NEVER_SENT, ids=str)
def test_what_may_be_repeated(result: AttemptResult, idempotency: Idempotency, attempts_left: bool) -> None:
    """The contract's table: what was refused or never sent always, what was lost only where it does no harm."""
    settled = result in LOST and idempotency in NEVER_REPEATED
    expected = RetryDecision.RECONCILE if settled else RetryDecision.RETRY if attempts_left else RetryDecision.RAISE
    assert decide(result, idempotency, attempts_left=attempts_left, ambiguous_before=False) is expected


@pytest.mark.parametrize("ambiguous_before", [True, False])
@pytest.mark.parametrize("idempotency", Idempotency)
def test_what_a_404_means(idempotency: Idempotency, ambiguous_before: bool) -> None:
    """After a lost reply it means done for a removal and is settled for a rename; else it is an error."""
    after_loss = {Idempotency.DELETE: RetryDecision.RETURN, Idempotency.RENAME: RetryDecision.RECONCILE}
    expected = after_loss.get(idempotency, RetryDecision.RAISE) if ambiguous_before else RetryDecision.RAISE
    assert decide(AttemptResult(404), idempotency, attempts_left=True, ambiguous_before=ambiguous_before) is expected


@given(st.integers(100, 599), st.sampled_from(Idempotency), st.booleans(), st.booleans())
def test_every_status_is_decided(
    status: int, idempotency: Idempotency, attempts_left: bool, ambiguous_before: bool
) -> None:
    """Only a 2xx is done (but for a removal's 404), and nothing goes on without attempts left."""
    decision = decide(
        AttemptResult(status), idempotency, attempts_left=attempts_left, ambiguous_before=ambiguous_before
    )
    if decision is RetryDecision.RETURN:
        assert 200 <= status < 300 or (status == 404 and ambiguous_before and idempotency is Idempotency.DELETE)
    else:
        assert not 200 <= status < 300
    if decision is RetryDecision.RETRY:
        assert attempts_left
        assert status == 429 or (status >= 500 and idempotency not in NEVER_REPEATED)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "1.2.3"}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 7 "}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:01:40 -0000"}, 90.0),
        ({"Retry-After": "Thursday, 01-Jan-70 00:01:40 GMT"}, 90.0),
        ({"Retry-After": "Thu Jan  1 00:01:40 1970"}, 90.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:05 GMT"}, 0.0),
    ],
)
def test_retry_after(header: dict[str, str], seconds: float | None) -> None:
    """Seconds, or a date in any of HTTP's three forms against the clock; never negative, and None if unusable."""
    assert parse_retry_after(header, lambda: 10.0) == seconds


@given(st.lists(st.text(min_size=1), min_size=1))
def test_paths_are_encoded(segments: list[str]) -> None:
    """Whatever a segment holds, it stays one segment and comes out as it went in."""
    segments = [segment.encode("utf-8", "ignore").decode() or "x" for segment in segments]
    path = build_path(*segments)
    assert path.isascii()
    assert not set("?# ") & set(path)
    if not {".", ".."} & set(segments):
        assert list(URL(f"http://x{path}", encoded=True).raw_parts[1:]) == path.split("/")[1:]
        assert [URL(f"http://x/{part}", encoded=True).name for part in path.split("/")[1:]] == segments


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        (Request("GET", "/flags/1"), None),
        (Request("POST", "/flags"), None),
        (Request("PATCH", "/flags/1"), "flags/1"),
        (Request("DELETE", "/flags/1/variants/on/users/0"), "flags/1"),
        (Request("POST", "/experiments/1/deployments"), "experiments/1"),
    ],
)
def test_what_writes_must_not_overlap_on(request_: Request, key: Any) -> None:
    """Writes are ordered by the object that their path begins with; reads and creations are not."""
    assert request_.lock_key == key
