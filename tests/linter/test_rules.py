"""Lint: the findings of each rule, and similar cases without a finding."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
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
    find_emails,
    lint,
    load,
)
from tests.linter.test_conditions import conditions
from tests.manifests.strategies import manifests

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PAGE = Path(__file__).parents[2] / "docs/lint.md"
LONG_AGO = NOW - timedelta(days=31)
ON = VariantSpec(key="on", users=[], cohorts=[])
OFF = VariantSpec(key="off", users=[], cohorts=[])
NAMED_OFF = VariantSpec(key="off", name="Control group", users=[], cohorts=[])


def rules_of(*specs: FlagSpec) -> list[str]:
    """Return the rules that find something in flags."""
    return [finding.rule for finding in lint(Manifest(flags=specs), now=NOW)]


def findings_of(**fields: Any) -> list[tuple[str, str]]:
    """Return the rule and the field of each finding in one flag."""
    manifest = Manifest(flags=[FlagSpec(key="a", **fields)])
    return [(finding.rule, finding.field.removeprefix("a.")) for finding in lint(manifest, now=NOW)]


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
    """Both fields must be declared."""
    assert findings_of(**fields) == ([("enabled-without-deployment", "enabled")] if is_found else [])


def weighted_segment(**weights: float) -> Segment:
    """Return a segment at 100 percent, with some weights."""
    return Segment(name="s", conditions=[Condition("gp:a", "is", ["1"])], percentage=100, rollout_weights=weights)


ROLLED_OUT = {
    "enabled": True,
    "last_modified_at": LONG_AGO,
    "rollout_percentage": 100,
    "rollout_weights": {"on": 1},
    "target_segments": [],
    "variants": [ON],
}
ROLLED_BACK = ROLLED_OUT | {"rollout_percentage": 0}
BOTH = {"variants": [ON, OFF], "rollout_weights": {"on": 1, "off": 0}}


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return fields without some."""
    return {name: value for name, value in fields.items() if name not in names}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (ROLLED_OUT, 'all users get "on" and nothing has changed for 31 days: remove the flag from your code, '),
        (ROLLED_OUT | BOTH, 'all users get "on" and nothing'),
        (without(ROLLED_OUT, "variants"), 'all users except those included in other variants get "on" and'),
        (ROLLED_OUT | BOTH | {"variants": [ON, VariantSpec(key="off")]}, "all users except those included in other"),
        (ROLLED_OUT | {"variants": [VariantSpec(key="on", users=["u"])]}, 'all users get "on" and nothing'),
        (ROLLED_OUT | BOTH | {"target_segments": [weighted_segment(on=2, off=0)]}, 'all users get "on" and nothing'),
        (ROLLED_OUT | {"dependencies": Dependencies(flags={})}, 'all users get "on" and nothing'),
        (ROLLED_BACK | {"dependencies": Dependencies(flags={"parent": ["on"]})}, "no user gets a variant and "),
        (ROLLED_BACK, "no user gets a variant and nothing has changed for 31 days: roll it out or archive it"),
        (without(ROLLED_BACK, "variants", "rollout_weights"), "no user except included users gets a variant and "),
    ],
)
def test_settled_rollout(fields: dict[str, Any], message: str) -> None:
    """All users get the same variant, or none, for long. The message says if inclusions are unknown."""
    [finding] = lint(Manifest(flags=[FlagSpec(key="a", **fields)]), now=NOW, disable=["unused-variant"])
    assert (finding.rule, finding.field) == ("settled-rollout", "a.rollout_percentage")
    assert finding.message.startswith(message)


@pytest.mark.parametrize(
    "fields",
    [
        without(ROLLED_OUT, "enabled"),
        ROLLED_OUT | {"enabled": False, "archived": True},
        {"enabled": False},
        {"enabled": False, "last_modified_at": NOW - timedelta(days=30)},
        ROLLED_OUT | {"archived": True},
        without(ROLLED_OUT, "last_modified_at"),
        ROLLED_OUT | {"last_modified_at": None},
        ROLLED_OUT | {"last_modified_at": NOW - timedelta(days=30)},
        ROLLED_OUT | {"rollout_percentage": 99.9},
        without(ROLLED_OUT, "rollout_percentage"),
        without(ROLLED_OUT, "target_segments"),
        without(ROLLED_OUT, "rollout_weights"),
        ROLLED_OUT | BOTH | {"rollout_weights": {"on": 1, "off": 1}},
        ROLLED_OUT | BOTH | {"target_segments": [weighted_segment(on=1, off=1)]},
        ROLLED_OUT | BOTH | {"target_segments": [weighted_segment(off=1)]},
        ROLLED_OUT | {"target_segments": [Segment(name="s", percentage=50, rollout_weights={"on": 1})]},
        ROLLED_OUT | {"target_segments": [Segment(name="s", percentage=100)]},
        ROLLED_OUT | BOTH | {"variants": [ON, VariantSpec(key="off", users=["u"])]},
        ROLLED_OUT | {"variants": [OFF]},
        ROLLED_OUT | {"dependencies": Dependencies(flags={"parent": ["on"]})},
        ROLLED_BACK | {"target_segments": [weighted_segment(on=1)]},
        ROLLED_BACK | {"variants": [VariantSpec(key="on", cohorts=["c"])]},
        without(ROLLED_BACK, "target_segments"),
    ],
)
def test_rollout_that_is_not_settled(fields: dict[str, Any]) -> None:
    """Users may get different variants, or a field is unknown."""
    others = ["unused-variant", "segment-never-matches", "unknown-variant-weight"]
    assert lint(Manifest(flags=[FlagSpec(key="a", **fields)]), now=NOW, disable=others) == []


