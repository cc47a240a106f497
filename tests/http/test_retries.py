"""Retries: which requests are sent again, and which never are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from amp_exp_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncExperimentClient,
    Attempt,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    RetryPolicy,
    ServerError,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.clients import with_timeout_for
from tests.conftest import PATHS
from tests.crossing import cross
from tests.virtual_time import outcome

pytestmark = pytest.mark.usefixtures("each_path")

Call = Callable[[AsyncExperimentClient], Awaitable[Any]]
KEY = "retries-management-key"

FLAG, EXPERIMENT, DEPLOYMENT, OTHER = "101", "102", "103", "104"
READS: dict[str, Call] = {
    "flags.list": lambda c: c.flags.list(),
    "flags.get": lambda c: c.flags.get(FLAG),
    "flags.find": lambda c: c.flags.find("checkout"),
    "experiments.get": lambda c: c.experiments.get(EXPERIMENT),
    "versions.list": lambda c: c.flags.versions.list(FLAG),
    "versions.get": lambda c: c.flags.versions.get(FLAG, 1),
    "variants.list": lambda c: c.flags.variants.list(FLAG),
    "variants.get": lambda c: c.flags.variants.get(FLAG, "on"),
    "users.list": lambda c: c.flags.users.list(FLAG, "on"),
    "deployments.list": lambda c: c.deployments.list(),
    "request GET": lambda c: c.request("GET", f"/flags/{FLAG}"),
}
SAFE_WRITES: dict[str, Call] = {
    "flags.edit": lambda c: c.flags.edit(FLAG, description="new"),
    "experiments.edit": lambda c: c.experiments.edit(EXPERIMENT, enabled=True),
    "flags.archive": lambda c: c.flags.archive(FLAG),
    "flags.restore": lambda c: c.flags.restore(FLAG),
    "deployments.edit": lambda c: c.deployments.edit(DEPLOYMENT, label="new"),
    "variants.edit": lambda c: c.flags.variants.edit(FLAG, "on", payload=[1]),
    "variants.edit key": lambda c: c.flags.variants.edit(FLAG, "on", key="renamed"),
    "variants.remove": lambda c: c.flags.variants.remove(FLAG, "on"),
    "users.add": lambda c: c.flags.users.add(FLAG, "on", ["u3", "u9"]),
    "users.remove": lambda c: c.flags.users.remove(FLAG, "on", ["u1"]),
    "users.remove_all": lambda c: c.flags.users.remove_all(FLAG, "on"),
    "cohorts.add": lambda c: c.flags.cohorts.add(FLAG, "on", ["c9"]),
    "cohorts.remove": lambda c: c.flags.cohorts.remove(FLAG, "on", ["c1"]),
    "assigned.add": lambda c: c.flags.deployments.add(FLAG, [OTHER]),
    "assigned.remove": lambda c: c.flags.deployments.remove(FLAG, DEPLOYMENT),
    "request PATCH": lambda c: c.request("PATCH", f"/flags/{FLAG}", json={"enabled": True}),
}
UNSAFE: dict[str, Call] = {
    "users.remove_at": lambda c: c.flags.users.remove_at(FLAG, "on", 0),
    "flags.create": lambda c: c.flags.create(project_id="1", key="new"),
    "experiments.create": lambda c: c.experiments.create(project_id="1", key="new"),
    "variants.create": lambda c: c.flags.variants.create(FLAG, key="new"),
    "deployments.create": lambda c: c.deployments.create(project_id="1", label="new", type="client"),
    "request POST": lambda c: c.request("POST", "/flags", json={"projectId": "1", "key": "new"}),
    "request DELETE": lambda c: c.request("DELETE", f"/flags/{FLAG}/variants/on/users/0"),
}
ALL = READS | SAFE_WRITES | UNSAFE
AMBIGUOUS = {
    "closed before": Fault.close(),
    "closed after": Fault.close(applied=True),
    "500 before": Fault.status(500),
    "503 after": Fault.status(503, applied=True),
    "cut off": Fault.truncate(),
}
LATE = {"too late": Fault.delay(30.0)}


def populate(emulator: Emulator) -> None:
    """Add a flag, an experiment and two deployments. The clock stands still, so that states are comparable."""
    emulator.clock = lambda: datetime(2026, 1, 1, tzinfo=UTC)
    state = emulator.state
    variants = [{"key": "on"}, {"key": "off"}]
    state.add_flag(id=FLAG, key="checkout", variants=variants, deployments=[DEPLOYMENT])
    state.add_experiment(id=EXPERIMENT, key="trial", variants=variants, deployments=[DEPLOYMENT])
    state.add_deployment(id=DEPLOYMENT)
    state.add_deployment(id=OTHER)
    state.add_users("flags", FLAG, "on", ["u1", "u2", "u3"])
    state.add_cohorts("flags", FLAG, "on", ["c1", "c2"])


def snapshot(emulator: Emulator) -> Any:
    """Return everything that these operations can change, except versions."""
    inclusions = emulator.state.stored_flag("flags", FLAG).inclusions
    return emulator.state.flags, emulator.state.experiments, emulator.state.deployments, inclusions


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """Populate the shared emulator."""
    populate(emulator)
    return emulator


@pytest.mark.parametrize(
    ("call", "fault", "each_path"), cross(READS | SAFE_WRITES, AMBIGUOUS, PATHS), indirect=["each_path"]
)
async def test_a_safe_operation_is_retried(
    client: AsyncExperimentClient, emulator: Emulator, call: Call, fault: Fault
) -> None:
    """It succeeds, and has the same effect as without the fault."""
    await check_that_it_is_retried(client, emulator, call, fault)


@pytest.mark.parametrize(
    ("name", "each_path"),
    cross(["flags.get", "flags.edit", "variants.edit key", "variants.remove", "users.add"], PATHS),
    indirect=["each_path"],
)
async def test_a_safe_operation_whose_response_is_late(
    client: AsyncExperimentClient, emulator: Emulator, name: str
) -> None:
    """So does an operation of each kind after a timeout."""
    await check_that_it_is_retried(client, emulator, (READS | SAFE_WRITES)[name], LATE["too late"])


async def check_that_it_is_retried(client: AsyncExperimentClient, emulator: Emulator, call: Call, fault: Fault) -> None:
    """Assert that the effect is the same as without the fault."""
    async with Emulator() as undisturbed:
        populate(undisturbed)
        async with AsyncExperimentClient(undisturbed.api_key, base_url=undisturbed.base_url, rate_limit=None) as other:
            await call(other)
        expected = snapshot(undisturbed)
    emulator.inject(fault)
    await call(with_timeout_for(client, fault))
    assert snapshot(emulator) == expected
    assert client.usage.retries == 1
    assert [request.method for request in emulator.requests[:2]] == [emulator.requests[0].method] * 2


@pytest.mark.parametrize(("call", "fault", "each_path"), cross(UNSAFE, AMBIGUOUS | LATE, PATHS), indirect=["each_path"])
async def test_an_unsafe_operation_is_never_retried(
    client: AsyncExperimentClient, emulator: Emulator, call: Call, fault: Fault
) -> None:
    """One write arrives, followed by reads at most."""
    emulator.inject(fault)
    await asyncio.gather(call(with_timeout_for(client, fault)), return_exceptions=True)
    assert [request.method for request in emulator.requests if request.method != "GET"] == [emulator.requests[0].method]


@pytest.mark.parametrize(("call", "each_path"), cross(ALL, PATHS), indirect=["each_path"])
async def test_a_429_is_retried(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """Every operation is retried after a 429, also one that is unsafe to repeat."""
    emulator.inject(Fault.status(429, retry_after=0), times=2)
    await call(client)
    assert [request.status for request in emulator.requests] == [429, 429, 200]
    assert (client.usage.rate_limited, client.usage.retries) == (2, 2)


@pytest.mark.parametrize(("call", "each_path"), cross(ALL, PATHS), indirect=["each_path"])
async def test_a_rejection_is_not_retried(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """A 4xx is final for every operation."""
    emulator.inject(Fault.status(409), times=None)
    with pytest.raises(APIStatusError) as caught:
        await call(client)
    assert (caught.value.attempts, len(emulator.requests)) == (1, 1)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 405, 409, 418])
@pytest.mark.parametrize("ambiguous", [True, False], ids=["after an ambiguous attempt", "at first"])
async def test_final_statuses(client: AsyncExperimentClient, emulator: Emulator, status: int, ambiguous: bool) -> None:
    """No status below 500 except 429 is retried, at first or after an ambiguous attempt."""
    if ambiguous:
        emulator.inject(Fault.close(applied=False), method="PATCH")
    emulator.inject(Fault.status(status), method="PATCH", nth=1 + ambiguous, times=None)
    with pytest.raises(APIStatusError) as caught:
        await client.flags.edit(FLAG, name="changed")
    sent = sum(request.method == "PATCH" for request in emulator.requests)
    assert (caught.value.status, caught.value.attempts, sent) == (status, 1 + ambiguous, 1 + ambiguous)


@pytest.mark.parametrize(
    "call",
    [lambda c: c.flags.variants.remove(FLAG, "none"), lambda c: c.flags.deployments.remove(FLAG, OTHER)],
    ids=["variants.remove", "deployments.remove"],
)
async def test_a_404_at_the_first_attempt(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """It raises; it confirms a removal only after an ambiguous attempt, which a 429 is not."""
    emulator.inject(Fault.status(429, retry_after=0))
    with pytest.raises(NotFoundError):
        await call(client)
    assert sum(request.method == "DELETE" for request in emulator.requests) == 2


@pytest.mark.parametrize("exists", [True, False])
async def test_a_404_of_a_repeated_rename(client: AsyncExperimentClient, emulator: Emulator, exists: bool) -> None:
    """The rename is done if the new key exists; it raises the 404 if neither key exists."""
    emulator.inject(Fault.close(applied=exists), method="PATCH")
    old = "on" if exists else "none"
    result, _ = await outcome(client.flags.variants.edit(FLAG, old, key="renamed"))
    assert (result is None) if exists else isinstance(result, NotFoundError)


@pytest.mark.parametrize("call", [READS["flags.get"], SAFE_WRITES["users.add"]], ids=["read", "write"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.status(503), ServerError),
        (Fault.status(429, retry_after=0), RateLimitError),
        (Fault.close(), APIConnectionError),
        (Fault.truncate(), APIConnectionError),
        (Fault.delay(30.0), APITimeoutError),
    ],
    ids=["503", "429", "closed", "cut off", "too late"],
)
async def test_after_the_last_attempt(
    client: AsyncExperimentClient, emulator: Emulator, call: Call, fault: Fault, error: type[Exception]
) -> None:
    """The error describes the last attempt of the policy, and counts all of them."""
    emulator.inject(fault, times=None)
    policy = RetryPolicy(max_attempts=3, backoff_base=0.0)
    with pytest.raises(error) as caught:
        await call(with_timeout_for(client, fault).with_options(retry=policy))
    assert type(caught.value) is error
    assert (caught.value.attempts, len(emulator.requests)) == (3, 3)
    assert "after 3 attempts" in str(caught.value)


@pytest.mark.parametrize("call", [READS["flags.get"], *UNSAFE.values()], ids=["flags.get", *UNSAFE])
async def test_a_refused_connection_is_retried(call: Call, unused_tcp_port: int) -> None:
    """Every operation is retried, and the error says that nothing was sent."""
    seen: list[Attempt] = []
    policy = RetryPolicy(max_attempts=3, backoff_base=0.0)
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with AsyncExperimentClient(KEY, base_url=url, retry=policy, on_attempt=seen.append) as client:
        with pytest.raises(APIConnectionError, match="Nothing was sent") as caught:
            await call(client)
        assert (caught.value.sent, caught.value.attempts) == (False, 3)
        assert [(attempt.number, attempt.status) for attempt in seen] == [(1, None), (2, None), (3, None)]
        assert client.usage.requests_today == 0


@pytest.mark.parametrize("applied", [True, False])
async def test_an_ambiguous_removal_by_index(client: AsyncExperimentClient, emulator: Emulator, applied: bool) -> None:
    """The outcome is unknown, whether it was applied or not."""
    emulator.inject(Fault.close(applied=applied), method="DELETE")
    with pytest.raises(OutcomeUnknownError):
        await client.flags.users.remove_at(FLAG, "on", 0)
    assert emulator.state.users("flags", FLAG, "on") == (["u2", "u3"] if applied else ["u1", "u2", "u3"])
