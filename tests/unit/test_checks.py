"""What breaks a rule of the API is refused before anything is sent; what does not is sent as it should be."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import attrs
import pytest

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    Condition,
    ExposureEvent,
    ExposureFilter,
    InvalidInputError,
    Segment,
    Variant,
)
from amp_exp_async.emulator import Emulator

Call: TypeAlias = Callable[[AsyncExperimentClient], Awaitable[object]]
Refused: TypeAlias = Callable[[Call, str, str], Awaitable[str]]

KINDS = ["flags", "experiments"]
DEEP: Any = "the bottom"
for _ in range(200):
    DEEP = [DEEP]
NOT_JSON: list[Any] = [
    *(math.nan, math.inf, -math.inf, 2**65, -(2**64), datetime.now(UTC), date(2023, 7, 29), {1}, b"bytes", object()),
    *({1: "x"}, {None: 1}, {("a",): 1}, DEEP, "\ud800", {"\ud800": 1}, range(3), 1j, lambda: None),
]

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def refused(client: AsyncExperimentClient, emulator: Emulator) -> Refused:
    """Make a call that is refused: the error names the argument and the rule, and nothing reached the service."""

    async def check(call: Call, argument: str, rule: str) -> str:
        with pytest.raises(InvalidInputError) as caught:
            await call(client)
        assert emulator.requests == []
        assert caught.value.argument == argument
        assert rule in caught.value.rule
        assert str(caught.value).startswith(f"{argument}: {caught.value.rule}")
        return str(caught.value)

    return check


@pytest.fixture(params=KINDS)
def edit(request: pytest.FixtureRequest) -> Callable[..., Call]:
    """Edits of a flag, and of an experiment."""
    return lambda **changes: lambda client: getattr(client, request.param).edit("1", **changes)


@pytest.fixture(params=KINDS)
def create(request: pytest.FixtureRequest) -> Callable[..., Call]:
    """Creations of a flag, and of an experiment."""
    return lambda **fields: lambda client: getattr(client, request.param).create(project_id="1", key="k", **fields)


def segments(*conditions: Any, **fields: Any) -> dict[str, Any]:
    """A change of one segment, as a mapping."""
    return {"target_segments": [fields | ({"conditions": list(conditions)} if conditions else {})]}


BAD: Any = object()  # stands for the value that a test is about
Place: TypeAlias = tuple[str, tuple[Any, ...], dict[str, Any], str]

# Every place that takes an id or a key, as the method, its arguments, and the name of the one in question.
IDS: list[Place] = [
    ("{kind}.get", (BAD,), {}, "id"),
    ("{kind}.edit", (BAD,), {"enabled": True}, "id"),
    ("{kind}.archive", (BAD,), {}, "id"),
    ("{kind}.restore", (BAD,), {}, "id"),
    ("{kind}.create", (), {"project_id": BAD, "key": "k"}, "project_id"),
    ("{kind}.list", (), {"project_id": BAD}, "project_id"),
    ("{kind}.variants.list", (BAD,), {}, "id"),
    ("{kind}.users.add", (BAD, "on", ["u"]), {}, "id"),
    ("{kind}.users.remove_all", (BAD, "on"), {}, "id"),
    ("{kind}.cohorts.list", (BAD, "on"), {}, "id"),
    ("{kind}.deployments.remove", ("1", BAD), {}, "deployment"),
    ("{kind}.versions.get", ("1", BAD), {}, "version"),
    ("deployments.edit", (BAD,), {"label": "x"}, "id"),
]
KEYS: list[Place] = [
    ("{kind}.create", (), {"project_id": "1", "key": BAD}, "key"),
    ("{kind}.find", (BAD,), {}, "key"),
    ("{kind}.variants.create", ("1",), {"key": BAD}, "key"),
    ("{kind}.variants.edit", ("1", "on"), {"key": BAD}, "key"),
    ("{kind}.variants.get", ("1", BAD), {}, "variant"),
    ("{kind}.variants.remove", ("1", BAD), {}, "variant"),
    ("{kind}.users.list", ("1", BAD), {}, "variant"),
    ("{kind}.users.remove_at", ("1", BAD, 0), {}, "variant"),
    ("{kind}.cohorts.add", ("1", BAD, ["c"]), {}, "variant"),
    ("deployments.create", (), {"project_id": "1", "label": BAD, "type": "client"}, "label"),
    ("deployments.edit", ("1",), {"label": BAD}, "label"),
]
# Every list of ids, and the most that it takes.
LISTS: dict[str, tuple[Place, int]] = {
    "users.add": (("{kind}.users.add", ("1", "on", BAD), {}, "users"), 2000),
    "users.remove": (("{kind}.users.remove", ("1", "on", BAD), {}, "users"), 100),
    "cohorts.add": (("{kind}.cohorts.add", ("1", "on", BAD), {}, "cohorts"), 2000),
    "cohorts.remove": (("{kind}.cohorts.remove", ("1", "on", BAD), {}, "cohorts"), 100),
    "deployments.add": (("{kind}.deployments.add", ("1", BAD), {}, "deployments"), 0),
}


def at(place: Place, kind: str) -> tuple[Callable[[Any], Call], str]:
    """A call of the method with a value in the place in question, and the argument's name."""
    path, args, keywords, argument = place

    def with_value(value: Any) -> Call:
        given = [value if item is BAD else item for item in args]
        named = {name: value if item is BAD else item for name, item in keywords.items()}
        return lambda client: attrgetter(path.format(kind=kind))(client)(*given, **named)

    return with_value, argument


