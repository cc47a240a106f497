"""Lint: what each rule finds, and what comes near and is not found."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import (
    LINT_RULES,
    Condition,
    Dependencies,
    ExperimentSpec,
    FlagSpec,
    InvalidInputError,
    InvalidManifestError,
    Manifest,
    Segment,
    VariantSpec,
    lint,
    load,
)
from amp_exp_async.lint.conditions import contradiction
from tests.manifests.strategies import manifests

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PAGE = Path(__file__).parents[2] / "docs/lint.md"
OLD = NOW - timedelta(days=31)
ON = VariantSpec(key="on", users=[], cohorts=[])
OFF = VariantSpec(key="off", users=[], cohorts=[])


def found(*toggles: FlagSpec) -> list[str]:
    """The rules that find something in flags."""
    return [finding.rule for finding in lint(Manifest(flags=toggles), now=NOW)]


def where(**fields: Any) -> list[tuple[str, str]]:
    """What is found in one flag: rule and field."""
    state = Manifest(flags=[FlagSpec(key="a", **fields)])
    return [(finding.rule, finding.field.removeprefix("a.")) for finding in lint(state, now=NOW)]


DEPLOYMENT = {"enabled": True, "deployments": []}


@pytest.mark.parametrize(
    ("fields", "is_found"),
    [
        (DEPLOYMENT, True),
        (DEPLOYMENT | {"archived": False}, True),
        (DEPLOYMENT | {"archived": True}, False),
        (DEPLOYMENT | {"enabled": False}, False),
        (DEPLOYMENT | {"deployments": ["web"]}, False),
        ({"enabled": True}, False),
        ({"deployments": []}, False),
    ],
)
def test_enabled_without_deployment(fields: dict[str, Any], *, is_found: bool) -> None:
    """Only where both are declared."""
    assert where(**fields) == ([("enabled-without-deployment", "enabled")] if is_found else [])


def rolled(**weights: float) -> Segment:
    """A segment of everybody."""
    return Segment(name="s", conditions=[Condition("gp:a", "is", ["1"])], percentage=100, rollout_weights=weights)


ROLLED_OUT = {
    "enabled": True,
    "last_modified_at": OLD,
    "rollout_percentage": 100,
    "rollout_weights": {"on": 1},
    "target_segments": [],
    "variants": [ON],
}
ROLLED_BACK = ROLLED_OUT | {"rollout_percentage": 0}
BOTH = {"variants": [ON, OFF], "rollout_weights": {"on": 1, "off": 0}}


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Fields without some."""
    return {name: value for name, value in fields.items() if name not in names}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (ROLLED_OUT, 'all users get "on" and nothing has changed for 31 days: remove the flag from your code, '),
        (ROLLED_OUT | BOTH, 'all users get "on" and nothing'),
        (without(ROLLED_OUT, "variants"), 'all users except those included in other variants get "on" and'),
        (ROLLED_OUT | BOTH | {"variants": [ON, VariantSpec(key="off")]}, "all users except those included in other"),
        (ROLLED_OUT | {"variants": [VariantSpec(key="on", users=["u"])]}, 'all users get "on" and nothing'),
        (ROLLED_OUT | BOTH | {"target_segments": [rolled(on=2, off=0)]}, 'all users get "on" and nothing'),
        (ROLLED_OUT | {"dependencies": Dependencies(flags={})}, 'all users get "on" and nothing'),
        (ROLLED_BACK | {"dependencies": Dependencies(flags={"parent": ["on"]})}, "no user gets a variant and "),
        (ROLLED_BACK, "no user gets a variant and nothing has changed for 31 days: roll it out or archive it"),
        (without(ROLLED_BACK, "variants", "rollout_weights"), "no user except included users gets a variant and "),
    ],
)
def test_a_settled_rollout(fields: dict[str, Any], message: str) -> None:
    """Everybody gets the same, or nobody any, for long; what is not known of inclusions is said."""
    [finding] = lint(Manifest(flags=[FlagSpec(key="a", **fields)]), now=NOW, disable=["unused-variant"])
    assert (finding.rule, finding.field) == ("settled-rollout", "a.rollout_percentage")
    assert finding.message.startswith(message)


