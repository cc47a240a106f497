"""Single segments, values and tags, and the decisions on experiments."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from amp_exp_async import UNSET, AsyncExperimentClient, Experiment, InvalidInputError, Segment
from amp_exp_async.emulator import Emulator
from amp_exp_async.resources.rollout import with_rollout
from tests.resources.fixtures import OF_A_COHORT, PILOT, STAFF, methods, put

NEW: dict[str, Any] = {"name": "New", "conditions": [], "percentage": 5, "rollout_weights": {"on": 1}}
NEW_ON_THE_WIRE = {"name": "New", "conditions": [], "percentage": 5, "rolloutWeights": {"on": 1}}


@pytest.fixture(params=["flags", "experiments"])
def kind(request: pytest.FixtureRequest) -> Any:
    """Either kind."""
    return request.param


@pytest.fixture
def id(emulator: Emulator, kind: Any) -> str:
    """The id of one with two segments and two tags."""
    return str(emulator.state.add(kind, {"tags": ["a", "b"], "targetSegments": [copy.deepcopy(PILOT), STAFF]})["id"])


@pytest.fixture
def section(client: AsyncExperimentClient, kind: Any) -> Any:
    """The client's flags or experiments."""
    return getattr(client, kind)


def segments(emulator: Emulator, kind: Any, id: str) -> Any:
    """The segments that the emulator has."""
    return emulator.state.stored_flag(kind, id).document["targetSegments"]


@pytest.mark.parametrize("new", [NEW, Segment(**NEW)])
async def test_add_a_segment(section: Any, emulator: Emulator, kind: Any, id: str, new: Any) -> None:
    """At the end; the others stay as they are, and a second time nothing is written."""
    toggle = await section.segments.add(id, new)
    assert segments(emulator, kind, id) == [PILOT, STAFF, NEW_ON_THE_WIRE]
    assert toggle == await section.get(id)
    emulator.requests.clear()
    assert await section.segments.add(id, new) == toggle
    assert methods(emulator) == ["GET"]


async def test_remove_a_segment(section: Any, emulator: Emulator, kind: Any, id: str) -> None:
    """By its name."""
    await section.segments.remove(id, "Staff")
    assert segments(emulator, kind, id) == [PILOT]
    await section.segments.remove(id, "Pilot")
    assert segments(emulator, kind, id) == []


async def test_edit_a_segment(section: Any, emulator: Emulator, kind: Any, id: str) -> None:
    """Only what is given changes."""
    await section.segments.edit(id, "Pilot", percentage=50, bucketing_key=UNSET)
    assert segments(emulator, kind, id) == [PILOT | {"percentage": 50}, STAFF]
    await section.segments.edit(id, "Pilot", name="Crew", conditions=iter([]), rollout_weights={"on": 2})
    expected = PILOT | {"percentage": 50, "name": "Crew", "conditions": [], "rolloutWeights": {"on": 2}}
    assert segments(emulator, kind, id) == [expected, STAFF]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda s, id: s.segments.add(id, NEW | {"name": "Pilot"}), "another segment has this name"),
        (lambda s, id: s.segments.add(id, {"percentage": 1}), "is required"),
        (lambda s, id: s.segments.remove(id, "Pilots"), 'no segment has the name "Pilots"; the segments: "Pilot"'),
        (lambda s, id: s.segments.edit(id, "Pilot", name="Staff"), "another segment has this name"),
        (lambda s, id: s.segments.add_values(id, "Staff", "p", ["v"], case="exact"), "its conditions: none"),
        (lambda s, id: s.segments.add_values(id, "Pilot", "email", ["v"], case="exact"), '"gp:email" "is"'),
        (lambda s, id: s.segments.add_values(id, "Pilot", "country", ["v"], case="exact"), "no condition"),
        (lambda s, id: s.segments.add_values(id, "Crew", "country", ["v"], case="exact"), "no segment"),
    ],
)
async def test_what_is_not_there(section: Any, emulator: Emulator, id: str, call: Any, match: str) -> None:
    """The message says what is; nothing is written."""
    with pytest.raises(InvalidInputError, match=match):
        await call(section, id)
    assert methods(emulator) == ["GET"]


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
        lambda s: s.segments.add_values("1", "Pilot", "p", ["v"], case="upper"),
        lambda s: s.tags.add("1", "tag"),
        lambda s: s.tags.remove("1", []),
    ],
)
async def test_what_is_refused_at_once(section: Any, emulator: Emulator, call: Any) -> None:
    """Not even a reading is sent."""
    with pytest.raises(InvalidInputError):
        await call(section)
    assert emulator.requests == []


async def test_the_case_must_be_said(section: Any, id: str) -> None:
    """There is no default to be wrong about."""
    with pytest.raises(TypeError, match="case"):
        await section.segments.add_values(id, "Pilot", "gp:email", ["v"])