every_id = pytest.mark.parametrize("place", IDS, ids=lambda place: place[0])
every_key = pytest.mark.parametrize("place", KEYS, ids=lambda place: place[0])
every_list = pytest.mark.parametrize("place", LISTS)


@every_kind
@every_id
async def test_an_id_that_leads_elsewhere_is_refused(place: Place, kind: str, refused: Refused) -> None:
    """An id that is empty, `.` or `..` would make the path of another operation; what is no text is no id."""
    call, argument = at(place, kind)
    await refused(call(""), argument, "must not be empty")
    for bad in (".", ".."):
        await refused(call(bad), argument, "must not be '.' or '..'")
    for bad in (True, 1.5, b"1", ["1"]):
        await refused(call(bad), argument, "must be a string")


@every_kind
@every_key
async def test_a_key_of_other_characters_is_refused(place: Place, kind: str, refused: Refused) -> None:
    """Keys and labels are of letters, digits, `_` and `-`: not empty, without spaces, dots, slashes or line ends."""
    call, argument = at(place, kind)
    for bad in ("", ".", "..", "a b", "a.b", "a/b", "é", "on\n", "٣"):
        await refused(call(bad), argument, "must be of letters, digits, '_' and '-'")
    await refused(call(5), argument, "must be a string")


@pytest.mark.parametrize("name", ["flags", "experiments", "deployments"])
@pytest.mark.parametrize("limit", [0, 1001, -1, True, 2.5, "5"])
async def test_a_page_size_out_of_bounds_is_refused(name: str, limit: Any, refused: Refused) -> None:
    """The service gives pages of 1 to 1,000."""
    await refused(lambda c: getattr(c, name).list(limit=limit), "limit", "must be a whole number from 1 to 1000")


@pytest.mark.parametrize("value", [-1, -0.001, 100.001, 101, math.nan, math.inf, -math.inf, True, "50"])
async def test_a_percentage_out_of_bounds_is_refused(value: Any, edit: Callable[..., Call], refused: Refused) -> None:
    """A percentage is from 0 to 100, on its own and inside a segment, built or written as a mapping."""
    rule = "must be a number from 0 to 100"
    await refused(edit(rollout_percentage=value), "rollout_percentage", rule)
    await refused(edit(**segments(percentage=value)), "target_segments[0].percentage", rule)
    listed = [Segment(), Segment(percentage=value)]
    await refused(edit(target_segments=listed), "target_segments[1].percentage", rule)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "1", 2**70])
async def test_a_weight_that_is_none_is_refused(value: Any, create: Callable[..., Call], refused: Refused) -> None:
    """A weight is a number from 0 that JSON can hold, wherever it stands."""
    rule = "must be a number from 0"
    await refused(create(rollout_weights={"on": value}), "rollout_weights.on", rule)
    await refused(create(**segments(rollout_weights={"on": value})), "target_segments[0].rollout_weights.on", rule)
    await refused(lambda c: c.flags.variants.edit("1", "on", rollout_weight=value), "rollout_weight", rule)


