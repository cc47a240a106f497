"""Models are values: they can be compared, copied and pickled, have a short repr, and keep unknown fields."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from amp_exp_async import (
    UNSET,
    Condition,
    Created,
    Deployment,
    Experiment,
    ExposureEvent,
    ExposureFilter,
    Flag,
    HoldoutGroup,
    MutexGroup,
    MutexSlot,
    Page,
    ParentDependencies,
    Segment,
    Unset,
    Variant,
    Version,
    parse,
    serialization,
    to_json,
)

FILTER = {"subprop_key": "day", "subprop_op": "is", "subprop_value": ["Tuesday"], "new_here": [1]}
EVENT = {"event_type": "_active", "filters": [FILTER], "new_here": None}
CONDITION = {"prop": "gp:plan", "op": "is", "type": "property", "values": ["pro"], "newHere": {"a": 1}}
SEGMENT = {"name": "S", "conditions": [CONDITION], "percentage": 12.5, "rolloutWeights": {"on": 1}, "newHere": True}
VARIANT = {"key": "on", "payload": {"a": [1, None]}, "rolloutWeight": 1, "newHere": "x"}
PARENTS = {"flags": {"7": ["on"]}, "operator": "all", "newHere": 0}
FLAG = {
    "id": "1",
    "key": "checkout",
    "enabled": True,
    "deployments": ["1001"],
    "variants": [VARIANT],
    "targetSegments": [SEGMENT],
    "parentDependencies": PARENTS,
    "createdAt": "2023-07-29T03:32:49.594Z",
    "newHere": {"deep": [1, 2]},
}
EXPERIMENT = {**FLAG, "startDate": "2023-07-29", "endDate": None, "exposureEvent": EVENT}
SLOT = {"percentage": 50, "experiments": ["1"], "holdouts": [], "index": 1, "variantKey": "slot-1", "newHere": 1}
MUTEX = {"id": "1", "projectId": "2", "key": "prices", "name": "Prices", "slots": [SLOT, {}], "newHere": None}
HOLDOUT = {
    "id": "1",
    "key": "none",
    "holdoutPercentage": 5,
    "individualInclusion": ["u"],
    "createdAt": "2023-07-29T03:32:49.594Z",
    "newHere": [],
}

DOCUMENTS: dict[Any, dict[str, Any]] = {
    ExposureFilter: FILTER,
    ExposureEvent: EVENT,
    Condition: CONDITION,
    Segment: SEGMENT,
    Variant: VARIANT,
    ParentDependencies: PARENTS,
    Flag: FLAG,
    Experiment: EXPERIMENT,
    Version[Flag]: {"version": 3, "createdBy": "u", "flagConfig": FLAG, "newHere": 1},
    Created: {"id": "1", "url": "https://x", "newHere": 1},
    Deployment: {"id": "1", "label": "web", "deleted": False, "newHere": 1},
    MutexSlot: SLOT,
    MutexGroup: MUTEX,
    HoldoutGroup: HOLDOUT,
}
# SEGMENT, made with constructors.
BUILT = Segment(
    name="S",
    conditions=[Condition(prop="gp:plan", op="is", values=["pro"], extra={"newHere": {"a": 1}})],
    percentage=12.5,
    rollout_weights={"on": 1},
    extra={"newHere": True},
)

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
COPIES: dict[str, Callable[[Any], Any]] = {"copy": copy.copy, "deepcopy": copy.deepcopy} | {
    f"pickle-{number}": lambda value, number=number: pickle.loads(pickle.dumps(value, number)) for number in PROTOCOLS
}

every_model = pytest.mark.parametrize("model", DOCUMENTS, ids=str)
every_copy = pytest.mark.parametrize("copy_of", COPIES.values(), ids=COPIES)


@every_copy
def test_copies_and_pickles_are_equal(copy_of: Callable[[Any], Any]) -> None:
    """A copy of any model equals it, is of its class, and is written as the same document."""
    different: list[Any] = []
    for model, document in DOCUMENTS.items():
        original = parse(model, document)
        result = copy_of(original)
        if (result, type(result), to_json(result)) != (original, type(original), document):
            different.append(model)

    assert different == []


@every_copy
def test_pages_copy_and_pickle(copy_of: Callable[[Any], Any]) -> None:
    """A page is a value too."""
    page = Page([parse(Flag, FLAG)], "next")

    assert copy_of(page) == page


@every_model
def test_models_that_differ_are_not_equal(model: Any) -> None:
    """Models are compared by class and by all fields, unknown ones included."""
    original = parse(model, DOCUMENTS[model])

    assert parse(model, copy.deepcopy(DOCUMENTS[model])) == original
    assert attrs.evolve(original, extra={**original.extra, "more": 1}) != original
    assert original != DOCUMENTS[model]


def test_a_flag_is_not_an_experiment() -> None:
    """Models of different classes are not equal."""
    assert parse(Flag, FLAG) != parse(Experiment, FLAG)


def test_a_built_model_equals_a_parsed_one() -> None:
    """A model from a constructor equals a parsed one."""
    assert parse(Segment, SEGMENT) == BUILT
    assert to_json(BUILT) == SEGMENT


@every_model
def test_models_are_frozen(model: Any) -> None:
    """No field of a model can be set or added."""
    original = parse(model, DOCUMENTS[model])

    for name in [*attrs.fields_dict(type(original)), "invented"]:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(original, name, None)
    assert to_json(original) == DOCUMENTS[model]


@pytest.mark.parametrize(
    ("model", "name", "json_name"),
    [
        (ExposureFilter, "subprop_op", "subprop_op"),
        (ExposureEvent, "event_type", "event_type"),
        (Condition, "op", "op"),
        (Segment, "rollout_weights", "rolloutWeights"),
        (Variant, "rollout_weight", "rolloutWeight"),
        (ParentDependencies, "operator", "operator"),
        (Flag, "bucketing_key", "bucketingKey"),
        (Experiment, "decision_reason", "decisionReason"),
        (Version[Flag], "created_by", "createdBy"),
        (Created, "url", "url"),
        (Deployment, "label", "label"),
        (MutexSlot, "variant_key", "variantKey"),
        (MutexGroup, "bucketing_key", "bucketingKey"),
        (HoldoutGroup, "variant_name", "variantName"),
    ],
)
def test_evolve_keeps_unknown_fields(model: Any, name: str, json_name: str) -> None:
    """A changed model keeps its other fields, unknown ones included."""
    original = parse(model, DOCUMENTS[model])

    changed = attrs.evolve(original, **{name: "changed"})

    assert changed.extra == original.extra != {}
    assert to_json(changed) == {**DOCUMENTS[model], json_name: "changed"}
    assert to_json(original) == DOCUMENTS[model]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (parse(Variant, VARIANT), "Variant(key='on', rollout_weight=1)"),
        (parse(Condition, CONDITION), "Condition(prop='gp:plan', op='is', values=['pro'])"),
        (BUILT, "Segment(name='S', percentage=12.5, rollout_weights={'on': 1})"),
        (parse(Flag, FLAG), "Flag(id='1', key='checkout', enabled=True)"),
        (parse(Experiment, EXPERIMENT), "Experiment(id='1', key='checkout', enabled=True)"),
        (Version(version=2, config=parse(Flag, FLAG)), "Version(version=2, config=Flag(id='1', key='checkout', "),
        (
            Version(
                version=2, config=parse(Flag, FLAG), created_by="7", created_at=datetime(2026, 1, 2, 3, tzinfo=UTC)
            ),
            (
                "Version(version=2, config=Flag(id='1', key='checkout', enabled=True), created_by='7', "
                "created_at=<2026-01-02 03:00:00 UTC>)"
            ),
        ),
        (Created("1"), "Created(id='1')"),
        (Deployment("1", label=None), "Deployment(id='1', label=None)"),
        (parse(MutexSlot, SLOT), "MutexSlot(index=1, percentage=50, experiments=['1'])"),
        (parse(MutexGroup, MUTEX), "MutexGroup(id='1', key='prices', name='Prices')"),
        (parse(HoldoutGroup, HOLDOUT), "HoldoutGroup(id='1', key='none')"),
        (ExposureEvent("_active"), "ExposureEvent(event_type='_active')"),
        (Page([1, 2, 3], "c"), "Page(items=<3>, next_cursor='c')"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_repr(value: object, shown: str) -> None:
    """A repr contains the most important fields; missing ones are omitted, null ones are not."""
    assert repr(value).startswith(shown)


def test_the_repr_of_a_model_whose_fields_are_not_set_yet() -> None:
    """It works, because a traceback of a response that cannot be parsed may show the model."""
    assert repr(Flag.__new__(Flag)) == "Flag()"


def test_a_large_flag_has_a_short_repr() -> None:
    """The repr of a flag with many segments fits into a log line."""
    flag = parse(Flag, {**FLAG, "targetSegments": [SEGMENT] * 20})

    assert flag.target_segments == [parse(Segment, SEGMENT)] * 20
    assert len(repr(flag)) < 100
    assert len(repr([flag] * 2)) < 200


def test_unset_is_falsy_and_not_none() -> None:
    """`UNSET` is falsy and not None."""
    assert not UNSET
    assert UNSET is not None
    assert UNSET != None  # noqa: E711 - comparing by value is what users do
    assert repr(UNSET) == "UNSET"


@every_copy
def test_unset_stays_the_same_object(copy_of: Callable[[Any], Any]) -> None:
    """`UNSET` is one object, also after copying and pickling, alone and in a model."""
    assert copy_of(UNSET) is UNSET
    assert copy_of(Created("1")).url is UNSET
    assert isinstance(copy_of(UNSET), Unset)


def test_a_missing_field_is_not_a_null_one() -> None:
    """`UNSET` and None are distinguished when a document is read, compared and written."""
    missing, null = parse(Flag, {"id": "1", "key": "k"}), parse(Flag, {"id": "1", "key": "k", "name": None})

    assert (missing.name, null.name) == (UNSET, None)
    assert missing != null
    assert to_json(missing) == {"id": "1", "key": "k"}
    assert to_json(null) == {"id": "1", "key": "k", "name": None}


def test_the_type_of_a_condition() -> None:
    """The default of `type` is `property`; if the service omits it, it is `UNSET`."""
    document = {"prop": "country", "op": "is", "values": ["DE"]}

    assert to_json(Condition(prop="country", op="is", values=["DE"])) == {**document, "type": "property"}
    assert parse(Condition, document).type is UNSET
    assert to_json(parse(Condition, document)) == document
    assert parse(Condition, {**document, "type": "cohort"}).type == "cohort"


@pytest.mark.parametrize(
    ("model", "document", "read"),
    [
        (Flag, {"id": 12, "key": "k"}, lambda flag: flag.id),
        (Flag, {"id": "1", "key": "k", "projectId": 12}, lambda flag: flag.project_id),
        (Flag, {"id": "1", "key": "k", "deployments": ["x", 12]}, lambda flag: flag.deployments[1]),
        (Flag, {"id": "1", "key": "k", "createdBy": 12}, lambda flag: flag.created_by),
        (Experiment, {"id": "1", "key": "k", "lastModifiedBy": 12}, lambda experiment: experiment.last_modified_by),
        (Created, {"id": 12}, lambda created: created.id),
        (Deployment, {"id": 12}, lambda deployment: deployment.id),
        (Version[Flag], {"version": 1, "flagConfig": {"id": 12, "key": "k"}}, lambda version: version.config.id),
        (MutexGroup, {"id": 12}, lambda group: group.id),
        (MutexGroup, {"id": "1", "projectId": 12}, lambda group: group.project_id),
        (MutexSlot, {"experiments": ["x", 12]}, lambda slot: slot.experiments[1]),
        (MutexSlot, {"holdouts": [12]}, lambda slot: slot.holdouts[0]),
        (MutexSlot, {"cohorts": [12]}, lambda slot: slot.cohorts[0]),
        (HoldoutGroup, {"id": "1", "experiments": [12]}, lambda group: group.experiments[0]),
        (HoldoutGroup, {"id": "1", "lastModifiedBy": 12}, lambda group: group.last_modified_by),
    ],
)
def test_an_id_that_is_a_number_becomes_a_string(
    model: Any, document: dict[str, Any], read: Callable[[Any], str]
) -> None:
    """IDs are strings, even if the service sends numbers."""
    assert read(parse(model, document)) == "12"


def test_ids_in_an_array_become_strings() -> None:
    """An array of IDs can contain numbers."""
    assert serialization.parse_ids(b'[1, "a", 18446744073709551615]') == ["1", "a", "18446744073709551615"]


def test_a_version_number_stays_a_number() -> None:
    """A version number is not an ID."""
    version = parse(Version[Flag], {"version": 3, "flagConfig": {"id": "1", "key": "k"}})

    assert version.version == 3
    assert isinstance(version.config, Flag)


@pytest.mark.parametrize("field", ["startDate", "endDate"])
def test_a_bare_date_stays_a_date(field: str) -> None:
    """A date does not become a time, which could be another day in another time zone."""
    document = {"id": "1", "key": "k", field: "2023-07-29"}
    experiment = parse(Experiment, document)

    day = experiment.start_date or experiment.end_date
    assert day == date(2023, 7, 29)
    assert not isinstance(day, datetime)
    assert to_json(experiment) == document


@pytest.mark.parametrize(
    ("text", "moment", "written"),
    [
        ("2023-07-29T03:32:49.594Z", datetime(2023, 7, 29, 3, 32, 49, 594_000, UTC), "2023-07-29T03:32:49.594Z"),
        ("2023-07-29T03:32:49.594", datetime(2023, 7, 29, 3, 32, 49, 594_000, UTC), "2023-07-29T03:32:49.594Z"),
        ("2023-07-29T03:32:49Z", datetime(2023, 7, 29, 3, 32, 49, 0, UTC), "2023-07-29T03:32:49.000Z"),
        ("2023-07-29T03:32:49.594123Z", datetime(2023, 7, 29, 3, 32, 49, 594_123, UTC), "2023-07-29T03:32:49.594123Z"),
        (
            "2023-07-29T03:32:49.594+02:00",
            datetime(2023, 7, 29, 3, 32, 49, 594_000, timezone(timedelta(hours=2))),
            "2023-07-29T01:32:49.594Z",
        ),
    ],
)
def test_timestamps_are_aware(text: str, moment: datetime, written: str) -> None:
    """The default time zone of a timestamp is UTC, and it is written in UTC with its microseconds."""
    flag = parse(Flag, {"id": "1", "key": "k", "createdAt": text})

    assert isinstance(flag.created_at, datetime)
    assert flag.created_at == moment
    assert flag.created_at.utcoffset() == moment.utcoffset()
    assert to_json(flag)["createdAt"] == written


@pytest.mark.parametrize("model", [Flag(id="1", key="k"), Experiment(id="1", key="k"), Variant("on"), BUILT])
def test_an_assignment_says_what_to_do(model: Any) -> None:
    """A model cannot be changed; the note names the call that edits, and that which copies."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError) as caught:
        model.name = "new"
    [note] = caught.value.__notes__
    assert "call edit(id, name='new')" in note
    assert "attrs.evolve(…, name='new')" in note
