"""What differs between two states."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import (
    UNSET,
    Condition,
    ExperimentSpec,
    ExposureEvent,
    ExposureFilter,
    FlagSpec,
    InvalidInputError,
    InvalidManifestError,
    Manifest,
    Segment,
    VariantSpec,
    diff,
)
from tests.manifests.strategies import flag_specs, manifests, segments

CONDITION = Condition("gp:a", "is", ["1"])
SEGMENT = Segment(name="s", conditions=[CONDITION], percentage=5, rollout_weights={"on": 1})
FULL = FlagSpec(
    key="a",
    project_id="1",
    name="A",
    enabled=True,
    tags=["x", "y"],
    deployments=["ios", "web"],
    variants=[
        VariantSpec(key="on", name="On", payload={"a": 1}, users=["u1", "u2"], cohorts=["c1"]),
        VariantSpec(key="off"),
    ],
    rollout_percentage=5,
    rollout_weights={"on": 1, "off": 2},
    target_segments=[SEGMENT],
)


def fields(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """What differs between two flags, by field."""
    found = diff(Manifest(flags=[before]), Manifest(flags=[after]))
    return {name: (one.before, one.after) for change in found.changes for name, one in change.fields.items()}


def with_variant(**changes: Any) -> dict[str, Any]:
    """The flag's variants, the first of them changed."""
    on, off = FULL.variants or ()
    return {"variants": [attrs.evolve(on, **changes), off]}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"name": "B"}, "name"),
        ({"name": None}, "name"),
        ({"enabled": False}, "enabled"),
        ({"tags": ["x"]}, "tags"),
        ({"deployments": ["web"]}, "deployments"),
        ({"rollout_percentage": 6}, "rollout_percentage"),
        ({"rollout_weights": {"on": 1, "off": 3}}, "rollout_weights.off"),
        (with_variant(name="Off"), "variants.on.name"),
        (with_variant(payload={"a": True}), "variants.on.payload"),
        (with_variant(payload={"a": 1, "b": 1}), "variants.on.payload"),
        (with_variant(users=["u1"]), "variants.on.users"),
        (with_variant(cohorts=[]), "variants.on.cohorts"),
        ({"target_segments": []}, "target_segments"),
        ({"target_segments": [attrs.evolve(SEGMENT, percentage=6)]}, "target_segments"),
        ({"target_segments": [attrs.evolve(SEGMENT, rollout_weights={"on": 1, "off": 1})]}, "target_segments"),
        ({"target_segments": [attrs.evolve(SEGMENT, conditions=[])]}, "target_segments"),
        (
            {"target_segments": [attrs.evolve(SEGMENT, conditions=[attrs.evolve(CONDITION, type="cohort")])]},
            "target_segments",
        ),
        ({"archived": True}, "archived"),
    ],
)
def test_one_changed_field_is_named(changes: dict[str, Any], name: str) -> None:
    """By the plan's names, and no other."""
    after = attrs.evolve(FULL, **changes)
    assert list(fields(FULL, after)) == [name]
    was, now = fields(FULL, after)[name]
    assert fields(after, FULL) == {name: (now, was)}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": UNSET},
        {"variants": UNSET},
        {"variants": [VariantSpec(key="off"), VariantSpec(key="on")]},
        {"tags": ["y", "x", "y"]},
        {"deployments": ["web", "ios"]},
        with_variant(users=["u2", "u1"]),
        {"rollout_weights": {"on": 1.0}},
        {"rollout_weights": {}},
        {"target_segments": [Segment(name="s", conditions=[Condition(op="is")])]},
        {"id": "7", "created_by": "u", "last_modified_at": "2026-01-01T00:00:00.000Z"},
        {"project_id": "2"},
        {"archived": False},
    ],
)
def test_what_does_not_count(changes: dict[str, Any]) -> None:
    """What is left out, order, and what the service makes."""
    assert fields(FULL, attrs.evolve(FULL, **changes)) == {}


