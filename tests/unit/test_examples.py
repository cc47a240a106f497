"""Every JSON example of the vendor's documents is read without loss, or is exactly what the client sends."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from amp_exp_async import (
    AsyncBetaClient,
    AsyncExperimentClient,
    Created,
    Deployment,
    Experiment,
    Flag,
    Variant,
    Version,
    parse,
    serialization,
    to_json,
)
from amp_exp_async.emulator import Emulator

Call: TypeAlias = Callable[[AsyncExperimentClient, str, dict[str, Any]], Awaitable[object]]

EXAMPLES = Path(__file__).parent.parent / "examples"
INDEX: list[dict[str, str]] = json.loads((EXAMPLES / "index.json").read_bytes())

ID = "123456"
DEPLOYMENT = "1001"

ONE: dict[str, Any] = {
    "flag": Flag,
    "experiment": Experiment,
    "flag-version": Version[Flag],
    "experiment-version": Version[Experiment],
    "variant": Variant,
    "created": Created,
    "created-deployment": Created,
}
ARRAYS: dict[str, Any] = {
    "flag-versions": Version[Flag],
    "experiment-versions": Version[Experiment],
    "variants": Variant,
    "deployments": Deployment,
}
IDENTIFIERS = {"users", "cohorts"}
PAGES: dict[str, tuple[Any, str]] = {
    "flag-page": (Flag, "flags"),
    "experiment-page": (Experiment, "experiments"),
    "deployment-page": (Deployment, "deployments"),
}
RESPONSES = {*ONE, *ARRAYS, *IDENTIFIERS, *PAGES}

# For each request: its method and path, and the call that sends it. The kind is `flags` or `experiments`.
REQUESTS: dict[str, tuple[str, str, Call]] = {
    "create-flag": ("POST", "/flags", lambda c, _, body: c.flags.create(**body)),
    "edit-flag": ("PATCH", f"/flags/{ID}", lambda c, _, body: c.flags.edit(ID, **body)),
    "create-experiment": ("POST", "/experiments", lambda c, _, body: c.experiments.create(**body)),
    "edit-experiment": ("PATCH", f"/experiments/{ID}", lambda c, _, body: c.experiments.edit(ID, **body)),
    "create-variant": (
        "POST",
        f"/{{kind}}/{ID}/variants",
        lambda c, kind, body: getattr(c, kind).variants.create(ID, **body),
    ),
    "edit-variant": (
        "PATCH",
        f"/{{kind}}/{ID}/variants/on",
        lambda c, kind, body: getattr(c, kind).variants.edit(ID, "on", **body),
    ),
    "add-users": (
        "POST",
        f"/{{kind}}/{ID}/variants/on/users",
        lambda c, kind, body: getattr(c, kind).users.add(ID, "on", body["inclusions"]),
    ),
    "add-cohorts": (
        "POST",
        f"/{{kind}}/{ID}/variants/on/cohorts",
        lambda c, kind, body: getattr(c, kind).cohorts.add(ID, "on", body["inclusions"]),
    ),
    "bulk-remove-users": (
        "DELETE",
        f"/{{kind}}/{ID}/variants/on/bulk-delete-users",
        lambda c, kind, body: getattr(c, kind).users.remove(ID, "on", body["users"]),
    ),
    "bulk-remove-cohorts": (
        "DELETE",
        f"/{{kind}}/{ID}/variants/on/bulk-delete-cohorts",
        lambda c, kind, body: getattr(c, kind).cohorts.remove(ID, "on", body["users"]),
    ),
    "add-deployments": (
        "POST",
        f"/{{kind}}/{ID}/deployments",
        lambda c, kind, body: getattr(c, kind).deployments.add(ID, body["deployments"]),
    ),
    "create-deployment": ("POST", "/deployments", lambda c, _, body: c.deployments.create(**body)),
    "edit-deployment": (
        "PATCH",
        f"/deployments/{DEPLOYMENT}",
        lambda c, _, body: c.deployments.edit(DEPLOYMENT, **body),
    ),
}
# Requests of the Beta API that the client of version 1 has no method for.
OTHERS = {"rollout-weights"}

# What stands inside these is the user's, or in snake_case already.
UNTOUCHED = {"payload", "rolloutWeights", "exposureEvent"}


def of(shapes: Any) -> list[str]:
    return [entry["file"] for entry in INDEX if entry["shape"] in shapes]


def shape_of(file: str) -> str:
    return next(entry["shape"] for entry in INDEX if entry["file"] == file)


def exactly(document: Any) -> str:
    """The document's text, which tells 1 from 1.0 and from true."""
    return json.dumps(document, sort_keys=True)


