"""Valid arguments, as they are sent."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, StrEnum
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import attrs
import pytest

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    BadRequestError,
    Condition,
    ExposureEvent,
    ExposureFilter,
    InvalidInputError,
    Segment,
    serialization,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.params import EXPERIMENT_EDIT_PARAMS, validate_edit
from tests.validation.call_sites import KINDS, LISTS, Call, CallSite, with_kinds

Sent: TypeAlias = Callable[[Call], Awaitable[Any]]


@pytest.fixture
async def sent(client: AsyncExperimentClient, emulator: Emulator) -> Sent:
    """Return a function that makes a call with one request, and returns its body, or its query if it has no body."""
    emulator.state.add_deployment(id="1001", projectId="1", label="web")
    for kind in KINDS:
        emulator.state.add(kind, {"id": "1", "key": "present", "variants": [{"key": "on"}]})

    async def make(call: Call) -> Any:
        emulator.requests.clear()
        await call(client)
        (request,) = emulator.requests
        assert request.status == 200
        return request.query if request.body is None else request.body

    return make


@pytest.mark.parametrize("limit", [1, 1000])
@pytest.mark.parametrize("name", ["flags", "experiments", "deployments", "versions", "mutexes", "holdouts"])
async def test_the_bounds_of_a_page_are_sent(name: str, limit: int, sent: Sent) -> None:
    """The smallest and the largest page size are valid."""
    assert (await sent(lambda c: anext(getattr(c, name).list(limit=limit).pages())))["limit"] == str(limit)


@pytest.mark.parametrize("value", [0, 100, 0.5])
async def test_the_bounds_of_a_percentage_are_sent(value: float, edit: Callable[..., Call], sent: Sent) -> None:
    """0, 100 and fractions are valid percentages."""
    segment = Segment(name="s", conditions=[], percentage=value, rollout_weights={})
    body = await sent(edit(rollout_percentage=value, target_segments=[segment]))

    assert (body["rolloutPercentage"], body["targetSegments"][0]["percentage"]) == (value, value)


class _Float64(float):
    """A subclass of float, as numpy.float64 is."""


class _Int64:
    """An integer that is not an int, as numpy.int64 is."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __int__(self) -> int:
        return self.value


class _Float32:
    """A real number that is not a float, as numpy.float32 is."""

    def __float__(self) -> float:
        return 20.0


Integral.register(_Int64)
Real.register(_Float32)


@pytest.mark.parametrize("value", [_Float64(20), _Int64(20), _Float32()], ids=lambda value: type(value).__name__)
async def test_numbers_of_other_types_are_sent(value: Any, edit: Callable[..., Call], sent: Sent) -> None:
    """Scalars such as those of numpy are sent as numbers, in fields and in payloads."""
    body = await sent(edit(rollout_percentage=value))
    payload = await sent(lambda c: c.flags.variants.edit("1", "on", payload={"share": [value]}, rollout_weight=value))

    assert body == {"rolloutPercentage": 20}
    assert payload == {"payload": {"share": [20]}, "rolloutWeight": 20}


async def test_integers_of_other_types_are_ids(sent: Sent) -> None:
    """IDs from a table are often integers such as those of numpy."""
    assert await sent(lambda c: c.flags.users.add(_Int64(1), "on", [_Int64(7)])) == {"inclusions": ["7"]}


@pytest.mark.parametrize("times", [1, 3])
async def test_the_maximum_of_ids_is_sent(times: int, sent: Sent) -> None:
    """The maximum is sent in one request, without duplicates."""
    bodies: list[tuple[CallSite, list[Any]]] = []
    for site, kind in with_kinds(LISTS):
        if site.max_count:
            ids = [f"u{number}" for number in range(site.max_count)]
            bodies.append((site, [ids, *(await sent(site.call(kind, ids * times))).values()]))

    assert [site for site, (ids, *lists) in bodies if lists != [ids]] == []


@pytest.mark.parametrize("collect", [list, tuple, set, frozenset, dict.fromkeys, iter], ids=lambda it: it.__name__)
async def test_ids_can_be_in_any_collection(collect: Callable[[Iterable[Any]], Any], sent: Sent) -> None:
    """Lists, tuples, sets, views and iterators are lists of IDs, and numbers are IDs."""
    bodies: list[tuple[str, Any]] = []
    for site, kind in with_kinds(LISTS):
        ids = collect([1001, "1001"])
        body = await sent(site.call(kind, ids.keys() if isinstance(ids, dict) else ids))
        bodies.append((site.method, list(body.values())))

    assert [(method, body) for method, body in bodies if body != [["1001"]]] == []


async def test_generators_are_lists(sent: Sent, edit: Callable[..., Call]) -> None:
    """A generator is accepted as a list, in its order."""
    body = await sent(lambda c: c.flags.users.add("1", "on", (user for user in ("b", 7, "a", "b"))))
    assert body == {"inclusions": ["b", "7", "a"]}
    assert await sent(edit(tags=(tag for tag in "ba"))) == {"tags": ["b", "a"]}
    assert await sent(edit(tags=[], target_segments=())) == {"tags": [], "targetSegments": []}


