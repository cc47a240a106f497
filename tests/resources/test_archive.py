"""The service edits no archived flag: `archive` is written alone, first or last, and a lost response is reconciled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from amp_exp_async import (
    AmpExpError,
    AsyncExperimentClient,
    BadRequestError,
    Edit,
    ExperimentClient,
    InvalidInputError,
    OutcomeUnknownError,
    RetryPolicy,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.validation.call_sites import KINDS

REFUSED = Fault.status(400, body={"error": "Cannot edit archived flag"})
QUICK = RetryPolicy(backoff_base=0.001)


@pytest.fixture
async def live() -> Any:
    """An emulator that refuses what the live service refuses, with an active flag 1 and an archived flag 2."""
    async with Emulator(strictness="live", per_second=None, per_day=None) as emulator:
        for kind in KINDS:
            emulator.state.add(kind, {"id": "1", "key": "active", "name": "old"})
            emulator.state.add(kind, {"id": "2", "key": "archived", "name": "old", "deleted": True})
        yield emulator


@pytest.fixture
async def account(live: Emulator) -> Any:
    """A client of that emulator."""
    async with AsyncExperimentClient(live.api_key, base_url=live.base_url, rate_limit=None, retry=QUICK) as client:
        yield client


def patches(emulator: Emulator) -> list[Any]:
    """Return the bodies of the edits."""
    return [request.body for request in emulator.requests if request.method == "PATCH"]


@pytest.mark.parametrize("kind", KINDS)
async def test_archive_with_other_changes_is_rejected(
    kind: str, account: AsyncExperimentClient, live: Emulator
) -> None:
    """The error of an edit or bulk operation names the two calls in their order. Nothing is sent."""
    orders = {
        True: "first one with name, enabled, then one with only archive=true",
        False: "first one with only archive=false, then one with name, enabled",
    }
    for archive, order in orders.items():
        changes: dict[str, Any] = {"name": "n", "archive": archive, "enabled": False}
        with pytest.raises(InvalidInputError, match=order) as caught:
            await getattr(account, kind).edit("1", **changes)
        assert caught.value.argument == "archive"
        with pytest.raises(InvalidInputError, match=order):
            Edit(kind, "1", changes)  # type: ignore[arg-type]  # a string of the list of kinds
    assert live.requests == []
    await getattr(account, kind).edit("1", archive=True)
    assert patches(live) == [{"archive": True}]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_guarded_edit_archives_last(kind: str, account: AsyncExperimentClient, live: Emulator) -> None:
    """The other fields are written first, and archiving is a write of its own."""
    flag = await getattr(account, kind).guarded_edit("1", lambda flag: attrs.evolve(flag, name="new", deleted=True))
    assert (flag.name, flag.deleted) == ("new", True)
    assert patches(live) == [{"name": "new"}, {"archive": True}]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_guarded_edit_restores_first(kind: str, account: AsyncExperimentClient, live: Emulator) -> None:
    """Restoring is the first write, and the other fields follow."""
    flag = await getattr(account, kind).guarded_edit("2", lambda flag: attrs.evolve(flag, name="new", deleted=False))
    assert (flag.name, flag.deleted) == ("new", False)
    assert patches(live) == [{"archive": False}, {"name": "new"}]


@pytest.mark.parametrize("kind", KINDS)
async def test_restoring_a_version_of_an_archived_flag(
    kind: Any, account: AsyncExperimentClient, live: Emulator
) -> None:
    """It is rejected, in a dry run too: the flag would serve users while it is un-archived for the edit."""
    flags = getattr(account, kind)
    await flags.edit("1", name="new")
    await flags.archive("1")
    live.requests.clear()
    for dry_run in (True, False):
        with pytest.raises(InvalidInputError) as caught:
            await account.restore_version(kind, "1", 1, dry_run=dry_run)
        assert str(caught.value) == (
            f"{kind.removesuffix('s')} 1: is archived, and the service edits nothing that is archived. "
            f'Nothing was written. Restore it first. Call {kind}.restore("1").'
        )
    assert patches(live) == []
    await flags.restore("1")
    assert (await account.restore_version(kind, "1", 1)).flag_config.name == "old"
    await flags.archive("1")
    assert (await account.restore_version(kind, "1", 1)).differences == {}


async def test_the_last_step_of_a_guarded_edit_fails(account: AsyncExperimentClient, live: Emulator) -> None:
    """The error says which steps were written."""
    live.inject(Fault.status(400), method="PATCH", nth=2)
    with pytest.raises(BadRequestError) as caught:
        await account.flags.guarded_edit("1", lambda flag: attrs.evolve(flag, name="new", deleted=True))
    assert caught.value.__notes__ == ["Steps that were written: edit name. Steps that remain: archive."]


def test_the_blocking_client_takes_the_same_steps() -> None:
    """A guarded edit writes `archive` alone, and the restoring of a version of what is archived is rejected."""
    with Emulator(strictness="live", per_second=None, per_day=None) as live:
        live.state.add_flag(id="2", key="archived", name="old", deleted=True)
        with ExperimentClient(live.api_key, base_url=live.base_url, rate_limit=None) as client:
            client.flags.guarded_edit("2", lambda flag: attrs.evolve(flag, name="new", deleted=False))
            client.flags.guarded_edit("2", lambda flag: attrs.evolve(flag, name="newer", deleted=True))
            with pytest.raises(InvalidInputError, match="Restore it first"):
                client.restore_version("flags", "2", 1)
        assert patches(live) == [{"archive": False}, {"name": "new"}, {"name": "newer"}, {"archive": True}]


async def test_the_first_step_fails(account: AsyncExperimentClient, live: Emulator) -> None:
    """Nothing was written, and the error mentions no step."""
    live.inject(Fault.status(400), method="PATCH")
    with pytest.raises(BadRequestError) as caught:
        await account.flags.guarded_edit("2", lambda flag: attrs.evolve(flag, name="new", deleted=False))
    assert not hasattr(caught.value, "__notes__")
    assert live.state.flag("2")["deleted"] is True


@pytest.mark.parametrize(
    ("id", "deleted", "steps"), [("1", True, ["edit name", "archive"]), ("2", False, ["restore", "edit name"])]
)
async def test_the_second_step_fails(
    account: AsyncExperimentClient, live: Emulator, id: str, deleted: bool, steps: list[str]
) -> None:
    """A note of the error says which step was written. The same edit again completes the change."""
    live.inject(Fault.status(400), method="PATCH", nth=2)

    def change(flag: Any) -> Any:
        return attrs.evolve(flag, name="new", deleted=deleted)

    with pytest.raises(BadRequestError) as caught:
        await account.flags.guarded_edit(id, change)
    assert caught.value.__notes__ == [f"Steps that were written: {steps[0]}. Steps that remain: {steps[1]}."]

    flag = await account.flags.guarded_edit(id, change)
    assert (flag.name, flag.deleted) == ("new", deleted)


LOST: dict[str, Fault] = {
    "lost, applied": Fault.close(applied=True),
    "lost, not applied": Fault.close(),
    "500, applied": Fault.status(500, applied=True),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
@pytest.mark.parametrize("nth", [1, 2])
async def test_a_step_with_an_unknown_outcome(
    account: AsyncExperimentClient, live: Emulator, fault: Fault, nth: int
) -> None:
    """The note says that it may have been written, and not that it remains."""
    live.inject(fault, method="PATCH", nth=nth)
    client = account.with_options(retry=RetryPolicy(max_attempts=1))
    with pytest.raises(AmpExpError) as caught:
        await client.flags.guarded_edit("1", lambda flag: attrs.evolve(flag, name="new", deleted=True))
    notes = {
        1: "Steps that may have been written: edit name. Steps that remain: archive.",
        2: "Steps that were written: edit name. Steps that may have been written: archive.",
    }
    assert caught.value.__notes__ == [notes[nth]]


ARCHIVALS: dict[str, Callable[[AsyncExperimentClient, str], Any]] = {
    "archive": lambda client, kind: getattr(client, kind).archive("1"),
    "edit": lambda client, kind: getattr(client, kind).edit("1", archive=True),
    "guarded edit": lambda client, kind: getattr(client, kind).guarded_edit(
        "1", lambda flag: attrs.evolve(flag, deleted=True)
    ),
    "bulk": lambda client, kind: client.bulk([Edit(kind, "1", {"archive": True})]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", ARCHIVALS.values(), ids=ARCHIVALS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_response_to_archiving(
    kind: str, call: Callable[..., Any], account: AsyncExperimentClient, live: Emulator
) -> None:
    """If the repeat is refused because the flag is archived, reading shows that it is done."""
    live.inject(Fault.close(applied=True), method="PATCH")
    live.inject(REFUSED, method="PATCH", nth=2)
    result = await call(account, kind)
    assert getattr(result, "failed", 0) == 0
    assert patches(live) == [{"archive": True}] * 2
    assert live.state.stored_flag(kind, "1").document["deleted"] is True  # type: ignore[arg-type]


async def test_archiving_that_was_not_applied(account: AsyncExperimentClient, live: Emulator) -> None:
    """If the flag is not archived after a few reads, the refusal is raised."""
    live.inject(Fault.close(), method="PATCH")
    live.inject(REFUSED, method="PATCH", nth=2)
    with pytest.raises(BadRequestError, match="Cannot edit archived flag"):
        await account.flags.archive("1")
    assert [request.method for request in live.requests] == ["PATCH", "PATCH", "GET", "GET", "GET"]


async def test_archiving_that_cannot_be_read_back(account: AsyncExperimentClient, live: Emulator) -> None:
    """The outcome is unknown."""
    live.inject(Fault.close(applied=True), method="PATCH")
    live.inject(REFUSED, method="PATCH", nth=2)
    live.inject(Fault.status(503), method="GET", times=None)
    with pytest.raises(OutcomeUnknownError, match="Reading back failed too"):
        await account.flags.archive("1")


async def test_reads_that_lag_while_archiving_is_reconciled(account: AsyncExperimentClient, live: Emulator) -> None:
    """The flag is read again."""
    document = live.state.flag("1")
    live.inject(Fault.close(applied=True), method="PATCH")
    live.inject(REFUSED, method="PATCH", nth=2)
    live.inject(Fault.status(200, body=document), method="GET")
    await account.flags.archive("1")


async def test_a_refusal_without_a_lost_response(account: AsyncExperimentClient, live: Emulator) -> None:
    """It is raised at once."""
    with pytest.raises(AmpExpError, match="Cannot edit archived flag"):
        await account.flags.edit("2", name="new")
    assert len(live.requests) == 1


REMOVALS: dict[str, Callable[[AsyncExperimentClient], Any]] = {
    "cohorts.remove": lambda client: client.flags.cohorts.remove("1", "on", ["c1"]),
    "users.remove": lambda client: client.flags.users.remove("1", "on", ["u1"]),
    "users.remove_all": lambda client: client.flags.users.remove_all("1", "on"),
}


@pytest.mark.parametrize("call", REMOVALS.values(), ids=REMOVALS)
async def test_a_removal_whose_ids_are_already_gone(
    call: Callable[..., Any], account: AsyncExperimentClient, live: Emulator
) -> None:
    """On a repeat it is done; otherwise the refusal is raised."""
    refused = Fault.status(400, body={"error": "There are no users for this key"})
    live.inject(refused, method="DELETE")
    with pytest.raises(BadRequestError, match="no users"):
        await call(account)
    live.inject(Fault.close(), method="DELETE")
    live.inject(refused, method="DELETE", nth=2)
    await call(account)


GONE: dict[str, tuple[Callable[[AsyncExperimentClient], Any], str]] = {
    "variants.remove": (lambda client: client.flags.variants.remove("1", "x"), "Variant key does not exist"),
    "deployments.remove": (lambda client: client.flags.deployments.remove("1", "9"), "Flag or experiment not found"),
}


@pytest.mark.parametrize(("call", "text"), GONE.values(), ids=GONE)
async def test_a_removal_whose_object_is_already_gone(
    call: Callable[..., Any], text: str, account: AsyncExperimentClient, live: Emulator
) -> None:
    """A 400 that says "not found" on a repeat means done, as a 404 does."""
    live.inject(Fault.close(), method="DELETE")
    live.inject(Fault.status(400, body={"error": text}), method="DELETE", nth=2)
    await call(account)


async def test_reads_that_lag_while_a_rename_is_reconciled(account: AsyncExperimentClient, live: Emulator) -> None:
    """The new key is read again."""
    live.state.add_flag(id="3", key="k", variants=[{"key": "on"}])
    live.inject(Fault.close(applied=True), method="PATCH")
    live.inject(Fault.status(400, body={"error": "Variant key does not exist"}), method="GET")
    await account.flags.variants.edit("3", "on", key="renamed")
    assert live.state.flag("3")["variants"] == [{"key": "renamed"}]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dry_run", [True, False])
async def test_enabling_without_a_deployment(
    kind: Any, account: AsyncExperimentClient, live: Emulator, *, dry_run: bool
) -> None:
    """What reads the flag rejects it before writing, in a dry run and with the blocking client too."""
    resource = getattr(account, kind)
    live.state.add(kind, {"id": "3", "key": "lonely", "enabled": True, "deployments": ["9"]})
    live.state.add_deployment(id="9")
    await resource.edit("3", enabled=False)
    await resource.deployments.remove("3", "9")
    live.requests.clear()

    def enable(flag: Any) -> Any:
        return attrs.evolve(flag, enabled=True)

    message = r'^enabled: cannot be true without a deployment\. Nothing was written\. .*deployments\.add\("3", \['
    with pytest.raises(InvalidInputError, match=message):
        await resource.guarded_edit("3", enable, dry_run=dry_run)
    with pytest.raises(InvalidInputError, match=message):
        await account.restore_version(kind, "3", 1, dry_run=dry_run)
    with ExperimentClient(live.api_key, base_url=live.base_url) as client, pytest.raises(InvalidInputError):
        await asyncio.to_thread(getattr(client, kind).guarded_edit, "3", enable, dry_run=dry_run)
    assert patches(live) == []
    await resource.deployments.add("3", ["9"])
    assert (await resource.guarded_edit("3", enable)).enabled is True
