"""The life of a flag and of an experiment, through either client, against the emulator."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from amp_exp_async import (
    BadRequestError,
    Condition,
    InvalidInputError,
    MethodNotAllowedError,
    NotFoundError,
    Segment,
    Variant,
)
from amp_exp_async.emulator import Emulator
from tests.operations.catalog import KINDS
from tests.operations.conftest import PROJECT
from tests.operations.recording_server import run
from tests.operations.responses import Kind

SEGMENT = Segment(
    name="Testers",
    conditions=[Condition(prop="gp:team", op="is", values=["a", "b"])],
    percentage=50,
    rollout_weights={"on": 3, "off": 1},
)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Flags or experiments."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def section(client: Any, kind: Kind) -> Any:
    """`client.flags` or `client.experiments`."""
    return getattr(client, kind)


@pytest.fixture
async def id(section: Any) -> str:
    """One that has been created through the client, with the variants `on` and `off`."""
    created = await run(
        section.create(
            project_id=PROJECT,
            key="checkout",
            name="Checkout",
            description="the new one",
            variants=[Variant(key="on", payload={"a": [1, None]}), {"key": "off", "name": "Off"}],
            bucketing_key="user_id",
            rollout_weights={"on": 2, "off": 1},
            target_segments=[SEGMENT],
            deployments=["50"],
            evaluation_mode="local",
        )
    )
    assert created.url.endswith(f"/config/{created.id}")
    new_id: str = created.id
    return new_id


def stored(emulator: Emulator, kind: Kind, id: str) -> dict[str, Any]:
    """The document that the emulator has."""
    return emulator.state.stored_flag(kind, id).document


async def test_created(section: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """What was given is there, and reads back as it was given."""
    found = await run(section.get(id))
    assert (found.id, found.project_id, found.key, found.name) == (id, PROJECT, "checkout", "Checkout")
    assert found.variants == [Variant(key="on", payload={"a": [1, None]}), Variant(key="off", name="Off")]
    assert (found.target_segments, found.rollout_weights) == ([SEGMENT], {"on": 2, "off": 1})
    assert (found.deployments, found.evaluation_mode, found.bucketing_key) == (["50"], "local", "user_id")
    document = stored(emulator, kind, id)
    assert (document["projectId"], document["key"], document["description"]) == (PROJECT, "checkout", "the new one")
    assert document["targetSegments"][0]["rolloutWeights"] == {"on": 3, "off": 1}
    assert datetime.now(UTC) - found.created_at < timedelta(minutes=1)
    with pytest.raises(BadRequestError, match="exists"):
        await run(section.create(project_id=PROJECT, key="checkout"))


async def test_edited(section: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """What was changed is changed, null is null, and the rest stays."""
    before = stored(emulator, kind, id)
    await run(section.edit(id, enabled=True, rollout_percentage=12.5, description=None, tags=["a"], target_segments=[]))
    found = await run(section.get(id))
    assert (found.enabled, found.rollout_percentage, found.description, found.tags) == (True, 12.5, None, ["a"])
    assert found.target_segments == []
    changed = {"enabled": True, "rolloutPercentage": 12.5, "description": None, "tags": ["a"], "targetSegments": []}
    after = stored(emulator, kind, id)
    assert after == before | changed | {"lastModifiedAt": after["lastModifiedAt"]}


async def test_an_experiments_own_fields(client: Any, emulator: Emulator) -> None:
    """Dates, the exposure event and the decision are set and taken away again."""
    created = await run(client.experiments.create(project_id=PROJECT, key="e", experiment_type="no-harm"))
    end = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    event = {"event_type": "_active", "filters": []}
    edit = {"start_date": date(2026, 12, 31), "end_date": end, "exposure_event": event, "decision": "rollout"}
    await run(client.experiments.edit(created.id, **edit, sticky_bucketing=True, rolled_out_variant="treatment"))
    found = await run(client.experiments.get(created.id))
    assert (found.start_date, found.end_date, found.exposure_event.event_type) == (date(2026, 12, 31), end, "_active")
    assert (found.experiment_type, found.decision, found.rolled_out_variant) == ("no-harm", "rollout", "treatment")
    document = emulator.state.experiment(created.id)
    assert (document["startDate"], document["endDate"]) == ("2026-12-31", "2027-01-02T03:04:05.000Z")
    await run(client.experiments.edit(created.id, **dict.fromkeys(edit)))
    found = await run(client.experiments.get(created.id))
    assert (found.start_date, found.end_date, found.exposure_event, found.decision) == (None, None, None, None)
    assert emulator.state.experiment(created.id)["stickyBucketing"] is True


async def test_variants(section: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """A variant is made, changed, renamed with what belongs to it, and removed."""
    await run(section.variants.create(id, key="new", payload=None, rollout_weight=5))
    assert await run(section.variants.get(id, "new")) == Variant(
        key="new", name="", payload=None, description="", rollout_weight=5
    )
    await run(section.users.add(id, "new", ["u"]))
    await run(section.variants.edit(id, "new", key="newer", payload={"x": 1}, description="d"))
    assert [variant.key for variant in await run(section.variants.list(id))] == ["on", "off", "newer"]
    assert stored(emulator, kind, id)["variants"][2] == {"key": "newer", "payload": {"x": 1}, "description": "d"}
    assert stored(emulator, kind, id)["rolloutWeights"] == {"on": 2, "off": 1, "newer": 5}
    assert emulator.state.users(kind, id, "newer") == ["u"]
    await run(section.variants.remove(id, "newer"))
    assert [variant["key"] for variant in stored(emulator, kind, id)["variants"]] == ["on", "off"]
    with pytest.raises(NotFoundError):
        await run(section.variants.get(id, "newer"))


async def test_users(section: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """Users are added once each, and removed by id, by place and altogether."""
    await run(section.users.add(id, "on", ["a", "b", "a"]))
    await run(section.users.add(id, "on", (name for name in ("b", "c", "ü@x.org"))))
    assert await run(section.users.list(id, "on")) == ["a", "b", "c", "ü@x.org"]
    assert emulator.state.users(kind, id, "on") == ["a", "b", "c", "ü@x.org"]
    await run(section.users.remove_at(id, "on", 1))
    assert emulator.state.users(kind, id, "on") == ["a", "c", "ü@x.org"]
    await run(section.users.remove(id, "on", {"a", "nobody"}))
    assert await run(section.users.list(id, "on")) == ["c", "ü@x.org"]
    await run(section.users.remove_all(id, "on"))
    assert await run(section.users.list(id, "on")) == emulator.state.users(kind, id, "on") == []


async def test_cohorts(section: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """Cohorts are added once each and removed by id; users stay."""
    await run(section.users.add(id, "off", ["u"]))
    await run(section.cohorts.add(id, "off", ["c1", "c2"]))
    await run(section.cohorts.add(id, "off", ["c2", "c3"]))
    assert await run(section.cohorts.list(id, "off")) == emulator.state.cohorts(kind, id, "off") == ["c1", "c2", "c3"]
    await run(section.cohorts.remove(id, "off", ["c1", "c3"]))
    assert await run(section.cohorts.list(id, "off")) == emulator.state.cohorts(kind, id, "off") == ["c2"]
    assert emulator.state.users(kind, id, "off") == ["u"]


async def test_deployments(client: Any, section: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """A deployment is created, assigned, renamed, archived and taken away."""
    made = await run(client.deployments.create(project_id=PROJECT, label="mobile", type="server"))
    await run(section.deployments.add(id, [made.id, "50"]))
    assert [found.label for found in await run(section.deployments.list(id))] == ["web", "mobile"]
    assert stored(emulator, kind, id)["deployments"] == ["50", made.id]
    await run(client.deployments.edit(made.id, label="phone", archive=True))
    [phone, _] = await run(client.deployments.list())
    assert (phone.id, phone.label, phone.deleted, phone.key[:7]) == (made.id, "phone", True, "server-")
    assert emulator.state.deployments[1]["deleted"] is True
    await run(client.deployments.restore(made.id))
    assert emulator.state.deployments[1]["deleted"] is False
    await run(client.deployments.archive(made.id))
    assert [found.deleted for found in await run(client.deployments.list())] == [True, False]
    await run(section.deployments.remove(id, "50"))
    assert [found.id for found in await run(section.deployments.list(id))] == [made.id]
    with pytest.raises(NotFoundError):
        await run(section.deployments.remove(id, "50"))


async def test_versions(section: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """Each change is a version, which keeps what was before it."""
    await run(section.edit(id, name="Second"))
    await run(section.users.add(id, "on", ["u"]))
    versions = await run(section.versions.list(id))
    assert [version.version for version in versions] == [3, 2, 1]
    assert [version.config.name for version in versions] == ["Second", "Second", "Checkout"]
    assert await run(section.versions.get(id, 1)) == versions[2]
    assert type(versions[0].config) is type(await run(section.get(id)))
    assert [version["flagConfig"]["name"] for version in emulator.state.versions(kind, id)][2] == "Checkout"


async def test_archived_and_restored(section: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """An archived one is listed and found no more, unless it is asked for, and comes back."""
    assert (await run(section.find("checkout"))).id == id
    await run(section.archive(id))
    assert stored(emulator, kind, id)["deleted"] is True
    assert await run(section.list()) == []
    assert [found.deleted for found in await run(section.list(include_archived=True))] == [True]
    with pytest.raises(NotFoundError, match="archived"):
        await run(section.find("checkout"))
    await run(section.restore(id))
    assert stored(emulator, kind, id)["deleted"] is False
    assert (await run(section.find("checkout", project_id=PROJECT))).id == id


@pytest.mark.parametrize("type", ["web-experiment", "guide", "survey"])
async def test_what_only_the_app_can_edit(section: Any, emulator: Emulator, kind: Kind, type: str) -> None:
    """Every write is refused with 405, at the first attempt, and nothing has changed; it can be read."""
    id = emulator.state.add(kind, {"_type": type, "key": "web"})["id"]
    before = stored(emulator, kind, id)
    for write in (
        lambda: section.edit(id, name="n"),
        lambda: section.archive(id),
        lambda: section.restore(id),
        lambda: section.variants.create(id, key="new"),
    ):
        with pytest.raises(MethodNotAllowedError, match=type) as caught:
            await run(write())
        assert (caught.value.status, caught.value.attempts) == (405, 1)
    assert stored(emulator, kind, id) == before
    assert (await run(section.get(id))).key == "web"


async def test_a_key_in_two_projects(section: Any, id: str) -> None:
    """The project must be named then, and the error says which there are."""
    other = await run(section.create(project_id="8", key="checkout"))
    with pytest.raises(InvalidInputError, match=f"8 .ID {other.id}.*7 .ID {id}") as caught:
        await run(section.find("checkout"))
    assert caught.value.argument == "project_id"
    assert (await run(section.find("checkout", project_id="8"))).id == other.id


async def test_a_long_list(section: Any, emulator: Emulator, kind: Kind) -> None:
    """All pages, the newest first, whatever the size of a page."""
    ids = [emulator.state.add(kind, {"key": f"k{number}"})["id"] for number in range(23)]
    assert [found.id for found in await run(section.list(limit=5))] == ids[::-1]
    assert [found.id for found in await run(section.list(limit=23))] == ids[::-1]
    assert [request.query.get("limit") for request in emulator.requests] == ["5"] * 5 + ["23"]