@every_kind
@every_list
async def test_too_many_ids_are_refused(place: str, kind: str, refused: Refused) -> None:
    """One request adds at most 2,000 ids and removes at most 100; none at all is a mistake."""
    call, argument = at(LISTS[place][0], kind)
    most = LISTS[place][1]
    await refused(call([]), argument, "must hold at least one id")
    await refused(call(iter(())), argument, "must hold at least one id")
    if most:
        too_many = [f"u{number}" for number in range(most + 1)]
        await refused(call(too_many), argument, f"must hold at most {most} ids")


@every_kind
@every_list
async def test_an_id_that_is_none_is_refused(place: str, kind: str, refused: Refused) -> None:
    """The service would accept these and match nobody; the message names the item."""
    call, argument = at(LISTS[place][0], kind)
    for bad, rule in [("", "empty"), ("a,b", "comma"), (" a", "white space"), ("a\n", "white space")]:
        await refused(call(["fine", bad]), f"{argument}[1]", rule)
    for bad in (None, True, 1.5, b"a", ["a"]):
        await refused(call(["fine", bad]), f"{argument}[1]", "must be a string")


@every_kind
@every_list
@pytest.mark.parametrize("value", ["a,b", "abc", b"abc", {"a": 1}, None, 5])
async def test_what_is_no_list_of_ids_is_refused(place: str, value: Any, kind: str, refused: Refused) -> None:
    """A text would be taken for its letters, a mapping for its keys."""
    call, argument = at(LISTS[place][0], kind)
    await refused(call(value), argument, "must be a list")


@pytest.mark.parametrize("value", ["a,b", "", b"abc", {"a": 1}, 5])
async def test_what_is_no_list_of_fields_is_refused(value: Any, edit: Callable[..., Call], refused: Refused) -> None:
    """The same holds for tags, segments, conditions and their values, and for the lists of a creation."""
    for argument in ("tags", "target_segments"):
        await refused(edit(**{argument: value}), argument, "must be a list")
    await refused(edit(**segments({"values": value})), "target_segments[0].conditions[0].values", "must be a list")
    await refused(edit(target_segments=[{"conditions": value}]), "target_segments[0].conditions", "must be a list")
    for argument in ("variants", "deployments"):
        creation: dict[str, Any] = {argument: value}
        await refused(lambda c, it=creation: c.flags.create(project_id="1", key="k", **it), argument, "must be a list")


@pytest.mark.parametrize("name", ["start_date", "end_date"])
async def test_a_moment_without_a_zone_is_refused(name: str, refused: Refused) -> None:
    """A naive datetime would be taken for another moment; a text must be a date."""
    for naive in (datetime(2023, 7, 29, 12), "2023-07-29T12:00:00"):  # noqa: DTZ001 - this is what is refused
        await refused(lambda c, it=naive: c.experiments.edit("1", **{name: it}), name, "must have a time zone")
    for bad in ("tomorrow", "2023-13-01", 5, True):
        await refused(lambda c, it=bad: c.experiments.edit("1", **{name: it}), name, "must be a date or")


@pytest.mark.parametrize("type", ["web", "", "Client", None, 5, ["client"]])
async def test_a_type_of_deployment_that_does_not_exist_is_refused(type: Any, refused: Refused) -> None:
    """A deployment is of the client or of the server."""
    call: Call = lambda c: c.deployments.create(project_id="1", label="web", type=type)  # noqa: E731
    await refused(call, "type", "must be 'client' or 'server'")


@pytest.mark.parametrize(
    "call",
    [
        *(lambda c, kind=kind: getattr(c, kind).edit("1") for kind in KINDS),
        *(lambda c, kind=kind: getattr(c, kind).edit("1", name=UNSET, enabled=UNSET) for kind in KINDS),
        *(lambda c, kind=kind: getattr(c, kind).variants.edit("1", "on") for kind in KINDS),
        lambda c: c.deployments.edit("1"),
    ],
)
async def test_an_edit_that_changes_nothing_is_refused(call: Call, refused: Refused) -> None:
    """Whoever edits means to change something."""
    await refused(call, "changes", "must change something")


