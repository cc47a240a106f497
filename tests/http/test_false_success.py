"""A 2xx that does not come from the service is not a success, and errors say why no further attempt was made."""

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

pytestmark = pytest.mark.usefixtures("each_path")

LOGIN = "\n <!doctype html><title>Sign in</title>"

WRITES: dict[str, Callable[[AsyncExperimentClient, str], Awaitable[object]]] = {
    "edit": lambda client, id: client.flags.edit(id, enabled=True),
    "archive": lambda client, id: client.flags.archive(id),
    "users.add": lambda client, id: client.flags.users.add(id, "on", ["a"]),
    "variants.edit": lambda client, id: client.flags.variants.edit(id, "on", name="On"),
    "deployments.edit": lambda client, _: client.deployments.edit("1", archive=True),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_web_page_is_not_a_success(name: str, emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A login page with status 200 is an unexpected response."""
    id = emulator.state.add_flag()["id"]
    emulator.inject(Fault.status(200, body=LOGIN, content_type="text/html"))
    with pytest.raises(UnexpectedResponseError, match="a web page"):
        await WRITES[name](client, id)


@pytest.mark.parametrize("body", ["OK", "ok", "", '"OK"', "{}"])
async def test_any_other_response_to_a_write_is_a_success(
    body: str, emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """The API reference documents no body except OK, so other bodies are accepted."""
    emulator.inject(Fault.status(200, body=body))
    await client.flags.edit("1", enabled=True)


async def test_a_web_page_for_a_removal_by_index(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The outcome is unknown, and the removal is not sent again."""
    emulator.inject(Fault.status(200, body=LOGIN), times=None)
    with pytest.raises(OutcomeUnknownError):
        await client.flags.users.remove_at("1", "on", 0)
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.status(503, retry_after=30), ServerError), (Fault.status(429, retry_after=30), RateLimitError)],
)
async def test_an_error_that_names_the_deadline(
    fault: Fault, error: type[Exception], emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """A call that would have to wait beyond its deadline fails at once, and says how long the wait would be."""
    emulator.inject(fault)
    with pytest.raises(error, match=r"The deadline of 2 s left no time to wait 30.0 s and try again"):
        await client.with_options(deadline=2).flags.list()
    assert len(emulator.requests) == 1


async def test_an_error_that_does_not_name_the_deadline(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The error for a rejection that is final does not mention the deadline, however close it is."""
    emulator.inject(Fault.status(400, retry_after=30))
    with pytest.raises(BadRequestError) as caught:
        await client.with_options(deadline=2).flags.list()
    assert "deadline of" not in str(caught.value)


async def test_a_timeout_names_its_seconds(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The message contains the timeout of the attempt."""
    emulator.inject(Fault.delay(5), times=None)
    with pytest.raises(APITimeoutError, match=r"failed after 5 attempts: .* within 0\.02 s"):
        await client.with_options(timeout=0.02).flags.get("1")


async def test_the_last_attempt_of_the_policy(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The error after the last attempt of the policy does not mention the deadline."""
    emulator.inject(Fault.close(), times=None)
    with pytest.raises(APIConnectionError) as caught:
        await client.flags.get("1")
    assert "deadline of" not in str(caught.value)
