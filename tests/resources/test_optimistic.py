"""Guarded edits against the emulator, alone and with somebody else writing at each moment."""

from __future__ import annotations

import asyncio
import copy
import random
from typing import Any

import attrs
import pytest

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    BadRequestError,
    Condition,
    EditConflictError,
    Flag,
    InvalidInputError,
    NotFoundError,
    Segment,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.resources.fixtures import OF_A_COHORT, PILOT, STAFF, meddled, methods, put

READ_WRITE_READ = ["GET", "GET", "PATCH", "GET"]


@pytest.fixture
def id(emulator: Emulator) -> str:
    """The id of a flag with two segments and two tags."""
    flag = emulator.state.add_flag(name="old", tags=["a", "b"], targetSegments=[copy.deepcopy(PILOT), STAFF])
    return str(flag["id"])


def turned_on(flag: Flag) -> Flag:
    return attrs.evolve(flag, enabled=True, name="new")


def wider(flag: Flag) -> Flag:
    """The second segment at 20."""
    first, second = flag.target_segments or ()
    return attrs.evolve(flag, target_segments=[first, attrs.evolve(second, percentage=20)])


async def test_only_what_differs_is_sent(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Four requests, one of them a write of two fields; the result is what was read after it."""
    before = emulator.state.flag(id)
    flag = await client.flags.guarded_edit(id, turned_on)
    assert methods(emulator) == READ_WRITE_READ
    assert emulator.requests[2].body == {"enabled": True, "name": "new"}
    assert flag == await client.flags.get(id)
    changed = {name for name, value in emulator.state.flag(id).items() if before[name] != value}
    assert changed - {"lastModifiedAt"} == {"enabled", "name"}


async def test_an_async_change(client: AsyncExperimentClient, id: str) -> None:
    """It may await."""

    async def change(flag: Flag) -> Flag:
        await asyncio.sleep(0)
        return turned_on(flag)

    assert (await client.flags.guarded_edit(id, change)).name == "new"


async def test_nothing_to_change(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """One reading, no write."""
    assert (await client.flags.guarded_edit(id, lambda flag: flag)).name == "old"
    assert methods(emulator) == ["GET"]


async def test_a_change_in_place(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """A list that is changed in place differs, too."""

    def change(flag: Flag) -> Flag:
        (flag.tags or []).append("c")
        return flag

    assert (await client.flags.guarded_edit(id, change)).tags == ["a", "b", "c"]
    assert emulator.state.flag(id)["tags"] == ["a", "b", "c"]


async def test_a_generator_of_segments(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """It is read once, and nothing of it is lost."""

    def change(flag: Flag) -> Flag:
        everything: Any = (attrs.evolve(segment, percentage=1) for segment in flag.target_segments or ())
        return attrs.evolve(flag, target_segments=everything)

    await client.flags.guarded_edit(id, change)
    assert [segment["percentage"] for segment in emulator.state.flag(id)["targetSegments"]] == [1, 1]


async def test_unknown_fields_are_written_back(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """What is not changed in the segments is as it was, down to what the library does not know."""
    await client.flags.guarded_edit(id, wider)
    assert emulator.state.flag(id)["targetSegments"] == [PILOT, STAFF | {"percentage": 20}]


async def test_archiving(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """`deleted` is shown, and `archive` is written."""
    assert (await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, deleted=True))).deleted is True
    assert emulator.requests[2].body == {"archive": True}


@pytest.mark.parametrize(
    ("change", "instead"),
    [
        ({"key": "x"}, "the service sets it"),
        ({"variants": []}, "variants.edit"),
        ({"rollout_weights": {"on": 2}}, "rollout_weight="),
        ({"deployments": ["1"]}, "deployments.add"),
        ({"created_by": "me"}, "the service sets it"),
        ({"extra": {"x": 1}}, "does not know"),
        ({"name": UNSET}, "UNSET is not sent"),
        ({"rollout_percentage": 101}, "0 to 100"),
        ({"enabled": None}, "true or false"),
    ],
)
async def test_what_an_edit_cannot_change(
    client: AsyncExperimentClient, emulator: Emulator, id: str, change: Any, instead: str
) -> None:
    """It is refused, with what does it instead; other changes of the same copy are not written either."""
    with pytest.raises(InvalidInputError, match=instead) as caught:
        await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, description="also", **change))
    assert [caught.value.argument] == list(change)
    assert methods(emulator) == ["GET"]


@pytest.mark.parametrize("result", [None, {"enabled": True}, "flag"])
async def test_a_change_that_returns_no_copy(client: AsyncExperimentClient, id: str, result: Any) -> None:
    """Such as a function without a return."""
    with pytest.raises(InvalidInputError, match=r"attrs\.evolve"):
        await client.flags.guarded_edit(id, lambda _: result)


@pytest.mark.parametrize("field", ["tags", "targetSegments"])
async def test_a_list_that_is_not_shown(client: AsyncExperimentClient, emulator: Emulator, id: str, field: str) -> None:
    """Writing it would replace what nobody has seen."""
    del emulator.state.stored_flag("flags", id).document[field]
    with pytest.raises(InvalidInputError, match="did not include"):
        await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, tags=["x"], target_segments=[]))


@pytest.mark.parametrize("field", ["tags", "targetSegments"])
async def test_a_list_that_is_not_shown_any_more(
    client: AsyncExperimentClient, emulator: Emulator, id: str, field: str
) -> None:
    """As little as in the first reading."""

    def change(flag: Flag) -> Flag:
        del emulator.state.stored_flag("flags", id).document[field]
        segments = [*(flag.target_segments or ()), Segment(name="new", percentage=1)]
        return attrs.evolve(flag, tags=["x", *(flag.tags or ())], target_segments=segments)

    with pytest.raises(InvalidInputError, match="did not include"):
        await client.flags.guarded_edit(id, change)
    assert methods(emulator) == ["GET", "GET"]


async def test_a_segment_of_a_cohort(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Segments are not written then, and the message names the one; other fields are."""
    put(emulator, id, targetSegments=[PILOT, OF_A_COHORT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.flags.guarded_edit(id, wider)
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.flags.segments.remove(id, "Whales")
    assert methods(emulator) == ["GET", "GET"]
    await client.flags.guarded_edit(id, turned_on)
    assert emulator.state.flag(id)["targetSegments"] == [PILOT, OF_A_COHORT]


@pytest.mark.parametrize(
    "condition", [Condition(type="cohort", values=["c"]), Condition(prop="userdata_cohort", op="is", values=["c"])]
)
async def test_adding_a_segment_of_a_cohort(client: AsyncExperimentClient, id: str, condition: Condition) -> None:
    """It would be dropped."""
    new = Segment(name="VIP", conditions=[condition], percentage=1, rollout_weights={})
    with pytest.raises(InvalidInputError, match='"VIP"'):
        await client.flags.guarded_edit(
            id, lambda flag: attrs.evolve(flag, target_segments=[*(flag.target_segments or ()), new])
        )


async def test_a_segment_of_a_cohort_made_meanwhile(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """It is seen at the second reading."""
    view = meddled(client, emulator, id, 1, targetSegments=[PILOT, STAFF, OF_A_COHORT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await view.flags.guarded_edit(id, wider)
    assert methods(emulator) == ["GET", "GET"]


async def test_others_change_something_else(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Another field, another segment, other tags: both changes are there afterwards."""
    view = meddled(
        client, emulator, id, 1, name="theirs", tags=["b", "t"], targetSegments=[PILOT | {"percentage": 11}, STAFF]
    )
    flag = await view.flags.guarded_edit(id, lambda flag: wider(attrs.evolve(flag, tags=["a", "b", "c"])))
    assert methods(emulator) == READ_WRITE_READ
    assert emulator.requests[2].body.keys() == {"tags", "targetSegments"}
    assert (flag.name, flag.tags) == ("theirs", ["b", "t", "c"])
    assert [segment.percentage for segment in flag.target_segments or ()] == [11, 20]


async def test_others_make_the_same_change(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """There is nothing left to write."""
    view = meddled(client, emulator, id, 1, enabled=True, name="new")
    assert (await view.flags.guarded_edit(id, turned_on)).name == "new"
    assert methods(emulator) == ["GET", "GET"]


async def test_others_change_the_same_field(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Nothing is written; the error has all three values."""
    view = meddled(client, emulator, id, 1, name="theirs")
    with pytest.raises(EditConflictError, match="not sent") as caught:
        await view.flags.guarded_edit(id, turned_on)
    error = caught.value
    assert (error.field, error.base, error.ours, error.theirs, error.written) == ("name", "old", "new", "theirs", False)
    assert all(part in str(error) for part in ('"old"', '"new"', '"theirs"', f"PATCH /flags/{id}"))
    assert methods(emulator) == ["GET", "GET"]
    assert emulator.state.flag(id)["enabled"] is False


async def test_others_change_the_same_segment(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The error names it, and further places."""
    view = meddled(client, emulator, id, 1, name="theirs", targetSegments=[PILOT])
    with pytest.raises(EditConflictError, match="Also in conflict: target_segments") as caught:
        await view.flags.guarded_edit(id, lambda flag: wider(turned_on(flag)))
    assert caught.value.field == "name"
    with pytest.raises(EditConflictError) as caught:
        await meddled(client, emulator, id, 1, targetSegments=[PILOT | {"percentage": 3}]).flags.segments.edit(
            id, "Pilot", percentage=4
        )
    percentages = [getattr(side, "percentage", side) for side in (caught.value.base, caught.value.ours)]
    assert (caught.value.field, percentages) == ('target_segments["Pilot"]', [10, 4])
    assert caught.value.theirs.percentage == 3


async def test_a_conflict_in_words(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """It names what differs inside a segment: whom it is for, not only how large it is."""

    def change(flag: Flag) -> Flag:
        pilot, staff = flag.target_segments or ()
        return attrs.evolve(flag, target_segments=[attrs.evolve(pilot, conditions=[]), staff])

    theirs = copy.deepcopy(PILOT)
    theirs["conditions"][0]["values"].append("bo@example.com")
    with pytest.raises(EditConflictError) as caught:
        await meddled(client, emulator, id, 1, targetSegments=[theirs, STAFF]).flags.guarded_edit(id, change)
    ours, others = str(caught.value).partition(" Yours: ")[2].split(" Theirs: ")
    assert ours.startswith('target_segments["Pilot"].conditions: [{"prop": "gp:email", ')
    assert others.startswith('target_segments["Pilot"].conditions[0].values: +"bo@example.com".')


async def test_the_window_that_remains(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """What others write between the last reading and the write: in other fields it stays, in the same it is lost."""
    view = meddled(client, emulator, id, 2, name="theirs", description="theirs")
    flag = await view.flags.guarded_edit(id, turned_on)
    assert (flag.name, flag.description) == ("new", "theirs")


@pytest.mark.parametrize("lost", [{"name": "theirs"}, {"enabled": False}])
async def test_others_overwrite_it_at_once(
    client: AsyncExperimentClient, emulator: Emulator, id: str, lost: dict[str, Any]
) -> None:
    """The last reading shows it."""
    view = meddled(client, emulator, id, 3, **lost)
    with pytest.raises(EditConflictError, match="overwrote") as caught:
        await view.flags.guarded_edit(id, turned_on)
    assert (caught.value.field, caught.value.written) == (next(iter(lost)), True)
    assert methods(emulator) == READ_WRITE_READ


async def test_others_overwrite_values(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Also those that were added to a segment, or the segment with them."""
    for segments in ([PILOT, STAFF], [STAFF]):
        put(emulator, id, targetSegments=[PILOT, STAFF])
        view = meddled(client, emulator, id, 3, targetSegments=segments)
        with pytest.raises(EditConflictError, match="overwrote"):
            await view.flags.segments.add_values(id, "Pilot", "gp:email", ["b"], case="exact")


async def test_others_build_on_what_was_written(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """That is no conflict: ours is still there."""
    view = meddled(client, emulator, id, 3, tags=["x", "c", "a", "b"], description="theirs")
    assert (await view.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, tags=["a", "b", "c"]))).tags
    both = copy.deepcopy(PILOT)
    both["conditions"][0]["values"] += ["b", "theirs"]
    view = meddled(client, emulator, id, 3, targetSegments=[both, STAFF])
    await view.flags.segments.add_values(id, "Pilot", "gp:email", ["b"], case="exact")


async def test_a_lost_reply_is_repeated(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The write is a PATCH as any other."""
    emulator.inject(Fault.close(applied=True), method="PATCH")
    assert (await client.flags.guarded_edit(id, turned_on)).name == "new"
    assert methods(emulator) == ["GET", "GET", "PATCH", "PATCH", "GET"]


async def test_reading_back_fails(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The error says that it was written."""
    emulator.inject(Fault.status(400), method="GET", nth=3)
    with pytest.raises(BadRequestError) as caught:
        await client.flags.guarded_edit(id, turned_on)
    assert "PATCH /flags/" in caught.value.__notes__[0]
    assert emulator.state.flag(id)["name"] == "new"
    assert not client.flags.transport.session.edit_locks


async def test_there_is_no_such_flag(client: AsyncExperimentClient) -> None:
    """As for every other call."""
    with pytest.raises(NotFoundError):
        await client.flags.guarded_edit("404", turned_on)


@pytest.mark.parametrize("seed", range(4))
async def test_many_writers_of_one_client_lose_nothing(emulator: Emulator, seed: int) -> None:
    """Segments, values and tags added, changed and removed at once, through views of one client, all arrive."""
    chance = random.Random(seed)
    emulator.latency = (0.0, 0.004)
    segments = [STAFF | {"name": f"s{at}"} for at in range(8)] + [PILOT]
    id = str(emulator.state.add_flag(tags=["t0", "t1", "t2"], targetSegments=segments)["id"])
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=None) as client:

        async def work(number: int) -> None:
            await asyncio.sleep(chance.random() * 0.02)
            flags = client.with_options(timeout=9).flags
            await flags.tags.add(id, [f"new{number}"])
            await flags.segments.add_values(id, "Pilot", "gp:email", [f"u{number}"], case="exact")
            await flags.segments.edit(id, f"s{number}", percentage=number)
            await flags.segments.add(
                id, {"name": f"n{number}", "conditions": [], "percentage": 1, "rollout_weights": {"on": 1}}
            )
            await (flags.tags.remove(id, [f"t{number}"]) if number < 3 else flags.segments.remove(id, f"s{number}"))

        await asyncio.gather(*map(work, range(8)))
        assert len(client.flags.transport.session.edit_locks) == 0
    flag = emulator.state.flag(id)
    assert set(flag["tags"]) == {f"new{number}" for number in range(8)}
    found = {segment["name"]: segment for segment in flag["targetSegments"]}
    assert found.keys() == {"Pilot", "s0", "s1", "s2"} | {f"n{number}" for number in range(8)}
    assert [found[f"s{number}"]["percentage"] for number in range(3)] == [0, 1, 2]
    values = found["Pilot"].pop("conditions")[0]["values"]
    assert set(values) == {"Ann@example.com"} | {f"u{number}" for number in range(8)}
    assert found["Pilot"] == {name: value for name, value in PILOT.items() if name != "conditions"}


async def test_a_cancelled_edit_lets_others_in(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Whoever waits for their turn gets it."""
    emulator.inject(Fault.delay(0.3), method="PATCH")
    first = asyncio.ensure_future(client.flags.guarded_edit(id, turned_on))
    await asyncio.sleep(0.1)
    waiting = asyncio.ensure_future(client.flags.tags.add(id, ["c"]))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await waiting).tags == ["a", "b", "c"]
    assert not client.flags.transport.session.edit_locks


async def test_an_edit_of_an_earlier_reading(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Changes by others since that reading are merged, or are a conflict; the reading is not repeated."""
    base = await client.flags.get(id)
    put(emulator, id, description="theirs")
    flag = await client.flags.guarded_edit(id, turned_on, base=base)
    assert (flag.name, flag.description) == ("new", "theirs")
    assert methods(emulator) == ["GET", "GET", "PATCH", "GET"]
    put(emulator, id, name="theirs")
    with pytest.raises(EditConflictError):
        await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, name="ours"), base=base)


async def test_a_dry_run(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The changed copy is validated and returned, and nothing is written; with a base, nothing is sent."""
    base = await client.flags.get(id)
    assert await client.flags.guarded_edit(id, turned_on, dry_run=True) == turned_on(base)
    emulator.requests.clear()
    assert await client.flags.guarded_edit(id, turned_on, base=base, dry_run=True) == turned_on(base)
    with pytest.raises(InvalidInputError, match="an edit cannot change"):
        await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, key="b"), base=base, dry_run=True)
    assert methods(emulator) == []


async def test_a_base_of_another_flag(client: AsyncExperimentClient, id: str) -> None:
    """It is rejected."""
    base = attrs.evolve(await client.flags.get(id), id="999")
    with pytest.raises(InvalidInputError, match="base: must be the Flag with the ID"):
        await client.flags.guarded_edit(id, turned_on, base=base)


@pytest.mark.parametrize("decision", ["rollout", "rollback"])
async def test_dry_runs_of_decisions(client: AsyncExperimentClient, emulator: Emulator, decision: str) -> None:
    """They return the experiment that would be written."""
    base = await client.experiments.get(emulator.state.add_experiment()["id"])
    emulator.requests.clear()
    if decision == "rollout":
        edited = await client.experiments.roll_out(base.id, "treatment", "why", base=base, dry_run=True)
    else:
        edited = await client.experiments.roll_back(base.id, "why", base=base, dry_run=True)
    assert (edited.decision, edited.decision_reason) == (decision, "why")
    assert methods(emulator) == []