@pytest.mark.parametrize(
    ("name", "near"),
    [("rolloutPercentage", "rollout_percentage"), ("enabeld", "enabled"), ("target_segment", "target_segments")],
)
async def test_an_unknown_change_is_refused(name: str, near: str, edit: Callable[..., Call], refused: Refused) -> None:
    """A misspelled keyword changes nothing by accident: the message has the name that was probably meant."""
    assert repr(near) in await refused(edit(**{name: 1}), name, "there is no such name")


@pytest.mark.parametrize(
    ("name", "near"),
    [("rolloutWeights", "rollout_weights"), ("variant", "variants"), ("evaluationMode", "evaluation_mode")],
)
async def test_an_unknown_field_is_refused(name: str, near: str, create: Callable[..., Call], refused: Refused) -> None:
    """The same holds for creations."""
    assert repr(near) in await refused(create(**{name: 1}), name, "there is no such name")


async def test_a_field_of_experiments_is_none_of_flags(refused: Refused) -> None:
    """What only experiments have is refused for flags, and what only an edit takes is for creations."""
    await refused(lambda c: c.flags.edit("1", sticky_bucketing=True), "sticky_bucketing", "there is no such name")
    await refused(lambda c: c.flags.create(project_id="1", key="k", enabled=True), "enabled", "there is no such name")


@pytest.mark.parametrize(
    ("fields", "place", "near"),
    [
        (segments(percentge=5), "target_segments[0].percentge", "'percentage'"),
        (segments(rolloutWeights={}), "target_segments[0].rolloutWeights", "'rollout_weights'"),
        (segments({"prop": "p"}, {"value": ["x"]}), "target_segments[0].conditions[1].value", "'values'"),
        (segments(**{"12": 5}), "target_segments[0].12", "there are "),
        ({"target_segments": [{12: 5}]}, "target_segments[0].12", "there are "),
        ({"exposure_event": {"event": "e"}}, "exposure_event.event", "'event_type'"),
        ({"exposure_event": {"eventType": "e"}}, "exposure_event.eventType", "'event_type'"),
        ({"exposure_event": {"filters": [{"subprop": "e"}]}}, "exposure_event.filters[0].subprop", "'subprop_"),
    ],
)
async def test_an_unknown_name_inside_is_refused(fields: Any, place: str, near: str, refused: Refused) -> None:
    """A mapping in place of a model has the model's names, and no others."""
    message = await refused(lambda c: c.experiments.edit("1", **fields), place, "there is no such name")
    assert near in message


async def test_a_variant_inside_is_checked(create: Callable[..., Call], refused: Refused) -> None:
    """A new variant has a key, no unknown names, and is a variant."""
    await refused(create(variants=[{"key": "on"}, {"keys": "x"}]), "variants[1].keys", "there is no such name; 'key'")
    await refused(create(variants=[{"name": "x"}]), "variants[0]", "must have key")
    await refused(create(variants=[Variant("a b")]), "variants[0].key", "must be of letters")
    await refused(create(variants=["on"]), "variants[0]", "must be a Variant or a mapping")


