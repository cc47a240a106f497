"""Random states, as a file may declare them."""

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
ids = st.text("abcdef-_@.0123456789", min_size=1, max_size=8)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What may be left out."""
    return st.just(UNSET) | strategy


conditions = st.builds(
    Condition,
    prop=names.map("gp:{}".format),
    op=st.sampled_from(["is", "contains"]),
    values=st.lists(names, max_size=3),
)


def segments(keys: list[str]) -> st.SearchStrategy[Segment]:
    """Segments over variants."""
    return st.builds(
        Segment,
        name=names,
        conditions=st.lists(conditions, max_size=2),
        percentage=st.integers(0, 100),
        rollout_weights=st.fixed_dictionaries({}, optional={key: st.integers(0, 10) for key in keys}),
    )


dependencies = st.builds(
    Dependencies,
    flags=st.dictionaries(st.sampled_from([*KEYS, "id:7"]), st.lists(st.sampled_from(KEYS), max_size=2), max_size=2),
    operator=maybe(st.just("all")),
)


@st.composite
def toggles(draw: st.DrawFn, cls: type[Any], key: str, project_id: str, *, depending: bool) -> Any:
    """A flag or experiment; its weights name its own variants."""
    keys = draw(st.lists(st.sampled_from(KEYS[1:4]), max_size=3, unique=True))
    variants = [
        VariantSpec(
            key=variant,
            name=draw(maybe(names)),
            description=draw(maybe(names)),
            payload=draw(maybe(payloads)),
            users=draw(maybe(st.lists(ids, max_size=3))),
            cohorts=draw(maybe(st.lists(ids, max_size=3))),
        )
        for variant in keys
    ]
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
        "rollout_weights": draw(
            maybe(st.fixed_dictionaries({}, optional={one: st.integers(0, 9) | st.just(0.5) for one in keys}))
        ),
        "target_segments": draw(maybe(st.lists(segments(keys), max_size=3))),
    }
    if depending:
        fields["dependencies"] = draw(maybe(dependencies))
    if cls is ExperimentSpec:
        event = st.builds(
            ExposureEvent,
            event_type=names.map("e{}".format),
            filters=st.lists(
                st.builds(
                    ExposureFilter,
                    subprop_key=names,
                    subprop_op=st.just("is"),
                    subprop_type=st.just("event"),
                    subprop_value=st.lists(names, max_size=2),
                ),
                max_size=2,
            ),
        )
        fields |= {
            "experiment_type": draw(maybe(st.sampled_from(["no-harm", "hypothesis-testing"]))),
            "sticky_bucketing": draw(maybe(st.booleans())),
            "start_date": draw(maybe(st.none() | st.dates())),
            "exposure_event": draw(maybe(st.none() | event)),
            "decision": draw(maybe(st.sampled_from(["rollout", "rollback"]))),
        }
    return cls(key=key, project_id=project_id, **fields)


@st.composite
def states(draw: st.DrawFn, *, depending: bool = False) -> Manifest:
    """A state of few flags and experiments, over two projects. No request makes what depends on something."""
    given: dict[str, Any] = {}
    for kind, cls in (("flags", FlagSpec), ("experiments", ExperimentSpec)):
        pairs = st.tuples(st.sampled_from(PROJECTS), st.sampled_from(KEYS[:3]))  # few, so that states share some
        chosen = draw(maybe(st.lists(pairs, max_size=3, unique=True)))
        if chosen is not UNSET:
            given[kind] = [draw(toggles(cls, key, project, depending=depending)) for project, key in chosen]
    return Manifest(**given)
