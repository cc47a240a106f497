"""Any document to a model and back."""

from __future__ import annotations

import copy
import re
from datetime import date, datetime
from typing import Any, get_args, get_origin

import attrs
import pytest
from cattrs import BaseValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

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
    ParentDependencies,
    Segment,
    UnexpectedResponseError,
    Unset,
    Variant,
    Version,
    parse,
    to_json,
)
from amp_exp_async.models import FlagConfig, Id, Model
from amp_exp_async.serialization import error_location
from amp_exp_async.serialization.structure import get_structure_hook
from tests.serialization.sample_documents import (
    EXPERIMENT,
    FLAG,
    HOLDOUT,
    MUTEX,
    VERSION,
    Location,
    changed,
    format_location,
)

ALL_MODELS: list[Any] = [
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
    ParentDependencies,
    Segment,
    Variant,
    Version[Experiment],
    Version[Flag],
    Version[FlagConfig],
]

VALID: list[tuple[Any, dict[str, Any]]] = [
    (Flag, FLAG),
    (Experiment, EXPERIMENT),
    (Version[Experiment], VERSION),
    (Version[FlagConfig], VERSION),
    (Version[FlagConfig], {**VERSION, "flagConfig": FLAG}),
    (MutexGroup, MUTEX),
    (HoldoutGroup, HOLDOUT),
]

OTHER_VALUES: list[Any] = [None, True, 0, 2.5, "", "text", "2023-13-45", [], [1], [None], {}, {"on": 1}, {"on": [1]}]


def locations(document: Any, location: Location = ()) -> list[Location]:
    """Return all locations in a document."""
    if not isinstance(document, list | dict):
        return []
    steps = [*document] if isinstance(document, dict) else range(len(document))
    inner = [locations(document[step], (*location, step)) for step in steps]
    return [*((*location, step) for step in steps), *(item for items in inner for item in items)]


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_hooks_agree_with_cattrs(data: st.DataObject) -> None:
    """A hook rejects a wrong value if and only if cattrs does, and the error has the location of the value."""
    model, document = data.draw(st.sampled_from(VALID))
    location = data.draw(st.sampled_from(locations(document)))
    value = data.draw(st.sampled_from([*OTHER_VALUES, *([] if isinstance(location[-1], int) else [UNSET])]))
    mutated = changed(document, location, value)

    try:
        fast = get_structure_hook(model)(mutated)
    except (TypeError, ValueError):
        fast = None
    try:
        slow = error_location._CONVERTER.structure(mutated, model)
    except BaseValidationError:
        slow = None

    assert (fast is None) == (slow is None)
    if fast is None:
        with pytest.raises(UnexpectedResponseError) as caught:
            parse(model, mutated)
        # In a list or object of the right type, the wrong or missing item has a longer location.
        assert re.fullmatch(rf"{re.escape(format_location(location))}([.\[].+)?", caught.value.location)


def json_values() -> st.SearchStrategy[Any]:
    numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
        max_leaves=4,
    )


def timestamps() -> st.SearchStrategy[str]:
    times = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - the text gets its time zone below
    return times.map(lambda time: f"{time.isoformat(timespec='milliseconds')}Z")


SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    Id: st.text(max_size=5),
    str: st.text(max_size=5),
    bool: st.booleans(),
    int: st.integers(0, 99),
    float: st.integers(0, 100) | st.floats(0, 100),
    datetime: timestamps(),
    date: st.dates().map(date.isoformat),
    type(None): st.none(),
    Any: json_values(),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the JSON values of a type."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if get_origin(kind) is list:
        return st.lists(values_of(get_args(kind)[0]), max_size=2)
    if get_origin(kind) is dict:
        return st.dictionaries(st.text(max_size=5), values_of(get_args(kind)[1]), max_size=2)
    if isinstance(get_origin(kind) or kind, type) and issubclass(get_origin(kind) or kind, Model):
        return st.deferred(lambda: documents(kind))
    return st.one_of([values_of(member) for member in get_args(kind) if Unset.UNSET not in get_args(member)])


def documents(model: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for the documents of a model, with null, missing and unknown fields."""
    cls = get_origin(model) or model
    known: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for field in attrs.fields(attrs.resolve_types(cls)):
        if field.name != "extra":
            kind = get_args(model)[0] if field.name == "config" else field.type
            known[field.default is attrs.NOTHING][json_name(cls, field.name)] = values_of(kind)
    known_names = {*known[True], *known[False]}
    unknown = st.dictionaries(
        st.text(max_size=8).filter(lambda name: name not in known_names), json_values(), max_size=2
    )
    return st.builds(lambda a, b: {**b, **a}, st.fixed_dictionaries(known[True], optional=known[False]), unknown)


def json_name(cls: type, name: str) -> str:
    if cls in {ExposureEvent, ExposureFilter}:
        return name
    first, *rest = ("flag_config" if name == "config" else name).split("_")
    return first + "".join(map(str.title, rest))


@pytest.mark.parametrize("model", ALL_MODELS, ids=str)
def test_any_document_is_written_back_unchanged(model: Any) -> None:
    """Null, missing and unknown fields are not lost, invented or reordered at any level."""

    @settings(deadline=None, max_examples=60)
    @given(documents(model))
    def check(document: dict[str, Any]) -> None:
        before = copy.deepcopy(document)
        parsed = parse(model, document)
        assert to_json(parsed) == before
        assert document == before
        assert parse(model, to_json(parsed)) == parsed

    check()