@pytest.mark.parametrize(
    "fields",
    [
        ROLLED_OUT | {"enabled": False},
        without(ROLLED_OUT, "enabled"),
        ROLLED_OUT | {"archived": True},
        without(ROLLED_OUT, "last_modified_at"),
        ROLLED_OUT | {"last_modified_at": None},
        ROLLED_OUT | {"last_modified_at": NOW - timedelta(days=30)},
        ROLLED_OUT | {"rollout_percentage": 99.9},
        without(ROLLED_OUT, "rollout_percentage"),
        without(ROLLED_OUT, "target_segments"),
        without(ROLLED_OUT, "rollout_weights"),
        ROLLED_OUT | BOTH | {"rollout_weights": {"on": 1, "off": 1}},
        ROLLED_OUT | BOTH | {"target_segments": [rolled(on=1, off=1)]},
        ROLLED_OUT | BOTH | {"target_segments": [rolled(off=1)]},
        ROLLED_OUT | {"target_segments": [Segment(name="s", percentage=50, rollout_weights={"on": 1})]},
        ROLLED_OUT | {"target_segments": [Segment(name="s", percentage=100)]},
        ROLLED_OUT | BOTH | {"variants": [ON, VariantSpec(key="off", users=["u"])]},
        ROLLED_OUT | {"variants": [OFF]},
        ROLLED_OUT | {"dependencies": Dependencies(flags={"parent": ["on"]})},
        ROLLED_BACK | {"target_segments": [rolled(on=1)]},
        ROLLED_BACK | {"variants": [VariantSpec(key="on", cohorts=["c"])]},
        without(ROLLED_BACK, "target_segments"),
    ],
)
def test_a_rollout_that_is_not_settled(fields: dict[str, Any]) -> None:
    """A running experiment, a segment or inclusion that makes a difference, or a field that is not known."""
    rest = ["unused-variant", "segment-never-matches", "unknown-variant-weight"]
    assert lint(Manifest(flags=[FlagSpec(key="a", **fields)]), now=NOW, disable=rest) == []


def test_the_days_of_a_settled_rollout_are_a_choice() -> None:
    """Without a change for more than so many days."""
    state = Manifest(flags=[FlagSpec(key="a", **ROLLED_OUT)])
    assert [len(lint(state, now=NOW, days=days)) for days in (0, 30.9, 31, 365)] == [1, 1, 0, 0]
    assert len(lint(state)) == 1


@pytest.mark.parametrize(
    ("fields", "fields_found"),
    [
        ({"variants": [ON], "rollout_weights": {"onn": 1}}, ["rollout_weights.onn"]),
        ({"variants": [ON], "rollout_weights": {"on": 1, "off": 0}}, ["rollout_weights.off"]),
        (
            {"variants": [ON], "target_segments": [rolled(on=1), rolled(off=1)]},
            ["target_segments[1].rollout_weights.off"],
        ),
        ({"variants": [], "rollout_weights": {"on": 1}}, ["rollout_weights.on"]),
        ({"variants": [ON], "rollout_weights": {"on": 1}}, []),
        ({"rollout_weights": {"on": 1}}, []),
        ({"variants": [ON], "rollout_weights": {"off": 1}, "archived": True}, []),
    ],
)
def test_unknown_variant_weight(fields: dict[str, Any], fields_found: list[str]) -> None:
    """Where the variants are declared."""
    rest = ["unused-variant", "segment-never-matches"]
    findings = lint(Manifest(flags=[FlagSpec(key="a", **fields)]), now=NOW, disable=rest)
    assert [(one.rule, one.field) for one in findings] == [
        ("unknown-variant-weight", f"a.{field}") for field in fields_found
    ]


def conditions(*given: tuple[str, list[str]], prop: str = "gp:a") -> list[Condition]:
    """Conditions on one property."""
    return [Condition(prop, op, values) for op, values in given]


