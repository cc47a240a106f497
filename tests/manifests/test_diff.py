"""Differences between two manifests."""

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

KINDS = ("flags", "experiments")
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
    """Return the differences between two flags by field."""
    result = diff(Manifest(flags=[before]), Manifest(flags=[after]))
    return {name: (field.before, field.after) for change in result.changes for name, field in change.fields.items()}


def with_variant(**changes: Any) -> dict[str, Any]:
    """Return the variants of the flag, with changes in the first."""
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
def test_changed_field_is_named(changes: dict[str, Any], name: str) -> None:
    """No other field is named, and the names are those of plans."""
    after = attrs.evolve(FULL, **changes)
    assert list(fields(FULL, after)) == [name]
    old, new = fields(FULL, after)[name]
    assert fields(after, FULL) == {name: (new, old)}


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
def test_ignored_differences(changes: dict[str, Any]) -> None:
    """Missing fields, the order of sets, and server fields do not differ."""
    assert fields(FULL, attrs.evolve(FULL, **changes)) == {}


def test_fields_of_experiments() -> None:
    """A date equals its midnight; an exposure event may leave fields out."""
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
    """They are also matched by project if both manifests name several projects."""
    sides = [
        Manifest(flags=[FlagSpec(key=key, project_id=project) for project, key in side]) for side in (before, after)
    ]
    result = diff(*sides)
    assert [f"{change.action} {change.key} {change.project_id}" for change in result.changes] == actions


def test_missing_kind_is_not_compared() -> None:
    """An empty list is compared."""
    flags, experiments = [FlagSpec(key="a")], [ExperimentSpec(key="a")]
    assert not diff(Manifest(flags=flags), Manifest(experiments=experiments))
    assert diff(Manifest(flags=flags), Manifest(flags=[], experiments=experiments)).changes[0].action == "remove"


def test_flag_in_only_one_manifest_is_shown_in_full() -> None:
    """Its fields are those of a creation in a plan."""
    full, empty = Manifest(flags=[attrs.evolve(FULL, archived=True, id="7")]), Manifest(flags=[])
    [created], [removed] = diff(empty, full).changes, diff(full, empty).changes
    assert (created.action, created.id, removed.action, removed.id) == ("create", "7", "remove", "7")
    assert {name: (field.after, field.before) for name, field in created.fields.items()} == {
        name: (field.before, field.after) for name, field in removed.fields.items()
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


@pytest.mark.parametrize(("old", "new", "action"), [(UNSET, True, "archive"), (True, UNSET, "restore")])
def test_archived_by_default_is_false(old: Any, new: Any, action: str) -> None:
    """A flag without `archived` is not archived."""
    sides = [Manifest(flags=[FlagSpec(key="a", archived=archived)]) for archived in (old, new)]
    assert [change.action for change in diff(*sides).changes] == [action]


def test_text_markdown_and_json() -> None:
    """They are as those of a plan."""
    result = diff(
        Manifest(flags=[FlagSpec(key="a", enabled=False), FlagSpec(key="b", project_id="1")]),
        Manifest(flags=[FlagSpec(key="a", enabled=True), FlagSpec(key="c", name="C")]),
    )
    assert str(result).splitlines() == [
        "~ edit flags/a",
        "  - enabled: false",
        "  + enabled: true",
        "+ create flags/c",
        '  + name: "C"',
        "- remove flags/b in project 1",
        "1 to create, 1 to edit, 1 to remove",
    ]
    assert result.to_markdown().splitlines()[:4] == [
        "<!-- amp-exp diff -->",
        "### Flags: 1 to create, 1 to edit, 1 to remove",
        "",
        "**edit** `flags/a`",
    ]
    [change, *_] = json.loads(result.to_json())["changes"]
    assert (change["action"], change["fields"]) == ("edit", {"enabled": {"before": False, "after": True}})


def test_empty_diff_is_falsy() -> None:
    """Its text says that there are no changes."""
    result = diff(Manifest(), Manifest())
    assert (bool(result), result.changes, str(result)) == (False, (), "no changes")


def test_invalid_manifest_is_rejected() -> None:
    """The message names the argument."""
    path: Any = "flags.yaml"
    with pytest.raises(InvalidInputError, match="after: must be a Manifest"):
        diff(Manifest(), path)
    with pytest.raises(InvalidManifestError, match=r"flags\[0\]\.key"):
        diff(Manifest(flags=[FlagSpec(key="")]), Manifest())


@given(manifest=manifests(with_dependencies=True))
def test_manifest_does_not_differ_from_itself(manifest: Manifest) -> None:
    """The order of flags does not matter."""
    assert not diff(manifest, manifest)
    reversed_specs = {kind: manifest.of(kind)[::-1] for kind in KINDS if getattr(manifest, kind) is not UNSET}
    assert not diff(manifest, Manifest(**reversed_specs))


@given(before=manifests(with_dependencies=True), after=manifests(with_dependencies=True))
def test_diff_is_symmetric(before: Manifest, after: Manifest) -> None:
    """Each change is reversed in the reversed diff."""
    forward, backward = diff(before, after), diff(after, before)
    opposite = {"create": "remove", "remove": "create", "edit": "edit", "archive": "restore", "restore": "archive"}
    assert {
        (change.kind, change.key, opposite[change.action], tuple(sorted(change.fields))) for change in forward.changes
    } == {(change.kind, change.key, change.action, tuple(sorted(change.fields))) for change in backward.changes}


FIELD_STRATEGIES = {
    "name": st.text(max_size=3),
    "enabled": st.booleans(),
    "rollout_percentage": st.integers(0, 100),
    "tags": st.frozensets(st.sampled_from("abc")),
    "target_segments": st.lists(segments(["on"]), max_size=2),
}


@given(
    manifest=manifests(with_dependencies=True),
    flag=flag_specs(FlagSpec, "the-key", "1", with_dependencies=True),
    data=st.data(),
)
def test_only_the_changed_field_is_named(manifest: Manifest, flag: FlagSpec, data: st.DataObject) -> None:
    """No other flag is named."""
    name = data.draw(st.sampled_from(sorted(FIELD_STRATEGIES)))
    old, new = data.draw(
        st.tuples(FIELD_STRATEGIES[name], FIELD_STRATEGIES[name]).filter(lambda pair: pair[0] != pair[1])
    )
    sides = [
        attrs.evolve(manifest, flags=[*manifest.of("flags"), attrs.evolve(flag, **{name: value})])
        for value in (old, new)
    ]
    [change] = diff(*sides).changes
    assert (change.key, change.project_id, change.action) == (flag.key, flag.project_id, "edit")
    assert list(change.fields) == [name]


@pytest.mark.parametrize("length", [1, 100])
def test_unprintable_characters_are_escaped(length: int) -> None:
    """A terminal does not execute them, and they do not end a line."""
    name = "\x9b31m\u2028 \xa0" * length
    manifest = Manifest(flags=[FlagSpec(key="a", name=name)])
    text = str(diff(Manifest(flags=[FlagSpec(key="a", name="b")]), manifest))
    assert "\\u009b31m\\u2028 \\u00a0" in text
    assert all(line.isprintable() for line in text.split("\n"))
