"""A repeat that is refused after a lost response: reading back shows whether the first attempt was applied."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async import (
    AddUsers,
    AsyncExperimentClient,
    BadRequestError,
    Edit,
    EditVariant,
    NotFoundError,
    Operation,
    Outcome,
    RemoveAllUsers,
    RemoveCohorts,
    RemoveDeployment,
    RemoveUsers,
    RemoveVariant,
    ReplaceCohorts,
    RetryPolicy,
)
from amp_exp_async.emulator import Emulator, Fault

Call = Callable[[AsyncExperimentClient], Awaitable[Any]]
REFUSED = Fault.status(400, body={"error": "refused"})

WRITES: dict[str, Call] = {
    "flags.edit": lambda c: c.flags.edit("1", name="new", tags=["b", "a"]),
    "flags.archive": lambda c: c.flags.archive("1"),
    "flags.restore": lambda c: c.flags.restore("2"),
    "experiments.edit": lambda c: c.experiments.edit("3", description="new"),
    "variants.edit": lambda c: c.flags.variants.edit("1", "on", payload={"a": [1, None]}),
    "variants.edit with a new key": lambda c: c.flags.variants.edit("1", "on", key="renamed", name="Renamed"),
    "variants.remove": lambda c: c.flags.variants.remove("1", "on"),
    "users.add": lambda c: c.flags.users.add("1", "on", ["u3", "u4"]),
    "users.remove": lambda c: c.flags.users.remove("1", "on", ["u1"]),
    "users.remove_all": lambda c: c.flags.users.remove_all("1", "on"),
    "cohorts.add": lambda c: c.flags.cohorts.add("1", "on", ["c3"]),
    "cohorts.remove": lambda c: c.flags.cohorts.remove("1", "on", ["c1", "c2"]),
    "flags.deployments.add": lambda c: c.flags.deployments.add("1", ["8"]),
    "flags.deployments.remove": lambda c: c.flags.deployments.remove("1", "7"),
    "deployments.edit": lambda c: c.deployments.edit("8", label="renamed"),
    "deployments.archive": lambda c: c.deployments.archive("8"),
    "deployments.restore": lambda c: c.deployments.restore("9"),
    "mutexes.edit": lambda c: c.mutexes.edit("20", name="new"),
    "mutexes.edit_slot": lambda c: c.mutexes.edit_slot("20", 1, experiments=["3"], individuals=["b", "a"]),
    "holdouts.edit": lambda c: c.holdouts.edit("30", description="new", experiments=["3"]),
    "holdouts.archive": lambda c: c.holdouts.archive("30"),
}


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """An emulator with one object of each kind."""
    state = emulator.state
    for id, label in (("7", "web"), ("8", "server"), ("9", "old")):
        state.add_deployment(id=id, label=label, deleted=id == "9")
    variants = [{"key": "on"}, {"key": "off"}]
    state.add_flag(id="1", key="flag", name="old", deployments=["7"], variants=variants)
    state.add_flag(id="2", key="archived", deleted=True)
    state.add("experiments", {"id": "3", "key": "experiment"})
    state.add_users("flags", "1", "on", ["u1", "u2"])
    state.add_cohorts("flags", "1", "on", ["c1", "c2"])
    state.add_mutex(id="20", name="Mutex", slots=[{"percentage": 50}, {"percentage": 50}])
    state.add_holdout(id="30", name="Holdout", holdoutPercentage=10)
    emulator.requests.clear()
    return emulator


@pytest.fixture
def quick(client: AsyncExperimentClient) -> AsyncExperimentClient:
    """A client that hardly waits."""
    return client.with_options(retry=RetryPolicy(backoff_base=0.001))


def lose(emulator: Emulator, *, applied: bool) -> None:
    """Lose the response to the first write, and refuse its repeat."""
    for method in ("PATCH", "POST", "DELETE"):
        emulator.inject(Fault.close(applied=applied), method=method)
        emulator.inject(REFUSED, method=method, nth=2)


@pytest.mark.parametrize("name", WRITES)
async def test_it_was_applied(quick: AsyncExperimentClient, emulator: Emulator, name: str) -> None:
    """The write succeeds, and its outcome is known."""
    lose(emulator, applied=True)
    await WRITES[name](quick)
    assert quick._transport.stats.ambiguous is False
    assert sum(request.method != "GET" for request in emulator.requests) == 2


@pytest.mark.parametrize("name", WRITES)
async def test_it_was_not_applied(quick: AsyncExperimentClient, emulator: Emulator, name: str) -> None:
    """The refusal is raised, does not say that the write may have been applied, and its outcome is known."""
    lose(emulator, applied=False)
    with pytest.raises(BadRequestError, match="refused") as caught:
        await WRITES[name](quick)
    assert "may have been applied" not in str(caught.value)
    assert quick._transport.stats.ambiguous is False


OPERATIONS: dict[str, Operation] = {
    "Edit": Edit("flags", "1", {"name": "new"}),
    "EditVariant": EditVariant("flags", "1", "on", {"payload": 1}),
    "EditVariant with a new key": EditVariant("flags", "1", "on", {"key": "renamed"}),
    "AddUsers": AddUsers("flags", "1", "on", ["u3"]),
    "RemoveUsers": RemoveUsers("flags", "1", "on", ["u1"]),
    "RemoveAllUsers": RemoveAllUsers("flags", "1", "on"),
    "RemoveCohorts": RemoveCohorts("flags", "1", "on", ["c1"]),
    "ReplaceCohorts": ReplaceCohorts("flags", "1", "on", ["c3"]),
    "RemoveDeployment": RemoveDeployment("flags", "1", "7"),
    "RemoveVariant": RemoveVariant("flags", "1", "on"),
}


async def outcome_of(client: AsyncExperimentClient, operation: Operation) -> Outcome:
    """Run one operation."""
    (outcome,) = [outcome async for outcome in client.bulk([operation])]
    return outcome


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_operations(quick: AsyncExperimentClient, emulator: Emulator, name: str, applied: bool) -> None:
    """An operation is done if the first attempt was applied, and failed otherwise; it is never unknown."""
    lose(emulator, applied=applied)
    outcome = await outcome_of(quick, OPERATIONS[name])
    assert outcome.status == ("done" if applied else "failed"), outcome.error


@pytest.mark.parametrize(
    "missing",
    [Fault.status(404), Fault.status(400, body={"error": "Variant key does not exist"})],
    ids=["404", "400"],
)
async def test_editing_a_missing_variant(quick: AsyncExperimentClient, emulator: Emulator, missing: Fault) -> None:
    """If the first response was lost and the repeat says that the variant does not exist, it was not edited."""
    emulator.inject(Fault.close(applied=True))
    emulator.inject(missing, nth=2)
    outcome = await outcome_of(quick, EditVariant("flags", "1", "none", {"payload": 1}))
    assert isinstance(outcome.error, NotFoundError)
    assert (outcome.status, outcome.requests) == ("failed", 3)  # one reads which variants exist
    assert "may have been applied" not in str(outcome.error)
    assert 'Flag 1 has no variant "none"' in str(outcome.error)


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        (RemoveUsers("flags", "1", "on", ["u1", "u2"]), "There are no users for this key"),
        (RemoveCohorts("flags", "1", "on", ["c1", "c2"]), "There are no users for this key"),
        (ReplaceCohorts("flags", "1", "on", [], allow_empty=True), "There are no users for this key"),
        (RemoveAllUsers("flags", "1", "on"), "There are no users for this key"),
        (RemoveDeployment("flags", "1", "7"), "Flag or experiment not found"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("theirs", [True, False])
async def test_a_race_for_a_removal(
    *, quick: AsyncExperimentClient, emulator: Emulator, operation: Operation, refusal: str, theirs: bool
) -> None:
    """If someone else has removed it since it was read, it is done without a change; otherwise the refusal counts."""
    if theirs:  # the first attempt stands for theirs: it is applied, and its answer is the refusal of ours
        emulator.inject(Fault.status(400, body={"error": refusal}, applied=True), method="DELETE")
    else:
        emulator.inject(Fault.status(400, body={"error": refusal}), method="DELETE")
    outcome = await outcome_of(quick, operation)
    assert (outcome.status, outcome.changed) == ("done" if theirs else "failed", ())