@pytest.mark.parametrize("fields", [{}, {"rollout_percentage": 50, "deployments": []}])
def test_disabled_flag_is_settled(fields: dict[str, Any]) -> None:
    """It is stale after the same time, whatever its rollout."""
    disabled = {"enabled": False, "last_modified_at": LONG_AGO}
    [finding] = lint(Manifest(flags=[FlagSpec(key="a", **disabled, **fields)]), now=NOW)
    assert (finding.rule, finding.field) == ("settled-rollout", "a.enabled")
    assert "nothing has changed for 31 days" in finding.message
    assert len(lint(Manifest(experiments=[ExperimentSpec(key="a", **disabled)]), now=NOW)) == 1


def test_days_of_a_settled_rollout() -> None:
    """The flag must be unchanged for more than the days."""
    manifest = Manifest(flags=[FlagSpec(key="a", **ROLLED_OUT)])
    assert [len(lint(manifest, now=NOW, days=days)) for days in (0, 30.9, 31, 365)] == [1, 1, 0, 0]
    assert len(lint(manifest)) == 1


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"variants": [ON], "rollout_weights": {"onn": 1}}, ["rollout_weights.onn"]),
        ({"variants": [ON], "rollout_weights": {"on": 1, "off": 0}}, ["rollout_weights.off"]),
        (
            {"variants": [ON], "target_segments": [weighted_segment(on=1), weighted_segment(off=1)]},
            ["target_segments[1].rollout_weights.off"],
        ),
        ({"variants": [], "rollout_weights": {"on": 1}}, ["rollout_weights.on"]),
        ({"variants": [ON], "rollout_weights": {"on": 1}}, []),
        ({"rollout_weights": {"on": 1}}, []),
        ({"variants": [ON], "rollout_weights": {"off": 1}, "archived": True}, []),
    ],
)
def test_unknown_variant_weight(fields: dict[str, Any], paths: list[str]) -> None:
    """The variants must be declared."""
    others = ["unused-variant", "segment-never-matches"]
    findings = lint(Manifest(flags=[FlagSpec(key="a", **fields)]), now=NOW, disable=others)
    assert [(finding.rule, finding.field) for finding in findings] == [
        ("unknown-variant-weight", f"a.{field}") for field in paths
    ]


def segment(percentage: Any = 100, on: float = 1, **fields: Any) -> Segment:
    """Return a segment with two conditions."""
    defaults = {"conditions": conditions(("is", ["x", "y"]), ("is not", ["z"])), "rollout_weights": {"on": on}}
    return Segment(**{"name": "s", "percentage": percentage} | defaults | fields)


ALL_USERS = segment(conditions=[])
ONE_CONDITION = conditions(("is", ["y", "x"]))


@pytest.mark.parametrize(
    ("segments", "paths"),
    [
        ([segment(0)], ["[0].percentage"]),
        ([segment(0.1)], []),
        ([segment(on=0)], ["[0].rollout_weights"]),
        ([segment(rollout_weights={})], []),
        ([segment(conditions=conditions(("is", [])))], ["[0].conditions"]),
        ([ALL_USERS, segment()], ["[1].conditions"]),
        ([ALL_USERS, Segment(name="unknown")], ["[1].conditions"]),
        ([segment(), segment(50)], ["[1].conditions"]),
        ([segment(conditions=ONE_CONDITION), segment()], ["[1].conditions"]),
        ([segment(), segment(conditions=ONE_CONDITION)], []),
        ([segment(), ALL_USERS], []),
        ([segment(99), segment()], []),
        ([segment(), segment(bucketing_key="device_id")], []),
        ([segment(rollout_weights={"gone": 1}), segment()], []),
        ([Segment(name="unknown", percentage=100, rollout_weights={"on": 1}), segment()], []),
        ([segment(conditions=[Condition("gp:a", "is")]), segment(conditions=[Condition("gp:a", "is")])], []),
    ],
)
def test_segment_never_matches(segments: list[Segment], paths: list[str]) -> None:
    """The field of the finding shows the reason."""
    manifest = Manifest(flags=[FlagSpec(key="a", variants=[ON], target_segments=segments)])
    findings = lint(manifest, now=NOW, disable=["unknown-variant-weight", "condition-never-matches"])
    assert [(finding.rule, finding.field) for finding in findings] == [
        ("segment-never-matches", f"a.target_segments{field}") for field in paths
    ]


