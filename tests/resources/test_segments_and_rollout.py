"""Guarded edits of single segments, values and tags, and the decisions that end experiments."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import attrs
import pytest

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    BadRequestError,
    EditConflictError,
    Experiment,
    InvalidInputError,
    Segment,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.resources.rollout import weight_changes, with_rollout
from tests.resources.concurrent_writers import COHORT_SEGMENT, PILOT, STAFF, sent_methods, write_elsewhere

NEW: dict[str, Any] = {"name": "New", "conditions": [], "percentage": 5, "rollout_weights": {"on": 1}}
NEW_JSON = {"name": "New", "conditions": [], "percentage": 5, "rolloutWeights": {"on": 1}}


@pytest.fixture(params=["flags", "experiments"])
def kind(request: pytest.FixtureRequest) -> Any:
    """Flags or experiments."""
    return request.param


@pytest.fixture
def id(emulator: Emulator, kind: Any) -> str:
    """The ID of one with two segments and two tags."""
    return str(emulator.state.add(kind, {"tags": ["a", "b"], "targetSegments": [copy.deepcopy(PILOT), STAFF]})["id"])


@pytest.fixture
def resource(client: AsyncExperimentClient, kind: Any) -> Any:
    """`client.flags` or `client.experiments`."""
    return getattr(client, kind)


def segments(emulator: Emulator, kind: Any, id: str) -> Any:
    """Return the stored segments."""
    return emulator.state.stored_flag(kind, id).document["targetSegments"]


@pytest.mark.parametrize("new", [NEW, Segment(**NEW)])
async def test_add_a_segment(resource: Any, emulator: Emulator, kind: Any, id: str, new: Any) -> None:
    """It is added at the end. Adding it again writes nothing."""
    edited = await resource.segments.add(id, new)
    assert segments(emulator, kind, id) == [PILOT, STAFF, NEW_JSON]
    assert edited == await resource.get(id)
    emulator.requests.clear()
    assert await resource.segments.add(id, new) == edited
    assert sent_methods(emulator) == ["GET"]


async def test_remove_a_segment(resource: Any, emulator: Emulator, kind: Any, id: str) -> None:
    """It is removed by name."""
    await resource.segments.remove(id, "Staff")
    assert segments(emulator, kind, id) == [PILOT]
    await resource.segments.remove(id, "Pilot")
    assert segments(emulator, kind, id) == []


async def test_edit_a_segment(resource: Any, emulator: Emulator, kind: Any, id: str) -> None:
    """Only the given fields change."""
    await resource.segments.edit(id, "Pilot", percentage=50, bucketing_key=UNSET)
    assert segments(emulator, kind, id) == [PILOT | {"percentage": 50}, STAFF]
    await resource.segments.edit(id, "Pilot", name="Crew", conditions=iter([]), rollout_weights={"on": 2})
    expected = PILOT | {"percentage": 50, "name": "Crew", "conditions": [], "rolloutWeights": {"on": 2}}
    assert segments(emulator, kind, id) == [expected, STAFF]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda s, id: s.segments.add(id, NEW | {"name": "Pilot"}), "another segment has this name"),
        (lambda s, id: s.segments.add(id, NEW | {"name": ""}), "is required"),
        (lambda s, id: s.segments.remove(id, "Pilots"), 'no segment has the name "Pilots"; the segments: "Pilot"'),
        (lambda s, id: s.segments.edit(id, "Pilot", name="Staff"), "another segment has this name"),
        (lambda s, id: s.segments.add_values(id, "Staff", "p", ["v"], case="exact"), "its conditions: none"),
        (lambda s, id: s.segments.add_values(id, "Pilot", "email", ["v"], case="exact"), '"gp:email" "is"'),
        (lambda s, id: s.segments.add_values(id, "Pilot", "country", ["v"], case="exact"), "no condition"),
        (lambda s, id: s.segments.add_values(id, "Crew", "country", ["v"], case="exact"), "no segment"),
    ],
)
async def test_an_unknown_segment_or_condition(
    resource: Any, emulator: Emulator, id: str, call: Any, match: str
) -> None:
    """The message lists what exists, and nothing is written."""
    with pytest.raises(InvalidInputError, match=match):
        await call(resource, id)
    assert sent_methods(emulator) == ["GET"]


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.segments.add("1", {"name": "x", "percent": 1}),
        lambda s: s.segments.add("1", NEW | {"percentage": 101}),
        lambda s: s.segments.edit("1", "Pilot"),
        lambda s: s.segments.edit("1", "Pilot", percent=1),
        lambda s: s.segments.edit("1", "Pilot", name=None),
        lambda s: s.segments.remove("1", 5),
        lambda s: s.segments.add_values("1", "Pilot", "p", "ann@example.com", case="exact"),
        lambda s: s.segments.add_values("1", "Pilot", "p", [], case="exact"),
        lambda s: s.segments.add_values("1", "Pilot", "p", ["ok", " "], case="exact"),
        lambda s: s.segments.add_values("1", "Pilot", "p", ["a "], case="exact"),
        lambda s: s.segments.add_values("1", "Pilot", "p", ["ann@example.com,bo@example.com"], case="exact"),
        lambda s: s.segments.add_values("1", "Pilot", "p", ["v"], case="upper"),
        lambda s: s.tags.add("1", "tag"),
        lambda s: s.tags.remove("1", []),
    ],
)
async def test_invalid_arguments(resource: Any, emulator: Emulator, call: Any) -> None:
    """No request is sent."""
    with pytest.raises(InvalidInputError):
        await call(resource)
    assert emulator.requests == []


async def test_the_case_policy_is_required(resource: Any, id: str) -> None:
    """It has no default."""
    with pytest.raises(TypeError, match="case"):
        await resource.segments.add_values(id, "Pilot", "gp:email", ["v"])


@pytest.mark.parametrize(
    ("case", "values"),
    [
        ("exact", ["Ann@example.com", "ann@example.com", "Bo@example.com", "bo@example.com"]),
        ("ignore", ["Ann@example.com", "Bo@example.com"]),
        ("lower", ["Ann@example.com", "ann@example.com", "bo@example.com"]),
    ],
)
async def test_add_values(client: AsyncExperimentClient, emulator: Emulator, case: Any, values: Any) -> None:
    """Values are merged by the case policy, and the rest of the segments is unchanged."""
    values_to_add = (value for value in ["ann@example.com", "Bo@example.com", "bo@example.com"])
    id = str(emulator.state.add_flag(targetSegments=[STAFF, copy.deepcopy(PILOT)])["id"])
    await client.flags.segments.add_values(id, "Pilot", "gp:email", values_to_add, case=case)
    expected = copy.deepcopy(PILOT)
    expected["conditions"][0]["values"] = values
    assert segments(emulator, "flags", id) == [STAFF, expected]
    assert sent_methods(emulator) == ["GET", "GET", "PATCH", "GET"]


async def test_add_values_with_another_operator(resource: Any, emulator: Emulator, kind: Any, id: str) -> None:
    """The operator selects the condition."""
    await resource.segments.add_values(id, "Pilot", "country", ["Mu"], case="exact", op="is not")
    assert segments(emulator, kind, id)[0]["conditions"][1]["values"] == ["Atlantis", "Mu"]


async def test_tags(resource: Any, emulator: Emulator, id: str) -> None:
    """Existing tags are not added and missing tags not removed; then nothing is written."""
    assert (await resource.tags.add(id, ["c", "a", "c"])).tags == ["a", "b", "c"]
    assert (await resource.tags.remove(id, (tag for tag in ["a", "x"]))).tags == ["b", "c"]
    emulator.requests.clear()
    await resource.tags.add(id, ["b"])
    await resource.tags.remove(id, ["x"])
    assert sent_methods(emulator) == ["GET", "GET"]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_segment_with_weights_of_a_variant_that_does_not_exist(
    resource: Any, emulator: Emulator, kind: Any, id: str, *, dry_run: bool
) -> None:
    """It would serve no one, so it is rejected. Weights that a removed variant has left behind stay as they are."""
    emulator.state.stored_flag(kind, id).document["targetSegments"][1]["rolloutWeights"] = {"gone": 1}
    wrong = Segment(**{**NEW, "rollout_weights": {"onn": 1}})
    message = (
        r'^target_segments: has weights of a segment, "New", for a variant that does not exist '
        r"\(there are: (on|control, treatment)\)"
    )

    def add(segment: Segment) -> Any:
        return lambda flag: attrs.evolve(flag, target_segments=[*flag.target_segments, segment])

    with pytest.raises(InvalidInputError, match=message):
        await resource.guarded_edit(id, add(wrong), dry_run=dry_run)
    with pytest.raises(InvalidInputError, match=message):
        await resource.segments.add(id, wrong)
    assert set(sent_methods(emulator)) == {"GET"}
    await resource.guarded_edit(id, add(Segment(**NEW)))
    assert [segment["name"] for segment in segments(emulator, kind, id)] == ["Pilot", "Staff", "New"]


async def test_an_end_before_the_live_start(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A guarded edit compares a new time with the one that stays."""
    id = emulator.state.add_experiment(startDate="2026-12-01")["id"]
    with pytest.raises(InvalidInputError, match=r"^end_date: must not be before start_date, 2026-12-01"):
        await client.experiments.guarded_edit(id, lambda live: attrs.evolve(live, end_date=date(2026, 11, 1)))
    assert set(sent_methods(emulator)) == {"GET"}