@pytest.mark.parametrize("value", NOT_JSON, ids=lambda value: f"{value!r:.20}".encode("ascii", "replace").decode())
async def test_a_payload_that_is_no_json_is_refused(
    value: Any, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """What JSON cannot hold would arrive as something else, or break off the call."""
    for it in (value, {"a": [0, value]}):
        calls: dict[str, Call] = {
            "payload": lambda c, it=it: c.flags.variants.edit("1", "on", payload=it),
            "variants[0].payload": lambda c, it=it: c.experiments.create(
                project_id="1", key="k", variants=[Variant("on", payload=it)]
            ),
            "json": lambda c, it=it: c.request("POST", "/flags", json=it),
        }
        for argument, call in calls.items():
            with pytest.raises(InvalidInputError, match="must be ") as caught:
                await call(client)
            assert caught.value.argument.startswith(argument)
    assert emulator.requests == []


@pytest.mark.parametrize("index", [-1, True, False, "0", 1.0, None])
async def test_an_index_that_is_none_is_refused(index: Any, refused: Refused) -> None:
    """A place in a list is counted from 0."""
    call: Call = lambda c: c.flags.users.remove_at("1", "on", index)  # noqa: E731
    await refused(call, "index", "must be a whole number of at least 0")


@pytest.mark.parametrize(
    ("changes", "argument", "rule"),
    [
        ({"enabled": "true"}, "enabled", "must be True or False"),
        ({"archive": 1}, "archive", "must be True or False"),
        ({"name": 5}, "name", "must be a string"),
        ({"bucketing_key": b"id"}, "bucketing_key", "must be a string"),
        ({"name": "\ud800"}, "name", "must be valid Unicode"),
        ({"tags": ["a", 5]}, "tags[1]", "must be a string"),
        ({"target_segments": ["everyone"]}, "target_segments[0]", "must be a Segment or a mapping"),
        (segments(name=5), "target_segments[0].name", "must be a string"),
        (segments(rollout_weights=[1]), "target_segments[0].rollout_weights", "must map variant keys to weights"),
        (segments(rollout_weights={"a b": 1}), "target_segments[0].rollout_weights key", "must be of letters"),
        (segments("US"), "target_segments[0].conditions[0]", "must be a Condition or a mapping"),
        (segments({"values": [1]}), "target_segments[0].conditions[0].values[0]", "must be a string"),
        (segments({"type": "cohort"}), "target_segments[0].conditions[0].type", "conditions on cohorts cannot"),
        (segments(Condition("p"), Condition(type="cohort")), "target_segments[0].conditions[1].type", "conditions on"),
        (segments(extra=5), "target_segments[0].extra", "must be"),
        (segments(extra={"newHere": math.nan}), "target_segments[0].extra.newHere", "must be JSON"),
    ],
    ids=str,
)
async def test_a_value_of_another_type_is_refused(
    changes: Any, argument: str, rule: str, edit: Callable[..., Call], refused: Refused
) -> None:
    """Each field takes its own type only, and no condition that the API would drop."""
    await refused(edit(**changes), argument, rule)


@pytest.mark.parametrize("name", ["tags", "target_segments"])
async def test_null_is_no_list(name: str, edit: Callable[..., Call], refused: Refused) -> None:
    """A list that is replaced is replaced by a list: null is refused, which might take all of it away."""
    await refused(edit(**{name: None}), name, "must be a list")


@pytest.fixture
async def sent(client: AsyncExperimentClient, emulator: Emulator) -> Callable[[Call], Awaitable[Any]]:
    """Make a call that the service accepts: the body of its one request, or its query when there is none."""
    emulator.state.add_deployment(id="1001", projectId="1", label="web")
    for kind in KINDS:
        emulator.state.add(kind, {"id": "1", "key": "present", "variants": [{"key": "on"}]})  # type: ignore[arg-type]

    async def make(call: Call) -> Any:
        emulator.requests.clear()
        await call(client)
        (request,) = emulator.requests
        assert request.status == 200
        return request.query if request.body is None else request.body

    return make


Sent: TypeAlias = Callable[[Call], Awaitable[Any]]


@pytest.mark.parametrize("limit", [1, 1000])
@pytest.mark.parametrize("name", ["flags", "experiments", "deployments"])
async def test_the_bounds_of_a_page_are_sent(name: str, limit: int, sent: Sent) -> None:
    """The smallest and the largest page may be asked for."""
    assert (await sent(lambda c: anext(getattr(c, name).list(limit=limit).pages())))["limit"] == str(limit)


@pytest.mark.parametrize("value", [0, 100, 0.5])
async def test_the_bounds_of_a_percentage_are_sent(value: float, edit: Callable[..., Call], sent: Sent) -> None:
    """Nobody, everybody and fractions are percentages."""
    segment = Segment(name="s", conditions=[], percentage=value, rollout_weights={})
    body = await sent(edit(rollout_percentage=value, target_segments=[segment]))

    assert (body["rolloutPercentage"], body["targetSegments"][0]["percentage"]) == (value, value)


@every_kind
@pytest.mark.parametrize("place", ["users.add", "users.remove", "cohorts.add", "cohorts.remove"])
@pytest.mark.parametrize("times", [1, 3])
async def test_as_many_ids_as_allowed_are_sent(place: str, kind: str, times: int, sent: Sent) -> None:
    """The most that one request takes is sent in one, each id once, however often it was given."""
    call, _ = at(LISTS[place][0], kind)
    ids = [f"u{number}" for number in range(LISTS[place][1])]

    (body,) = (await sent(call(ids * times))).values()

    assert body == ids


@every_kind
@every_list
@pytest.mark.parametrize("collect", [list, tuple, set, frozenset, dict.fromkeys, iter], ids=lambda it: it.__name__)
async def test_ids_may_come_in_any_collection(
    place: str, kind: str, collect: Callable[[Iterable[Any]], Any], sent: Sent
) -> None:
    """Lists, tuples, sets, views and iterators are all lists of ids, and numbers are ids; the order is kept."""
    call, _ = at(LISTS[place][0], kind)
    given = collect([1001, "1001"])
    given = given.keys() if isinstance(given, dict) else given

    (body,) = (await sent(call(given))).values()

    assert body == ["1001"]


async def test_generators_are_lists(sent: Sent, edit: Callable[..., Call]) -> None:
    """A generator serves wherever a list is meant, in the order that it gives."""
    body = await sent(lambda c: c.flags.users.add("1", "on", (user for user in ("b", 7, "a", "b"))))
    assert body == {"inclusions": ["b", "7", "a"]}
    assert await sent(edit(tags=(tag for tag in "ba"))) == {"tags": ["b", "a"]}
    assert await sent(edit(tags=[], target_segments=())) == {"tags": [], "targetSegments": []}


async def test_an_id_may_be_a_number(sent: Sent) -> None:
    """Ids of flags, projects and deployments may be passed as integers."""
    assert await sent(lambda c: c.flags.edit(1, enabled=True)) == {"enabled": True}
    created = await sent(lambda c: c.flags.create(project_id=12, key="new", deployments=[1001]))
    assert created == {"projectId": "12", "key": "new", "deployments": ["1001"]}


async def test_models_and_mappings_are_sent_alike(sent: Sent) -> None:
    """It makes no difference whether segments, conditions and exposure events are models or mappings, of any kind."""
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
    """None sets a field to null, `UNSET` leaves it as it is: in edits, creations and variants."""
    assert await sent(edit(description=None, name=UNSET)) == {"description": None}
    body = await sent(lambda c: c.experiments.edit("1", end_date=None, exposure_event=None, start_date=UNSET))
    assert body == {"endDate": None, "exposureEvent": None}
    body = await sent(lambda c: c.flags.variants.create("1", key="b", payload=None, name=UNSET))
    assert body == {"key": "b", "payload": None}
    assert await sent(lambda c: c.flags.variants.edit("1", "on", payload=None)) == {"payload": None}
    body = await sent(lambda c: c.flags.create(project_id="1", key="k", description=None, name=UNSET))
    assert body == {"projectId": "1", "key": "k", "description": None}


@pytest.mark.parametrize(
    "payload", [{}, [], "", "text", 0, -1.5, True, False, 2**63, -(2**63), {"a_b": {"cD": [None]}}]
)
async def test_a_payload_is_sent_untouched(payload: Any, sent: Sent) -> None:
    """Any JSON value is a payload, and no name inside it is changed."""
    assert await sent(lambda c: c.flags.variants.edit("1", "on", payload=payload)) == {"payload": payload}


class Word(StrEnum):
    """An enumeration whose members are strings."""

    A = "a"


class Half(float):
    """A float of another library, such as numpy's."""


class Pair(NamedTuple):
    """A tuple with names."""

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
async def test_a_payload_that_passes_the_check_can_be_sent(value: Any, plain: Any, sent: Sent) -> None:
    """What only looks like JSON is sent as what it looks like, by `request` as well, or refused: never half of both."""
    calls: list[Call] = [
        lambda c: c.flags.variants.edit("1", "on", payload=value),
        lambda c: c.request("PATCH", "/flags/1/variants/on", json={"payload": value}),
    ]
    for call in calls:
        with contextlib.suppress(InvalidInputError):
            assert await sent(call) == {"payload": plain}


@every_kind
@pytest.mark.parametrize("name", ["key", "project_id", "limit", "include_archived"])
async def test_null_is_no_filter(name: str, kind: str, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A query has no null: None is left out or refused, and never becomes a text that matches nothing."""
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
async def test_dates_and_aware_moments_are_sent(value: Any, text: str, sent: Sent) -> None:
    """A day stays a day; a moment is sent in UTC, to the millisecond."""
    assert await sent(lambda c: c.experiments.edit("1", start_date=value)) == {"startDate": text}
