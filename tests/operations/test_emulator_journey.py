"""The life of a flag and of an experiment with both clients, against the emulator."""

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
    rollout_weights={"on": 3, "control": 1},
)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Flags or experiments."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def resource(client: Any, kind: Kind) -> Any:
    """`client.flags` or `client.experiments`."""
    return getattr(client, kind)


@pytest.fixture
async def id(resource: Any) -> str:
    """The ID of a flag or experiment that the client created, with the variants `on` and `control`."""
    created = await run(
        resource.create(
            project_id=PROJECT,
            key="checkout",
            name="Checkout",
            description="the new one",
            variants=[Variant(key="on", payload={"a": [1, None]}), {"key": "control", "name": "Control"}],
            bucketing_key="user_id",
            rollout_weights={"on": 2, "control": 1},
            target_segments=[SEGMENT],
            deployments=["50"],
            evaluation_mode="local",
        )
    )
    assert created.url.endswith(f"/config/{created.id}")
    new_id: str = created.id
    return new_id


def stored_document(emulator: Emulator, kind: Kind, id: str) -> dict[str, Any]:
    """Return the stored document."""
    return emulator.state.stored_flag(kind, id).document


async def test_created(resource: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """The given fields are stored, and read back unchanged."""
    live = await run(resource.get(id))
    assert (live.id, live.project_id, live.key, live.name) == (id, PROJECT, "checkout", "Checkout")
    assert live.variants == [Variant(key="on", payload={"a": [1, None]}), Variant(key="control", name="Control")]
    assert (live.target_segments, live.rollout_weights) == ([SEGMENT], {"on": 2, "control": 1})
    assert (live.deployments, live.evaluation_mode, live.bucketing_key) == (["50"], "local", "user_id")
    document = stored_document(emulator, kind, id)
    assert (document["projectId"], document["key"], document["description"]) == (PROJECT, "checkout", "the new one")
    assert document["targetSegments"][0]["rolloutWeights"] == {"on": 3, "control": 1}
    assert datetime.now(UTC) - live.created_at < timedelta(minutes=1)
    with pytest.raises(BadRequestError, match="exists"):
        await run(resource.create(project_id=PROJECT, key="checkout"))


async def test_edited(resource: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """Given fields change, null becomes null, and other fields stay."""
    before = stored_document(emulator, kind, id)
    await run(
        resource.edit(id, enabled=True, rollout_percentage=12.5, description=None, tags=["a"], target_segments=[])
    )
    live = await run(resource.get(id))
    assert (live.enabled, live.rollout_percentage, live.description, live.tags) == (True, 12.5, None, ["a"])
    assert live.target_segments == []
    changed = {"enabled": True, "rolloutPercentage": 12.5, "description": None, "tags": ["a"], "targetSegments": []}
    after = stored_document(emulator, kind, id)
    assert after == before | changed | {"lastModifiedAt": after["lastModifiedAt"]}


async def test_fields_that_only_experiments_have(client: Any, emulator: Emulator) -> None:
    """Dates, the exposure event and the decision are set and removed."""
    created = await run(client.experiments.create(project_id=PROJECT, key="e", experiment_type="no-harm"))
    end = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    event = {"event_type": "_active", "filters": []}
    edit = {"start_date": date(2026, 12, 31), "end_date": end, "exposure_event": event, "decision": "rollout"}
    await run(client.experiments.edit(created.id, **edit, sticky_bucketing=True, rolled_out_variant="treatment"))
    live = await run(client.experiments.get(created.id))
    assert (live.start_date, live.end_date, live.exposure_event.event_type) == (date(2026, 12, 31), end, "_active")
    assert (live.experiment_type, live.decision, live.rolled_out_variant) == ("no-harm", "rollout", "treatment")
    document = emulator.state.experiment(created.id)
    assert (document["startDate"], document["endDate"]) == ("2026-12-31", "2027-01-02T03:04:05.000Z")
    await run(client.experiments.edit(created.id, **dict.fromkeys(edit)))
    live = await run(client.experiments.get(created.id))
    assert (live.start_date, live.end_date, live.exposure_event, live.decision) == (None, None, None, None)
    assert emulator.state.experiment(created.id)["stickyBucketing"] is True


async def test_variants(resource: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """A variant is created, edited, renamed with its inclusions, and removed."""
    await run(resource.variants.create(id, key="new", payload=None, rollout_weight=5))
    assert await run(resource.variants.get(id, "new")) == Variant(
        key="new", name="", payload=None, description="", rollout_weight=5
    )
    await run(resource.users.add(id, "new", ["u"]))
    await run(resource.variants.edit(id, "new", key="newer", payload={"x": 1}, description="d"))
    assert [variant.key for variant in await run(resource.variants.list(id))] == ["on", "control", "newer"]
    assert stored_document(emulator, kind, id)["variants"][2] == {
        "key": "newer",
        "payload": {"x": 1},
        "description": "d",
    }
    assert stored_document(emulator, kind, id)["rolloutWeights"] == {"on": 2, "control": 1, "newer": 5}
    assert emulator.state.users(kind, id, "newer") == ["u"]
    await run(resource.variants.remove(id, "newer"))
    assert [variant["key"] for variant in stored_document(emulator, kind, id)["variants"]] == ["on", "control"]
    with pytest.raises(NotFoundError):
        await run(resource.variants.get(id, "newer"))


async def test_users(resource: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """Users are added once each, and removed by ID, by index, and all at once."""
    await run(resource.users.add(id, "on", ["a", "b", "a"]))
    await run(resource.users.add(id, "on", (name for name in ("b", "c", "ü@x.org"))))
    assert await run(resource.users.list(id, "on")) == ["a", "b", "c", "ü@x.org"]
    assert emulator.state.users(kind, id, "on") == ["a", "b", "c", "ü@x.org"]
    await run(resource.users.remove_at(id, "on", 1))
    assert emulator.state.users(kind, id, "on") == ["a", "c", "ü@x.org"]
    await run(resource.users.remove(id, "on", {"a", "unknown"}))
    assert await run(resource.users.list(id, "on")) == ["c", "ü@x.org"]
    await run(resource.users.remove_all(id, "on"))
    assert await run(resource.users.list(id, "on")) == emulator.state.users(kind, id, "on") == []


async def test_cohorts(resource: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """Cohorts are added once each and removed by ID. Users stay."""
    await run(resource.users.add(id, "control", ["u"]))
    await run(resource.cohorts.add(id, "control", ["c1", "c2"]))
    await run(resource.cohorts.add(id, "control", ["c2", "c3"]))
    assert (
        await run(resource.cohorts.list(id, "control"))
        == emulator.state.cohorts(kind, id, "control")
        == ["c1", "c2", "c3"]
    )
    await run(resource.cohorts.remove(id, "control", ["c1", "c3"]))
    assert await run(resource.cohorts.list(id, "control")) == emulator.state.cohorts(kind, id, "control") == ["c2"]
    assert emulator.state.users(kind, id, "control") == ["u"]


async def test_deployments(client: Any, resource: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """A deployment is created, assigned, removed, renamed and archived."""
    made = await run(client.deployments.create(project_id=PROJECT, label="mobile", type="server"))
    await run(resource.deployments.add(id, [made.id, "50"]))
    assert [live.label for live in await run(resource.deployments.list(id))] == ["web", "mobile"]
    assert stored_document(emulator, kind, id)["deployments"] == ["50", made.id]
    await run(resource.deployments.remove(id, made.id))
    assert [live.id for live in await run(resource.deployments.list(id))] == ["50"]
    with pytest.raises(NotFoundError):
        await run(resource.deployments.remove(id, made.id))
    await run(client.deployments.edit(made.id, label="phone", archive=True))
    [phone, _] = await run(client.deployments.list())
    assert (phone.id, phone.label, phone.deleted, phone.key[:7]) == (made.id, "phone", True, "server-")
    assert emulator.state.deployments[1]["deleted"] is True
    await run(client.deployments.restore(made.id))
    assert emulator.state.deployments[1]["deleted"] is False
    await run(client.deployments.archive(made.id))
    assert [live.deleted for live in await run(client.deployments.list())] == [True, False]


async def test_versions(resource: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """Each change creates a version, and earlier versions stay as they were."""
    await run(resource.edit(id, name="Second"))
    await run(resource.users.add(id, "on", ["u"]))
    versions = await run(resource.versions.list(id))
    assert [version.version for version in versions] == [3, 2, 1]
    assert [version.config.name for version in versions] == ["Second", "Second", "Checkout"]
    assert await run(resource.versions.get(id, 1)) == versions[2]
    assert type(versions[0].config) is type(await run(resource.get(id)))
    assert [version["flagConfig"]["name"] for version in emulator.state.versions(kind, id)][2] == "Checkout"


async def test_archived_and_restored(resource: Any, id: str, emulator: Emulator, kind: Kind) -> None:
    """An archived flag is only listed on request, is not found by key, and can be restored."""
    assert (await run(resource.find("checkout"))).id == id
    await run(resource.archive(id))
    assert stored_document(emulator, kind, id)["deleted"] is True
    assert await run(resource.list()) == []
    assert [live.deleted for live in await run(resource.list(include_archived=True))] == [True]
    with pytest.raises(NotFoundError, match="archived"):
        await run(resource.find("checkout"))
    await run(resource.restore(id))
    assert stored_document(emulator, kind, id)["deleted"] is False
    assert (await run(resource.find("checkout", project_id=PROJECT))).id == id


@pytest.mark.parametrize("type", ["web-experiment", "guide", "survey"])
async def test_types_that_only_the_app_can_edit(resource: Any, emulator: Emulator, kind: Kind, type: str) -> None:
    """Every write is rejected at the first attempt. It can still be read."""
    id = emulator.state.add(kind, {"_type": type, "key": "web"})["id"]
    before = stored_document(emulator, kind, id)
    for write in (
        lambda: resource.edit(id, name="n"),
        lambda: resource.archive(id),
        lambda: resource.restore(id),
        lambda: resource.variants.create(id, key="new"),
    ):
        with pytest.raises(MethodNotAllowedError, match=f"{type}|Web Experiments") as caught:
            await run(write())
        assert (caught.value.status in (400, 405), caught.value.attempts) == (True, 1)
    assert stored_document(emulator, kind, id) == before
    assert (await run(resource.get(id))).key == "web"


async def test_a_key_in_two_projects(resource: Any, id: str) -> None:
    """The project is required, and the error lists the projects."""
    other = await run(resource.create(project_id="8", key="checkout"))
    with pytest.raises(InvalidInputError, match=f"8 .ID {other.id}.*7 .ID {id}") as caught:
        await run(resource.find("checkout"))
    assert caught.value.argument == "project_id"
    assert (await run(resource.find("checkout", project_id="8"))).id == other.id


async def test_a_long_list(resource: Any, emulator: Emulator, kind: Kind) -> None:
    """All pages are read, newest first, with any page size."""
    ids = [emulator.state.add(kind, {"key": f"k{number}"})["id"] for number in range(23)]
    assert [live.id for live in await run(resource.list(limit=5))] == ids[::-1]
    assert [live.id for live in await run(resource.list(limit=23))] == ids[::-1]
    assert [request.query.get("limit") for request in emulator.requests] == ["5"] * 5 + ["23"]