async def test_an_id_can_be_a_number(sent: Sent) -> None:
    """The IDs of flags, projects and deployments can be integers."""
    assert await sent(lambda c: c.flags.edit(1, enabled=False)) == {"enabled": False}
    created = await sent(lambda c: c.flags.create(project_id=12, key="new", deployments=[1001]))
    assert created == {"projectId": "12", "key": "new", "deployments": ["1001"]}


async def test_models_and_mappings_are_sent_alike(sent: Sent) -> None:
    """Segments, conditions and exposure events can be models or mappings."""
    condition = Condition(prop="gp:plan", op="is", values=["pro"])
    segment = Segment(
        name="s", conditions=[condition], percentage=5, rollout_weights={"on": 1}, extra={"newHere": {"a": 1}}
    )
    exposure = ExposureEvent("e", [ExposureFilter("k", "is", "event", ["v"])])
    unset = {"type", "extra", "bucketing_key", "group_type"}

    def mapping(model: Any) -> Any:
        values = {name: getattr(model, name) for name in attrs.fields_dict(type(model)) if name not in unset}
        lists = {
            name: [mapping(item) if attrs.has(type(item)) else item for item in value]
            for name, value in values.items()
            if isinstance(value, list)
        }
        return MappingProxyType(values | lists | ({"extra": model.extra} if model.extra else {}))

    built = await sent(lambda c: c.experiments.edit("1", target_segments=[segment], exposure_event=exposure))
    written = await sent(
        lambda c: c.experiments.edit("1", target_segments=[mapping(segment)], exposure_event=mapping(exposure))
    )

    assert built == written
    assert built["targetSegments"] == [
        {
            "name": "s",
            "conditions": [{"type": "property", "prop": "gp:plan", "op": "is", "values": ["pro"]}],
            "percentage": 5,
            "rolloutWeights": {"on": 1},
            "newHere": {"a": 1},
        }
    ]


async def test_null_is_sent_and_unset_is_not(sent: Sent, edit: Callable[..., Call]) -> None:
    """None is sent as null, and `UNSET` is omitted, in edits, creations and variants."""
    assert await sent(edit(description=None, name=UNSET)) == {"description": None}
    body = await sent(lambda c: c.experiments.edit("1", end_date=None, exposure_event=None, start_date=UNSET))
    assert body == {"endDate": None, "exposureEvent": None}
    body = await sent(lambda c: c.flags.variants.create("1", key="b", payload=None, name=UNSET))
    assert body == {"key": "b", "payload": None}
    assert await sent(lambda c: c.flags.variants.edit("1", "on", payload=None)) == {"payload": None}
    body = await sent(lambda c: c.flags.create(project_id="1", key="k", description=None, name=UNSET))
    assert body == {"projectId": "1", "key": "k", "description": None}


async def test_an_exposure_event_without_filters(sent: Sent) -> None:
    """An empty list is sent, because the service requires filters."""
    body = {"exposureEvent": {"event_type": "e", "filters": []}}
    events: list[Any] = [{"event_type": "e"}, ExposureEvent("e"), ExposureEvent("e", None), ExposureEvent("e", [])]
    for event in events:
        assert await sent(lambda c, event=event: c.experiments.edit("1", exposure_event=event)) == body


def test_unknown_words_are_sent() -> None:
    """The service may know words that the library does not."""
    condition = {"type": "property", "prop": "p", "op": "Sounds Like", "values": ["x"]}
    segment = {"name": "s", "conditions": [condition], "percentage": 1, "rolloutWeights": {"on": 1}}
    changes: dict[str, Any] = {"evaluation_mode": "Hybrid", "experiment_type": "A-A-Test", "decision": "Wait"}
    model = Segment("s", [Condition("p", "Sounds Like", ["x"])], 1, {"on": 1})
    valid = validate_edit(EXPERIMENT_EDIT_PARAMS, {**changes, "target_segments": [model]})
    assert serialization.to_json(valid) == changes | {"target_segments": [segment]}


async def test_empty_arrays_of_new_groups_are_omitted(sent: Sent) -> None:
    """The service refuses them."""
    slots = [{"percentage": 100, "experiments": [], "holdouts": (), "individuals": ["u"]}]
    body = await sent(lambda c: c.mutexes.create(project_id="1", name="n", slots=slots))
    assert body == {"projectId": 1, "name": "n", "slots": [{"percentage": 100, "individuals": ["u"]}]}
    members: dict[str, Any] = {"experiments": [], "individual_inclusion": [], "individual_exclusion": ["u"]}
    body = await sent(lambda c: c.holdouts.create(project_id="1", name="n", holdout_percentage=5, **members))
    assert body == {"projectId": 1, "name": "n", "holdoutPercentage": 5, "individualExclusion": ["u"]}


