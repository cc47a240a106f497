"""Ambiguous creations are reconciled by reading back; they are never guessed and never repeated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from amp_exp_async import (
    APIConnectionError,
    AsyncExperimentClient,
    BadRequestError,
    Created,
    NotFoundError,
    OutcomeUnknownError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.clients import with_timeout_for
from tests.virtual_time import Answer, ScriptedSession, outcome, run

Call = Callable[[AsyncExperimentClient], Awaitable[Any]]
FLAG = "101"
LONG_AGO = (datetime.now(UTC) - timedelta(days=300)).isoformat(timespec="milliseconds").replace("+00:00", "Z")

CREATIONS: dict[str, Call] = {
    "flag": lambda c: c.flags.create(project_id="1", key="new", description="mine"),
    "experiment": lambda c: c.experiments.create(project_id="1", key="new"),
    "variant": lambda c: c.flags.variants.create(FLAG, key="new", payload={"a": [1, None]}, rollout_weight=3),
    "deployment": lambda c: c.deployments.create(project_id="1", label="new", type="server"),
}
BY_KEY = {name: CREATIONS[name] for name in ("flag", "experiment")}
WITH_REPLY = {name: CREATIONS[name] for name in ("flag", "experiment", "deployment")}
HIDDEN = {
    "closed": Fault.close(applied=True),
    "500": Fault.status(500, applied=True),
    "502 HTML": Fault.status(502, applied=True, body="<html>bad gateway</html>", content_type="text/html"),
    "cut off": Fault.truncate(),
    "too late": Fault.delay(30.0),
}

each_creation = pytest.mark.parametrize("call", CREATIONS.values(), ids=CREATIONS)
each_by_key = pytest.mark.parametrize("call", BY_KEY.values(), ids=BY_KEY)


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """Add an unrelated flag and deployment."""
    emulator.state.add_flag(id=FLAG, key="checkout")
    emulator.state.add_deployment(id="102", label="other")
    return emulator


def posts(emulator: Emulator) -> int:
    """Return the number of creations that arrived."""
    return sum(request.method == "POST" for request in emulator.requests)


def created_ids(emulator: Emulator) -> list[str]:
    """Return the IDs of the objects that the test has created, newest last."""
    documents = [*emulator.state.flags, *emulator.state.experiments, *emulator.state.deployments]
    return [document["id"] for document in documents if document["id"] not in {FLAG, "102"}]


@each_creation
@pytest.mark.parametrize("fault", HIDDEN.values(), ids=HIDDEN)
async def test_an_applied_creation_is_found(
    client: AsyncExperimentClient, emulator: Emulator, call: Call, fault: Fault
) -> None:
    """The call returns the ID of the created object. It was sent once."""
    emulator.inject(fault, method="POST")
    result = await call(with_timeout_for(client, fault))
    assert posts(emulator) == 1
    if result is None:
        assert [variant["key"] for variant in emulator.state.flag(FLAG)["variants"]] == ["on", "new"]
    else:
        assert isinstance(result, Created)
        assert [result.id] == created_ids(emulator)


@each_creation
async def test_a_creation_that_was_not_applied(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """The outcome is unknown: the object may still appear. The lost connection is the cause. It was sent once."""
    emulator.inject(Fault.close(), method="POST")
    with pytest.raises(OutcomeUnknownError, match="may have been applied") as caught:
        await call(client)
    error = caught.value
    assert isinstance(error.__cause__, APIConnectionError)
    assert (error.method, error.attempts, posts(emulator)) == ("POST", 1, 1)
    assert error.path == emulator.requests[0].path.removeprefix("/api/1")
    assert len(emulator.requests) > 2  # it looked more than once


@each_creation
async def test_a_failure_of_the_service(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """If the service reports a failure and the object does not exist, this failure is raised. It was sent once."""
    emulator.inject(Fault.status(500), method="POST")
    with pytest.raises(ServerError) as caught:
        await call(client)
    assert (caught.value.status, caught.value.attempts, posts(emulator)) == (500, 1, 1)
    assert created_ids(emulator) == []


@pytest.mark.parametrize("call", WITH_REPLY.values(), ids=WITH_REPLY)
@pytest.mark.parametrize(
    "fault",
    [Fault.invalid_json(), *(Fault.status(200, applied=True, body=body) for body in ("", "OK", [], {"url": "x"}))],
    ids=["cut-off JSON", "nothing", "OK", "another shape", "no id"],
)
async def test_an_unexpected_response(
    client: AsyncExperimentClient, emulator: Emulator, call: Call, fault: Fault
) -> None:
    """A 200 without an ID is reconciled like a lost connection."""
    emulator.inject(fault, method="POST")
    result = await call(client)
    assert [result.id] == created_ids(emulator)
    assert posts(emulator) == 1


@pytest.mark.parametrize("call", WITH_REPLY.values(), ids=WITH_REPLY)
async def test_an_unexpected_response_and_no_object(
    client: AsyncExperimentClient, emulator: Emulator, call: Call
) -> None:
    """The outcome is unknown, with the unexpected response as its cause."""
    emulator.inject(Fault.status(200, body={"done": True}), method="POST")
    with pytest.raises(OutcomeUnknownError) as caught:
        await call(client)
    assert isinstance(caught.value.__cause__, UnexpectedResponseError)


@pytest.mark.parametrize("call", CREATIONS.values(), ids=CREATIONS)
async def test_an_object_that_appears_later(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """A creation that the service completes after the connection was lost is found by the next read."""
    emulator.inject(Fault.delay(30.0), method="POST")  # it is made at once, and not seen by the first reading:
    emulator.inject(Fault.status(404) if call is CREATIONS["variant"] else EMPTY[call], method="GET")
    await call(client.with_options(timeout=0.15))
    assert [request.method for request in emulator.requests] == ["POST", "GET", "GET"]


EMPTY = {CREATIONS[kind]: Fault.status(200, body={f"{kind}s": []}) for kind in ("flag", "experiment", "deployment")}


@each_by_key
@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("fault", [Fault.close(), Fault.status(503)], ids=["closed", "503"])
async def test_an_older_object_with_the_key(
    client: AsyncExperimentClient, emulator: Emulator, call: Call, fault: Fault, archived: bool
) -> None:
    """An older object is never taken for the created one."""
    for kind in ("flags", "experiments"):
        emulator.state.add(kind, {"id": "900", "key": "new", "createdAt": LONG_AGO, "deleted": archived})
    emulator.inject(fault, method="POST")
    with pytest.raises(OutcomeUnknownError, match="ID 900, and none of them"):
        await call(client)
    assert posts(emulator) == 1


@each_by_key
async def test_an_object_in_another_project(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """An object with the key in another project is ignored."""
    for kind in ("flags", "experiments"):
        emulator.state.add(kind, {"key": "new", "projectId": "2"})
    emulator.inject(Fault.close(applied=True), method="POST")
    created = await call(client)
    emulator.inject(Fault.close(), method="POST")
    with pytest.raises(OutcomeUnknownError):
        await client.flags.create(project_id="3", key="new")
    projects = {d["id"]: d["projectId"] for d in [*emulator.state.flags, *emulator.state.experiments]}
    assert projects[created.id] == "1"


@pytest.mark.parametrize(
    "other", [{"payload": {"a": [1]}}, {"payload": {"a": [1, None]}, "name": "theirs"}], ids=["payload", "weight"]
)
async def test_a_variant_that_differs(client: AsyncExperimentClient, emulator: Emulator, other: dict[str, Any]) -> None:
    """The outcome is unknown, because somebody else has created the variant."""
    emulator.state.add_flag(id="700", variants=[{"key": "new", **other}])
    emulator.inject(Fault.close(), method="POST")
    with pytest.raises(OutcomeUnknownError, match="differs from the request"):
        await client.flags.variants.create("700", key="new", payload={"a": [1, None]}, rollout_weight=3)
    assert posts(emulator) == 1


REQUEST: dict[str, Any] = {
    "name": "New",
    "description": "mine",
    "variants": [{"key": "on", "payload": {"a": [1]}}, {"key": "b", "name": "B"}],
    "bucketing_key": "user_id",
    "rollout_weights": {"on": 1, "b": 2},
    "target_segments": [
        {
            "name": "s",
            "conditions": [{"prop": "country", "op": "is", "values": ["DE"]}],
            "percentage": 5,
            "rollout_weights": {"on": 1},
        }
    ],
    "deployments": ["102"],
    "evaluation_mode": "local",
}
DOCUMENT: dict[str, Any] = {
    "key": "new",
    "name": "New",
    "description": "mine",
    "variants": [{"key": "on", "payload": {"a": [1]}}, {"key": "b", "name": "B"}],
    "bucketingKey": "user_id",
    "rolloutWeights": {"on": 1, "b": 2},
    "targetSegments": [
        {
            "name": "s",
            "conditions": [{"prop": "country", "op": "is", "values": ["DE"]}],
            "percentage": 5,
            "rolloutWeights": {"on": 1},
        }
    ],
    "deployments": ["102"],
    "evaluationMode": "local",
}
DIFFERENT: list[dict[str, Any]] = [
    {"name": "Theirs"},
    {"description": None},
    {"variants": [{"key": "on", "payload": {"a": [1]}}]},
    {"variants": [{"key": "on", "payload": {"a": [1], "b": 2}}, {"key": "b", "name": "B"}]},
    {"variants": [{"key": "on", "payload": {"a": [1]}}, {"key": "b", "name": "C"}]},
    {"bucketingKey": "device_id"},
    {"rolloutWeights": {"on": 1, "b": 1}},
    {"targetSegments": []},
    {"targetSegments": [{**DOCUMENT["targetSegments"][0], "percentage": 6}]},
    {"deployments": []},
    {"deployments": ["102", "103"]},
    {"evaluationMode": "remote"},
]


@pytest.mark.parametrize("kind", ["flags", "experiments"])
@pytest.mark.parametrize("other", DIFFERENT, ids=str)
async def test_every_field_of_a_creation_is_compared(
    client: AsyncExperimentClient, emulator: Emulator, kind: Any, other: dict[str, Any]
) -> None:
    """An object that was just created with the key, but differs in any field, is not taken for the requested one."""
    emulator.state.add_deployment(id="103")
    emulator.state.add(kind, DOCUMENT | other)
    emulator.inject(Fault.close(), method="POST")
    with pytest.raises(OutcomeUnknownError, match="none of them could be the one"):
        await getattr(client, kind).create(project_id="1", key="new", **REQUEST)
    assert posts(emulator) == 1


@pytest.mark.parametrize("kind", ["flags", "experiments"])
async def test_a_complete_object_is_recognised(client: AsyncExperimentClient, emulator: Emulator, kind: str) -> None:
    """The service adds fields and defaults; the object that it has created is found all the same."""
    emulator.inject(Fault.close(applied=True), method="POST")
    created = await getattr(client, kind).create(project_id="1", key="new", **REQUEST)
    assert [created.id] == created_ids(emulator)


@pytest.mark.parametrize("type_", ["client", "server"])
async def test_a_deployment_of_the_other_type(client: AsyncExperimentClient, emulator: Emulator, type_: str) -> None:
    """Its key shows the type, so it is not taken for the requested one."""
    emulator.state.add_deployment(label="new", _type=type_)
    emulator.inject(Fault.close(), method="POST")
    call = CREATIONS["deployment"](client)  # of the type "server"
    if type_ == "server":
        assert isinstance(await call, Created)
    else:
        with pytest.raises(OutcomeUnknownError, match="is of the other type"):
            await call


@pytest.mark.parametrize(
    "fields", [{"payload": {"x": 1}}, {"name": "n"}, {"description": None}, {"rollout_weight": 7}], ids=str
)
async def test_a_rename_is_not_proved_by_the_new_key(
    client: AsyncExperimentClient, emulator: Emulator, fields: dict[str, Any]
) -> None:
    """If a variant with the new key differs in another field, the outcome of a rename with that field is unknown."""
    emulator.state.add_flag(id="700", variants=[{"key": "on", "description": "theirs"}])
    emulator.inject(Fault.status(503), method="PATCH")
    with pytest.raises(OutcomeUnknownError, match='variant \\"on\\" exists, but differs from the request'):
        await client.flags.variants.edit("700", "typo", key="on", **fields)
    assert emulator.state.flag("700")["variants"] == [{"key": "on", "description": "theirs"}]


async def test_a_rename_of_a_variant_that_does_not_exist(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """After a lost response, it is rejected as without one if no variant has the new key."""
    emulator.inject(Fault.status(503), method="PATCH")
    with pytest.raises(NotFoundError):
        await client.flags.variants.edit(FLAG, "typo", key="new", payload={"x": 1})


async def test_a_rename_whose_response_was_lost(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It is done if the variant with the new key has everything that was requested."""
    emulator.inject(Fault.status(503, applied=True), method="PATCH")
    await client.flags.variants.edit(FLAG, "on", key="new", payload={"x": 1}, name=None, rollout_weight=7)
    assert emulator.state.flag(FLAG)["variants"] == [{"key": "new", "payload": {"x": 1}, "name": None}]


