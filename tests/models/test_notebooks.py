"""What notebooks show, and models as JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from amp_exp_async import (
    UNSET,
    AddUsers,
    AsyncExperimentClient,
    Condition,
    Experiment,
    ExperimentClient,
    Flag,
    Manifest,
    Outcome,
    Page,
    Segment,
    diff,
    loads,
    parse,
    to_json,
)
from amp_exp_async.emulator import Emulator

DOCUMENT = {
    "id": "1",
    "key": "k",
    "projectId": "9",
    "enabled": False,
    "description": None,
    "createdAt": "2026-01-02T03:04:05.000Z",
    "startDate": "2026-01-02",
    "targetSegments": [
        {
            "name": "S",
            "conditions": [{"type": "property", "prop": "gp:a", "op": "is", "values": ["x"], "new": 1}],
            "percentage": 5,
            "rolloutWeights": {"on": 1},
        }
    ],
    "newField": {"deep": [1]},
}


class Cells(HTMLParser):
    """The texts of the cells of a page; it fails for tags that a table does not have."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in {"table", "thead", "tbody", "tr", "th", "td", "p"}
        assert not attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def cells(value: Any) -> list[str]:
    return Cells(value._repr_html_()).texts


def test_to_dict() -> None:
    """A model has the fields of the API, unknown ones included, as plain JSON; fields without a value are omitted."""
    experiment = parse(Experiment, DOCUMENT)
    assert experiment.to_dict() == to_json(experiment) == DOCUMENT
    assert parse(Experiment, json.loads(json.dumps(experiment.to_dict()))) == experiment
    segment = Segment(name="S", conditions=[Condition(prop="gp:a", op="is", values=["x"])], percentage=UNSET)
    assert segment.to_dict() == {
        "name": "S",
        "conditions": [{"type": "property", "prop": "gp:a", "op": "is", "values": ["x"]}],
    }


async def test_lists(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Lists and pages show a row for each item with escaped texts; the history shows who changed what and when."""
    emulator.state.add_flag(key="a", name="<b>A & B</b>", tags=["x", "y"], rolloutPercentage=5)
    emulator.state.add_flag(key="b", deleted=False)
    flags = await client.flags.list()
    assert type(flags) is not list
    assert flags == list(flags)
    shown = cells(flags)
    assert shown[:3] == ["id", "key", "name"]
    assert {"<b>A & B</b>", "x, y", "5", "false"} <= set(shown)
    assert cells(Page(flags, None)) == shown
    await client.flags.edit(flags[1].id, name="new")
    history = cells(await client.history("flags", flags[1].id))
    assert history[:4] == ["version", "by", "at", "changes"]
    assert 'name: "<b>A & B</b>" -> "new"' in history
    emulator.state.add_users("flags", flags[0].id, "on", [f"u{number}" for number in range(150)])
    users = cells(await client.flags.users.list(flags[0].id, "on"))
    assert (users[:2], users[-1], len(users)) == (["id", "u0"], "100 of 150 rows", 102)
    assert cells(await client.deployments.list()) == ["No rows"]


def test_lists_of_the_blocking_client() -> None:
    """A list shows its first page, which is one request, and says if there are more."""
    with Emulator() as emulator, ExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        for number in range(3):
            emulator.state.add_flag(id=str(number), key=f"k{number}", variants=[{"key": "on"}])
        emulator.state.add_users("flags", "1", "on", ["ann", "bo"])
        shown = cells(client.flags.list(limit=2))
        assert shown[:2] == ["id", "key"]
        assert [key for key in ("k2", "k1", "k0") if key in shown] == ["k2", "k1"]
        assert shown[-1] == "This is the first page. Iterate the list to read all of it."
        assert cells(client.flags.users.list("1", "on")) == ["id", "ann", "bo"]
        assert cells(client.deployments.list()) == ["No rows"]
        assert len(emulator.requests) == 3


async def test_plans(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A plan and a difference show a row for each flag; an empty one says so."""
    emulator.state.add_flag(key="a", projectId="1", name="<i>")
    manifest = loads('{"project_id": "1", "flags": [{"key": "a", "name": "new", "tags": ["t"]}]}', format="json")
    shown = cells(await client.plan(manifest))
    assert shown[:3] == ["action", "flag or experiment", "changes"]
    assert shown[3:5] == ["edit", "flags/a in project 1"]
    assert 'name: "<i>" -> "new"' in shown[5]
    assert cells(diff(Manifest(), Manifest())) == ["No changes"]


def test_experiments_are_sorted_by_their_start() -> None:
    """Dates, times and missing dates are sorted by `starts_at`, as the reference says."""
    starts: list[Any] = [datetime(2026, 1, 2, 3, tzinfo=UTC), None, date(2026, 1, 2), UNSET, date(2025, 5, 5)]
    experiments = [Experiment(id=str(id), key="k", start_date=start) for id, start in enumerate(starts)]
    never = datetime.max.replace(tzinfo=UTC)
    experiments.sort(key=lambda experiment: experiment.starts_at or never)
    assert [experiment.id for experiment in experiments] == ["4", "2", "0", "1", "3"]


def test_a_long_outcome_prints_short() -> None:
    """Many IDs are counted instead of shown."""
    ids = [f"u{number}" for number in range(120)]
    outcome = Outcome(AddUsers("flags", "1", "on", ids), 0, "done", changed=tuple(ids))
    assert str(outcome).count("'u4', … and 115 more)") == 2
    assert len(str(outcome)) < 400
    assert "users=('a', 'b')" in str(AddUsers("flags", "1", "on", ["a", "b"]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), datetime(2026, 1, 2, 3, tzinfo=UTC)),
        (None, None),
        (UNSET, None),
    ],
)
def test_times_of_dates(value: Any, expected: datetime | None) -> None:
    """The start and the end are times that can be compared, whatever the service sent."""
    experiment = Experiment(id="1", key="k", start_date=value, end_date=value)
    assert (experiment.starts_at, experiment.ends_at) == (expected, expected)
    assert not hasattr(Flag(id="1", key="k"), "starts_at")