def test_email_inclusion() -> None:
    """A variant has one finding, at its first e-mail address."""
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
        (UNUSED | {"target_segments": [weighted_segment(on=1, off=0)]}, '"off" has no weight, so no user gets it; '),
    ],
)
def test_unused_variant(fields: dict[str, Any], message: str) -> None:
    """The message says if inclusions or weights are unknown."""
    [finding] = lint(Manifest(flags=[FlagSpec(key="a", **fields)]))
    assert (finding.rule, finding.field) == ("unused-variant", "a.variants[1].key")
    assert finding.message.startswith(message)


@pytest.mark.parametrize(
    "spec",
    [
        FlagSpec(key="a", **UNUSED | {"target_segments": [weighted_segment(off=1)]}),
        FlagSpec(key="a", **UNUSED | {"target_segments": [Segment(name="s")]}),
        FlagSpec(key="a", **UNUSED | {"rollout_weights": {"on": 1, "off": 0.5}}),
        FlagSpec(key="a", **UNUSED | {"variants": [ON, VariantSpec(key="off", users=["u"])]}),
        FlagSpec(key="a", **UNUSED | {"variants": [ON, VariantSpec(key="off", cohorts=["c"])]}),
        FlagSpec(key="a", **without(UNUSED, "rollout_weights")),
        FlagSpec(key="a", **without(UNUSED, "target_segments")),
        FlagSpec(key="a", **without(UNUSED, "variants")),
        FlagSpec(key="a", **UNUSED, archived=True),
        ExperimentSpec(key="a", **UNUSED, rolled_out_variant="off"),
        ExperimentSpec(key="a", **UNUSED | {"variants": [ON, NAMED_OFF]}, rolled_out_variant="Control group"),
    ],
)
def test_variant_that_may_be_used(spec: Any) -> None:
    """It has a weight or inclusions, or these are unknown."""
    kind = "experiments" if isinstance(spec, ExperimentSpec) else "flags"
    assert lint(Manifest(**{kind: [spec]})) == []


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
    """A date has passed when its last day is over in UTC."""
    assert findings_of(tags=["x", tag]) == ([("stale-tag", "tags[1]")] if is_found else [])
    assert findings_of(tags=["x", tag], archived=True)[1:] in ([], [("stale-tag", "tags[1]")])


def archived(tag: str, **fields: Any) -> FlagSpec:
    """Return an archived flag with a tag."""
    return FlagSpec(**{"key": "old", "archived": True, "tags": [tag]} | fields)