async def test_two_deployments_with_the_label(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The outcome is unknown. A deployment of another project is ignored."""
    emulator.state.add_deployment(label="new", projectId="2")
    emulator.state.add_deployment(label="new")
    emulator.inject(Fault.close(applied=True), method="POST")
    with pytest.raises(OutcomeUnknownError, match="2 deployments have this label"):
        await CREATIONS["deployment"](client)
    assert posts(emulator) == 1


async def test_an_archived_deployment_with_the_label(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It is ignored."""
    emulator.state.add_deployment(label="new", deleted=True)
    emulator.inject(Fault.close(), method="POST")
    with pytest.raises(OutcomeUnknownError):
        await CREATIONS["deployment"](client)


@each_creation
@pytest.mark.parametrize(
    ("fault", "cause"),
    [(Fault.close(applied=True), APIConnectionError), (Fault.status(502, applied=True), ServerError)],
    ids=["closed", "502"],
)
@pytest.mark.parametrize(
    "failing",
    [Fault.close(), Fault.status(500), Fault.status(403), Fault.status(200, body="<p>")],
    ids=["closed", "500", "403", "HTML"],
)
async def test_reading_back_fails_too(
    *,
    client: AsyncExperimentClient,
    emulator: Emulator,
    call: Call,
    fault: Fault,
    cause: type[Exception],
    failing: Fault,
) -> None:
    """The outcome is unknown, and the cause is the ambiguous attempt, not the failed read."""
    emulator.inject(fault, method="POST")
    emulator.inject(failing, method="GET", times=None)
    with pytest.raises(OutcomeUnknownError) as caught:
        await call(client.with_options(retry=RetryPolicy(max_attempts=2, backoff_base=0.0)))
    assert isinstance(caught.value.__cause__, cause)
    assert caught.value.__cause__.method == "POST"
    assert posts(emulator) == 1


@each_creation
async def test_a_rejection_is_not_reconciled(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """A 4xx is raised as it is, and nothing is read."""
    emulator.inject(Fault.status(400, body={"error": "exists"}), method="POST")
    with pytest.raises(BadRequestError) as caught:
        await call(client)
    assert caught.value.body == {"error": "exists"}
    assert len(emulator.requests) == 1


@each_creation
async def test_a_429_before_an_ambiguous_attempt(client: AsyncExperimentClient, emulator: Emulator, call: Call) -> None:
    """A creation is retried after a 429, and not after an ambiguous attempt."""
    emulator.inject(Fault.status(429, retry_after=0), method="POST")
    emulator.inject(Fault.close(applied=True), method="POST", nth=2)
    await call(client)
    assert [request.applied for request in emulator.requests if request.method == "POST"] == [False, True]


@each_creation
@pytest.mark.parametrize(
    ("ambiguous", "reading", "base"),
    [
        (Answer(error=ConnectionResetError()), Answer(seconds=1.6), 0.0),
        (Answer(error=ConnectionResetError()), Answer(seconds=0.1), 5.0),
        (Answer(error=ConnectionResetError()), Answer(503, seconds=0.1), 5.0),
        (Answer(seconds=100.0), Answer(seconds=100.0), 0.0),
    ],
    ids=["slow readings", "long waits", "failing readings", "no reply at all"],
)
def test_the_deadline_includes_reading_back(call: Call, ambiguous: Answer, reading: Answer, base: float) -> None:
    """The deadline limits a call including its reads and the waits between them."""
    nothing = orjson.dumps({"flags": [], "experiments": [], "deployments": []})
    status = 404 if call is CREATIONS["variant"] and reading.status == 200 else reading.status
    client = AsyncExperimentClient(
        "reconcile-management-key",
        base_url="https://service.example",
        session=ScriptedSession([ambiguous, Answer(status, nothing, seconds=reading.seconds)]),
        deadline=4.0,
        retry=RetryPolicy(backoff_base=base),
    )
    result, elapsed = run(outcome(call(client)))
    assert isinstance(result, OutcomeUnknownError)
    assert elapsed <= 4.01
