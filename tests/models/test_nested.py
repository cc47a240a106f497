"""Nested models of a decoded object are built when they are first read. Their users see no difference."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import attrs
import pytest

from amp_exp_async import Condition, Experiment, Flag, ParentDependencies, Segment, Variant, serialization, to_json
from amp_exp_async.models.nested import NestedField, read_once

CONDITION = {"prop": "p", "op": "is", "values": ["a"], "new": 1}
DOCUMENT = {
    "id": "1",
    "key": "k",
    "variants": [{"key": "on", "payload": {"a": [1]}}, {"key": "off"}],
    "targetSegments": [{"name": "S", "conditions": [CONDITION]}, {"name": "T", "conditions": []}, {"conditions": None}],
    "parentDependencies": {"flags": {"7": ["on"]}},
    "exposureEvent": {"event_type": "e", "filters": [{"subprop_key": "k"}]},
}
BODY = json.dumps(DOCUMENT).encode()
NESTED = [name for name in attrs.fields_dict(Experiment) if isinstance(getattr(Experiment, name), NestedField)]

READS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "evolve": lambda model: attrs.evolve(model, name="new", extra=model.extra),
}


def decode() -> Experiment:
    return serialization.parse_object(Experiment, BODY)


def test_the_nested_fields() -> None:
    """The fields that hold models are declared."""
    assert NESTED == ["variants", "target_segments", "parent_dependencies", "exposure_event"]


def test_nested_models_are_models() -> None:
    """At every level there are models, with their extra fields, empty arrays and nulls."""
    flag = decode()

    assert flag.variants == [Variant("on", payload={"a": [1]}), Variant("off")]
    condition = attrs.evolve(
        Condition("p", "is", ["a"], extra={"new": 1}), type=flag.target_segments[0].conditions[0].type
    )
    assert [segment.conditions for segment in flag.target_segments or []] == [[condition], [], None]
    assert flag.parent_dependencies == ParentDependencies({"7": ["on"]})
    assert isinstance(flag.target_segments[0], Segment)
    assert to_json(flag) == DOCUMENT


def test_the_same_objects_are_read_each_time() -> None:
    """A nested model is built once."""
    flag = decode()

    for name in NESTED:
        first = getattr(flag, name)
        assert getattr(flag, name) is first
    assert flag.variants is not None
    assert flag.variants[0] is flag.variants[0]


@pytest.mark.parametrize("name", [*NESTED, "key"])
def test_a_model_does_not_keep_what_is_read_once(name: str) -> None:
    """It equals the value of the field, whether the field was read before or not."""
    flag = decode()
    once = read_once(flag, name)

    value = getattr(flag, name)
    assert once == value
    assert isinstance(value, str) or once is not value
    assert read_once(flag, name) == value


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_model_whose_nested_models_were_not_read(read: Callable[[Any], Any]) -> None:
    """It can be copied, pickled, changed and compared as one whose nested models were read."""
    unread, used = decode(), decode()
    assert all(getattr(used, name) is not None for name in NESTED)

    result = read(unread)

    assert result == read(used)
    assert type(result) is Experiment
    assert to_json(result) == to_json(read(used))
    assert unread == used == decode()


def test_the_fields_of_a_constructed_model() -> None:
    """The values of a constructor stay as they are, whatever they are."""
    values: list[Any] = [[Variant("on")], (Variant("on"),), [], (), None, [{"key": "on"}]]
    for value in values:
        assert Flag(id="1", key="k", variants=value).variants is value


def test_threads_that_read_at_the_same_time_see_the_same_models() -> None:
    """Two threads that read a field first at the same time get one list, of models only."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(50):
                flag, barrier = decode(), Barrier(4)

                def read(_: int, flag: Experiment = flag, barrier: Barrier = barrier) -> Any:
                    barrier.wait()
                    return flag.target_segments

                lists = list(pool.map(read, range(4)))
                assert all(segments is lists[0] for segments in lists)
                assert lists[0] == decode().target_segments
    finally:
        sys.setswitchinterval(interval)


def test_nested_models_do_not_keep_the_body() -> None:
    """A model that was not read completely holds no reference to the text that it was decoded from."""
    body = BODY + b" "
    references = sys.getrefcount(body)
    flag = serialization.parse_object(Experiment, body)
    gc.collect()

    assert sys.getrefcount(body) == references
    assert flag.key == "k"
