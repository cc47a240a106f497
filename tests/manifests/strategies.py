"""Hypothesis strategies for manifests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from amp_exp_async import (
    UNSET,
    Condition,
    Dependencies,
    ExperimentSpec,
    ExposureEvent,
    ExposureFilter,
    FlagSpec,
    Manifest,
    Segment,
    VariantSpec,
)

PROJECTS = ("1", "2")
LABELS = ("web", "ios", "server")
KEYS = ("new-checkout", "on", "yes", "1", "Dark_Mode", "null", "key-with-many-words", "off")

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
payloads = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = st.text("abcdefghij:#-'\" ", max_size=8)
ids = st.from_regex(r"[a-f0-9][a-f0-9@._-]{0,7}", fullmatch=True)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for a field that may be left out."""
    return st.just(UNSET) | strategy


conditions = st.builds(
    Condition,
    prop=names.map("gp:{}".format),
    op=st.sampled_from(["is", "contains"]),
    values=st.lists(names, min_size=1, max_size=3),
)


def segments(variant_keys: list[str]) -> st.SearchStrategy[Segment]:
    """Return a strategy for segments with weights of the variants."""
    return st.builds(
        Segment,
        name=names,
        conditions=st.lists(conditions, max_size=2),
        percentage=st.integers(0, 100),
        rollout_weights=st.fixed_dictionaries({}, optional={key: st.integers(0, 10) for key in variant_keys}),
    )


dependencies = st.builds(
    Dependencies,
    flags=st.dictionaries(st.sampled_from([*KEYS, "id:7"]), st.lists(st.sampled_from(KEYS), max_size=2), max_size=2),
    operator=maybe(st.just("all")),
)
exposure_filters = st.builds(
    ExposureFilter,
    subprop_key=names,
    subprop_op=st.just("is"),
    subprop_type=st.just("event"),
    subprop_value=st.lists(names, max_size=2),
)
exposure_events = st.builds(
    ExposureEvent, event_type=names.map("e{}".format), filters=st.lists(exposure_filters, max_size=2)
)


@st.composite
def flag_specs(draw: st.DrawFn, cls: type[Any], key: str, project_id: str, *, with_dependencies: bool) -> Any:
    """Draw a flag or experiment whose weights refer to its own variants."""
    variant_keys = draw(st.lists(st.sampled_from(KEYS[1:4]), max_size=3, unique=True))
    variants = [
        VariantSpec(
            key=variant,
            name=draw(maybe(names)),
            description=draw(maybe(names)),
            payload=draw(maybe(payloads)),
            users=draw(maybe(st.lists(ids, max_size=3))),
            cohorts=draw(maybe(st.lists(ids, max_size=3))),
        )
        for variant in variant_keys
    ]
    weights = st.fixed_dictionaries({}, optional={key: st.integers(0, 9) | st.just(0.5) for key in variant_keys})
    fields: dict[str, Any] = {
        "name": draw(maybe(names)),
        "description": draw(maybe(st.none() | names)),
        "enabled": draw(maybe(st.booleans())),
        "archived": draw(maybe(st.booleans())),
        "evaluation_mode": draw(maybe(st.sampled_from(["local", "remote"]))),
        "bucketing_key": draw(maybe(names)),
        "bucketing_unit": draw(maybe(st.just("User"))),
        "tags": draw(maybe(st.lists(names, max_size=3))),
        "deployments": draw(maybe(st.lists(st.sampled_from(LABELS), max_size=3))),
        "rollout_percentage": draw(maybe(st.integers(0, 100) | st.floats(0, 100))),
        "variants": variants,
        "rollout_weights": draw(maybe(weights)),
        "target_segments": draw(maybe(st.lists(segments(variant_keys), max_size=3))),
    }
    if fields["enabled"] is True and not fields["deployments"]:
        fields["deployments"] = LABELS[:1]
    if with_dependencies:
        fields["dependencies"] = draw(maybe(dependencies))
    if cls is ExperimentSpec:
        fields |= {
            "experiment_type": draw(maybe(st.sampled_from(["no-harm", "hypothesis-testing"]))),
            "sticky_bucketing": draw(maybe(st.booleans())),
            "start_date": draw(maybe(st.none() | st.dates())),
            "exposure_event": draw(maybe(st.none() | exposure_events)),
            "decision": draw(maybe(st.sampled_from(["rollout", "rollback"]))),
        }
    return cls(key=key, project_id=project_id, **fields)


@st.composite
def manifests(draw: st.DrawFn, *, with_dependencies: bool = False) -> Manifest:
    """Draw a manifest of few flags and experiments in two projects. Plans cannot create dependencies."""
    specs: dict[str, Any] = {}
    # Few keys, so that manifests have some in common, but other ones for each kind.
    for kind, cls, keys in (("flags", FlagSpec, KEYS[:3]), ("experiments", ExperimentSpec, KEYS[3:6])):
        identities = st.tuples(st.sampled_from(PROJECTS), st.sampled_from(keys))
        chosen = draw(maybe(st.lists(identities, max_size=3, unique=True)))
        if chosen is not UNSET:
            specs[kind] = [
                draw(flag_specs(cls, key, project, with_dependencies=with_dependencies)) for project, key in chosen
            ]
    return Manifest(**specs)
