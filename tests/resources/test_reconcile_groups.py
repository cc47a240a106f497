"""Ambiguous creations of groups, and in the Beta API, are reconciled by key or name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import orjson
import pytest
from attrs import frozen

from amp_exp_async import (
    APIConnectionError,
    AsyncBetaClient,
    AsyncExperimentClient,
    BadRequestError,
    OutcomeUnknownError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.virtual_time import Answer, ScriptedSession, outcome, run

Client: TypeAlias = Any
Call: TypeAlias = Callable[[Client], Awaitable[Any]]

LONG_AGO = (datetime.now(UTC) - timedelta(days=300)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
HALVES: list[dict[str, Any]] = [{"percentage": 50}, {"percentage": 50}]
BOTH = {"projectId": 1, "name": "new", "key": "new"}
"""The JSON fields of each request."""


@frozen
class Creation:
    """A creation, and the location of its objects in the emulator."""

    call: Call
    section: str
    by: str
    beta: bool = False


CREATIONS: dict[str, Creation] = {
    "mutex by key": Creation(
        lambda c: c.mutexes.create(project_id="1", name="new", key="new", slots=HALVES), "mutexes", "key"
    ),
    "mutex by name": Creation(lambda c: c.mutexes.create(project_id="1", name="new", slots=HALVES), "mutexes", "name"),
    "holdout by key": Creation(
        lambda c: c.holdouts.create(project_id="1", name="new", key="new", holdout_percentage=5), "holdouts", "key"
    ),
    "holdout by name": Creation(
        lambda c: c.holdouts.create(project_id="1", name="new", holdout_percentage=5), "holdouts", "name"
    ),
    "beta": Creation(lambda c: c.experiments.create(project_id="1", key="new"), "experiments", "key", beta=True),
}
GROUPS = {name: creation for name, creation in CREATIONS.items() if not creation.beta}
BY_NAME = {name: creation for name, creation in GROUPS.items() if creation.by == "name"}
AGED = {name: CREATIONS[name] for name in ("holdout by key", "holdout by name", "beta")}
HIDDEN = {
    "closed": Fault.close(applied=True),
    "500": Fault.status(500, applied=True),
    "502 HTML": Fault.status(502, applied=True, body="<html>bad gateway</html>", content_type="text/html"),
    "cut off": Fault.truncate(),
    "too late": Fault.delay(30.0),
    "cut-off JSON": Fault.invalid_json(),
    "OK": Fault.status(200, applied=True, body="OK"),
    "another shape": Fault.status(200, applied=True, body={"url": "x"}),
}


def each(creations: dict[str, Creation]) -> Any:
    """Return a decorator that runs a test for each creation."""
    return pytest.mark.parametrize("creation", creations.values(), ids=creations)


@pytest.fixture
async def clients(
    client: AsyncExperimentClient, emulator: Emulator, no_backoff: RetryPolicy
) -> AsyncIterator[dict[bool, Client]]:
    """Yield the clients of the emulator, which retry without waiting, by whether they use the Beta API."""
    async with AsyncBetaClient(
        emulator.api_key, base_url=emulator.beta_base_url, rate_limit=None, retry=no_backoff
    ) as beta:
        yield {False: client, True: beta}


@pytest.fixture
def create(clients: dict[bool, Client], creation: Creation) -> Callable[..., Awaitable[Any]]:
    """Return a function that creates the object with given call options."""
    return lambda **options: creation.call(clients[creation.beta].with_options(**options))


def ids(emulator: Emulator, section: str) -> list[str]:
    """Return the IDs of the objects in a section, newest last."""
    return [str(document["id"]) for document in getattr(emulator.state, section)]


def posts(emulator: Emulator) -> int:
    """Return the number of creations that arrived."""
    return sum(request.method == "POST" for request in emulator.requests)


def add(emulator: Emulator, section: str, **fields: Any) -> str:
    """Add an object, and return its ID."""
    adders = {
        "mutexes": emulator.state.add_mutex,
        "holdouts": emulator.state.add_holdout,
        "experiments": emulator.state.add_experiment,
    }
    return str(adders[section](**fields)["id"])


@each(CREATIONS)
@pytest.mark.parametrize("fault", HIDDEN.values(), ids=HIDDEN)
async def test_an_applied_creation_is_found(emulator: Emulator, create: Any, creation: Creation, fault: Fault) -> None:
    """The call returns the ID of the created object, which is found among others. It was sent once."""
    others = [add(emulator, creation.section, projectId="1"), add(emulator, creation.section, projectId="2")]
    emulator.inject(fault, method="POST")
    made = await create(timeout=0.15 if fault.kind == "delay" else 30)
    assert [*others, made.id] == ids(emulator, creation.section)
    assert posts(emulator) == 1


@each(CREATIONS)
async def test_a_creation_that_was_not_applied(emulator: Emulator, create: Any, creation: Creation) -> None:
    """The outcome is unknown: the object may still appear. The lost connection is the cause. It was sent once."""
    emulator.inject(Fault.close(), method="POST")
    with pytest.raises(OutcomeUnknownError, match=r'No .*"new"') as caught:
        await create()
    assert isinstance(caught.value.__cause__, APIConnectionError)
    assert (caught.value.method, caught.value.attempts, posts(emulator)) == ("POST", 1, 1)
    assert len(emulator.requests) == 4  # it looked three times
    assert ids(emulator, creation.section) == []


@each(CREATIONS)
async def test_a_failure_of_the_service(emulator: Emulator, create: Any, creation: Creation) -> None:
    """If the service reports a failure and the object does not exist, this failure is raised. It was sent once."""
    emulator.inject(Fault.status(500), method="POST")
    with pytest.raises(ServerError) as caught:
        await create()
    assert (caught.value.status, posts(emulator), ids(emulator, creation.section)) == (500, 1, [])


@each(CREATIONS)
async def test_a_failure_of_a_gateway(emulator: Emulator, create: Any) -> None:
    """The outcome is unknown."""
    emulator.inject(Fault.status(503), method="POST")
    with pytest.raises(OutcomeUnknownError):
        await create()
    assert posts(emulator) == 1


@each(CREATIONS)
async def test_an_unexpected_response_and_no_object(emulator: Emulator, create: Any) -> None:
    """The outcome is unknown, with the unexpected response as its cause."""
    emulator.inject(Fault.status(200, body={"done": True}), method="POST")
    with pytest.raises(OutcomeUnknownError) as caught:
        await create()
    assert isinstance(caught.value.__cause__, UnexpectedResponseError)


@each(CREATIONS)
async def test_an_object_that_appears_later(emulator: Emulator, create: Any, creation: Creation) -> None:
    """A creation that the service completes after the connection was lost is found by the next read."""
    emulator.inject(Fault.close(applied=True), method="POST")
    emulator.inject(Fault.status(200, body={creation.section: []}), method="GET")
    made = await create()
    assert [made.id] == ids(emulator, creation.section)
    assert [request.method for request in emulator.requests] == ["POST", "GET", "GET"]


@each(CREATIONS)
async def test_an_object_on_a_later_page(emulator: Emulator, create: Any, creation: Creation) -> None:
    """All pages are read, and a late response does not make the object older."""
    section = creation.section
    emulator.inject(Fault.close(applied=True), method="POST")
    first: dict[str, Any] = {"id": 1, "key": "other", "name": "other"}
    emulator.inject(Fault.status(200, body={section: [first], "nextCursor": "before-1"}), method="GET")
    made = await create()
    assert [made.id] == ids(emulator, section)
    assert [request.query.get("limit") for request in emulator.requests] == [None, "1000", "1000"]


@each(AGED)
@pytest.mark.parametrize("fault", [Fault.close(), Fault.status(503)], ids=["closed", "503"])
async def test_an_older_object(emulator: Emulator, create: Any, creation: Creation, fault: Fault) -> None:
    """An older object that matches the request is never taken for the created one."""
    id = add(emulator, creation.section, **(BOTH if not creation.beta else {"key": "new"}), createdAt=LONG_AGO)
    emulator.inject(fault, method="POST")
    with pytest.raises(OutcomeUnknownError, match=f"ID {id}"):
        await create()
    assert posts(emulator) == 1


DIFFERENT: list[tuple[str, dict[str, Any]]] = [
    ("mutex by key", {"name": "theirs"}),
    ("mutex by key", {"slots": [{"percentage": 100}]}),
    ("mutex by name", {"slots": [{"percentage": 40}, {"percentage": 60}]}),
    ("holdout by key", {"name": "theirs"}),
    ("holdout by key", {"holdoutPercentage": 6}),
    ("holdout by name", {"holdoutPercentage": 6}),
]


@pytest.mark.parametrize(("name", "other"), DIFFERENT, ids=str)
async def test_a_group_that_differs(
    client: AsyncExperimentClient, emulator: Emulator, name: str, other: dict[str, Any]
) -> None:
    """The outcome is unknown, because somebody else has created the group, and the message names its ID."""
    creation = CREATIONS[name]
    id = add(emulator, creation.section, **{**BOTH, **other})
    emulator.inject(Fault.close(), method="POST")
    with pytest.raises(OutcomeUnknownError, match=f"with this {creation.by} exists with ID {id}, but may be another"):
        await creation.call(client)
    assert posts(emulator) == 1


@pytest.mark.parametrize("fields", [{"variants": [{"key": "other"}]}, {"description": "theirs"}], ids=str)
async def test_an_experiment_that_differs(
    clients: dict[bool, Client], emulator: Emulator, fields: dict[str, Any]
) -> None:
    """The outcome is unknown."""
    id = add(emulator, "experiments", key="new", **fields)
    emulator.inject(Fault.close(), method="POST")
    with pytest.raises(OutcomeUnknownError, match=f"ID {id}"):
        await clients[True].experiments.create(
            project_id="1", key="new", description="mine", variants=[{"key": "control"}, {"key": "treatment"}]
        )


@each(BY_NAME)
async def test_several_groups_with_the_name(emulator: Emulator, create: Any, creation: Creation) -> None:
    """If several match, the outcome is unknown, and the message names their IDs. One that differs is ignored."""
    other = {"mutexes": {"slots": [{"percentage": 100}]}, "holdouts": {"holdoutPercentage": 6}}[creation.section]
    add(emulator, creation.section, **{**BOTH, "key": "theirs", **other})
    emulator.inject(Fault.close(applied=True), method="POST")
    made = await create()
    assert made.id == ids(emulator, creation.section)[-1]
    emulator.inject(Fault.close(applied=True), method="POST")
    with pytest.raises(OutcomeUnknownError, match="may be another one") as caught:
        await create()
    assert all(id in str(caught.value) for id in ids(emulator, creation.section))


@each(CREATIONS)
async def test_an_object_in_another_project(emulator: Emulator, create: Any, creation: Creation) -> None:
    """An object with the key or name in another project is ignored."""
    fields = {"key": "new"} if creation.beta else BOTH
    add(emulator, creation.section, **{**fields, "projectId": 2 if not creation.beta else "2"})
    emulator.inject(Fault.close(applied=True), method="POST")
    made = await create()
    assert made.id == ids(emulator, creation.section)[-1]
    assert made.id != ids(emulator, creation.section)[0]


async def test_an_archived_group(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It is ignored."""
    add(emulator, "holdouts", **BOTH, deleted=True)
    emulator.inject(Fault.close(), method="POST")
    with pytest.raises(OutcomeUnknownError, match="No group"):
        await CREATIONS["holdout by key"].call(client)