@pytest.mark.parametrize(
    "given",
    [
        [("is", [])],
        [("contains", [])],
        [("glob match", [])],
        [("less", [])],
        [("version greater than", [])],
        [("is", ["a"]), ("is", ["b", "c"])],
        [("is", ["a"]), ("is not", ["a", "b"])],
        [("is not", ["a"]), ("is", ["a"])],
        [("is", ["a", "b"]), ("is not", ["a"]), ("is not", ["b"])],
        [("is", ["true"]), ("is", ["False"])],
        [("is", ["(none)"]), ("is", ["a"])],
        [("is", ["(none)"]), ("is not", ["(none)"])],
        [("is", ["(none)"]), ("contains", ["none"])],
        [("is", ["abc"]), ("contains", ["d", "e"])],
        [("is", ["abc"]), ("does not contain", ["b"])],
        [("is", ["3", "4"]), ("greater", ["4"])],
        [("contains", ["abc"]), ("does not contain", ["b"])],
        [("less", ["5"]), ("greater", ["5"])],
        [("less or equal", ["5"]), ("greater", ["5.0"])],
        [("less", ["2", "3"]), ("greater or equal", ["4", "5"])],
        [("greater", ["10"]), ("less", ["9"])],
        [("set contains", ["a", "b"]), ("set does not contain", ["b", "a"])],
        [("set is", ["a"]), ("set is not", ["a"])],
        [("set is", ["a"]), ("set is", ["a", "b"])],
        [("glob match", ["a*"]), ("glob does not match", ["a*", "b*"])],
    ],
)
def test_conditions_that_nobody_meets(given: list[tuple[str, list[str]]]) -> None:
    """In either order, and beside others."""
    beside = conditions(("is", ["x"]), prop="gp:b")
    assert contradiction([*beside, *conditions(*given)])
    assert contradiction([*conditions(*reversed(given)), *beside])


@pytest.mark.parametrize(
    "given",
    [
        [],
        [("is not", [])],
        [("set contains", [])],
        [("set is", [])],
        [("another", [])],
        [("is", ["a", "b"]), ("is", ["b", "c"])],
        [("is", ["a", "b"]), ("is not", ["a"])],
        [("is", ["true"]), ("is", ["True"])],
        [("is", ["a"]), ("is not", ["A"])],
        [("is", ["(none)", "a"]), ("is not", ["a"])],
        [("is", ["(none)"]), ("does not contain", ["none"])],
        [("is", ["abc"]), ("contains", ["B"])],
        [("is", ["ABC"]), ("does not contain", ["b"])],
        [("is", ["3", "5"]), ("greater", ["4"])],
        [("is", ["x"]), ("greater", ["4"])],
        [("is", ["a"]), ("glob match", ["b*"])],
        [("is", ["a"]), ("another", ["b"])],
        [("contains", ["a", "b"]), ("does not contain", ["b"])],
        [("contains", ["b"]), ("does not contain", ["abc"])],
        [("contains", ["a"]), ("contains", ["b"])],
        [("less or equal", ["5"]), ("greater or equal", ["5"])],
        [("less", ["2", "6"]), ("greater", ["5"])],
        [("less", ["2"]), ("greater", ["5", "1"])],
        [("less", ["a"]), ("greater", ["b"])],
        [("less", ["5"]), ("less", ["1"])],
        [("set contains", ["a"]), ("set does not contain", ["a", "b"])],
        [("set contains", ["a"]), ("set does not contain", ["b"])],
        [("set contains", ["(none)"]), ("set does not contain", ["(none)"])],
        [("set is", ["a", "b"]), ("set is", ["b", "a"])],
        [("glob match", ["a*"]), ("glob does not match", ["ab*"])],
        [("version less than", ["1.0"]), ("version greater than", ["1.0"])],
    ],
)
def test_conditions_that_somebody_may_meet(given: list[tuple[str, list[str]]]) -> None:
    """Or of which that is not certain."""
    assert contradiction(conditions(*given)) is None


def test_conditions_on_two_properties_or_cohorts_exclude_nothing() -> None:
    """Only what is certain."""
    one, other = conditions(("is", ["a"])), conditions(("is", ["b"]), prop="gp:b")
    assert contradiction([*one, *other]) is None
    cohorts = [Condition("userdata_cohort", "is", [id], type="cohort") for id in ("1", "2")]
    assert contradiction([*cohorts, Condition("gp:a", "is"), Condition(op="is", values=[])]) is None


VALUES = ["a", "b", "ab", "true", "True", "1", "2", "3", "(none)"]
OPS = ["is", "is not", "contains", "does not contain", "less", "less or equal", "greater", "greater or equal"]


