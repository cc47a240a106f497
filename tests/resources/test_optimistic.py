"""Guarded edits against the emulator, alone and with another user writing at each moment."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import orjson
import pytest

from amp_exp_async import (
    UNSET,
    APITimeoutError,
    AsyncExperimentClient,
    BadRequestError,
    Condition,
    EditConflictError,
    ExperimentClient,
    Flag,
    InvalidInputError,
    NotFoundError,
    Segment,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.resources import optimistic
from tests.resources.concurrent_writers import (
    COHORT_SEGMENT,
    PILOT,
    STAFF,
    sent_methods,
    with_concurrent_write,
    write_elsewhere,
)
from tests.virtual_time import Answer, ScriptedSession, outcome, run

READ_WRITE_READ = ["GET", "GET", "PATCH", "GET"]


@pytest.fixture
def id(emulator: Emulator) -> str:
    """The ID of a flag with two segments, two tags and a deployment."""
    segments = [copy.deepcopy(PILOT), STAFF]
    deployments = [emulator.state.add_deployment(id="1")["id"]]
    flag = emulator.state.add_flag(name="old", tags=["a", "b"], targetSegments=segments, deployments=deployments)
    return str(flag["id"])


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify a write by at most two reads."""
    monkeypatch.setattr(optimistic, "_VERIFY_WAITS", (0.01,))


def enabled_and_renamed(flag: Flag) -> Flag:
    return attrs.evolve(flag, enabled=True, name="new")


def with_wider_segment(flag: Flag) -> Flag:
    """Return the flag with the second segment at 20 %."""
    first, second = flag.target_segments or ()
    return attrs.evolve(flag, target_segments=[first, attrs.evolve(second, percentage=20)])


async def test_only_what_differs_is_sent(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Four requests are sent; the write has two fields, and the result is the last read."""
    before = emulator.state.flag(id)
    flag = await client.flags.guarded_edit(id, enabled_and_renamed)
    assert sent_methods(emulator) == READ_WRITE_READ
    assert emulator.requests[2].body == {"enabled": True, "name": "new"}
    assert flag == await client.flags.get(id)
    changed = {name for name, value in emulator.state.flag(id).items() if before[name] != value}
    assert changed - {"lastModifiedAt"} == {"enabled", "name"}


async def test_an_async_change(client: AsyncExperimentClient, id: str) -> None:
    """A change may be a coroutine function."""

    async def change(flag: Flag) -> Flag:
        await asyncio.sleep(0)
        return enabled_and_renamed(flag)

    assert (await client.flags.guarded_edit(id, change)).name == "new"


async def test_nothing_to_change(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Without a change, one read is sent and no write."""
    assert (await client.flags.guarded_edit(id, lambda flag: flag)).name == "old"
    assert sent_methods(emulator) == ["GET"]


async def test_a_change_in_place(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """A list that is changed in place is detected."""

    def change(flag: Flag) -> Flag:
        (flag.tags or []).append("c")
        return flag

    assert (await client.flags.guarded_edit(id, change)).tags == ["a", "b", "c"]
    assert emulator.state.flag(id)["tags"] == ["a", "b", "c"]


async def test_a_generator_of_segments(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """A generator is read once and written completely."""

    def change(flag: Flag) -> Flag:
        everything: Any = (attrs.evolve(segment, percentage=1) for segment in flag.target_segments or ())
        return attrs.evolve(flag, target_segments=everything)

    await client.flags.guarded_edit(id, change)
    assert [segment["percentage"] for segment in emulator.state.flag(id)["targetSegments"]] == [1, 1]


async def test_unknown_fields_are_written_back(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Unchanged segments, and fields that the library does not know, are written back as they were."""
    await client.flags.guarded_edit(id, with_wider_segment)
    assert emulator.state.flag(id)["targetSegments"] == [PILOT, STAFF | {"percentage": 20}]


async def test_archiving(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The change of `deleted` is written as `archive`."""
    assert (await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, deleted=True))).deleted is True
    assert emulator.requests[2].body == {"archive": True}


@pytest.mark.parametrize(
    ("change", "instead"),
    [
        ({"key": "x"}, "the service sets it"),
        ({"variants": []}, "variants.edit"),
        ({"rollout_weights": {"on": 2}}, "rollout_weight="),
        ({"deployments": ["2"]}, "deployments.add"),
        ({"created_by": "me"}, "the service sets it"),
        ({"extra": {"x": 1}}, "does not know"),
        ({"name": UNSET}, "UNSET is not sent"),
        ({"rollout_percentage": 101}, "0 to 100"),
        ({"enabled": None}, "true or false"),
    ],
)
async def test_a_change_that_an_edit_cannot_make(
    client: AsyncExperimentClient, emulator: Emulator, id: str, change: Any, instead: str
) -> None:
    """The whole edit is rejected, and the message names the alternative. Nothing is written."""
    with pytest.raises(InvalidInputError, match=instead) as caught:
        await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, description="also", **change))
    assert [caught.value.argument] == list(change)
    assert str(caught.value).endswith("Nothing was written.")
    assert sent_methods(emulator) == ["GET"]