def test_experiments_have_fields_of_their_own() -> None:
    """A bare date is the moment when its day begins; an exposure event may leave fields out."""
    event = ExposureEvent("e", [ExposureFilter(subprop_key="k", subprop_op="is")])
    before = ExperimentSpec(key="a", start_date="2026-01-01", end_date="2026-02-01", exposure_event=event)
    after = ExperimentSpec(
        key="a",
        start_date="2026-01-01T00:00:00.000Z",
        end_date="2026-02-02",
        exposure_event=ExposureEvent("e", [ExposureFilter(subprop_key="k")]),
    )
    [change] = diff(Manifest(experiments=[before]), Manifest(experiments=[after])).changes
    assert list(change.fields) == ["end_date"]
    [change] = diff(
        Manifest(experiments=[before]), Manifest(experiments=[attrs.evolve(before, exposure_event=None)])
    ).changes
    assert change.fields["exposure_event"].after is None


@pytest.mark.parametrize(
    ("before", "after", "actions"),
    [
        ([("1", "a")], [("1", "b")], ["remove a 1", "create b 1"]),
        ([("1", "a")], [("2", "a")], []),
        ([("1", "a"), ("2", "a")], [("1", "a")], ["remove a 2"]),
        ([("1", "a"), ("2", "a")], [("3", "a")], ["remove a 1", "remove a 2", "create a 3"]),
        ([("1", "a"), ("2", "b")], [("1", "b"), ("2", "a")], ["remove a 1", "create b 1", "create a 2", "remove b 2"]),
        ([("1", "a"), ("2", "b")], [("3", "b"), ("3", "a")], []),
        ([("1", "a"), ("2", "b")], [("1", "a"), ("2", "c"), (UNSET, "b")], ["create c 2"]),
        ([(UNSET, "a")], [], ["remove a "]),
    ],
)
def test_flags_are_matched_by_key(before: list[Any], after: list[Any], actions: list[str]) -> None:
    """And by project where both states are of several."""
    sides = [
        Manifest(flags=[FlagSpec(key=key, project_id=project) for project, key in side]) for side in (before, after)
    ]
    found = diff(*sides)
    assert [f"{change.action} {change.key} {change.project_id}" for change in found.changes] == actions


def test_a_kind_that_one_side_leaves_out_is_not_compared() -> None:
    """It says nothing of it."""
    flags, experiments = [FlagSpec(key="a")], [ExperimentSpec(key="a")]
    assert not diff(Manifest(flags=flags), Manifest(experiments=experiments))
    assert diff(Manifest(flags=flags), Manifest(flags=[], experiments=experiments)).changes[0].action == "remove"


def test_what_is_on_one_side_only_is_told_in_full() -> None:
    """Field by field, as a plan tells of what it creates."""
    there, nothing = Manifest(flags=[attrs.evolve(FULL, archived=True, id="7")]), Manifest(flags=[])
    [created], [removed] = diff(nothing, there).changes, diff(there, nothing).changes
    assert (created.action, created.id, removed.action, removed.id) == ("create", "7", "remove", "7")
    assert {name: (one.after, one.before) for name, one in created.fields.items()} == {
        name: (one.before, one.after) for name, one in removed.fields.items()
    }
    assert list(created.fields) == [
        "name",
        "enabled",
        "tags",
        "deployments",
        "variants.on",
        "variants.on.users",
        "variants.on.cohorts",
        "variants.off",
        "rollout_percentage",
        "rollout_weights.on",
        "rollout_weights.off",
        "target_segments",
        "archived",
    ]
    assert created.fields["variants.on"].after == {"key": "on", "name": "On", "payload": {"a": 1}}


@pytest.mark.parametrize(("was", "now", "action"), [(UNSET, True, "archive"), (True, UNSET, "restore")])
def test_the_archive(was: Any, now: Any, action: str) -> None:
    """One without `archived` is to be there."""
    sides = [Manifest(flags=[FlagSpec(key="a", archived=archived)]) for archived in (was, now)]
    assert [change.action for change in diff(*sides).changes] == [action]


