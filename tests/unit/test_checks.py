"""What breaks a rule of the API is refused before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from amp_exp_async import UNSET, AsyncExperimentClient, Condition, InvalidInputError, Segment, Variant
from amp_exp_async.emulator import Emulator
from tests.unit.calls import KINDS, LISTS, Call, Place, Refused, at, every_id, every_key, every_kind, every_list

DEEP: Any = "the bottom"
for _ in range(200):
    DEEP = [DEEP]
NOT_JSON: list[Any] = [
    *(math.nan, math.inf, -math.inf, 2**65, -(2**64), datetime.now(UTC), date(2023, 7, 29), {1}, b"bytes", object()),
    *({1: "x"}, {None: 1}, {("a",): 1}, DEEP, "\ud800", {"\ud800": 1}, range(3), 1j, lambda: None),
]


def segments(*conditions: Any, **fields: Any) -> dict[str, Any]:
    """A change of one segment, as a mapping."""
    return {"target_segments": [fields | ({"conditions": list(conditions)} if conditions else {})]}


@every_kind
@every_id
async def test_an_id_that_leads_elsewhere_is_refused(place: Place, kind: str, refused: Refused) -> None:
    """An id that is empty, `.` or `..` would make the path of another operation; what is no text is no id."""
    call, argument = at(place, kind)
    await refused(call(""), argument, "must not be empty")
    for bad in (".", ".."):
        await refused(call(bad), argument, 'must not be "." or ".."')
    for bad in (True, 1.5, b"1", ["1"]):
        await refused(call(bad), argument, "must be a string")


@every_kind
@every_key
async def test_a_key_of_other_characters_is_refused(place: Place, kind: str, refused: Refused) -> None:
    """Keys and labels are of letters, digits, `_` and `-`: not empty, without spaces, dots, slashes or line ends."""
    call, argument = at(place, kind)
    for bad in ("", ".", "..", "a b", "a.b", "a/b", "é", "on\n", "٣"):
        await refused(call(bad), argument, 'must consist of letters, digits, "_" and "-"')
    await refused(call(5), argument, "must be a string")


@pytest.mark.parametrize("name", ["flags", "experiments", "deployments", "versions", "mutexes", "holdouts"])
@pytest.mark.parametrize("limit", [0, 1001, -1, True, 2.5, "5"])
async def test_a_page_size_out_of_bounds_is_refused(name: str, limit: Any, refused: Refused) -> None:
    """The service gives pages of 1 to 1,000."""
    await refused(lambda c: getattr(c, name).list(limit=limit), "limit", "must be an integer from 1 to 1000")


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
    rule = "must be a number of at least 0"
    await refused(create(rollout_weights={"on": value}), "rollout_weights.on", rule)
    await refused(create(**segments(rollout_weights={"on": value})), "target_segments[0].rollout_weights.on", rule)
    await refused(lambda c: c.flags.variants.edit("1", "on", rollout_weight=value), "rollout_weight", rule)


@every_kind
@every_list
async def test_too_many_ids_are_refused(place: str, kind: str, refused: Refused) -> None:
    """One request adds at most 2,000 ids and removes at most 100; none at all is a mistake."""
    call, argument = at(LISTS[place][0], kind)
    most = LISTS[place][1]
    await refused(call([]), argument, "must contain at least one ID")
    await refused(call(iter(())), argument, "must contain at least one ID")
    if most:
        too_many = [f"u{number}" for number in range(most + 1)]
        await refused(call(too_many), argument, f"must contain at most {most} IDs")


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
    await refused(call, "type", 'must be "client" or "server"')


@pytest.mark.parametrize(
    "call",
    [
        *(lambda c, kind=kind: getattr(c, kind).edit("1") for kind in KINDS),
        *(lambda c, kind=kind: getattr(c, kind).edit("1", name=UNSET, enabled=UNSET) for kind in KINDS),
        *(lambda c, kind=kind: getattr(c, kind).variants.edit("1", "on") for kind in KINDS),
        lambda c: c.deployments.edit("1"),
        lambda c: c.mutexes.edit("1"),
        lambda c: c.mutexes.edit_slot("1", 1),
        lambda c: c.holdouts.edit("1", name=UNSET, experiments=UNSET),
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
    assert f'did you mean "{near}"?' in await refused(edit(**{name: 1}), name, "unknown field")


@pytest.mark.parametrize(
    ("name", "near"),
    [("rolloutWeights", "rollout_weights"), ("variant", "variants"), ("evaluationMode", "evaluation_mode")],
)
async def test_an_unknown_field_is_refused(name: str, near: str, create: Callable[..., Call], refused: Refused) -> None:
    """The same holds for creations."""
    assert f'did you mean "{near}"?' in await refused(create(**{name: 1}), name, "unknown field")


async def test_a_field_of_experiments_is_none_of_flags(refused: Refused) -> None:
    """What only experiments have is refused for flags, and what only an edit takes is for creations."""
    await refused(lambda c: c.flags.edit("1", sticky_bucketing=True), "sticky_bucketing", "unknown field")
    await refused(lambda c: c.flags.create(project_id="1", key="k", enabled=True), "enabled", "unknown field")


@pytest.mark.parametrize(
    ("fields", "place", "near"),
    [
        (segments(percentge=5), "target_segments[0].percentge", '"percentage"'),
        (segments(rolloutWeights={}), "target_segments[0].rolloutWeights", '"rollout_weights"'),
        (segments({"prop": "p"}, {"value": ["x"]}), "target_segments[0].conditions[1].value", '"values"'),
        (segments(**{"12": 5}), "target_segments[0].12", "expected one of: "),
        ({"target_segments": [{12: 5}]}, "target_segments[0].12", "expected one of: "),
        ({"exposure_event": {"event": "e"}}, "exposure_event.event", '"event_type"'),
        ({"exposure_event": {"eventType": "e"}}, "exposure_event.eventType", '"event_type"'),
        ({"exposure_event": {"filters": [{"subprop": "e"}]}}, "exposure_event.filters[0].subprop", '"subprop_'),
    ],
)
async def test_an_unknown_name_inside_is_refused(fields: Any, place: str, near: str, refused: Refused) -> None:
    """A mapping in place of a model has the model's names, and no others."""
    message = await refused(lambda c: c.experiments.edit("1", **fields), place, "unknown field")
    assert near in message