def meets(value: str | None, op: str, values: list[str]) -> bool:
    """Whether a property meets a condition, as the service's evaluation has it."""
    if value is None:
        return ("(none)" in values) is not (" not " in f" {op} ")
    folded = [one.lower() if value.lower() == "true" else one for one in values]
    mine = value.lower() if value.lower() == "true" else value
    if op in {"is", "is not"}:
        return (mine in folded) is (op == "is")
    if op in {"contains", "does not contain"}:
        return any(one.lower() in value.lower() for one in values) is (op == "contains")
    if not value.isdigit():
        return False
    order = {"less": (-1,), "less or equal": (-1, 0), "greater": (1,), "greater or equal": (1, 0)}[op]
    return any((int(value) > int(one)) - (int(value) < int(one)) in order for one in values if one.isdigit())


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.sampled_from(OPS), st.lists(st.sampled_from(VALUES), max_size=3, unique=True)),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_called_a_contradiction_is_one(given: list[tuple[str, list[str]]]) -> None:
    """No value of the property meets all the conditions."""
    if contradiction(conditions(*given)):
        universe = [None, *VALUES[:-1], "0", "4", "aab", "x"]
        assert [value for value in universe if all(meets(value, *one) for one in given)] == []


def segment(percentage: Any = 100, on: float = 1, **fields: Any) -> Segment:
    """A segment whose conditions are two."""
    given = {"conditions": conditions(("is", ["x", "y"]), ("is not", ["z"])), "rollout_weights": {"on": on}}
    return Segment(**{"name": "s", "percentage": percentage} | given | fields)


EVERYBODY = segment(conditions=[])
ONE = conditions(("is", ["y", "x"]))


@pytest.mark.parametrize(
    ("segments", "fields_found"),
    [
        ([segment(0)], ["[0].percentage"]),
        ([segment(0.1)], []),
        ([segment(on=0)], ["[0].rollout_weights"]),
        ([segment(rollout_weights={})], []),
        ([segment(conditions=conditions(("is", [])))], ["[0].conditions"]),
        ([EVERYBODY, segment()], ["[1].conditions"]),
        ([EVERYBODY, Segment(name="unknown")], ["[1].conditions"]),
        ([segment(), segment(50)], ["[1].conditions"]),
        ([segment(conditions=ONE), segment()], ["[1].conditions"]),
        ([segment(), segment(conditions=ONE)], []),
        ([segment(), EVERYBODY], []),
        ([segment(99), segment()], []),
        ([segment(), segment(bucketing_key="device_id")], []),
        ([segment(rollout_weights={"gone": 1}), segment()], []),
        ([Segment(name="unknown", percentage=100, rollout_weights={"on": 1}), segment()], []),
        ([segment(conditions=[Condition("gp:a", "is")]), segment(conditions=[Condition("gp:a", "is")])], []),
    ],
)
def test_segment_never_matches(segments: list[Segment], fields_found: list[str]) -> None:
    """By itself, or behind one that takes everybody; the field says why."""
    state = Manifest(flags=[FlagSpec(key="a", variants=[ON], target_segments=segments)])
    findings = lint(state, now=NOW, disable=["unknown-variant-weight"])
    assert [(one.rule, one.field) for one in findings] == [
        ("segment-never-matches", f"a.target_segments{field}") for field in fields_found
    ]


def test_e_mail_addresses_among_inclusions() -> None:
    """One finding for a variant, at the first of them."""
    variants = [VariantSpec(key="on", users=["u1", "a@b.co", "c@d.org"]), VariantSpec(key="off", users=["u@x", "@"])]
    [finding] = lint(Manifest(flags=[FlagSpec(key="a", variants=variants)]))
    assert (finding.rule, finding.field) == ("email-inclusion", "a.variants[0].users[1]")
    assert finding.message.startswith("2 IDs look like e-mail addresses, such as a@b.co. Inclusions match user IDs")


