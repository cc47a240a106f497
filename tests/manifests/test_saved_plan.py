"""Saved plans: what a file keeps, older formats, and damaged files."""

from __future__ import annotations

import asyncio
import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from amp_exp_async import AsyncExperimentClient, EditConflictError, InvalidInputError, Plan
from amp_exp_async.emulator import Emulator
from tests.manifests.fixtures import account
from tests.manifests.strategies import payloads
from tests.manifests.test_plan import make_sample_plan

Steps: TypeAlias = tuple[str | int, ...]
"""The names and indexes that lead to a value in a document."""

FIRST_FORMAT = "amp_exp_async plan 1"
SAVED_PLAN = Path(__file__).with_name("saved_plan.json")
CONDITION_JSON = {"type": "property", "prop": "gp:plan", "op": "is", "values": ["pro"], "unknown": 1}


def add_planned_flags(emulator: Emulator) -> None:
    """Add the flags and the deployment that the saved plan refers to."""
    emulator.state.add_deployment(id="51", label="web")
    segment = {"name": "s", "conditions": [CONDITION_JSON], "percentage": 5, "rolloutWeights": {"on": 1, "gone": 1}}
    emulator.state.add_flag(
        id="1",
        key="a",
        tags=["y", "x"],
        variants=[{"key": "on", "payload": {"n": 1}}, {"key": "old"}],
        rolloutWeights={"on": 1, "gone": 1},
        targetSegments=[segment | {"new": 1}],
    )
    emulator.state.add_users("flags", "1", "on", ["u2", "u1"])
    emulator.state.add_flag(id="2", key="parent")


def saved_plan(emulator: Emulator) -> str:
    """Return the text of the saved plan, for the service of an emulator."""
    return SAVED_PLAN.read_text().replace("SERVICE", f"{emulator.base_url}/api/1")