@pytest.fixture
def experiment(emulator: Emulator) -> str:
    """The ID of a running experiment with two segments."""
    both = {"rolloutWeights": {"control": 1, "treatment": 1}}
    return str(
        emulator.state.add_experiment(
            enabled=True, stickyBucketing=True, rolloutPercentage=0, targetSegments=[PILOT | both, STAFF | both]
        )["id"]
    )


async def test_roll_out(client: AsyncExperimentClient, emulator: Emulator, experiment: str) -> None:
    """One write has the decision and the segments with all weight on the variant."""
    result = await client.experiments.roll_out(experiment, "treatment", "more orders")
    assert sent_methods(emulator) == ["GET", "GET", "PATCH", "GET"]
    everyone = {"percentage": 100, "rolloutWeights": {"treatment": 1}}
    assert emulator.requests[2].body == {
        "decision": "rollout",
        "decisionReason": "more orders",
        "rolledOutVariant": "treatment",
        "stickyBucketing": False,
        "targetSegments": [PILOT | everyone, STAFF | everyone],
    }
    assert (result.decision, result.rolled_out_variant, result.enabled) == ("rollout", "treatment", True)


@pytest.mark.parametrize(
    ("percentage", "everyone", "weights", "after"),
    [
        (50, False, {"control": 1, "treatment": 1}, {"control": 0}),
        (0, True, {"control": 2, "treatment": 0}, {"treatment": 1, "control": 0}),
        (0, False, {"control": 1, "treatment": 1}, {}),
        (50, False, {"control": 0, "treatment": 1}, {}),
        (50, True, {"treatment": 3}, {}),
        (100, False, {}, {"treatment": 1}),
        (0, False, {}, {}),
        (100, False, {"control": 1, "other": 2, "treatment": 0}, {"treatment": 1, "control": 0, "other": 0}),
    ],
)
def test_weights_of_a_rollout(
    percentage: int, everyone: bool, weights: dict[str, float], after: dict[str, float]
) -> None:
    """Only the winner has a weight for users whom no segment targets, and it is raised first."""
    before = Experiment(id="1", key="k", rollout_percentage=percentage, rollout_weights=weights)
    result = with_rollout(before, "treatment", "why", everyone=everyone)
    assert result.rollout_percentage == (100 if everyone else percentage)
    assert list(weight_changes(before, result).items()) == list(after.items())