UNUSED = {"variants": [ON, OFF], "rollout_weights": {"on": 1, "off": 0}, "target_segments": []}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (UNUSED, '"off" has no weight, so no user gets it; set a weight or remove the variant'),
        (
            UNUSED | {"rollout_weights": {"on": 1}},
            '"off" has no declared weight: if it is 0, no user gets it; ',
        ),
        (UNUSED | {"variants": [ON, VariantSpec(key="off")]}, '"off" has no weight, so only included users'),
        (UNUSED | {"variants": [ON, VariantSpec(key="off", users=[])]}, '"off" has no weight, so only included users'),
        (UNUSED | {"target_segments": [rolled(on=1, off=0)]}, '"off" has no weight, so no user gets it; '),
    ],
)
def test_a_variant_that_is_not_used(fields: dict[str, Any], message: str) -> None:
    """What is not known of inclusions and weights is said."""
    [finding] = lint(Manifest(flags=[FlagSpec(key="a", **fields)]))
    assert (finding.rule, finding.field) == ("unused-variant", "a.variants[1].key")
    assert finding.message.startswith(message)


@pytest.mark.parametrize(
    "toggle",
    [
        FlagSpec(key="a", **UNUSED | {"target_segments": [rolled(off=1)]}),
        FlagSpec(key="a", **UNUSED | {"target_segments": [Segment(name="s")]}),
        FlagSpec(key="a", **UNUSED | {"rollout_weights": {"on": 1, "off": 0.5}}),
        FlagSpec(key="a", **UNUSED | {"variants": [ON, VariantSpec(key="off", users=["u"])]}),
        FlagSpec(key="a", **UNUSED | {"variants": [ON, VariantSpec(key="off", cohorts=["c"])]}),
        FlagSpec(key="a", **without(UNUSED, "rollout_weights")),
        FlagSpec(key="a", **without(UNUSED, "target_segments")),
        FlagSpec(key="a", **without(UNUSED, "variants")),
        FlagSpec(key="a", **UNUSED, archived=True),
        ExperimentSpec(key="a", **UNUSED, rolled_out_variant="off"),
    ],
)
def test_a_variant_that_may_be_used(toggle: Any) -> None:
    """By weight or inclusion, or as far as is known."""
    kind = "experiments" if isinstance(toggle, ExperimentSpec) else "flags"
    assert lint(Manifest(**{kind: [toggle]})) == []


@pytest.mark.parametrize(
    ("tag", "is_found"),
    [
        ("remove-by-2026-06-30", True),
        ("remove after 2026-06-30", True),
        ("2026-01-01", True),
        ("until-2026-Q2", True),
        ("until_2025-q4", True),
        ("q1-2026", True),
        ("cleanup_Q2-2026", True),
        ("2026-01-01-to-2026-06-30", True),
        ("remove-by-2026-07-01", False),
        ("until-2026-Q3", False),
        ("2026-01-01-to-2026-12-31", False),
        ("created-2024-01-01", False),
        ("Since_2024-01-01", False),
        ("2024", False),
        ("2024-01", False),
        ("2026-02-30", False),
        ("2024-Q5", False),
        ("0000-Q1", False),
        ("q3-2026", False),
        ("faq1-2024", False),
        ("since-q1-2024", False),
        ("12024-01-01", False),
        ("2024-01-011", False),
        ("checkout", False),
        ("9999-Q4", False),
    ],
)
def test_tags_with_a_date(tag: str, *, is_found: bool) -> None:
    """That has passed; the day itself, in UTC, has not."""
    assert where(tags=["x", tag]) == ([("stale-tag", "tags[1]")] if is_found else [])
    assert where(tags=["x", tag], archived=True)[1:] in ([], [("stale-tag", "tags[1]")])


def archived(tag: str, **fields: Any) -> FlagSpec:
    """An archived flag with a tag."""
    return FlagSpec(**{"key": "old", "archived": True, "tags": [tag]} | fields)


@pytest.mark.parametrize(
    ("toggles", "is_found"),
    [
        ([archived("x")], True),
        ([archived("x"), archived("x", key="other")], True),
        ([archived("x"), FlagSpec(key="a", tags=["y"])], True),
        ([archived("x", project_id="1"), FlagSpec(key="a", project_id="2", tags=["x"])], True),
        ([archived("x", project_id="1"), FlagSpec(key="a", project_id="2")], True),
        ([archived("x"), FlagSpec(key="a", tags=["x"])], False),
        ([archived("x"), FlagSpec(key="a")], False),
        ([archived("x", project_id="1"), FlagSpec(key="a", project_id="1")], False),
        ([archived("x", project_id="1"), FlagSpec(key="a", tags=["x"])], False),
        ([archived("x"), FlagSpec(key="a", project_id="1", tags=["x"])], False),
        ([FlagSpec(key="a", tags=["x"])], False),
    ],
)
def test_tags_of_archived_flags_only(toggles: list[FlagSpec], *, is_found: bool) -> None:
    """Once for each tag of a project."""
    assert found(*toggles) == (["stale-tag"] if is_found else [])


