"""Refusals that the service explains in words: their class of error, and their effect on a repeat."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import (
    APIStatusError,
    AsyncBetaClient,
    AsyncExperimentClient,
    BadRequestError,
    ExperimentClient,
    MethodNotAllowedError,
    NotFoundError,
    RetryPolicy,
    UnexpectedResponseError,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.http import AmbiguousWriteError, Idempotency, Request, is_not_found
from amp_exp_async.http.refusals import body_message, find_refusal
from tests.virtual_time import Answer, ScriptedSession, outcome, run

FLAG = "Flag or experiment not found"
VARIANT = "Variant key does not exist"
NOT_INCLUDED = "There are no users for this key"
ARCHIVED = "Cannot edit archived flag"
KEY = "emulator-management-key"

# Each body, and whether it says "not found" if the status is 400.
BODIES: dict[str, bool] = {
    FLAG: True,
    VARIANT.upper(): True,
    f"Error: {VARIANT}.": True,
    json.dumps({"error": FLAG}): True,
    json.dumps({"message": f"{VARIANT.lower()}: on"}): True,
    json.dumps({"error": {"code": 400, "message": FLAG}}): True,
    json.dumps([{"detail": FLAG}]): True,
    json.dumps({"status": "failed", "text": FLAG}): True,
    json.dumps(FLAG): True,
    json.dumps({"error": "name is not unique", "request": {"name": FLAG}}): False,
    json.dumps({"error": '"name" is required'}): False,
    "Deployment not found": False,
    "": False,
    "{": False,
}


def test_the_forms_of_not_found() -> None:
    """They are 404 with any body, and 400 with one of two texts in its message, in any case."""
    assert {body: is_not_found(400, body) for body in BODIES} == BODIES
    assert all(is_not_found(404, body) for body in BODIES)
    assert not any(is_not_found(status, body) for body in BODIES for status in (200, 401, 403, 405, 409, 422, 429, 500))


@given(st.integers(100, 599), st.text() | st.recursive(st.text() | st.none(), st.lists, max_leaves=5).map(json.dumps))
def test_any_body_can_be_read(status: int, body: str) -> None:
    """Whatever the body is, looking for refusals in it raises nothing."""
    assert is_not_found(status, body) in {True, False}
    assert find_refusal(status, body) is None or status in {400, 403, 404, 405}
    assert isinstance(body_message(body), str)


@pytest.mark.usefixtures("path_in_turn")
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, "", NotFoundError),
        (400, {"error": FLAG}, NotFoundError),
        (400, VARIANT, NotFoundError),
        (400, {"error": "Web Experiments are not supported by Management API yet"}, MethodNotAllowedError),
        (405, "", MethodNotAllowedError),
        (400, {"error": ARCHIVED}, BadRequestError),
        (400, {"error": "no"}, BadRequestError),
    ],
)
async def test_the_class_of_a_refusal(
    *, client: AsyncExperimentClient, emulator: Emulator, status: int, body: Any, error: type[APIStatusError]
) -> None:
    """The text decides the class, and `status` is the real one, in both clients."""
    emulator.inject(Fault.status(status, body=body), times=2)
    with pytest.raises(error) as caught:
        await client.flags.get("1")
    with ExperimentClient(KEY, base_url=emulator.base_url) as blocking, pytest.raises(error) as caught_too:
        await asyncio.to_thread(blocking.flags.get, "1")
    for raised in (caught.value, caught_too.value):
        assert (type(raised), raised.status, raised.body) == (error, status, body)


ADVICE: dict[str, tuple[int, str, str, str]] = {
    "archived": (400, "/flags/1", ARCHIVED, r"restore it first\. Call restore\(id\)\."),
    "no deployments": (
        400,
        "/flags/1",
        "Cannot activate without deployments",
        r"Add a deployment to it first\. Call deployments",
    ),
    "cohort": (400, "/flags/1/variants/on/cohorts", "Internal server error", "if a cohort does not exist"),
    "bulk cohorts": (
        400,
        "/flags/1/variants/on/bulk-delete-cohorts",
        "Internal Server Error",
        "if a cohort does not exist",
    ),
    "no cohort": (400, "/flags/1", "Internal server error", "Correct the input as the response says"),
    "field": (
        400,
        "/flags/1",
        '"targetSegments[0].color" is not allowed',
        r'the field "targetSegments\[0\].color" here: leave it out.* attrs.evolve\(segment, extra={}\)',
    ),
    "braces": (400, "/flags/1", '"{0} {x}" is not allowed', r'the field "\{0\} \{x\}" here'),
    "bucketing unit": (400, "/flags/1", "Invalid bucketing unit", "Use a group type that is configured"),
    "deployment": (
        400,
        "/deployments/1",
        "Cannot have unarchived flags or experiments or templates using this deployment",
        "Remove the deployment from all flags and experiments that use it",
    ),
    "permission": (
        403,
        "/mutexes/1",
        "User does not have permission (experiment_groups)",
        'The permission "experiment_groups" is missing. It is the permission of the user who created the key',
    ),
    "project": (403, "/flags/1", "Forbidden", "A key has the permissions of the user who created it"),
    "web": (405, "/experiments/1", "Web Experiments are not supported by Management API yet", "in the app"),
}


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize(("status", "path", "text", "advice"), ADVICE.values(), ids=ADVICE)
async def test_the_advice_for_a_refusal(
    *, client: AsyncExperimentClient, emulator: Emulator, status: int, path: str, text: str, advice: str, upper: bool
) -> None:
    """The message says what to do, whatever the case of the text, and quotes the service."""
    body = {"error": text.upper() if upper else text}
    emulator.inject(Fault.status(status, body=body))
    with pytest.raises(APIStatusError) as caught:
        await client.request("PATCH", path, json={})
    assert re.search(advice, str(caught.value), re.IGNORECASE)
    assert caught.value.body == body


@pytest.mark.usefixtures("path_in_turn")
@pytest.mark.parametrize(
    "body",
    [{"message": "Flag or experiment not found"}, "Cannot edit archived flag", [["Variant key does not exist"]]],
    ids=str,
)
async def test_a_refusal_with_status_200(client: AsyncExperimentClient, emulator: Emulator, body: Any) -> None:
    """It is not taken for the acknowledgement of a write."""
    emulator.inject(Fault.status(200, body=body))
    with pytest.raises(UnexpectedResponseError, match="a refusal"):
        await client.flags.edit("1", name="x")


async def test_the_advice_for_an_archived_flag_that_is_archived_again(
    client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """There is nothing to restore first."""
    emulator.state.add_flag(id="1", key="k", deleted=True)
    for call in (client.flags.archive("1"), client.flags.edit("1", archive=True)):
        with pytest.raises(BadRequestError) as caught:
            await call
        assert str(caught.value).endswith("If the object is archived already, there is nothing to do.")


async def test_advice_of_the_beta_client(emulator: Emulator) -> None:
    """A method that the Beta client lacks is named with the class that has it."""
    state = emulator.state
    state.add_experiment(id="1", key="plain")
    state.add_experiment(id="2", key="old", deleted=True)
    async with AsyncBetaClient(emulator.api_key, base_url=emulator.beta_base_url) as beta:
        for call, advice in (
            (
                beta.experiments.activate("1"),
                "experiments.deployments.add(id, [deployment_id]) of an ExperimentClient.",
            ),
            (beta.experiments.deactivate("2"), "call experiments.restore(id) of an ExperimentClient."),
            (beta.experiments.get("plain"), 'call experiments.find("plain") of an ExperimentClient.'),
        ):
            with pytest.raises(APIStatusError) as caught:
                await call
            assert str(caught.value).endswith(advice)


REPEATABLE = {idempotency for idempotency in Idempotency if idempotency.may_repeat}
LOST = {"closed": Answer(error=ConnectionResetError()), "503": Answer(503)}
# What a repeat may answer, and the effects of a request of which it is the answer or has to be reconciled.
REPEATS: dict[str, tuple[Answer, set[Idempotency], set[Idempotency]]] = {
    "404": (Answer(404), {Idempotency.DELETE}, {Idempotency.RENAME}),
    "flag": (Answer(400, FLAG.encode()), {Idempotency.DELETE}, {Idempotency.RENAME}),
    "variant": (Answer(400, VARIANT.encode()), {Idempotency.DELETE}, {Idempotency.RENAME}),
    "not included": (Answer(400, NOT_INCLUDED.encode()), {Idempotency.EXCLUDE}, REPEATABLE - {Idempotency.EXCLUDE}),
    "archived": (Answer(400, ARCHIVED.encode()), set(), REPEATABLE),
    "other": (Answer(400, b"no"), set(), REPEATABLE),
    "conflict": (Answer(409), set(), REPEATABLE),
    "forbidden": (Answer(403), set(), set()),
}


def write(idempotency: Idempotency, *answers: Answer) -> Any:
    """Return the response to a write, or its error."""
    session: Any = ScriptedSession(list(answers))
    client = AsyncExperimentClient("refusals-key", session=session, retry=RetryPolicy(backoff_base=0.0))
    request = Request("PATCH", "/flags/1", body=b"{}", idempotency=idempotency)

    async def send() -> Any:
        result, _ = await outcome(client.flags.transport.send(request))
        return result

    return run(send())


@pytest.mark.parametrize("first", LOST.values(), ids=LOST)
@pytest.mark.parametrize(("repeat", "done", "reconciled"), REPEATS.values(), ids=REPEATS)
def test_a_refused_repeat(first: Answer, repeat: Answer, done: set[Idempotency], reconciled: set[Idempotency]) -> None:
    """After an ambiguous attempt, some refusals confirm the write, or have to be reconciled; at first, none does."""
    for idempotency in Idempotency:
        if not idempotency.may_repeat:
            continue
        result = write(idempotency, first, repeat)
        if idempotency in done:
            assert (result.status, result.attempts) == (repeat.status, 2)
        elif idempotency in reconciled:
            assert isinstance(result, AmbiguousWriteError)
            assert isinstance(result.write.cause, APIStatusError)
            assert (result.write.cause.status, result.write.cause.attempts) == (repeat.status, 2)
        else:
            assert isinstance(result, APIStatusError)
            assert (result.status, result.attempts) == (repeat.status, 2)
        refused = write(idempotency, repeat)
        assert isinstance(refused, APIStatusError)
        assert (refused.status, refused.attempts) == (repeat.status, 1)


@pytest.mark.usefixtures("path_in_turn")
@pytest.mark.parametrize("kind", ["flags", "experiments"])
@pytest.mark.parametrize("key", ["checkout", "checkout.v2", "a/b"])
async def test_a_key_in_the_place_of_an_id(client: AsyncExperimentClient, kind: str, key: str) -> None:
    """The error names `find`, which looks up a key."""
    with pytest.raises(NotFoundError, match=re.escape(f'To look up a key, call {kind}.find("{key}").')):
        await getattr(client, kind).get(key)


async def test_a_number_in_the_place_of_an_id(client: AsyncExperimentClient) -> None:
    """The error about a number does not name `find`."""
    with pytest.raises(NotFoundError, match=r"^(?!.*find)"):
        await client.flags.get("99")