async def test_rolling_out_an_ordinary_experiment(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The weights are written first, then the rest in one edit: every user gets the winner."""
    id = str(
        emulator.state.add_experiment(rolloutPercentage=50, deployments=[emulator.state.add_deployment()["id"]])["id"]
    )
    preview = await client.experiments.roll_out(id, "treatment", "why", everyone=True, dry_run=True)
    assert sent_methods(emulator) == ["GET"]
    result = await client.experiments.roll_out(id, "treatment", "why", everyone=True)

    writes = [
        (request.path.removeprefix("/api/1"), request.body)
        for request in emulator.requests
        if request.method == "PATCH"
    ]
    assert writes == [
        (f"/experiments/{id}/variants/control", {"rolloutWeight": 0}),
        (
            f"/experiments/{id}",
            {
                "enabled": True,
                "rolloutPercentage": 100,
                "decision": "rollout",
                "decisionReason": "why",
                "rolledOutVariant": "treatment",
            },
        ),
    ]
    assert result.rollout_weights == preview.rollout_weights == {"control": 0, "treatment": 1}
    assert (result.enabled, result.rollout_percentage, preview.enabled) == (True, 100, True)
    emulator.requests.clear()
    await client.experiments.roll_out(id, "treatment", "why", everyone=True)
    assert sent_methods(emulator) == ["GET"]


@pytest.mark.parametrize(
    ("fields", "argument"),
    [
        ({"rolloutPercentage": 0, "targetSegments": []}, "everyone"),
        ({"rolloutPercentage": 100, "enabled": False, "deployments": []}, "deployments"),
    ],
)
async def test_a_rollout_to_no_user(
    client: AsyncExperimentClient, emulator: Emulator, fields: dict[str, Any], argument: str
) -> None:
    """A rollout that no user would get is rejected."""
    id = str(emulator.state.add_experiment(**fields)["id"])
    for dry_run in (True, False):
        with pytest.raises(InvalidInputError, match="no user would get the variant") as caught:
            await client.experiments.roll_out(id, "treatment", "why", dry_run=dry_run)
        assert (caught.value.argument, "Nothing was written." in str(caught.value)) == (argument, True)
    assert set(sent_methods(emulator)) == {"GET"}


async def test_a_rollout_that_is_refused_midway(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The error says which weights were written."""
    id = str(emulator.state.add_experiment(rolloutPercentage=100, enabled=True, deployments=["1"])["id"])
    emulator.inject(Fault.status(400, body={"error": "no"}), method="PATCH", path=f"/experiments/{id}")
    with pytest.raises(BadRequestError) as caught:
        await client.experiments.roll_out(id, "treatment", "why")
    assert caught.value.__notes__ == ['Weights of variants that were written: {"control": 0}.']


async def test_a_rollout_over_weights_of_others(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Weights that others have changed since the reading are a conflict, and nothing is written."""
    id = str(emulator.state.add_experiment(rolloutPercentage=100, enabled=True)["id"])
    base = await client.experiments.get(id)
    await client.experiments.variants.edit(id, "control", rollout_weight=9)
    emulator.requests.clear()
    with pytest.raises(EditConflictError, match='"control": 9') as caught:
        await client.experiments.roll_out(id, "treatment", "why", base=base)
    assert (caught.value.field, caught.value.written, sent_methods(emulator)) == ("rollout_weights", False, ["GET"])


async def test_roll_back(client: AsyncExperimentClient, emulator: Emulator, experiment: str) -> None:
    """No user gets a variant."""
    write_elsewhere(emulator, experiment, "experiments", rolloutPercentage=50, rolledOutVariant="treatment")
    await client.experiments.roll_back(experiment, "slower")
    body = emulator.requests[2].body
    assert [segment["percentage"] for segment in body.pop("targetSegments")] == [0, 0]
    assert body == {
        "decision": "rollback",
        "decisionReason": "slower",
        "rolledOutVariant": None,
        "enabled": False,
        "rolloutPercentage": 0,
    }


async def test_rejected_decisions(client: AsyncExperimentClient, emulator: Emulator, experiment: str) -> None:
    """An unknown variant, and segments that cannot be written, are rejected."""
    with pytest.raises(InvalidInputError, match="control, treatment"):
        await client.experiments.roll_out(experiment, "treatmnt", "why")
    write_elsewhere(emulator, experiment, "experiments", targetSegments=[COHORT_SEGMENT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.experiments.roll_back(experiment, "why")
    assert "PATCH" not in sent_methods(emulator)


async def test_a_decision_on_an_experiment_without_segments(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """No segments are written."""
    id = str(emulator.state.add_experiment(rolloutPercentage=10, enabled=True)["id"])
    await client.experiments.roll_out(id, "treatment", "why")
    assert not any("targetSegments" in (request.body or {}) for request in emulator.requests)


@pytest.mark.parametrize(
    ("condition", "rejected", "accepted"),
    [
        (
            ("gp:email", "is"),
            ['"a"', "Ann <a@b.c>", "a\nb", "1.2E+12", "#N/A", "#REF!", '="001"', "v" * 1025],
            ["NULL", "(none)", "N/A", "-", "user_id", "a;b", "#ff0000", "(3 rows)"],
        ),
        (("user_id", "is"), ["NULL", "-", "user_id", "a;b", "(3 rows)", "------", "#N/A"], ["ann", "a@b.c", "YQ=="]),
        (("device_id", "is not"), ["NULL", "a,b"], ["3f2504e0-4f89"]),
        (("user_id", "glob match"), ["#N/A", '"a"'], ["-", "*;*", "user_id"]),
    ],
)
async def test_added_values_are_those_that_a_user_can_have(
    client: AsyncExperimentClient,
    emulator: Emulator,
    condition: tuple[str, str],
    rejected: list[str],
    accepted: list[str],
) -> None:
    """A property may have any text that is not a trace of a table; a comparison with an ID needs an ID."""
    prop, op = condition
    fields = {"prop": prop, "op": op, "type": "property", "values": ["old"]}
    segment = {"name": "Pilot", "conditions": [fields], "percentage": 1, "rolloutWeights": {}}
    id = emulator.state.add_flag(projectId="1", key="odd", targetSegments=[segment])["id"]
    for value in rejected:
        with pytest.raises(InvalidInputError, match=r"values\[1\]: .* Nothing was sent"):
            await client.flags.segments.add_values(id, "Pilot", prop, ["ok", value], case="exact", op=op)
    assert emulator.requests == []
    flag = await client.flags.segments.add_values(id, "Pilot", prop, accepted, case="exact", op=op)
    (live,) = flag.target_segments or ()
    assert [condition.values for condition in live.conditions or ()] == [["old", *accepted]]