def without_digest(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a plan in the first format, in which no digest shows damage."""
    return {name: value for name, value in document.items() if name != "digest"} | {"plan": FIRST_FORMAT}


def load_plan(text: str) -> Plan:
    """Load a plan from a text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan.json")
        path.write_text(text)
        return Plan.load(path)


async def test_save_and_load(emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path) -> None:
    """Nothing is lost, also if the text is formatted in another way."""
    plan = await make_sample_plan(emulator, client)
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    document = json.loads(plan.to_json())
    assert document["changes"][0]["fields"]["enabled"] == {"before": False, "after": True}
    assert load_plan(json.dumps(document, sort_keys=True)) == plan


async def test_saved_plan_in_format_1_is_applied(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """The content of the file is fixed, because saved plans must keep working. It is saved in the current format."""
    add_planned_flags(emulator)
    path = tmp_path / "plan.json"
    path.write_text(saved_plan(emulator))

    plan = Plan.load(path)
    assert plan.summary == "1 to create, 1 to edit"
    resaved = without_digest(json.loads(plan.to_json()))
    assert [change.pop("parents") for change in resaved["changes"]] == [{}, {}]
    assert resaved == json.loads(path.read_text())
    assert (await client.apply(plan)).ok
    assert not await client.plan(plan.manifest)
    flag = emulator.state.flag("1")
    assert (flag["enabled"], flag["tags"], flag["deployments"]) == (True, ["x"], ["51"])
    assert emulator.state.users("flags", "1", "on") == ["u1", "u3"]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"plan": "other"}', '{"plan": "amp_exp_async plan 1"}'])
def test_load_rejects_other_files(tmp_path: Path, text: str | None) -> None:
    """The message says to create a new plan."""
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"plan .*plan\.json: .* Create a new plan"):
        Plan.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"\x00",
        b"NaN",
        b'{"plan": 1e999}',
        b"9" * 5000,
        b"[" * 100_000,
        b'{"plan":' * 100_000,
        b'{"plan": ["amp_exp_async plan 2"]}',
        b'{"plan": "amp_exp_async plan 2"}',
        b'{"plan": "amp_exp_async plan 1", "digest": null}',
    ],
)
def test_load_rejects_any_content(tmp_path: Path, content: bytes) -> None:
    """The error is the same as for a damaged plan."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"is not a plan, or damaged \(.*\)\. Create a new plan"):
        Plan.load(path)


@pytest.mark.parametrize("path", ["", "nowhere/plan.json"])
def test_load_rejects_what_cannot_be_read(path: str) -> None:
    """A folder, and a missing file."""
    with pytest.raises(InvalidInputError, match="cannot be read"):
        Plan.load(path)


@pytest.mark.parametrize(("field", "value"), [("action", "merge"), ("kind", "segments")])
async def test_load_rejects_unknown_actions_and_kinds(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, field: str, value: str
) -> None:
    """The plan is rejected before it is printed or applied."""
    document = without_digest(json.loads((await make_sample_plan(emulator, client)).to_json()))
    document["changes"][0][field] = value
    (tmp_path / "plan.json").write_text(json.dumps(document))
    with pytest.raises(InvalidInputError, match=f"damaged .*{value}"):
        Plan.load(tmp_path / "plan.json")


def test_load_names_what_is_missing(tmp_path: Path) -> None:
    """The message has no class of an exception."""
    path = tmp_path / "plan.json"
    path.write_text('{"plan": "amp_exp_async plan 1"}')
    with pytest.raises(InvalidInputError) as raised:
        Plan.load(path)
    assert str(raised.value) == f'plan {path}: is not a plan, or damaged ("state" is missing). Create a new plan.'
    with pytest.raises(InvalidInputError, match=r"nothing: cannot be read \(No such file or directory\)\. Create"):
        Plan.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("steps", "value", "reason"),
    [
        (("service",), 5, "service is not a string"),
        (("changes",), {}, "changes is not a list"),
        (("changes", 0), None, "changes[0] is not an object"),
        (("changes", 0, "id"), 1, "changes[0].id is not a string"),
        (("changes", 0, "id"), None, "changes[0].action: edit is not what the fields do"),
        (("changes", 0, "action"), "archive", "changes[0].action: archive is not what the fields do"),
        (("changes", 0, "more"), 1, '"changes[0].more" is unknown'),
        (("changes", 0, "deployments"), None, "changes[0].deployments is not an object"),
        (("changes", 0, "deployments"), {"ios": "51"}, "changes[0]: a value has another type"),
        (("changes", 0, "deployments", "web"), 51, "changes[0].deployments.web is not a string"),
        (("changes", 0, "fields", "tags", "after"), 5, "changes[0]: tags: must be a list"),
        (("changes", 0, "fields", "deployments", "after"), 5, "changes[0]: a value has another type"),
        (("changes", 0, "fields", "enabled"), True, "changes[0].fields.enabled is not an object"),
        (("changes", 1, "key"), "c", "the state does not declare what changes"),
        (("warnings", 0, "line"), "1", "warnings[0].line is not a number"),
        (("state", "flags", 0, "enabled"), "yes", "state: flags[0].enabled: must be true or false"),
        (("state", "flags", 1, "key"), "a", "state: flags[1].key: duplicate key"),
        (("changes", 0, "fields", "variants.on.payload", "after"), json.loads("[" * 300 + "]" * 300), "210 levels of"),
    ],
)
def test_damage_without_a_digest_is_named(steps: Steps, value: Any, reason: str) -> None:
    """The message has the place, and the rule that the value breaks."""
    document = json.loads(SAVED_PLAN.read_text())
    set_value(document, steps, value)
    with pytest.raises(InvalidInputError) as raised:
        load_plan(json.dumps(document))
    assert f"is not a plan, or damaged ({reason}" in str(raised.value).replace("more than ", "")


def set_value(document: Any, steps: Steps, value: Any) -> None:
    """Replace a value in a document."""
    *parents, last = steps
    for step in parents:
        document = document[step]
    document[last] = value


def values_of(document: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Yield all values in a document, outer ones first."""
    yield steps, document
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for step, item in items:
        yield from values_of(item, (*steps, step))