def test_a_date_on_an_archived_flag_has_done_its_work() -> None:
    """It is a tag like any other then."""
    assert found(archived("remove-by-2020-01-01"), FlagSpec(key="a", tags=["remove-by-2020-01-01"])) == ["stale-tag"]


FILE = """\
project_id: "1"
flags:
  - key: a
    enabled: true
    deployments: []
    variants:
      - key: "on"
        users:
          - u1
          - ada@example.com
experiments:
  - key: b
    enabled: true
    deployments: []
"""


def test_findings_have_file_line_and_field(tmp_path: Path) -> None:
    """In the order of lines, as text and as JSON."""
    path = tmp_path / "flags.yaml"
    path.write_text(FILE)
    findings = lint(load(path))
    assert [(finding.line, finding.field, finding.kind, finding.key) for finding in findings] == [
        (4, "flags[0].enabled", "flags", "a"),
        (10, "flags[0].variants[0].users[1]", "flags", "a"),
        (13, "experiments[0].enabled", "experiments", "b"),
    ]
    why = "is true without a deployment, so no application receives it: assign a deployment or disable it"
    assert str(findings[0]) == f"{path}:4: flags[0].enabled: {why} (enabled-without-deployment)"
    assert json.loads(json.dumps(findings[0].as_json())) == {
        "rule": "enabled-without-deployment",
        "kind": "flags",
        "key": "a",
        "project_id": "1",
        "file": str(path),
        "line": 4,
        "field": "flags[0].enabled",
        "message": why,
    }


def test_mappings_will_do_in_a_state_of_code() -> None:
    """As in a plan."""
    segments: Any = [{"name": "s", "conditions": [{"prop": "gp:a", "op": "is", "values": []}], "percentage": 5}]
    assert where(target_segments=segments) == [("segment-never-matches", "target_segments[0].conditions")]


def test_a_rule_can_be_switched_off() -> None:
    """An unknown name is refused, with the one that is meant."""
    state = Manifest(flags=[FlagSpec(key="a", **DEPLOYMENT, tags=["by-2020-01-01"])])
    assert [one.rule for one in lint(state, disable=["stale-tag"])] == ["enabled-without-deployment"]
    with pytest.raises(InvalidInputError, match='unknown rule; did you mean "stale-tag"'):
        lint(state, disable=["stale-tags"])
    with pytest.raises(InvalidInputError, match="disable: must be a list"):
        lint(state, disable="stale-tag")


@pytest.mark.parametrize("wrong", [{"days": -1}, {"days": "30"}, {"now": datetime(2026, 1, 1)}, {"now": "today"}])  # noqa: DTZ001
def test_arguments_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """Before anything is looked at."""
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        lint(Manifest(), **wrong)


def test_what_is_no_state_is_refused() -> None:
    """And so is a value that cannot be."""
    path: Any = "flags.yaml"
    with pytest.raises(InvalidInputError, match="must be a Manifest"):
        lint(path)
    with pytest.raises(InvalidManifestError, match=r"flags\[0\]\.rollout_percentage"):
        lint(Manifest(flags=[FlagSpec(key="a", rollout_percentage=101)]))


@given(state=manifests(), off=st.sets(st.sampled_from(sorted(LINT_RULES))))
def test_rules_do_not_depend_on_each_other(state: Manifest, off: set[str]) -> None:
    """Switching some off leaves what the others find."""
    findings = lint(state, now=NOW)
    assert lint(state, now=NOW, disable=off) == [finding for finding in findings if finding.rule not in off]


def test_the_page_has_every_rule() -> None:
    """With what `LINT_RULES` says of it."""
    page = PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `([a-z-]+)`\n\n(.*?)\n", page, re.MULTILINE))
    assert sections == dict(LINT_RULES)