@pytest.mark.parametrize(
    ("specs", "is_found"),
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
def test_tags_of_archived_flags(specs: list[FlagSpec], *, is_found: bool) -> None:
    """Each tag of a project has one finding."""
    assert rules_of(*specs) == (["stale-tag"] if is_found else [])


def test_date_in_a_tag_of_an_archived_flag() -> None:
    """It is a tag without a date."""
    assert rules_of(archived("remove-by-2020-01-01"), FlagSpec(key="a", tags=["remove-by-2020-01-01"])) == ["stale-tag"]


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
    """They are sorted by line, and have text and JSON forms."""
    path = tmp_path / "flags.yaml"
    path.write_text(FILE)
    findings = lint(load(path))
    assert [(finding.line, finding.field, finding.kind, finding.key) for finding in findings] == [
        (4, "flags[0].enabled", "flags", "a"),
        (10, "flags[0].variants[0].users[1]", "flags", "a"),
        (13, "experiments[0].enabled", "experiments", "b"),
    ]
    message = "is true without a deployment, so no application receives it: assign a deployment or disable it"
    assert str(findings[0]) == f"{path}:4: flags[0].enabled: {message} (enabled-without-deployment)"
    assert json.loads(json.dumps(findings[0].as_json())) == {
        "rule": "enabled-without-deployment",
        "kind": "flags",
        "key": "a",
        "project_id": "1",
        "file": str(path),
        "line": 4,
        "field": "flags[0].enabled",
        "message": message,
    }


def test_mappings_are_accepted_in_code() -> None:
    """Lint accepts them as a plan does."""
    segments: Any = [{"name": "s", "conditions": [{"prop": "gp:a", "op": "is", "values": []}], "percentage": 5}]
    assert findings_of(target_segments=segments) == [("segment-never-matches", "target_segments[0].conditions")]


def test_rule_can_be_disabled() -> None:
    """An unknown rule is rejected with a suggestion."""
    manifest = Manifest(flags=[FlagSpec(key="a", **DEPLOYMENT, tags=["by-2020-01-01"])])
    assert [finding.rule for finding in lint(manifest, disable=["stale-tag"])] == ["enabled-without-deployment"]
    with pytest.raises(InvalidInputError, match='unknown rule; did you mean "stale-tag"'):
        lint(manifest, disable=["stale-tags"])
    with pytest.raises(InvalidInputError, match="disable: must be a list"):
        lint(manifest, disable="stale-tag")


@pytest.mark.parametrize("wrong", [{"days": -1}, {"days": "30"}, {"now": datetime(2026, 1, 1)}, {"now": "today"}])  # noqa: DTZ001 - a time without a time zone is invalid
def test_invalid_arguments_are_rejected(wrong: dict[str, Any]) -> None:
    """The message names the argument."""
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        lint(Manifest(), **wrong)


def test_invalid_manifest_is_rejected() -> None:
    """Its values are validated too."""
    path: Any = "flags.yaml"
    with pytest.raises(InvalidInputError, match="must be a Manifest"):
        lint(path)
    with pytest.raises(InvalidManifestError, match=r"flags\[0\]\.rollout_percentage"):
        lint(Manifest(flags=[FlagSpec(key="a", rollout_percentage=101)]))


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (Condition("gp:plan", "is", ["pro"]), {}),
        (Condition("grp:org", "is", ["acme"]), {}),
        (Condition("country", "is not", ["United States"]), {}),
        (Condition("city", "is", ["Washington, DC"]), {}),
        (Condition("plan", "is", ["pro"]), {"prop": '"gp:plan"'}),
        (Condition("Country", "is", ["US"]), {"prop": 'did you mean "country"?'}),
        (Condition("Device Type", "is", ["x"]), {"prop": 'did you mean "device_type"?'}),
        (Condition("country", "equals", ["US"]), {"op": "not a documented operator"}),
        (Condition("country", "is not ", ["US"]), {"op": 'did you mean "is not"?'}),
        (Condition("country", "is", ["", "US", " "]), {"values[0]": "is blank", "values[2]": "is blank"}),
        (Condition("country", "is", ["US "]), {"values[0]": "white space"}),
        (Condition("gp:email", "is", ["a@x.com;b@x.com"]), {"values[0]": "several addresses"}),
        (Condition("gp:email", "is", ["a@x.com, b@x.com"]), {"values[0]": "several addresses"}),
        (Condition("country", "is", ["US,CA"]), {"values[0]": "has a comma"}),
        (Condition("country", "is"), {}),
        (Condition("plan", "equals", [""], type="cohort"), {}),
    ],
)
def test_condition_never_matches(condition: Condition, found: dict[str, str]) -> None:
    """The finding names the field of the condition and what to write."""
    segments = [segment(conditions=[condition])]
    findings = lint(
        Manifest(flags=[FlagSpec(key="a", target_segments=segments)]), now=NOW, disable=["segment-never-matches"]
    )
    fields = {
        finding.field.removeprefix("a.target_segments[0].conditions[0]."): finding.message for finding in findings
    }
    assert fields.keys() == found.keys()
    assert [text for field, text in found.items() if text not in fields[field]] == []


@pytest.mark.parametrize(("percentage", "is_found"), [(0.2, True), (0.999, True), (1, False), (0, False), (20, False)])
def test_a_percentage_that_looks_like_a_share(percentage: float, is_found: bool) -> None:
    """A percentage between 0 and 1 is often meant as a share."""
    for fields, field in (
        ({"target_segments": [segment(percentage)]}, "target_segments[0].percentage"),
        ({"rollout_percentage": percentage}, "rollout_percentage"),
    ):
        assert (("condition-never-matches", field) in findings_of(**fields)) == is_found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(manifest=manifests(), disabled=st.sets(st.sampled_from(sorted(LINT_RULES))))
def test_rules_are_independent(manifest: Manifest, disabled: set[str]) -> None:
    """Disabled rules do not change the findings of the others."""
    findings = lint(manifest, now=NOW)
    assert lint(manifest, now=NOW, disable=disabled) == [
        finding for finding in findings if finding.rule not in disabled
    ]


def test_docs_describe_every_rule() -> None:
    """Each section starts with the summary in `LINT_RULES`."""
    page = PAGE.read_text(encoding="utf-8")
    sections = re.findall(r"^## `([a-z-]+)`\n\n(.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    assert {rule: summary.replace("\n", " ") for rule, summary in sections} == dict(LINT_RULES)


def test_find_emails() -> None:
    """IDs that look like e-mail addresses, in order; a sign alone does not make one."""
    assert find_emails(["b@example.com", "user-1", "@handle", "a@b", "a@example.com"]) == [
        "b@example.com",
        "a@example.com",
    ]