@pytest.mark.parametrize("result", [None, {"enabled": True}, "flag"])
async def test_a_change_that_does_not_return_a_copy(client: AsyncExperimentClient, id: str, result: Any) -> None:
    """The message shows how to return a changed copy."""
    with pytest.raises(InvalidInputError, match=r"attrs\.evolve"):
        await client.flags.guarded_edit(id, lambda _: result)


@pytest.mark.parametrize("field", ["tags", "targetSegments"])
async def test_a_list_that_the_response_omits(
    client: AsyncExperimentClient, emulator: Emulator, id: str, field: str
) -> None:
    """The list is not written: items that were not read would be lost."""
    del emulator.state.stored_flag("flags", id).document[field]
    with pytest.raises(InvalidInputError, match="did not include"):
        await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, tags=["x"], target_segments=[]))


@pytest.mark.parametrize("field", ["tags", "targetSegments"])
async def test_a_list_that_the_second_response_omits(
    client: AsyncExperimentClient, emulator: Emulator, id: str, field: str
) -> None:
    """The second read is checked as the first is."""

    def change(flag: Flag) -> Flag:
        del emulator.state.stored_flag("flags", id).document[field]
        segments = [*(flag.target_segments or ()), Segment("new", [], 1, {"on": 1})]
        return attrs.evolve(flag, tags=["x", *(flag.tags or ())], target_segments=segments)

    with pytest.raises(InvalidInputError, match="did not include"):
        await client.flags.guarded_edit(id, change)
    assert sent_methods(emulator) == ["GET", "GET"]