def retyped(value: Any) -> Any:
    """Return a similar value of another type."""
    match value:
        case bool():
            return int(value)
        case None:
            return ""
        case str():
            return [value]
        case int() | float():
            return str(value)
        case list():
            return {str(index): item for index, item in enumerate(value)}
        case _:
            return list(value)


@st.composite
def damaged_documents(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """Draw a document that differs from another in one place or, if two values are swapped, in two."""
    damaged = copy.deepcopy(document)
    inner = [steps for steps, _ in values_of(damaged) if steps]
    steps = draw(st.sampled_from(inner))
    values = dict(values_of(damaged))
    match draw(st.sampled_from(["delete", "replace", "retype", "add", "swap"])):
        case "delete":
            del values[steps[:-1]][steps[-1]]
        case "replace":
            set_value(damaged, steps, draw(payloads))
        case "retype":
            set_value(damaged, steps, retyped(values[steps]))
        case "add" if isinstance(values[steps[:-1]], dict):
            values[steps[:-1]][draw(st.sampled_from(["before", "after", "archived", "more"]))] = draw(payloads)
        case "add":
            values[steps[:-1]].append(draw(payloads))
        case _:
            other = draw(st.sampled_from(inner))
            assume(steps != other[: len(steps)] and other != steps[: len(other)])
            set_value(damaged, steps, values[other])
            set_value(damaged, other, values[steps])
    assume(json.dumps(damaged, sort_keys=True) != json.dumps(document, sort_keys=True))
    return damaged


with_digest: dict[str, Any] = json.loads(load_plan(SAVED_PLAN.read_text()).to_json())


@settings(max_examples=120)
@given(document=damaged_documents(with_digest))
@example(document=without_digest(with_digest) | {"plan": with_digest["plan"]})
@example(document=with_digest | {"plan": FIRST_FORMAT})
def test_every_damage_is_detected_by_the_digest(document: dict[str, Any]) -> None:
    """So is a digest that was removed."""
    with pytest.raises(InvalidInputError, match=r"plan .*plan\.json: is not a plan, or damaged \(.*Create a new plan"):
        load_plan(json.dumps(document))


@given(length=st.integers(0, len(json.dumps(with_digest)) - 1))
def test_a_truncated_plan_is_rejected(length: int) -> None:
    """The text is not JSON."""
    with pytest.raises(InvalidInputError, match="is not a plan, or damaged"):
        load_plan(json.dumps(with_digest)[:length])


@settings(max_examples=120)
@given(document=damaged_documents(json.loads(SAVED_PLAN.read_text())))
def test_damage_without_a_digest_is_rejected_or_harmless(document: dict[str, Any]) -> None:
    """A plan that loads can be printed, saved and turned into operations."""
    try:
        plan = load_plan(json.dumps(document))
    except InvalidInputError:
        return
    assert all(map(str.isprintable, str(plan).split("\n") + plan.to_markdown().split("\n")))
    assert {change.key for change, _ in plan.operations()} <= {change.key for change in plan.changes}
    assert load_plan(plan.to_json()) == plan


@given(data=st.data())
def test_damage_without_a_digest_writes_nothing_but_what_the_manifest_declares(data: st.DataObject) -> None:
    """A plan that still loads, and whose changes and manifest differ, is a conflict."""

    async def journey() -> None:
        async with account(()) as (emulator, client):
            add_planned_flags(emulator)
            document = data.draw(damaged_documents(json.loads(saved_plan(emulator))))
            try:
                plan = load_plan(json.dumps(document))
                summary = await client.apply(plan)
            except (InvalidInputError, EditConflictError):
                assert {request.method for request in emulator.requests} <= {"GET"}
            else:
                assert summary.ok
                assert not await client.plan(plan.manifest)

    asyncio.run(journey())
