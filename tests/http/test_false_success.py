"""A 2xx that is none of the service's is no success, and an error says why there was no other attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from amp_exp_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncExperimentClient,
    BadRequestError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.emulator import Emulator, Fault

LOGIN = "\n <!doctype html><title>Sign in</title>"

WRITES: dict[str, Callable[[AsyncExperimentClient, str], Awaitable[object]]] = {
    "edit": lambda client, id: client.flags.edit(id, enabled=True),
    "archive": lambda client, id: client.flags.archive(id),
    "users.add": lambda client, id: client.flags.users.add(id, "on", ["a"]),
    "variants.edit": lambda client, id: client.flags.variants.edit(id, "on", name="On"),
    "deployments.edit": lambda client, _: client.deployments.edit("1", archive=True),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_web_page_is_no_ok(name: str, emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A login page or a proxy's greeting with status 200 is not taken for the service's OK."""
    id = emulator.state.add_flag()["id"]
    emulator.inject(Fault.status(200, body=LOGIN, content_type="text/html"))
    with pytest.raises(UnexpectedResponseError, match="a web page"):
        await WRITES[name](client, id)


@pytest.mark.parametrize("body", ["OK", "ok", "", '"OK"', "{}"])
async def test_every_other_reply_to_a_write_is(body: str, emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The words of the service are not documented beyond OK, and none is asked for."""
    emulator.inject(Fault.status(200, body=body))
    await client.flags.edit("1", enabled=True)


async def test_a_web_page_hides_whether_a_user_was_removed(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A removal by index that is answered by a web page is unknown, and not sent again."""
    emulator.inject(Fault.status(200, body=LOGIN), times=None)
    with pytest.raises(OutcomeUnknownError):
        await client.flags.users.remove_at("1", "on", 0)
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.status(503, retry_after=30), ServerError), (Fault.status(429, retry_after=30), RateLimitError)],
)
async def test_the_deadline_is_named_when_it_is_the_reason(
    fault: Fault, error: type[Exception], emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """A call that would have to wait beyond its deadline fails at once, and says for how long it would."""
    emulator.inject(fault)
    with pytest.raises(error, match=r"The deadline of 2 s left no time to wait 30.0 s and try again"):
        await client.with_options(deadline=2).flags.list()
    assert len(emulator.requests) == 1


async def test_the_deadline_is_not_named_when_it_is_not_the_reason(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """A refusal that no second attempt would change has no word about the deadline, however close it is."""
    emulator.inject(Fault.status(400, retry_after=30))
    with pytest.raises(BadRequestError) as caught:
        await client.with_options(deadline=2).flags.list()
    assert "deadline of" not in str(caught.value)


async def test_a_timeout_says_how_long_it_waited(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The seconds of the attempt that ran out are in the message."""
    emulator.inject(Fault.delay(5), times=None)
    with pytest.raises(APITimeoutError, match=r"failed after 5 attempts: .* within 0\.02 s"):
        await client.with_options(timeout=0.02).flags.get("1")


async def test_a_restored_service_is_not_blamed(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """What ran out of attempts by policy has no word about the deadline."""
    emulator.inject(Fault.close(), times=None)
    with pytest.raises(APIConnectionError) as caught:
        await client.flags.get("1")
    assert "deadline of" not in str(caught.value)