def test_a_diff_is_text_markdown_and_json() -> None:
    """As a plan is."""
    found = diff(
        Manifest(flags=[FlagSpec(key="a", enabled=False), FlagSpec(key="b", project_id="1")]),
        Manifest(flags=[FlagSpec(key="a", enabled=True), FlagSpec(key="c", name="C")]),
    )
    assert str(found).splitlines() == [
        "~ edit flags/a",
        "  - enabled: false",
        "  + enabled: true",
        "+ create flags/c",
        '  + name: "C"',
        "- remove flags/b in project 1",
        "1 to create, 1 to edit, 1 to remove",
    ]
    assert found.to_markdown().splitlines()[:3] == [
        "### Flags: 1 to create, 1 to edit, 1 to remove",
        "",
        "**edit** `flags/a`",
    ]
    [change, *_] = json.loads(found.to_json())["changes"]
    assert (change["action"], change["fields"]) == ("edit", {"enabled": {"before": False, "after": True}})


def test_no_difference_is_falsy() -> None:
    """And says so."""
    found = diff(Manifest(), Manifest())
    assert (bool(found), found.changes, str(found)) == (False, (), "no changes")


def test_what_is_no_state_is_refused() -> None:
    """By the argument's name."""
    path: Any = "flags.yaml"
    with pytest.raises(InvalidInputError, match="after: must be a Manifest"):
        diff(Manifest(), path)
    with pytest.raises(InvalidManifestError, match=r"flags\[0\]\.key"):
        diff(Manifest(flags=[FlagSpec(key="a b")]), Manifest())


@given(state=manifests(with_dependencies=True))
def test_nothing_differs_from_itself(state: Manifest) -> None:
    """Whatever it declares, in any order."""
    assert not diff(state, state)
    turned = {kind: state.of(kind)[::-1] for kind in ("flags", "experiments") if getattr(state, kind) is not UNSET}
    assert not diff(state, Manifest(**turned))


@given(before=manifests(with_dependencies=True), after=manifests(with_dependencies=True))
def test_a_difference_is_one_from_both_sides(before: Manifest, after: Manifest) -> None:
    """Turned round, each change is the other way."""
    there, back = diff(before, after), diff(after, before)
    other = {"create": "remove", "remove": "create", "edit": "edit", "archive": "restore", "restore": "archive"}
    turned = {(change.kind, change.key, other[change.action], tuple(sorted(change.fields))) for change in there.changes}
    assert turned == {(change.kind, change.key, change.action, tuple(sorted(change.fields))) for change in back.changes}


SIMPLE = {
    "name": st.text(max_size=3),
    "enabled": st.booleans(),
    "rollout_percentage": st.integers(0, 100),
    "tags": st.frozensets(st.sampled_from("abc")),
    "target_segments": st.lists(segments(["on"]), max_size=2),
}


@given(
    state=manifests(with_dependencies=True),
    flag=flag_specs(FlagSpec, "the-one", "1", with_dependencies=True),
    data=st.data(),
)
def test_exactly_the_field_that_is_changed_is_named(state: Manifest, flag: FlagSpec, data: st.DataObject) -> None:
    """Of exactly the flag that has it."""
    name = data.draw(st.sampled_from(sorted(SIMPLE)))
    was, now = data.draw(st.tuples(SIMPLE[name], SIMPLE[name]).filter(lambda pair: pair[0] != pair[1]))
    sides = [
        attrs.evolve(state, flags=[*state.of("flags"), attrs.evolve(flag, **{name: value})]) for value in (was, now)
    ]
    [change] = diff(*sides).changes
    assert (change.key, change.project_id, change.action) == (flag.key, flag.project_id, "edit")
    assert list(change.fields) == [name]


@pytest.mark.parametrize("length", [1, 100])
def test_what_does_not_show_is_escaped(length: int) -> None:
    """What a terminal would obey, or a line would end in, stands there as its number."""
    name = "\x9b31m\u2028 \xa0" * length
    state = Manifest(flags=[FlagSpec(key="a", name=name)])
    text = str(diff(Manifest(flags=[FlagSpec(key="a", name="b")]), state))
    assert "\\u009b31m\\u2028 \\u00a0" in text
    assert all(line.isprintable() for line in text.split("\n"))