async def test_an_empty_list_of_a_slot(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It is sent. If the service refuses it, a note of the error says that this may be why."""
    emulator.inject(Fault.status(400))
    with pytest.raises(BadRequestError) as caught:
        await client.mutexes.edit_slot("1", 1, experiments=[], holdouts=["5"], individuals=[])
    assert caught.value.__notes__ == ["The service may refuse empty lists: experiments, individuals."]
    assert emulator.requests[0].body == {"experiments": [], "holdouts": [5], "individuals": []}
    emulator.inject(Fault.status(400))
    with pytest.raises(BadRequestError) as caught:
        await client.mutexes.edit_slot("1", 1, experiments=["5"])
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize(
    "payload", [{}, [], "", "text", 0, -1.5, True, False, 2**63, -(2**63), {"a_b": {"cD": [None]}}]
)
async def test_a_payload_is_sent_unchanged(payload: Any, sent: Sent) -> None:
    """Any JSON value is a payload, and its names are not changed."""
    assert await sent(lambda c: c.flags.variants.edit("1", "on", payload=payload)) == {"payload": payload}


class Word(StrEnum):
    """An enum whose members are strings."""

    A = "a"


class Half(float):
    """A subclass of float, such as numpy's."""


class Pair(NamedTuple):
    """A named tuple."""

    a: int
    b: int


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({Word.A: Word.A}, {"a": "a"}),
        (Half(0.5), 0.5),
        (Pair(1, 2), [1, 2]),
        (MappingProxyType({"a": (1,)}), {"a": [1]}),
        ([{"a": Pair(1, 2)}], [{"a": [1, 2]}]),
    ],
    ids=str,
)
async def test_subclasses_of_json_types(value: Any, plain: Any, sent: Sent) -> None:
    """A value that looks like JSON is sent as plain JSON, or rejected, also by `request`."""
    calls: list[Call] = [
        lambda c: c.flags.variants.edit("1", "on", payload=value),
        lambda c: c.request("PATCH", "/flags/1/variants/on", json={"payload": value}),
    ]
    for call in calls:
        with contextlib.suppress(InvalidInputError):
            assert await sent(call) == {"payload": plain}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["key", "project_id", "limit", "include_archived"])
async def test_null_is_not_a_filter(name: str, kind: str, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """None is omitted or rejected in a query, and is never sent as text."""
    with contextlib.suppress(InvalidInputError):
        await getattr(client, kind).list(**{name: None})

    assert [request.query for request in emulator.requests if "None" in request.query.values()] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2023, 7, 29), "2023-07-29"),
        ("2023-07-29", "2023-07-29"),
        (datetime(2023, 7, 29, 12, 0, 0, 5_999, UTC), "2023-07-29T12:00:00.005Z"),
        (datetime(2023, 7, 29, 1, tzinfo=timezone(timedelta(hours=2))), "2023-07-28T23:00:00.000Z"),
        ("2023-07-29T01:00:00+02:00", "2023-07-28T23:00:00.000Z"),
    ],
)
async def test_dates_and_datetimes_are_sent(value: Any, text: str, sent: Sent) -> None:
    """A date remains a date; a time is sent in UTC, with milliseconds."""
    assert await sent(lambda c: c.experiments.edit("1", start_date=value)) == {"startDate": text}


class Key(str, Enum):  # noqa: UP042 - the str() of a StrEnum is its value
    """An enum of strings whose `str()` is not their value."""

    ON = "present"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_enum_member_is_sent_by_its_value(kind: str, sent: Sent) -> None:
    """This holds for keys in queries, paths and bodies."""
    by_key = {"key": "present"}
    assert await sent(lambda c: anext(getattr(c, kind).list(key=Key.ON).pages())) == by_key
    assert await sent(lambda c: getattr(c, kind).find(Key.ON)) == by_key
    assert await sent(lambda c: getattr(c, kind).variants.create("1", key=Key.ON)) == by_key
    assert await sent(lambda c: getattr(c, kind).variants.get("1", Key.ON)) == {}


async def test_a_creation_without_deployments(sent: Sent, create: Callable[..., Call]) -> None:
    """Empty lists of deployments and variants are sent."""
    body = await sent(create(deployments=[], variants=[]))
    assert body == {"projectId": "1", "key": "k", "deployments": [], "variants": []}


async def test_the_values_of_a_query(sent: Sent) -> None:
    """Strings, numbers and booleans are sent as the API expects them."""
    params = {"key": "é &=", "limit": 5, "share": 0.5, "includeArchived": True, "none": False, "empty": ""}
    query = {**params, "limit": "5", "share": "0.5", "includeArchived": "true", "none": "false"}
    assert await sent(lambda c: c.request("GET", "/flags", params=params)) == query
    assert await sent(lambda c: c.request("GET", "/flags", params={Key.ON: Key.ON})) == {"present": "present"}
