"""The two routes from a document to a model: fast decoding by msgspec, and exact structuring by cattrs."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from threading import Barrier
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    ConfigurationError,
    Experiment,
    Flag,
    HoldoutGroup,
    MutexGroup,
    UnexpectedResponseError,
    Version,
    parse,
    serialization,
    to_json,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.models import FlagConfig
from amp_exp_async.models.nested import NestedField
from amp_exp_async.serialization import MalformedDocumentError, decoding, structuring
from amp_exp_async.serialization.field_types import field_types, is_model
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
from tests.serialization.strategies import ALL_MODELS, SEARCHES, documents

EXAMPLES: dict[str, tuple[Any, dict[str, Any]]] = {
    "flag": (Flag, FLAG),
    "experiment": (Experiment, EXPERIMENT),
    "version of an experiment": (Version[Experiment], VERSION),
    "version of either, an experiment": (Version[FlagConfig], VERSION),
    "version of either, a flag": (Version[FlagConfig], {**VERSION, "flagConfig": FLAG}),
    "mutex group": (MutexGroup, MUTEX),
    "holdout group": (HoldoutGroup, HOLDOUT),
}
OTHER_VALUES: list[Any] = [
    None, True, False, 0, 12, -1, 2.5, 10**30, "", "text", "2023-13-45", "2023-07-29", "2023-07-29T03:32:49",
    "2023-07-29T03:32:49.5949999Z", "2023-07-29 03:32:49+02:00", "20230729T033249Z", "\ud83c", [], [1], [None], ["a"],
    {}, {"on": 1}, {"on": [1]}, {"on": None}, {"key": "k"}, {"prop": 1},
]  # fmt: skip


def locations(document: Any, location: Location = ()) -> list[Location]:
    """Return all locations in a document."""
    if not isinstance(document, list | dict):
        return []
    steps = [*document] if isinstance(document, dict) else range(len(document))
    inner = [locations(document[step], (*location, step)) for step in steps]
    return [*((*location, step) for step in steps), *(item for items in inner for item in items)]


def result_of(read: Callable[[], Any]) -> tuple[Any, ...]:
    """Return all that can be seen of a model, or of its rejection."""
    try:
        model = read()
    except MalformedDocumentError as error:
        return None, error.location, error.reason
    return type(model), describe(model), json.dumps(to_json(model), sort_keys=True)


def describe(value: Any) -> Any:
    """Return all types and values of a model, to be compared. The order of extra fields is not defined."""
    if attrs.has(type(value)):
        return type(value), describe({name: getattr(value, name) for name in attrs.fields_dict(type(value))})
    if isinstance(value, dict):
        return dict, sorted((key, describe(item)) for key, item in value.items())
    # Text tells 1, 1.0 and True apart, and shows time zones.
    return [describe(item) for item in value] if isinstance(value, list) else repr(value)


def check_routes(model: Any, document: Any) -> None:
    """Check that each way to read a document gives the model, or the error, that cattrs gives."""
    body = json.dumps(document).encode()
    exact = result_of(lambda: structuring.structure(model, document))

    assert result_of(lambda: serialization.parse_object(model, body)) == exact
    assert result_of(lambda: serialization.parse_object(model, body)) == exact, "when its extra fields are known"
    if exact[0] is not None:
        assert result_of(lambda: parse(model, document)) == exact
    else:
        with pytest.raises(UnexpectedResponseError) as caught:
            parse(model, document)
        assert caught.value.location == exact[1]
        assert str(caught.value).endswith(exact[2])


def mutate(document: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """Return a document with one value replaced or removed."""
    if not (all_locations := locations(document)):
        return document
    location = data.draw(st.sampled_from(all_locations))
    removals = [] if isinstance(location[-1], int) else [UNSET]
    return changed(document, location, data.draw(st.sampled_from(OTHER_VALUES + removals)))


@SEARCHES
@pytest.mark.parametrize("model", ALL_MODELS, ids=str)
def test_both_routes_give_the_same_model(model: Any, examples: int) -> None:
    """Every document gives the same values, of the same types, on both routes."""

    @settings(deadline=None, max_examples=examples)
    @given(documents(model))
    def check(document: dict[str, Any]) -> None:
        check_routes(model, document)

    check()


@SEARCHES
@pytest.mark.parametrize("model", ALL_MODELS, ids=str)
def test_both_routes_reject_the_same(model: Any, examples: int) -> None:
    """A wrong, missing or unusual value at any location gives the same error, or the same model."""

    @settings(deadline=None, max_examples=examples)
    @given(documents(model), st.data())
    def check(document: dict[str, Any], data: st.DataObject) -> None:
        check_routes(model, mutate(document, data))

    check()


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_an_error_has_the_location_of_the_wrong_value(name: str, data: st.DataObject) -> None:
    """Both routes name the location that was changed, or one inside it."""
    model, document = EXAMPLES[name]
    location = data.draw(st.sampled_from(locations(document)))
    mutated = changed(document, location, data.draw(st.sampled_from(OTHER_VALUES)))
    check_routes(model, mutated)

    if (result := result_of(lambda: structuring.structure(model, mutated)))[0] is None:
        path = format_location(location)
        assert f"{result[1]}.".startswith((f"{path}.", f"{path}["))


def test_extra_fields_are_decoded_fast_from_the_second_document_on() -> None:
    """Fields that one document has, at any level, are known for the next one, which may lack some of them."""
    segment = {"name": "S", "conditions": [{"prop": "p", "new1": [1]}], "new2": None}
    first = {"id": "1", "key": "k", "targetSegments": [segment], "new3": {"a": 1}, "new4": 4, "extra": 5}
    second = {"id": "2", "key": "k", "targetSegments": [{**segment, "conditions": [{}]}], "new4": "x"}
    with pytest.raises(decoding.REJECTIONS, match="unknown field"):
        decoding.decode(Flag, json.dumps(first).encode())

    serialization.parse_object(Flag, json.dumps(first).encode())

    for document in (first, second):
        flag = decoding.decode(Flag, json.dumps(document).encode())
        assert flag == structuring.structure(Flag, document)
        assert to_json(flag) == document


@pytest.mark.parametrize("name", ['"', "\\", "", "\n", "\ud83c", "é", "extra_0", "build", "a b", "projectid"])
def test_any_name_can_be_that_of_an_extra_field(name: str) -> None:
    """Every extra field is kept, whether it can be decoded fast or not."""
    document = {"id": "1", "key": "k", "variants": [{"key": "on", name: [name]}], name: {name: 1}}

    for _ in range(2):
        assert to_json(serialization.parse_object(Flag, json.dumps(document).encode())) == document


def test_a_service_that_invents_field_names_fills_no_memory() -> None:
    """The number of extra fields that are decoded fast is bounded; the others are kept too."""
    for number in range(0, 300, 10):
        document = {"id": "1", "key": "k", **{f"new{number + index}": index for index in range(10)}}
        assert to_json(serialization.parse_object(Flag, json.dumps(document).encode())) == document

    assert len(decoding._decoders.known.extra_names[Flag]) == 64


def test_documents_of_several_threads() -> None:
    """Threads that decode and meet extra fields at the same time get their own documents."""
    barrier = Barrier(8)

    def read(thread: int) -> None:
        barrier.wait()
        for number in range(20):
            name = f"new{thread}_{number % 5}"
            document = {"id": str(number), "key": "k", "targetSegments": [{"name": name, name: thread}], name: number}
            assert to_json(serialization.parse_object(Flag, json.dumps(document).encode())) == document

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [None] * 8


@pytest.mark.parametrize("model", ALL_MODELS, ids=str)
def test_nested_models_that_are_built_later_cannot_be_rejected(model: Any) -> None:
    """Values that a struct does not check completely, such as timestamps, are only in models that are built at once."""

    def kinds(model: Any) -> list[Any]:
        found: list[Any] = []
        for name, (kind, _) in field_types(model).items():
            item = next(iter(get_args(kind)), kind)
            found += [kind, *(kinds(item) if is_model(item) else [])]
            if isinstance(getattr(model, name, None), NestedField):
                assert is_model(item)
                assert not {datetime, datetime | date} & {*kinds(item)}
        return found

    kinds(model)


def test_a_generic_model_needs_its_parameter() -> None:
    """A version without the model of its config is a mistake of the caller, on both routes."""
    for read in (lambda: serialization.parse_object(Version, b"{}"), lambda: parse(Version, {})):
        with pytest.raises(ConfigurationError, match=r"Version needs the model that it contains"):
            read()


async def test_one_odd_item_does_not_slow_down_a_page(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Items with a lone surrogate, deep payloads and new fields are read among others, in order."""
    variants = [{"key": "on", "payload": {"a": [[{"b": [[[[[[1]]]]]]}]]}}]
    items = [
        {"id": "1", "key": "k"},
        {"id": "2", "key": "k", "new": 1},
        {"id": "3", "key": "k", "variants": variants},
        {"id": 10**30, "key": "k"},
    ]
    for extra in ([], [{"id": "9", "key": "\ud83c"}]):
        emulator.inject(Fault.status(200, body=json.dumps({"flags": items + extra, "new": [1]})))
        flags = await client.flags.list()
        assert [to_json(flag) for flag in flags] == [*items[:3], {"id": str(10**30), "key": "k"}, *extra]


async def test_an_item_that_is_not_json_is_not_read() -> None:
    """Text that splitting a page does not check is rejected, and not kept as it is."""
    with pytest.raises(MalformedDocumentError, match="not JSON"):
        await serialization.parse_page(Flag, "flags", b'{"flags": [{"id": "1", "key": "\xff"}]}')
