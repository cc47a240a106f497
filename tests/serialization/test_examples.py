"""Every JSON example of the API reference is parsed without loss, or is exactly what the client sends."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
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

OBJECTS: dict[str, Any] = {
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
ID_ARRAYS = {"users", "cohorts"}
PAGES: dict[str, tuple[Any, str]] = {
    "flag-page": (Flag, "flags"),
    "experiment-page": (Experiment, "experiments"),
    "deployment-page": (Deployment, "deployments"),
}
RESPONSES = {*OBJECTS, *ARRAYS, *ID_ARRAYS, *PAGES}

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
# Requests that only the client of the Beta API has a method for.
BETA_REQUESTS = {"rollout-weights"}

# Fields whose names are the user's, or in snake_case.
UNTOUCHED = {"payload", "rolloutWeights", "exposureEvent"}


def files_of(shapes: Any) -> list[str]:
    return [entry["file"] for entry in INDEX if entry["shape"] in shapes]


def shape_of(file: str) -> str:
    return next(entry["shape"] for entry in INDEX if entry["file"] == file)


def to_text(document: Any) -> str:
    """Return the text of a document, which distinguishes 1 from 1.0 and true."""
    return json.dumps(document, sort_keys=True)


def arguments(document: Any) -> Any:
    """Return a document as arguments of the client, with names in snake_case."""
    if isinstance(document, list):
        return [arguments(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name): value if name in UNTOUCHED else arguments(value)
        for name, value in document.items()
    }


def test_every_example_is_covered() -> None:
    """The index has each file once, and a test of this module parses or sends each entry."""
    files = sorted(path.name for path in EXAMPLES.iterdir() if path.name != "index.json")

    assert sorted(entry["file"] for entry in INDEX) == files
    assert len(INDEX) == 82
    covered = {
        "response": [*files_of(OBJECTS), *files_of(ARRAYS), *files_of(ID_ARRAYS), *files_of(PAGES)],
        "request": [*files_of(REQUESTS), *files_of(BETA_REQUESTS)],
    }
    for direction, covered_files in covered.items():
        assert sorted(covered_files) == sorted(entry["file"] for entry in INDEX if entry["direction"] == direction)
    assert sum(map(len, covered.values())) == len(files)


@pytest.mark.parametrize("file", files_of(OBJECTS))
def test_objects(file: str) -> None:
    """An object becomes its model, and is written back unchanged."""
    body = (EXAMPLES / file).read_bytes()

    model = serialization.parse_object(OBJECTS[shape_of(file)], body)

    assert to_text(to_json(model)) == to_text(json.loads(body))
    assert model == parse(OBJECTS[shape_of(file)], json.loads(body))
    assert not model.extra


@pytest.mark.parametrize("file", files_of(ARRAYS))
async def test_arrays(file: str) -> None:
    """An array becomes a list of models, and is written back unchanged."""
    body = (EXAMPLES / file).read_bytes()

    models = await serialization.parse_list(ARRAYS[shape_of(file)], body)

    assert to_text(to_json(models)) == to_text(json.loads(body))
    assert not any(model.extra for model in models)


@pytest.mark.parametrize("file", files_of(ID_ARRAYS))
def test_arrays_of_ids(file: str) -> None:
    """An array of IDs becomes a list of strings."""
    body = (EXAMPLES / file).read_bytes()

    assert serialization.parse_ids(body) == json.loads(body)


@pytest.mark.parametrize("file", files_of(PAGES))
async def test_pages(file: str) -> None:
    """A page becomes its items, which are written back unchanged, and its cursor as a string."""
    body = (EXAMPLES / file).read_bytes()
    model, name = PAGES[shape_of(file)]
    document = json.loads(body)

    page: Any = await serialization.parse_page(model, name, body)

    assert to_text(to_json(page.items)) == to_text(document[name])
    cursor = document.get("nextCursor")
    assert page.next_cursor == (None if cursor is None else str(cursor))


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """An emulator of the documented service: the examples are the documents'."""
    async with Emulator(per_second=None, per_day=None, strictness="documented") as emulator:
        yield emulator


@pytest.mark.parametrize("file", files_of(REQUESTS))
async def test_requests(file: str, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """With the documented values, the client sends the documented body to the documented path."""
    document = json.loads((EXAMPLES / file).read_bytes())
    method, path, call = REQUESTS[shape_of(file)]
    kind = "experiments" if "experiment" in file else "flags"
    emulator.state.add_deployment(id=DEPLOYMENT, projectId="654321", label="rest-api")
    emulator.state.add(kind, {"id": ID, "key": "present", "projectId": "654321", "variants": [{"key": "on"}]})

    await call(client, kind, arguments(document))

    (request,) = emulator.requests
    assert (request.method, request.path) == (method, f"/api/1{path.format(kind=kind)}")
    assert to_text(request.body) == to_text(document)
    assert request.headers["content-type"] == "application/json"
    assert request.status == 200


@pytest.mark.parametrize("file", files_of(BETA_REQUESTS))
async def test_requests_of_the_beta_api(file: str, emulator: Emulator) -> None:
    """The other examples are sent by the client of the Beta API."""
    document = json.loads((EXAMPLES / file).read_bytes())
    emulator.state.add_experiment(id=ID)
    async with AsyncBetaClient(emulator.api_key, base_url=emulator.beta_base_url) as client:
        await client.experiments.set_rollout_weights(ID, **arguments(document))

    (request,) = emulator.requests
    assert (request.method, request.path) == ("POST", f"/beta/experiments/{ID}/rollout-weights")
    assert to_text(request.body) == to_text(document)
    assert request.status == 200