async def test_a_variant_inside_is_checked(create: Callable[..., Call], refused: Refused) -> None:
    """A new variant has a key, no unknown names, and is a variant."""
    await refused(create(variants=[{"key": "on"}, {"keys": "x"}]), "variants[1].keys", 'did you mean "key"?')
    await refused(create(variants=[{"name": "x"}]), "variants[0]", "must have key")
    await refused(create(variants=[Variant("a b")]), "variants[0].key", "must consist of letters")
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
    await refused(call, "index", "must be an integer of at least 0")


@pytest.mark.parametrize(
    ("changes", "argument", "rule"),
    [
        ({"enabled": "true"}, "enabled", "must be true or false"),
        ({"archive": 1}, "archive", "must be true or false"),
        ({"name": 5}, "name", "must be a string"),
        ({"bucketing_key": b"id"}, "bucketing_key", "must be a string"),
        ({"name": "\ud800"}, "name", "must be valid Unicode"),
        ({"tags": ["a", 5]}, "tags[1]", "must be a string"),
        ({"target_segments": ["everyone"]}, "target_segments[0]", "must be a Segment or a mapping"),
        (segments(name=5), "target_segments[0].name", "must be a string"),
        (segments(rollout_weights=[1]), "target_segments[0].rollout_weights", "must map variant keys to weights"),
        (segments(rollout_weights={"a b": 1}), "target_segments[0].rollout_weights key", "must consist of letters"),
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


@every_kind
@every_list
@pytest.mark.parametrize("bad", ["a\nb", "a\r\nb", "a\tb", "a\0b", "a\x1fb", "a\u2028b"], ids=ascii)
async def test_an_id_of_several_lines_is_refused(place: str, kind: str, bad: str, refused: Refused) -> None:
    """It would be two ids in one, read from a file as a whole; the service would match nobody."""
    call, argument = at(LISTS[place][0], kind)
    await refused(call(["fine", bad]), f"{argument}[1]", "must not contain line breaks or other control characters")


@pytest.mark.parametrize("again", [{"key": "on"}, Variant("on")], ids=["mapping", "model"])
async def test_two_variants_of_one_key_are_refused(again: Any, create: Callable[..., Call], refused: Refused) -> None:
    """The service would keep one of them; the message names the later one."""
    twice = [Variant("on"), {"key": "off"}, again]
    await refused(create(variants=twice), "variants[2].key", "must be unique")


@pytest.mark.parametrize("value", [None, ["a"], ("a",), {"a": 1}, b"a", "\ud800"], ids=ascii)
async def test_a_query_of_other_values_is_refused(value: Any, refused: Refused) -> None:
    """A query holds texts, numbers and truth values; anything else would be sent as its `str()`."""
    rule = "must be valid Unicode" if isinstance(value, str) else "must be a string, a number or a boolean"
    await refused(lambda c: c.request("GET", "/flags", params={"fine": 1, "bad": value}), "params.bad", rule)


@pytest.mark.parametrize("params", [[("a", "b")], "a=b", [], 5], ids=ascii)
async def test_a_query_that_is_no_mapping_is_refused(params: Any, refused: Refused) -> None:
    """Also pairs, whatever other libraries take."""
    await refused(lambda c: c.request("GET", "/flags", params=params), "params", "must be a mapping")


@pytest.mark.parametrize("name", [1, None, "\ud800"], ids=ascii)
async def test_a_query_of_other_names_is_refused(name: Any, refused: Refused) -> None:
    """Names are texts, whatever their values are."""
    await refused(lambda c: c.request("GET", "/flags", params={name: True}), "params name", "must be")