async def test_a_cohort_condition(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Segments are not written, and the message names the segment. Other fields are written."""
    write_elsewhere(emulator, id, targetSegments=[PILOT, COHORT_SEGMENT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.flags.guarded_edit(id, with_wider_segment)
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await client.flags.segments.remove(id, "Whales")
    assert sent_methods(emulator) == ["GET", "GET"]
    await client.flags.guarded_edit(id, enabled_and_renamed)
    assert emulator.state.flag(id)["targetSegments"] == [PILOT, COHORT_SEGMENT]


@pytest.mark.parametrize(
    "condition", [Condition(type="cohort", values=["c"]), Condition(prop="userdata_cohort", op="is", values=["c"])]
)
async def test_adding_a_cohort_condition(client: AsyncExperimentClient, id: str, condition: Condition) -> None:
    """It is rejected: the API would drop the condition."""
    new = Segment(name="VIP", conditions=[condition], percentage=1, rollout_weights={})
    with pytest.raises(InvalidInputError, match='"VIP"'):
        await client.flags.guarded_edit(
            id, lambda flag: attrs.evolve(flag, target_segments=[*(flag.target_segments or ()), new])
        )


async def test_a_cohort_condition_added_concurrently(
    client: AsyncExperimentClient, emulator: Emulator, id: str
) -> None:
    """The second read detects it."""
    copied = with_concurrent_write(client, emulator, id, 1, targetSegments=[PILOT, STAFF, COHORT_SEGMENT])
    with pytest.raises(InvalidInputError, match='"Whales"'):
        await copied.flags.guarded_edit(id, with_wider_segment)
    assert sent_methods(emulator) == ["GET", "GET"]


async def test_others_change_something_else(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Changes of another field, another segment and other tags are merged."""
    copied = with_concurrent_write(
        client, emulator, id, 1, name="theirs", tags=["b", "t"], targetSegments=[PILOT | {"percentage": 11}, STAFF]
    )
    flag = await copied.flags.guarded_edit(
        id, lambda flag: with_wider_segment(attrs.evolve(flag, tags=["a", "b", "c"]))
    )
    assert sent_methods(emulator) == READ_WRITE_READ
    assert emulator.requests[2].body.keys() == {"tags", "targetSegments"}
    assert (flag.name, flag.tags) == ("theirs", ["b", "t", "c"])
    assert [segment.percentage for segment in flag.target_segments or ()] == [11, 20]


async def test_others_make_the_same_change(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Nothing is left to write."""
    copied = with_concurrent_write(client, emulator, id, 1, enabled=True, name="new")
    assert (await copied.flags.guarded_edit(id, enabled_and_renamed)).name == "new"
    assert sent_methods(emulator) == ["GET", "GET"]


async def test_others_change_the_same_field(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Nothing is written, and the error has all three values."""
    copied = with_concurrent_write(client, emulator, id, 1, name="theirs")
    with pytest.raises(EditConflictError, match="not sent") as caught:
        await copied.flags.guarded_edit(id, enabled_and_renamed)
    error = caught.value
    assert (error.field, error.base, error.ours, error.theirs, error.written) == ("name", "old", "new", "theirs", False)
    assert all(part in str(error) for part in ('"old"', '"new"', '"theirs"', f"PATCH /flags/{id}"))
    assert sent_methods(emulator) == ["GET", "GET"]
    assert emulator.state.flag(id)["enabled"] is False


async def test_others_change_the_same_segment(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The error names the segment, and the other conflicts."""
    copied = with_concurrent_write(client, emulator, id, 1, name="theirs", targetSegments=[PILOT])
    with pytest.raises(EditConflictError, match="Also in conflict: target_segments") as caught:
        await copied.flags.guarded_edit(id, lambda flag: with_wider_segment(enabled_and_renamed(flag)))
    assert caught.value.field == "name"
    with pytest.raises(EditConflictError) as caught:
        await with_concurrent_write(
            client, emulator, id, 1, targetSegments=[PILOT | {"percentage": 3}]
        ).flags.segments.edit(id, "Pilot", percentage=4)
    percentages = [getattr(side, "percentage", side) for side in (caught.value.base, caught.value.ours)]
    assert (caught.value.field, percentages) == ('target_segments["Pilot"]', [10, 4])
    assert caught.value.theirs.percentage == 3


async def test_the_text_of_a_conflict(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The text names the difference inside the segment."""

    def change(flag: Flag) -> Flag:
        pilot, staff = flag.target_segments or ()
        return attrs.evolve(flag, target_segments=[attrs.evolve(pilot, conditions=[]), staff])

    theirs = copy.deepcopy(PILOT)
    theirs["conditions"][0]["values"].append("bo@example.com")
    with pytest.raises(EditConflictError) as caught:
        await with_concurrent_write(client, emulator, id, 1, targetSegments=[theirs, STAFF]).flags.guarded_edit(
            id, change
        )
    ours, others = str(caught.value).partition(" Yours: ")[2].split(" Theirs: ")
    assert ours.startswith('target_segments["Pilot"].conditions: [{"prop": "gp:email", ')
    assert others.startswith('target_segments["Pilot"].conditions[0].values: +"bo@example.com".')


async def test_the_unprotected_window(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """A write between the second read and ours survives in other fields, and is lost in the same field."""
    copied = with_concurrent_write(client, emulator, id, 2, name="theirs", description="theirs")
    flag = await copied.flags.guarded_edit(id, enabled_and_renamed)
    assert (flag.name, flag.description) == ("new", "theirs")


@pytest.mark.parametrize("lost", [{"name": "theirs"}, {"enabled": False}])
async def test_others_overwrite_the_edit(
    client: AsyncExperimentClient, emulator: Emulator, id: str, lost: dict[str, Any]
) -> None:
    """The last read detects it."""
    copied = with_concurrent_write(client, emulator, id, 3, **lost)
    with pytest.raises(EditConflictError, match="overwrote") as caught:
        await copied.flags.guarded_edit(id, enabled_and_renamed)
    assert (caught.value.field, caught.value.written) == (next(iter(lost)), True)
    assert sent_methods(emulator) == [*READ_WRITE_READ, "GET"]


async def test_others_overwrite_values(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Overwritten values, or their overwritten segment, are detected."""
    for segments in ([PILOT, STAFF], [STAFF]):
        write_elsewhere(emulator, id, targetSegments=[PILOT, STAFF])
        copied = with_concurrent_write(client, emulator, id, 3, targetSegments=segments)
        with pytest.raises(EditConflictError, match="overwrote"):
            await copied.flags.segments.add_values(id, "Pilot", "gp:email", ["b"], case="exact")


async def test_others_extend_the_edit(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """It is not a conflict if our change is still contained."""
    copied = with_concurrent_write(client, emulator, id, 3, tags=["x", "c", "a", "b"], description="theirs")
    assert (await copied.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, tags=["a", "b", "c"]))).tags
    both = copy.deepcopy(PILOT)
    both["conditions"][0]["values"] += ["b", "theirs"]
    copied = with_concurrent_write(client, emulator, id, 3, targetSegments=[both, STAFF])
    await copied.flags.segments.add_values(id, "Pilot", "gp:email", ["b"], case="exact")


async def test_a_lost_response(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The write is repeated, as every PATCH."""
    emulator.inject(Fault.close(applied=True), method="PATCH")
    assert (await client.flags.guarded_edit(id, enabled_and_renamed)).name == "new"
    assert sent_methods(emulator) == ["GET", "GET", "PATCH", "PATCH", "GET"]


async def test_the_verifying_read_fails(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The error says that the write succeeded."""
    emulator.inject(Fault.status(400), method="GET", nth=3)
    with pytest.raises(BadRequestError) as caught:
        await client.flags.guarded_edit(id, enabled_and_renamed)
    assert caught.value.__notes__ == [f"PATCH /flags/{id} succeeded. Only the read that verifies it failed."]
    assert emulator.state.flag(id)["name"] == "new"
    assert not client.flags.transport.session.edit_locks


async def test_an_unknown_flag(client: AsyncExperimentClient) -> None:
    """The error is that of `get`."""
    with pytest.raises(NotFoundError):
        await client.flags.guarded_edit("404", enabled_and_renamed)


@pytest.mark.parametrize("seed", range(4))
async def test_concurrent_edits_of_one_client(emulator: Emulator, seed: int) -> None:
    """No change is lost when copies of one client edit segments, values and tags concurrently."""
    chance = random.Random(seed)
    emulator.latency = (0.0, 0.004)
    segments = [STAFF | {"name": f"s{number}"} for number in range(8)] + [PILOT]
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
    live = {segment["name"]: segment for segment in flag["targetSegments"]}
    assert live.keys() == {"Pilot", "s0", "s1", "s2"} | {f"n{number}" for number in range(8)}
    assert [live[f"s{number}"]["percentage"] for number in range(3)] == [0, 1, 2]
    values = live["Pilot"].pop("conditions")[0]["values"]
    assert set(values) == {"Ann@example.com"} | {f"u{number}" for number in range(8)}
    assert live["Pilot"] == {name: value for name, value in PILOT.items() if name != "conditions"}


async def test_a_cancelled_edit_releases_the_lock(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The next edit proceeds."""
    emulator.inject(Fault.delay(0.3), method="PATCH")
    first = asyncio.ensure_future(client.flags.guarded_edit(id, enabled_and_renamed))
    await asyncio.sleep(0.1)
    waiting = asyncio.ensure_future(client.flags.tags.add(id, ["c"]))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await waiting).tags == ["a", "b", "c"]
    assert not client.flags.transport.session.edit_locks


class HangingWrites(ScriptedSession):
    """A session in which reads are answered at once, and writes never."""

    async def request(self, method: str, url: object, **options: Any) -> Answer:
        return await ScriptedSession([self.answers[method == "PATCH"]]).request(method, url, **options)


@pytest.mark.parametrize(
    "edit",
    [
        lambda flags: flags.guarded_edit("1", enabled_and_renamed),
        lambda flags: flags.tags.add("1", ["c"]),
        lambda flags: flags.segments.remove("1", "Pilot"),
    ],
    ids=["guarded_edit", "tags.add", "segments.remove"],
)
def test_the_wait_for_other_edits_ends_at_the_deadline(edit: Callable[[Any], Awaitable[Flag]]) -> None:
    """Edits that wait for one that hangs time out together, each at its own deadline, and free the lock."""
    pilot = {**PILOT, "rolloutWeights": {"on": 1}}
    flag = {"id": "1", "key": "a", "name": "old", "enabled": False, "tags": ["x"], "targetSegments": [pilot]}
    session = HangingWrites([Answer(body=orjson.dumps(flag)), Answer(seconds=1000.0)])
    url = "https://service.example"

    async def edits() -> list[tuple[Any, float]]:
        client = AsyncExperimentClient("edit-management-key", base_url=url, session=session, deadline=50, timeout=50)
        holder = asyncio.ensure_future(client.flags.guarded_edit("1", enabled_and_renamed))
        await asyncio.sleep(0.1)
        flags = client.with_options(deadline=1.5).flags
        results = await asyncio.gather(*(outcome(edit(flags)) for _ in range(8)))
        assert (await outcome(holder))[0].attempts == 1
        assert not client.flags.transport.session.edit_locks
        return results

    for error, elapsed in run(edits()):
        assert isinstance(error, APITimeoutError)
        assert "PATCH /flags/1 was not sent: the deadline of 1.5 s passed while it waited for other" in str(error)
        assert (error.sent, elapsed) == (False, pytest.approx(1.5))


async def test_an_edit_of_an_earlier_reading(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """Others' changes since that reading are merged or conflict. The reading is not repeated."""
    base = await client.flags.get(id)
    write_elsewhere(emulator, id, description="theirs")
    flag = await client.flags.guarded_edit(id, enabled_and_renamed, base=base)
    assert (flag.name, flag.description) == ("new", "theirs")
    assert sent_methods(emulator) == ["GET", "GET", "PATCH", "GET"]
    write_elsewhere(emulator, id, name="theirs")
    with pytest.raises(EditConflictError):
        await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, name="ours"), base=base)


async def test_a_dry_run(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """The changed copy is validated and returned. Nothing is written; with a base, nothing is sent."""
    base = await client.flags.get(id)
    assert await client.flags.guarded_edit(id, enabled_and_renamed, dry_run=True) == enabled_and_renamed(base)
    emulator.requests.clear()
    assert await client.flags.guarded_edit(id, enabled_and_renamed, base=base, dry_run=True) == enabled_and_renamed(
        base
    )
    with pytest.raises(InvalidInputError, match="an edit cannot change"):
        await client.flags.guarded_edit(id, lambda flag: attrs.evolve(flag, key="b"), base=base, dry_run=True)
    assert sent_methods(emulator) == []


async def test_a_base_of_another_flag(client: AsyncExperimentClient, id: str) -> None:
    """A reading of another flag is rejected."""
    base = attrs.evolve(await client.flags.get(id), id="999")
    with pytest.raises(InvalidInputError, match="base: must be the Flag with the ID"):
        await client.flags.guarded_edit(id, enabled_and_renamed, base=base)


@pytest.mark.parametrize("decision", ["rollout", "rollback"])
async def test_dry_runs_of_decisions(client: AsyncExperimentClient, emulator: Emulator, decision: str) -> None:
    """They return the experiment that would be written."""
    base = await client.experiments.get(emulator.state.add_experiment(enabled=True, rolloutPercentage=50)["id"])
    emulator.requests.clear()
    if decision == "rollout":
        edited = await client.experiments.roll_out(base.id, "treatment", "why", base=base, dry_run=True)
    else:
        edited = await client.experiments.roll_back(base.id, "why", base=base, dry_run=True)
    assert (edited.decision, edited.decision_reason) == (decision, "why")
    assert sent_methods(emulator) == []


async def test_arguments_of_another_type(client: AsyncExperimentClient, emulator: Emulator, id: str) -> None:
    """A change that is not a function, and a plan that is not a `Plan`, are rejected before anything is sent."""
    other: Any = 5
    with pytest.raises(InvalidInputError, match=r"^change: must be a function .*, got 5\. Nothing was sent\.$"):
        await client.flags.guarded_edit(id, other)
    with pytest.raises(InvalidInputError, match=r"^plan: must be a plan, .*, got 5\. Nothing was sent\.$"):
        client.apply(other)
    assert emulator.requests == []


async def test_a_missing_version(client: AsyncExperimentClient, id: str) -> None:
    """The advice names the number of the version."""
    with pytest.raises(NotFoundError, match=r"Check the number of the version, the ID \(not the key\), and the region"):
        await client.flags.versions.get(id, 99)


def test_reprs(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A resource shows its class and its service, an emulator its address; neither shows the key."""
    assert repr(client.flags) == f"<AsyncFlags '{emulator.base_url}/api/1'>"
    assert repr(emulator) == f"<Emulator '{emulator.base_url}'>"
    with ExperimentClient(emulator.api_key, base_url=emulator.base_url) as blocking:
        assert repr(blocking.flags) == f"<Flags '{emulator.base_url}/api/1'>"