def arguments(document: Any) -> Any:
    """The wire's document as arguments of the client: names in snake_case."""
    if isinstance(document, list):
        return [arguments(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name): value if name in UNTOUCHED else arguments(value)
        for name, value in document.items()
    }


def test_every_example_is_covered() -> None:
    """Each file of the folder stands in the index once, and each entry is read or sent by a test of this file."""
    files = sorted(path.name for path in EXAMPLES.iterdir() if path.name != "index.json")

    assert sorted(entry["file"] for entry in INDEX) == files
    assert len(INDEX) == 82
    covered = {
        "response": [*of(ONE), *of(ARRAYS), *of(IDENTIFIERS), *of(PAGES)],
        "request": [*of(REQUESTS), *of(OTHERS)],
    }
    for direction, found in covered.items():
        assert sorted(found) == sorted(entry["file"] for entry in INDEX if entry["direction"] == direction)
    assert sum(map(len, covered.values())) == len(files)


@pytest.mark.parametrize("file", of(ONE))
def test_an_object_is_read_and_written_back_as_it_was(file: str) -> None:
    """A documented object becomes its model, and nothing of it is lost or invented."""
    body = (EXAMPLES / file).read_bytes()

    model = serialization.parse_object(ONE[shape_of(file)], body)

    assert exactly(to_json(model)) == exactly(json.loads(body))
    assert model == parse(ONE[shape_of(file)], json.loads(body))
    assert not model.extra


@pytest.mark.parametrize("file", of(ARRAYS))
async def test_an_array_is_read_and_written_back_as_it_was(file: str) -> None:
    """A documented array becomes a list of models, and nothing of it is lost or invented."""
    body = (EXAMPLES / file).read_bytes()

    models = await serialization.parse_list(ARRAYS[shape_of(file)], body)

    assert exactly(to_json(models)) == exactly(json.loads(body))
    assert not any(model.extra for model in models)


@pytest.mark.parametrize("file", of(IDENTIFIERS))
def test_an_array_of_ids_is_read_as_it_is(file: str) -> None:
    """A documented array of ids becomes a list of strings."""
    body = (EXAMPLES / file).read_bytes()

    assert serialization.parse_ids(body) == json.loads(body)


@pytest.mark.parametrize("file", of(PAGES))
async def test_a_page_is_read_with_its_cursor(file: str) -> None:
    """A documented page becomes its items, unchanged, and its cursor as a string."""
    body = (EXAMPLES / file).read_bytes()
    model, name = PAGES[shape_of(file)]
    document = json.loads(body)

    page: Any = await serialization.parse_page(model, name, body)

    assert exactly(to_json(page.items)) == exactly(document[name])
    cursor = document.get("nextCursor")
    assert page.next_cursor == (None if cursor is None else str(cursor))


@pytest.mark.parametrize("file", of(REQUESTS))
async def test_a_request_is_sent_as_documented(file: str, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Called with the documented values, the client sends the documented body to the documented path, accepted."""
    document = json.loads((EXAMPLES / file).read_bytes())
    method, path, call = REQUESTS[shape_of(file)]
    kind = "experiments" if "experiment" in file else "flags"
    emulator.state.add_deployment(id=DEPLOYMENT, projectId="654321", label="rest-api")
    for add in (emulator.state.add_flag, emulator.state.add_experiment):
        add(id=ID, key="present", projectId="654321", variants=[{"key": "on"}])

    await call(client, kind, arguments(document))

    (request,) = emulator.requests
    assert (request.method, request.path) == (method, f"/api/1{path.format(kind=kind)}")
    assert exactly(request.body) == exactly(document)
    assert request.headers["content-type"] == "application/json"
    assert request.status == 200


@pytest.mark.parametrize("file", of(OTHERS))
async def test_a_request_of_the_beta_api_is_sent_as_documented(file: str, emulator: Emulator) -> None:
    """The examples that no method of version 1 sends are sent by the client of the Beta API."""
    document = json.loads((EXAMPLES / file).read_bytes())
    emulator.state.add_experiment(id=ID)
    async with AsyncBetaClient(emulator.api_key, base_url=emulator.beta_base_url) as client:
        await client.experiments.set_rollout_weights(ID, **arguments(document))

    (request,) = emulator.requests
    assert (request.method, request.path) == ("POST", f"/beta/experiments/{ID}/rollout-weights")
    assert exactly(request.body) == exactly(document)
    assert request.status == 200
