"""`client.versions`: filters by time, cursors that are numbers, and the model of each version."""

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
NAIVE = (datetime(2026, 3, 1), "2026-03-01T12:00:00")  # noqa: DTZ001 - a naive datetime is the invalid value
INVALID_TIMES: dict[str, tuple[Any, ...]] = {
    "must have a time zone": NAIVE,
    "must have a time, not only a date": (date(2026, 3, 1), "2026-03-01"),
    "must be a date or": (None, 5, "yesterday", True),
}


def version(config: Any) -> dict[str, Any]:
    """Return a version with this configuration, as JSON."""
    return {"version": 3, "createdAt": "2023-07-29T03:32:49.594Z", "createdBy": "u", "flagConfig": config}


@pytest.mark.parametrize("name", ["start", "end"])
def test_invalid_times(client: AsyncExperimentClient, name: str) -> None:
    """Only a time with a time zone is accepted: others are ambiguous."""
    for rule, values in INVALID_TIMES.items():
        for value in values:
            with pytest.raises(InvalidInputError, match=rule) as caught:
                client.versions.list(**{name: value})
            assert caught.value.argument == name


@pytest.mark.parametrize("end", [NOON, NOON - timedelta(seconds=1), NOON.astimezone(timezone(timedelta(hours=2)))])
def test_an_end_before_the_start(client: AsyncExperimentClient, end: datetime) -> None:
    """It is rejected at the call, also in another time zone."""
    with pytest.raises(InvalidInputError, match="must be after start") as caught:
        client.versions.list(start=NOON, end=end)
    assert caught.value.argument == "end"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (NOON, "2026-03-01T12:00:00.000Z"),
        (NOON.replace(microsecond=5_999), "2026-03-01T12:00:00.005Z"),
        (datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2026-02-28T23:00:00.000Z"),
        ("2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00.000Z"),
    ],
)
async def test_times_are_sent_in_utc(value: Any, sent: str, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """They have milliseconds, as the service's times."""
    assert await client.versions.list(start=value) == []
    assert await client.versions.list(end=value) == []
    assert [request.query for request in emulator.requests] == [{"start": sent}, {"end": sent}]


@pytest.mark.parametrize("cursor", [0, 1690601569594, 2**53])
async def test_a_cursor_may_be_a_number(cursor: int, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """It is sent back unchanged, and a page shows it as a string."""
    page = {"versions": [version(FLAG)], "nextCursor": cursor}
    emulator.inject(Fault.status(200, body=page))
    emulator.inject(Fault.status(200, body={"versions": [], "nextCursor": None}), nth=2)
    pages = [page async for page in client.versions.list(start=NOON).pages()]
    assert [page.next_cursor for page in pages] == [str(cursor), None]
    assert [request.query.get("cursor") for request in emulator.requests] == [None, str(cursor)]
    assert emulator.requests[1].query["start"] == "2026-03-01T12:00:00.000Z"


@pytest.mark.parametrize(("name", "value"), ONLY_EXPERIMENTS.items())
def test_a_field_of_experiments_makes_an_experiment(name: str, value: Any) -> None:
    """One such field is enough, even if it is null."""
    config = parse(Version[FlagConfig], version({"id": 1, "key": "k", name: value})).config
    assert type(config) is Experiment
    assert to_json(config) == {"id": "1", "key": "k", name: value}


def test_other_configurations_are_flags() -> None:
    """Unknown fields make no difference, and are kept."""
    for config, kind in ((FLAG, Flag), (EXPERIMENT, Experiment), ({"id": "1", "key": "k", "newHere": 1}, Flag)):
        parsed = parse(Version[FlagConfig], version(config))
        assert type(parsed.config) is kind
        assert parsed.config == parse(kind, config)
        assert to_json(parsed) == version(to_json(parse(kind, config)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("key",), 5),
        (("targetSegments", 1, "percentage"), "half"),
        (("startDate",), "soon"),
        (("exposureEvent", "filters", 0, "subprop_value"), "v"),
    ],
)
async def test_the_location_of_an_unexpected_value(
    path: tuple[str | int, ...], value: Any, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """The error names the field, in a page of flags and experiments."""
    bad = version(changed(EXPERIMENT, path, value))
    emulator.inject(Fault.status(200, body={"versions": [version(FLAG), bad]}))
    with pytest.raises(UnexpectedResponseError) as caught:
        await client.versions.list()
    location = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    assert caught.value.location.startswith(f"versions[1].flagConfig{location}")


@pytest.mark.parametrize("config", [None, [], "x"], ids=str)
async def test_a_configuration_of_another_type(config: Any, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A value that is not an object is an error."""
    emulator.inject(Fault.status(200, body={"versions": [version(config)]}))
    with pytest.raises(UnexpectedResponseError, match="expected an object") as caught:
        await client.versions.list()
    assert caught.value.location == "versions[0].flagConfig"