@each(CREATIONS)
@pytest.mark.parametrize(
    "failing",
    [Fault.close(), Fault.status(500), Fault.status(403), Fault.status(200, body="<p>")],
    ids=["closed", "500", "403", "HTML"],
)
async def test_reading_back_fails_too(emulator: Emulator, create: Any, failing: Fault) -> None:
    """The outcome is unknown, and the cause is the ambiguous attempt, not the failed read."""
    emulator.inject(Fault.close(applied=True), method="POST")
    emulator.inject(failing, method="GET", times=None)
    with pytest.raises(OutcomeUnknownError, match="Reading back failed") as caught:
        await create(retry=RetryPolicy(max_attempts=2, backoff_base=0.0))
    assert isinstance(caught.value.__cause__, APIConnectionError)
    assert caught.value.__cause__.method == "POST"
    assert posts(emulator) == 1


@each(CREATIONS)
async def test_a_rejection_is_not_reconciled(emulator: Emulator, create: Any) -> None:
    """A 4xx is raised as it is, and nothing is read."""
    emulator.inject(Fault.status(400, body={"error": "exists"}), method="POST")
    with pytest.raises(BadRequestError):
        await create()
    assert len(emulator.requests) == 1


@each(CREATIONS)
async def test_a_429_before_an_ambiguous_attempt(emulator: Emulator, create: Any) -> None:
    """A creation is retried after a 429, and not after an ambiguous attempt."""
    emulator.inject(Fault.status(429, retry_after=0), method="POST")
    emulator.inject(Fault.close(applied=True), method="POST", nth=2)
    await create()
    assert [request.applied for request in emulator.requests if request.method == "POST"] == [False, True]


@each(CREATIONS)
def test_the_deadline_includes_reading_back(creation: Creation) -> None:
    """The deadline limits a call including its reads."""
    nothing = orjson.dumps({creation.section: []})
    kind = AsyncBetaClient if creation.beta else AsyncExperimentClient
    ambiguous = Answer(error=ConnectionResetError())
    client = kind(
        "reconcile-management-key",
        base_url="https://service.example",
        session=ScriptedSession([ambiguous, Answer(body=nothing, seconds=1.6)]),
        deadline=4.0,
        retry=RetryPolicy(backoff_base=0.0),
    )
    result, elapsed = run(outcome(creation.call(client)))
    assert isinstance(result, OutcomeUnknownError)
    assert elapsed <= 4.01
