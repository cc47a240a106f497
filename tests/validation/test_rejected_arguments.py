"""Arguments that break a rule of the API are rejected before a request is sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from amp_exp_async import UNSET, AsyncExperimentClient, Condition, InvalidInputError, Manifest, Segment, Variant
from amp_exp_async.emulator import Emulator
from tests.validation.call_sites import EXISTING_KEYS, IDS, KEYS, KINDS, LISTS, Call, CallSite, Rejected, with_kinds
from tests.validation.conftest import AllRejected

DEEP: Any = "the bottom"
for _ in range(201):
    DEEP = [DEEP]
NOT_JSON: list[Any] = [
    *(math.nan, math.inf, -math.inf, datetime.now(UTC), date(2023, 7, 29), {1}, b"bytes", object()),
    *({1: "x"}, {None: 1}, {("a",): 1}, DEEP, range(3), 1j, lambda: None),
]


def segments(*conditions: Any, **fields: Any) -> dict[str, Any]:
    """Return the change of one segment, as a mapping."""
    return {"target_segments": [fields | ({"conditions": list(conditions)} if conditions else {})]}


async def test_an_invalid_id_is_rejected(all_rejected: AllRejected) -> None:
    """An ID that is empty, `.` or `..` would make the path of another operation."""
    rules = {"": "must not be empty", ".": 'must not be "." or ".."', "..": 'must not be "." or ".."'}
    types = dict.fromkeys((True, 1.5, b"1"), "must be a string")
    cases = [*rules.items(), *types.items(), (["1"], "must be a string")]
    await all_rejected(
        (site.call(kind, value), site.argument, rule) for site, kind in with_kinds(IDS) for value, rule in cases
    )


async def test_an_invalid_new_key_is_rejected(all_rejected: AllRejected) -> None:
    """New keys and labels consist of letters, digits, `_` and `-`."""
    rule = 'must consist of letters, digits, "_" and "-"'
    cases = [
        *dict.fromkeys(("", ".", "..", "a b", "a.b", "a/b", "é", "on\n", "٣"), rule).items(),
        (5, "must be a string"),
    ]
    await all_rejected(
        (site.call(kind, value), site.argument, rule) for site, kind in with_kinds(KEYS) for value, rule in cases
    )


async def test_an_existing_key_has_any_characters_but_is_not_empty(all_rejected: AllRejected) -> None:
    """A key in a path is also not `.` or `..`, which would make the path of another operation."""
    dots = [(text, 'must not be "." or ".."') for text in (".", "..")]
    for_all = [("", "must "), (5, "must be a string"), (None, "must be a string"), ("\ud800", "must be valid Unicode")]
    await all_rejected(
        (site.call(kind, value), site.argument, rule)
        for site, kind in with_kinds(EXISTING_KEYS)
        for value, rule in [*for_all, *(dots if site.argument == "variant" else [])]
    )


async def test_an_invalid_page_size_is_rejected(all_rejected: AllRejected) -> None:
    """A page has 1 to 1,000 items."""
    await all_rejected(
        (
            lambda c, name=name, limit=limit: getattr(c, name).list(limit=limit),
            "limit",
            "must be an integer from 1 to 1000",
        )
        for name in ("flags", "experiments", "deployments", "versions", "mutexes", "holdouts")
        for limit in (0, 1001, -1, True, 2.5, "5")
    )


@pytest.mark.parametrize("value", [-1, -0.001, 100.001, 101, math.nan, math.inf, -math.inf, True, "50"])
async def test_an_invalid_percentage_is_rejected(value: Any, edit: Callable[..., Call], rejected: Rejected) -> None:
    """A percentage is from 0 to 100, alone and in a segment, which can be a model or a mapping."""
    rule = "must be a number from 0 to 100"
    await rejected(edit(rollout_percentage=value), "rollout_percentage", rule)
    await rejected(edit(**segments(percentage=value)), "target_segments[0].percentage", rule)
    mixed = [Segment("s", [], 1, {"on": 1}), Segment(percentage=value)]
    await rejected(edit(target_segments=mixed), "target_segments[1].percentage", rule)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "1", 2**70])
async def test_an_invalid_weight_is_rejected(value: Any, create: Callable[..., Call], rejected: Rejected) -> None:
    """A weight is a number of at least 0 and at most 64 bits."""
    rule = "must be a number of at least 0"
    await rejected(create(rollout_weights={"on": value}), "rollout_weights.on", rule)
    await rejected(create(**segments(rollout_weights={"on": value})), "target_segments[0].rollout_weights.on", rule)
    await rejected(lambda c: c.flags.variants.edit("1", "on", rollout_weight=value), "rollout_weight", rule)


async def test_lists_of_ids_have_bounds(all_rejected: AllRejected) -> None:
    """A request adds at most 2,000 IDs and removes at most 100, and at least one."""

    def cases(site: CallSite, kind: str) -> Iterator[tuple[Call, str, str]]:
        yield site.call(kind, []), site.argument, "must contain at least one ID"
        yield site.call(kind, iter(())), site.argument, "must contain at least one ID"
        if site.max_count:
            too_many = [f"u{number}" for number in range(site.max_count + 1)]
            yield site.call(kind, too_many), site.argument, f"must contain at most {site.max_count} IDs"

    await all_rejected(case for site, kind in with_kinds(LISTS) for case in cases(site, kind))


async def test_an_invalid_id_in_a_list_is_rejected(all_rejected: AllRejected) -> None:
    """The service would accept these IDs, and match no user; the error names the item. Existing ones can be removed."""
    control = "must not contain line breaks or other control characters"
    cases: list[tuple[Any, str]] = [
        ("", "empty"),
        ("a,b", "comma"),
        (" a", "white space"),
        ("a\n", "white space"),
        *((value, control) for value in ("a\ud83d", "a\nb", "a\r\nb", "a\tb", "a\0b", "a\x1fb", "a\u2028b")),
    ]
    of_any: list[tuple[Any, str]] = [(value, "must be a string") for value in (None, True, 1.5, b"a", ["a"])]
    await all_rejected(
        (site.call(kind, ["valid", value]), f"{site.argument}[1]", rule)
        for site, kind in with_kinds(LISTS)
        for value, rule in (of_any if site.method.endswith(".remove") else cases + of_any)
    )


async def test_a_value_that_is_not_a_list_of_ids_is_rejected(all_rejected: AllRejected) -> None:
    """The items of a string are its characters, those of a mapping its keys."""
    await all_rejected(
        (site.call(kind, value), site.argument, "must be a list")
        for site, kind in with_kinds(LISTS)
        for value in ("a,b", "abc", b"abc", {"a": 1}, None, 5)
    )


@pytest.mark.parametrize("value", ["a,b", "", b"abc", {"a": 1}, 5])
async def test_a_value_that_is_not_a_list_is_rejected(
    value: Any, edit: Callable[..., Call], rejected: Rejected
) -> None:
    """This holds for tags, segments, conditions and their values, and for the lists of a creation."""
    for argument in ("tags", "target_segments"):
        await rejected(edit(**{argument: value}), argument, "must be a list")
    await rejected(edit(**segments({"values": value})), "target_segments[0].conditions[0].values", "must be a list")
    await rejected(edit(target_segments=[{"conditions": value}]), "target_segments[0].conditions", "must be a list")
    for argument in ("variants", "deployments"):
        creation: dict[str, Any] = {argument: value}
        await rejected(
            lambda c, value=creation: c.flags.create(project_id="1", key="k", **value), argument, "must be a list"
        )


@pytest.mark.parametrize("name", ["start_date", "end_date"])
async def test_a_naive_datetime_is_rejected(name: str, rejected: Rejected) -> None:
    """A naive datetime is ambiguous; a text must be a date or a timestamp."""
    for naive in (datetime(2023, 7, 29, 12), "2023-07-29T12:00:00"):  # noqa: DTZ001 - rejected
        await rejected(lambda c, value=naive: c.experiments.edit("1", **{name: value}), name, "must have a time zone")
    for bad in ("tomorrow", "2023-13-01", 5, True):
        await rejected(lambda c, value=bad: c.experiments.edit("1", **{name: value}), name, "must be a date or")


@pytest.mark.parametrize("type", ["web", "", "Client", None, 5, ["client"]])
async def test_an_unknown_deployment_type_is_rejected(type: Any, rejected: Rejected) -> None:
    """A deployment is of type client or server."""
    fields = {"project_id": "1", "label": "web", "type": type}
    await rejected(lambda c: c.deployments.create(**fields), "type", 'must be "client" or "server"')


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
async def test_an_edit_without_changes_is_rejected(call: Call, rejected: Rejected) -> None:
    """An edit changes at least one field."""
    await rejected(call, "changes", "must change something")


@pytest.mark.parametrize(
    ("name", "similar"),
    [("rolloutPercentage", "rollout_percentage"), ("enabeld", "enabled"), ("target_segment", "target_segments")],
)
async def test_an_unknown_field_of_an_edit_is_rejected(
    name: str, similar: str, edit: Callable[..., Call], rejected: Rejected
) -> None:
    """The error suggests the most similar field."""
    assert f'did you mean "{similar}"?' in await rejected(edit(**{name: 1}), name, "unknown field")


@pytest.mark.parametrize(
    ("name", "similar"),
    [("rolloutWeights", "rollout_weights"), ("variant", "variants"), ("evaluationMode", "evaluation_mode")],
)
async def test_an_unknown_field_of_a_creation_is_rejected(
    name: str, similar: str, create: Callable[..., Call], rejected: Rejected
) -> None:
    """The error suggests the most similar field."""
    assert f'did you mean "{similar}"?' in await rejected(create(**{name: 1}), name, "unknown field")


async def test_flags_have_no_experiment_fields(rejected: Rejected) -> None:
    """A field that only experiments have is unknown for flags."""
    await rejected(lambda c: c.flags.edit("1", sticky_bucketing=True), "sticky_bucketing", "unknown field")
    fields = {"project_id": "1", "key": "k", "sticky_bucketing": True}
    await rejected(lambda c: c.flags.create(**fields), "sticky_bucketing", "unknown field")


@pytest.mark.parametrize("name", ["enabled", "rollout_percentage", "tags", "archive", "bucketing_salt"])
async def test_a_creation_names_the_edit_that_sets_a_field(
    name: str, create: Callable[..., Call], rejected: Rejected
) -> None:
    """A field that only an edit sets is rejected with this advice."""
    assert "set the field with an edit" in await rejected(create(**{name: True}), name, "a creation cannot set")


@pytest.mark.parametrize(
    ("name", "alternative"),
    [("variants", "variants.create"), ("rollout_weights", "variants.edit"), ("deployments", "deployments.add")],
)
async def test_an_edit_names_what_changes_a_field_instead(
    name: str, alternative: str, edit: Callable[..., Call], rejected: Rejected
) -> None:
    """A field that only a creation sets is rejected with the operations that change it."""
    assert alternative in await rejected(edit(**{name: []}), name, "an edit cannot change this field")


@pytest.mark.parametrize("variants", [[], [{"key": "control"}, {"key": "treatment"}]])
async def test_weights_of_a_creation_name_its_variants(
    variants: list[Any], create: Callable[..., Call], rejected: Rejected
) -> None:
    """A weight of a variant that is not created has no effect, so it is rejected."""
    rule, weights = "must name variants of this creation", {"rollout_weights": {"on": 1}}
    segment = {"name": "s", "conditions": [], "percentage": 5, **weights}
    for fields, argument in (
        (weights, "rollout_weights"),
        ({"target_segments": [segment]}, "target_segments[0].rollout_weights"),
    ):
        assert 'got "on"' in await rejected(create(variants=variants, **fields), argument, rule)


@pytest.mark.parametrize("tag", ["", " ", "\t\n"])
async def test_a_tag_that_is_added_is_not_blank(tag: str, rejected: Rejected) -> None:
    """The app would show nothing of it. An existing one can be kept and removed."""
    await rejected(lambda client: client.flags.tags.add("1", ["a", tag]), "tags[1]", "must not be blank")


@pytest.mark.parametrize("project_id", ["123 ", "123\r", " 123", "\u00a0123"])
async def test_the_id_of_a_project_has_no_outer_white_space(project_id: str, all_rejected: AllRejected) -> None:
    """A setting with a blank or a carriage return at its end would read as a project that has nothing."""
    calls: list[Call] = [
        lambda client: client.flags.create(project_id=project_id, key="k"),
        lambda client: client.experiments.list(project_id=project_id),
        lambda client: client.deployments.create(project_id=project_id, label="web", type="client"),
        lambda client: client.export(project_id=project_id),
        lambda client: client.plan(Manifest(), project_id=project_id),
    ]
    await all_rejected((call, "project_id", "must not begin or end with white space") for call in calls)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2026, 12, 1), date(2026, 11, 1)),
        ("2026-12-01", "2026-11-30T23:59:59Z"),
        (datetime(2026, 12, 1, 9, tzinfo=UTC), datetime(2026, 12, 1, 8, tzinfo=UTC)),
    ],
)
async def test_an_experiment_does_not_end_before_it_starts(start: Any, end: Any, rejected: Rejected) -> None:
    """Times, and dates that stand for the whole day, are compared."""
    rule = "must not be before start_date"
    await rejected(lambda client: client.experiments.edit("1", start_date=start, end_date=end), "end_date", rule)


@pytest.mark.parametrize(("start", "end"), [("2026-12-01", "2026-12-01"), ("2026-12-01T09:00Z", "2026-12-01")])
async def test_an_experiment_may_end_on_the_day_on_which_it_starts(
    start: str, end: str, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """A date stands for the whole day."""
    id = emulator.state.add_experiment(key="k")["id"]
    await client.experiments.edit(id, start_date=start, end_date=end)
    assert (await client.experiments.get(id)).end_date == date(2026, 12, 1)


class _NotJson:
    """A value such as an array of numpy, whose comparison has no truth value."""

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")

    def __hash__(self) -> int:
        return 0


@pytest.mark.parametrize("field", ["rollout_percentage", "name", "enabled", "tags", "target_segments"])
async def test_a_guarded_edit_rejects_values_that_cannot_be_compared(
    field: str, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """A value without an order or truth value ends in the error of its validator."""
    flag = emulator.state.add_flag(key="k")
    with pytest.raises(InvalidInputError, match=f"{field}: must be"):
        await client.flags.guarded_edit(flag["id"], lambda flag: attrs.evolve(flag, **{field: _NotJson()}))


@pytest.mark.parametrize(
    ("fields", "location", "hint"),
    [
        (segments(percentge=5), "target_segments[0].percentge", '"percentage"'),
        (segments(rolloutWeights={}), "target_segments[0].rolloutWeights", '"rollout_weights"'),
        (
            segments({"prop": "p", "op": "is", "values": ["x"]}, {"value": ["x"]}),
            "target_segments[0].conditions[1].value",
            '"values"',
        ),
        (segments(**{"12": 5}), "target_segments[0].12", "expected one of: "),
        ({"target_segments": [{12: 5}]}, "target_segments[0].12", "expected one of: "),
        ({"exposure_event": {"event": "e"}}, "exposure_event.event", '"event_type"'),
        ({"exposure_event": {"eventType": "e"}}, "exposure_event.eventType", '"event_type"'),
        ({"exposure_event": {"filters": [{"subprop": "e"}]}}, "exposure_event.filters[0].subprop", '"subprop_'),
    ],
)
async def test_an_unknown_field_of_a_model_is_rejected(
    fields: Any, location: str, hint: str, rejected: Rejected
) -> None:
    """A mapping that stands for a model has the fields of the model only."""
    message = await rejected(lambda c: c.experiments.edit("1", **fields), location, "unknown field")
    assert hint in message


async def test_an_invalid_variant_is_rejected(create: Callable[..., Call], rejected: Rejected) -> None:
    """A new variant is a model or a mapping of its fields, with a key."""
    await rejected(create(variants=[{"key": "on"}, {"keys": "x"}]), "variants[1].keys", 'did you mean "key"?')
    await rejected(create(variants=[{"name": "x"}]), "variants[0]", "must have key")
    await rejected(create(variants=[Variant("a b")]), "variants[0].key", "must consist of letters")
    await rejected(create(variants=["on"]), "variants[0]", "must be a Variant or a mapping")


@pytest.mark.parametrize("value", NOT_JSON, ids=lambda value: f"{value!r:.20}".encode("ascii", "replace").decode())
async def test_a_payload_that_is_not_json_is_rejected(
    value: Any, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """A value that JSON cannot hold is rejected at any depth."""
    for payload in (value, {"a": [0, value]}):
        calls: dict[str, Call] = {
            "payload": lambda c, payload=payload: c.flags.variants.edit("1", "on", payload=payload),
            "variants[0].payload": lambda c, payload=payload: c.experiments.create(
                project_id="1", key="k", variants=[Variant("on", payload=payload)]
            ),
            "json": lambda c, payload=payload: c.request("POST", "/flags", json=payload),
        }
        for argument, call in calls.items():
            with pytest.raises(InvalidInputError, match="must be ") as caught:
                await call(client)
            assert caught.value.argument.startswith(argument)
    assert emulator.requests == []


@pytest.mark.parametrize("index", [-1, True, False, "0", 1.0, None])
async def test_an_invalid_index_is_rejected(index: Any, rejected: Rejected) -> None:
    """An index is an integer from 0."""
    rule = "must be an integer of at least 0"
    await rejected(lambda c: c.flags.users.remove_at("1", "on", index), "index", rule)


@pytest.mark.parametrize(
    ("changes", "argument", "rule"),
    [
        ({"enabled": "true"}, "enabled", "must be true or false"),
        ({"archive": 1}, "archive", "must be true or false"),
        ({"name": 5}, "name", "must be a string"),
        ({"bucketing_key": b"id"}, "bucketing_key", "must be a string"),
        ({"tags": ["a", 5]}, "tags[1]", "must be a string"),
        ({"target_segments": ["everyone"]}, "target_segments[0]", "must be a Segment or a mapping"),
        (segments(name=5), "target_segments[0].name", "must be a string"),
        (segments(rollout_weights=[1]), "target_segments[0].rollout_weights", "must map variant keys to weights"),
        (segments(rollout_weights={"": 1}), "target_segments[0].rollout_weights key", "must not be empty"),
        (segments("US"), "target_segments[0].conditions[0]", "must be a Condition or a mapping"),
        (segments({"values": [1]}), "target_segments[0].conditions[0].values[0]", "must be a string"),
        (segments({"type": "cohort"}), "target_segments[0].conditions[0].type", "conditions on cohorts cannot"),
        (
            segments(Condition("p", "is", ["x"]), Condition(type="cohort")),
            "target_segments[0].conditions[1].type",
            "conditions on",
        ),
        (segments(extra=5), "target_segments[0].extra", "must be"),
        (segments(extra={"newHere": math.nan}), "target_segments[0].extra.newHere", "must be JSON"),
    ],
    ids=str,
)
async def test_a_value_of_another_type_is_rejected(
    changes: Any, argument: str, rule: str, edit: Callable[..., Call], rejected: Rejected
) -> None:
    """Each field has one type, and conditions on cohorts, which the API would drop, are rejected."""
    await rejected(edit(**changes), argument, rule)


COMPLETE: dict[str, Any] = {
    "name": "s",
    "conditions": [{"prop": "country", "op": "is", "values": ["JP"]}],
    "percentage": 5,
    "rollout_weights": {"on": 1},
}
SEGMENT_WRITES: dict[str, tuple[Callable[[Any, str], Call], str]] = {
    "edit": (
        lambda segment, kind: lambda c: getattr(c, kind).edit("1", target_segments=[segment]),
        "target_segments[0]",
    ),
    "create": (
        lambda segment, kind: lambda c: getattr(c, kind).create(project_id="1", key="k", target_segments=[segment]),
        "target_segments[0]",
    ),
    "segments.add": (lambda segment, kind: lambda c: getattr(c, kind).segments.add("1", segment), "segment"),
}


@pytest.mark.parametrize("write", SEGMENT_WRITES)
async def test_an_incomplete_segment_is_rejected(write: str, all_rejected: AllRejected) -> None:
    """The service requires four fields of a segment, and all of a condition; none may be null. The error names it."""
    call, location = SEGMENT_WRITES[write]
    without = [(name, {key: COMPLETE[key] for key in COMPLETE if key != name}) for name in COMPLETE]
    nulls: list[tuple[str, Any]] = [(name, COMPLETE | {name: None}) for name in COMPLETE]
    condition = {"prop": "p", "op": "is", "values": ["x"], "type": "property"}
    nulls += [
        (f"conditions[0].{name}", COMPLETE | {"conditions": [condition | {name: None}]})
        for name in ("prop", "op", "type")
    ]
    cases = [
        (kind, f"{location}.{name}", "is required", segment) for kind in KINDS for name, segment in without + nulls
    ] + [
        (kind, f"{location}.conditions[0].values", "must contain at least one value", COMPLETE | {"conditions": [bad]})
        for kind in KINDS
        for bad in ({"prop": "p", "op": "is"}, {"prop": "p", "op": "is", "values": []}, Condition("p", "is"))
    ]
    await all_rejected((call(segment, kind), argument, rule) for kind, argument, rule, segment in cases)


async def test_the_reserved_variant_key_is_rejected(all_rejected: AllRejected) -> None:
    """A variant cannot be created as, or renamed to, `off` in any case."""

    def cases(kind: str, key: str) -> Iterator[tuple[Call, str, str]]:
        rule = 'must not be "off", which the service reserves'
        yield lambda c: getattr(c, kind).variants.create("1", key=key), "key", rule
        yield lambda c: getattr(c, kind).variants.edit("1", "on", key=key), "key", rule
        creation: dict[str, Any] = {"project_id": "1", "key": "k", "variants": [Variant("on"), Variant(key)]}
        yield lambda c: getattr(c, kind).create(**creation), "variants[1].key", rule

    await all_rejected(case for kind in KINDS for key in ("off", "OFF", "Off") for case in cases(kind, key))


async def test_a_known_word_in_the_wrong_case_is_rejected(all_rejected: AllRejected) -> None:
    """The error names the right word."""

    def condition(op: str, type: str = "property") -> Call:
        return lambda c: c.flags.edit(
            "1", target_segments=[COMPLETE | {"conditions": [Condition("p", op, ["x"], type)]}]
        )

    def exposure(**fields: Any) -> Call:
        event = {"event_type": "e", "filters": [fields]}
        return lambda c: c.experiments.edit("1", exposure_event=event)

    at, filters = "target_segments[0].conditions[0]", "exposure_event.filters[0]"
    await all_rejected(
        [
            (lambda c: c.flags.edit("1", evaluation_mode="Remote"), "evaluation_mode", 'must be "remote"'),
            (lambda c: c.experiments.edit("1", evaluation_mode="LOCAL"), "evaluation_mode", 'must be "local"'),
            (
                lambda c: c.flags.create(project_id="1", key="k", evaluation_mode="Local"),
                "evaluation_mode",
                'must be "local"',
            ),
            (
                lambda c: c.holdouts.create(project_id="1", name="n", holdout_percentage=1, evaluation_mode="Local"),
                "evaluation_mode",
                'must be "local"',
            ),
            (lambda c: c.experiments.edit("1", experiment_type="No-Harm"), "experiment_type", 'must be "no-harm"'),
            (lambda c: c.experiments.edit("1", decision="Rollout"), "decision", 'must be "rollout"'),
            (condition("Is Not"), f"{at}.op", 'must be "is not"'),
            (condition("is", "Property"), f"{at}.type", 'must be "property"'),
            (exposure(subprop_op="IS"), f"{filters}.subprop_op", 'must be "is"'),
            (exposure(subprop_type="User"), f"{filters}.subprop_type", 'must be "user"'),
            (lambda c: c.experiments.list(delivery_method="Web"), "delivery_method", 'must be "web"'),
        ]
    )


async def test_an_exposure_event_without_a_type_is_rejected(rejected: Rejected) -> None:
    """The service requires the type."""
    for event in ({}, {"event_type": ""}, {"filters": []}):
        await rejected(
            lambda c, event=event: c.experiments.edit("1", exposure_event=event),
            "exposure_event.event_type",
            "is required",
        )


@pytest.mark.parametrize("name", ["tags", "target_segments"])
async def test_null_is_not_a_list(name: str, edit: Callable[..., Call], rejected: Rejected) -> None:
    """Null is rejected, since it could delete the whole list."""
    await rejected(edit(**{name: None}), name, "must be a list")


@pytest.mark.parametrize("duplicate", [{"key": "on"}, Variant("on")], ids=["mapping", "model"])
async def test_duplicate_variant_keys_are_rejected(
    duplicate: Any, create: Callable[..., Call], rejected: Rejected
) -> None:
    """The service would keep one of them; the error names the second."""
    variants = [Variant("on"), {"key": "b"}, duplicate]
    await rejected(create(variants=variants), "variants[2].key", "must be unique")


@pytest.mark.parametrize("value", [None, {"a": 1}, {"a"}, b"a", "\ud800"], ids=ascii)
async def test_an_invalid_query_value_is_rejected(value: Any, rejected: Rejected) -> None:
    """A query contains strings, numbers and booleans, also in lists."""
    rule = "must be valid Unicode" if isinstance(value, str) else "must be a string, a number or a boolean"
    await rejected(lambda c: c.request("GET", "/flags", params={"fine": 1, "bad": value}), "params.bad", rule)
    await rejected(lambda c: c.request("GET", "/flags", params={"bad": ["fine", value]}), "params.bad[1]", rule)


@pytest.mark.parametrize("params", [[("a", "b")], "a=b", [], 5], ids=ascii)
async def test_a_query_that_is_not_a_mapping_is_rejected(params: Any, rejected: Rejected) -> None:
    """A list of pairs is not accepted."""
    await rejected(lambda c: c.request("GET", "/flags", params=params), "params", "must be a mapping")


@pytest.mark.parametrize("name", [1, None, "\ud800"], ids=ascii)
async def test_an_invalid_query_name_is_rejected(name: Any, rejected: Rejected) -> None:
    """Names are strings."""
    await rejected(lambda c: c.request("GET", "/flags", params={name: True}), "params name", "must be")


@pytest.mark.parametrize("stream", ["add_many", "remove_many", "replace"])
@pytest.mark.parametrize("ids", [5, None, b"u1", {"u1": 1}], ids=repr)
async def test_ids_of_a_stream_that_are_no_list(
    stream: str, ids: Any, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """A value that is neither a list nor a file is rejected when the run is created."""
    with pytest.raises(InvalidInputError, match=r"^users: must be a list.* Nothing was sent\.$"):
        getattr(client.flags.users, stream)("1", "on", ids)
    assert emulator.requests == []
