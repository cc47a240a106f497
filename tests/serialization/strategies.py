"""Strategies for the documents of models."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, get_args, get_origin

import attrs
import pytest
from hypothesis import strategies as st

from amp_exp_async import (
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
    Unset,
    Variant,
    Version,
)
from amp_exp_async.models import FlagConfig, Id, Model

SEARCHES = pytest.mark.parametrize("examples", [15, pytest.param(100, marks=pytest.mark.slow)])
"""The number of examples for each model or form in the suite and in its long form."""

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
