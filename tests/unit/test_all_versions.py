"""The versions of all projects: from when to when, and whether a version is of a flag or of an experiment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from amp_exp_async import (
    AsyncExperimentClient,
    Experiment,
    Flag,
    InvalidInputError,
    UnexpectedResponseError,
    Version,
    parse,
    to_json,
)
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.models import FlagConfig
from tests.serialization.sample_documents import EXPERIMENT, FLAG, changed
from tests.validation.call_sites import Rejected

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONLY_EXPERIMENTS: dict[str, Any] = {
    "state": "running",
    "experimentType": "a-b-test",
    "startDate": None,
    "endDate": "2026-01-01",
    "decision": None,
    "decisionReason": "x",
    "rolledOutVariant": None,
    "stickyBucketing": False,
    "exposureEvent": None,
}


def version(config: Any) -> dict[str, Any]:
    """A version of it, as it comes over the wire."""
    return {"version": 3, "createdAt": "2023-07-29T03:32:49.594Z", "createdBy": "u", "flagConfig": config}


@pytest.mark.parametrize("name", ["start", "end"])
async def test_a_moment_without_a_zone_is_refused(name: str, rejected: Rejected) -> None:
    """A naive datetime would be taken for another moment, a date for one of its moments."""
    for naive in (datetime(2026, 3, 1), "2026-03-01T12:00:00"):  # noqa: DTZ001 - this is what is refused
        await rejected(lambda c, it=naive: c.versions.list(**{name: it}), name, "must have a time zone")
    for day in (date(2026, 3, 1), "2026-03-01"):
        await rejected(lambda c, it=day: c.versions.list(**{name: it}), name, "must have a time, not only a date")
    for bad in (None, 5, "yesterday", True):
        await rejected(lambda c, it=bad: c.versions.list(**{name: it}), name, "must be a date or")


@pytest.mark.parametrize("end", [NOON, NOON - timedelta(seconds=1), NOON.astimezone(timezone(timedelta(hours=2)))])
async def test_an_end_before_the_start_is_refused(end: datetime, rejected: Rejected) -> None:
    """Nothing lies between them; the moments are compared, not the clocks' hands."""
    await rejected(lambda c: c.versions.list(start=NOON, end=end), "end", "must be after start")


async def test_it_is_refused_at_once(client: AsyncExperimentClient) -> None:
    """Not only when the list is read."""
    with pytest.raises(InvalidInputError):
        client.versions.list(start=NOON, end=NOON)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (NOON, "2026-03-01T12:00:00.000Z"),
        (NOON.replace(microsecond=5_999), "2026-03-01T12:00:00.005Z"),
        (datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2026-02-28T23:00:00.000Z"),
        ("2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00.000Z"),
    ],
)
async def test_a_moment_is_sent_in_utc(
    given: Any, sent: str, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """To the millisecond, as the service writes them."""
    assert await client.versions.list(start=given) == []
    assert await client.versions.list(end=given) == []
    assert [request.query for request in emulator.requests] == [{"start": sent}, {"end": sent}]


@pytest.mark.parametrize("cursor", [0, 1690601569594, 2**53])
async def test_a_cursor_may_be_a_number(cursor: int, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It goes back digit by digit, and a page shows it as a string."""
    page = {"versions": [version(FLAG)], "nextCursor": cursor}
    emulator.inject(Fault.status(200, body=page))
    emulator.inject(Fault.status(200, body={"versions": [], "nextCursor": None}), nth=2)
    pages = [page async for page in client.versions.list(start=NOON).pages()]
    assert [page.next_cursor for page in pages] == [str(cursor), None]
    assert [request.query.get("cursor") for request in emulator.requests] == [None, str(cursor)]
    assert emulator.requests[1].query["start"] == "2026-03-01T12:00:00.000Z"


@pytest.mark.parametrize(("name", "value"), ONLY_EXPERIMENTS.items())
def test_what_only_experiments_have_makes_one(name: str, value: Any) -> None:
    """One such field is enough, null included."""
    config = parse(Version[FlagConfig], version({"id": 1, "key": "k", name: value})).config
    assert type(config) is Experiment
    assert to_json(config) == {"id": "1", "key": "k", name: value}


def test_anything_else_is_a_flag() -> None:
    """Also with fields that this version of the library does not know; nothing is lost either way."""
    for config, kind in ((FLAG, Flag), (EXPERIMENT, Experiment), ({"id": "1", "key": "k", "newHere": 1}, Flag)):
        found = parse(Version[FlagConfig], version(config))
        assert type(found.config) is kind
        assert found.config == parse(kind, config)
        assert to_json(found) == version(to_json(parse(kind, config)))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("key",), 5),
        (("targetSegments", 1, "percentage"), "half"),
        (("startDate",), "soon"),
        (("exposureEvent", "filters", 0, "subprop_value"), "v"),
    ],
)
async def test_a_fault_is_named_by_its_place(
    place: tuple[str | int, ...], value: Any, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """In a page of both kinds, down to the field."""
    bad = version(changed(EXPERIMENT, place, value))
    emulator.inject(Fault.status(200, body={"versions": [version(FLAG), bad]}))
    with pytest.raises(UnexpectedResponseError) as caught:
        await client.versions.list()
    spelled = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    assert caught.value.location.startswith(f"versions[1].flagConfig{spelled}")


@pytest.mark.parametrize("config", [None, [], "x"], ids=str)
async def test_no_config_at_all(config: Any, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """What is neither a flag nor an experiment is said to be none."""
    emulator.inject(Fault.status(200, body={"versions": [version(config)]}))
    with pytest.raises(UnexpectedResponseError, match="expected an object") as caught:
        await client.versions.list()
    assert caught.value.location == "versions[0].flagConfig"