@pytest.mark.parametrize(
    ("case", "values"),
    [
        ("exact", ["Ann@example.com", "ann@example.com", "Bo@example.com", "bo@example.com"]),
        ("ignore", ["Ann@example.com", "Bo@example.com"]),
        ("lower", ["Ann@example.com", "ann@example.com", "bo@example.com"]),
    ],
)
async def test_add_values(client: AsyncExperimentClient, emulator: Emulator, case: Any, values: Any) -> None:
    """The union, by the policy on case; all else in the array is as it was."""
    given = (value for value in ["ann@example.com", "Bo@example.com", "bo@example.com"])
    id = str(emulator.state.add_flag(targetSegments=[STAFF, copy.deepcopy(PILOT)])["id"])
    await client.flags.segments.add_values(id, "Pilot", "gp:email", given, case=case)
    wanted = copy.deepcopy(PILOT)
    wanted["conditions"][0]["values"] = values
    assert segments(emulator, "flags", id) == [STAFF, wanted]
    assert methods(emulator) == ["GET", "GET", "PATCH", "GET"]


async def test_add_values_to_another_comparison(section: Any, emulator: Emulator, kind: Any, id: str) -> None:
    """It has to be named."""
    await section.segments.add_values(id, "Pilot", "country", ["Mu"], case="exact", op="is not")
    assert segments(emulator, kind, id)[0]["conditions"][1]["values"] == ["Atlantis", "Mu"]


async def test_tags(section: Any, emulator: Emulator, id: str) -> None:
    """Sets: what is there already, or is not, is no mistake, and nothing is written for it."""
    assert (await section.tags.add(id, ["c", "a", "c"])).tags == ["a", "b", "c"]
    assert (await section.tags.remove(id, (tag for tag in ["a", "x"]))).tags == ["b", "c"]
    emulator.requests.clear()
    await section.tags.add(id, ["b"])
    await section.tags.remove(id, ["x"])
    assert methods(emulator) == ["GET", "GET"]


@pytest.fixture
def experiment(emulator: Emulator) -> str:
    """The id of a running experiment on two segments."""
    both = {"rolloutWeights": {"control": 1, "treatment": 1}}
    return str(
        emulator.state.add_experiment(
            enabled=True, stickyBucketing=True, rolloutPercentage=0, targetSegments=[PILOT | both, STAFF | both]
        )["id"]
    )


async def test_roll_out(client: AsyncExperimentClient, emulator: Emulator, experiment: str) -> None:
    """The decision, and all that each segment has for the variant, in one write."""
    result = await client.experiments.roll_out(experiment, "treatment", "more orders")
    assert methods(emulator) == ["GET", "GET", "PATCH", "GET"]
    whole = {"percentage": 100, "rolloutWeights": {"treatment": 1}}
    assert emulator.requests[2].body == {
        "decision": "rollout",
        "decisionReason": "more orders",
        "rolledOutVariant": "treatment",
        "stickyBucketing": False,
        "targetSegments": [PILOT | whole, STAFF | whole],
    }
    assert (result.decision, result.rolled_out_variant, result.enabled) == ("rollout", "treatment", True)


@pytest.mark.parametrize(
    ("percentage", "everyone", "weights", "steps"),
    [
        (50, False, {"control": 1, "treatment": 1}, '"control", rollout_weight=0'),
        (0, True, {"control": 2, "treatment": 0}, '"treatment", rollout_weight=1'),
        (0, False, {"control": 1, "treatment": 1}, None),
        (50, False, {"control": 0, "treatment": 1}, None),
        (50, True, {"treatment": 1}, None),
    ],
)
def test_rolling_out_to_users_without_a_segment(
    percentage: int, everyone: bool, weights: dict[str, float], steps: str | None
) -> None:
    """Their weights are the variants' own: where these would give them another variant, the call says what to do."""
    experiment = Experiment(id="1", key="k", rollout_percentage=percentage, rollout_weights=weights)
    if steps is None:
        result = with_rollout(experiment, "treatment", "why", everyone=everyone)
        assert result.rollout_percentage == (100 if everyone else percentage)
    else:
        with pytest.raises(InvalidInputError, match=steps):
            with_rollout(experiment, "treatment", "why", everyone=everyone)


async def test_roll_back(client: AsyncExperimentClient, emulator: Emulator, experiment: str) -> None:
    """Nobody gets a variant any more."""
    put(emulator, experiment, "experiments", rolloutPercentage=50, rolledOutVariant="treatment")
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


async def test_decisions_that_are_refused(client: AsyncExperimentClient, emulator: Emulator, experiment: str) -> None:
    """A variant that is not there, and segments that cannot be written."""
    with pytest.raises(InvalidInputError, match="control, treatment"):
        await client.experiments.roll_out(experiment, "treatmnt", "why")
    put(emulator, experiment, "experiments", targetSegments=[OF_A_COHORT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.experiments.roll_back(experiment, "why")
    assert "PATCH" not in methods(emulator)


async def test_a_decision_on_an_experiment_without_segments(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Only the other fields are written."""
    id = str(emulator.state.add_experiment()["id"])
    await client.experiments.roll_out(id, "treatment", "why")
    assert "targetSegments" not in emulator.requests[2].body
