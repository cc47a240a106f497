"""The error of a call that names a variant which does not exist."""

from __future__ import annotations

import pickle
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async import AddUsers, APIStatusError, AsyncExperimentClient, EditVariant, NotFoundError, RemoveUsers
from amp_exp_async.emulator import Emulator, Fault

CALLS: dict[str, Callable[[Any, str, str], Awaitable[Any]]] = {
    "variants.get": lambda kind, id, variant: kind.variants.get(id, variant),
    "variants.edit": lambda kind, id, variant: kind.variants.edit(id, variant, description="d"),
    "variants.edit, rename": lambda kind, id, variant: kind.variants.edit(id, variant, key="new"),
    "variants.remove": lambda kind, id, variant: kind.variants.remove(id, variant),
    "users.list": lambda kind, id, variant: kind.users.list(id, variant),
    "users.add": lambda kind, id, variant: kind.users.add(id, variant, ["u"]),
    "users.remove": lambda kind, id, variant: kind.users.remove(id, variant, ["u"]),
    "users.remove_at": lambda kind, id, variant: kind.users.remove_at(id, variant, 0),
    "users.remove_all": lambda kind, id, variant: kind.users.remove_all(id, variant),
    "users.add_many": lambda kind, id, variant: outcome(kind.users.add_many(id, variant, ["u"])),
    "users.remove_many": lambda kind, id, variant: outcome(kind.users.remove_many(id, variant, ["u"])),
    "users.replace": lambda kind, id, variant: outcome(kind.users.replace(id, variant, ["u"])),
    "cohorts.list": lambda kind, id, variant: kind.cohorts.list(id, variant),
    "cohorts.add": lambda kind, id, variant: kind.cohorts.add(id, variant, ["c"]),
    "cohorts.remove": lambda kind, id, variant: kind.cohorts.remove(id, variant, ["c"]),
    "cohorts.add_many": lambda kind, id, variant: outcome(kind.cohorts.add_many(id, variant, ["c"])),
    "cohorts.remove_many": lambda kind, id, variant: outcome(kind.cohorts.remove_many(id, variant, ["c"])),
    "cohorts.replace": lambda kind, id, variant: outcome(kind.cohorts.replace(id, variant, ["c"])),
}
KINDS = {"flags": "1", "experiments": "2"}
READ = "/variants"


async def outcome(run: Any) -> None:
    """Raise the error of a run's only operation."""
    async for result in run:
        raise result.error


@pytest.fixture
def state(emulator: Emulator) -> None:
    """Set up a flag, and an experiment, with two variants each."""
    variants = [{"key": "on"}, {"key": "treatment"}]
    emulator.state.add_flag(id=KINDS["flags"], key="f", variants=variants)
    emulator.state.add_experiment(id=KINDS["experiments"], key="e", variants=variants)


def reads(emulator: Emulator) -> int:
    """Return how often variants were listed."""
    return sum(request.method == "GET" and request.path.endswith(READ) for request in emulator.requests)


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("strictness", ["live", "documented"])
async def test_the_existing_variants(call: str, kind: str, strictness: str, emulator: Emulator) -> None:
    """Every call whose path names a variant says which ones exist, whatever the service answers."""
    documented = Fault.status(404, body={"error": "not found"})
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        if strictness == "documented":
            emulator.inject(documented, path="*/nope*", times=None)
        with pytest.raises(NotFoundError) as caught:
            await CALLS[call](getattr(client, kind), KINDS[kind], "nope")
    noun = kind.removesuffix("s").title()
    assert f'. {noun} {KINDS[kind]} has no variant "nope". Its variants: on, treatment.' in str(caught.value)
    assert "ID" not in str(caught.value)
    assert caught.value.variants == ("on", "treatment")
    assert pickle.loads(pickle.dumps(caught.value)).variants == ("on", "treatment")
    assert reads(emulator) == 1


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", [{"error": "not found"}, {"error": "Flag or experiment not found"}])
async def test_a_missing_flag(
    call: str, body: dict[str, str], client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """If the flag does not exist, the error says that, and does not speak of variants."""
    emulator.inject(Fault.status(404, body=body), path="*/flags/9/*", times=None)
    with pytest.raises(NotFoundError) as caught:
        await CALLS[call](client.flags, "9", "on")
    assert ". Flag 9 does not exist. Check the ID" in str(caught.value)
    assert "variant" not in str(caught.value).partition(". Flag 9")[2]
    assert caught.value.variants is None


@pytest.mark.usefixtures("state")
async def test_a_key_in_place_of_an_id(client: AsyncExperimentClient) -> None:
    """If the ID is a key, the error still says how to look it up."""
    with pytest.raises(NotFoundError, match=r'Flag f does not exist\. .*call flags\.find\("f"\)'):
        await client.flags.users.add("f", "on", ["u"])


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(500),
        Fault.status(403),
        Fault.status(429, retry_after=3600),
        Fault.close(),
        Fault.invalid_json(),
        Fault.status(200, body={"on": {}}),
        Fault.delay(60.0),
    ],
    ids=["500", "403", "429", "closed", "no JSON", "no list", "slow"],
)
async def test_a_failed_read(emulator: Emulator, fault: Fault) -> None:
    """If the variants cannot be read, the error is that of the call: after one attempt, within the deadline."""
    emulator.inject(fault, method="GET", path=f"*{READ}", times=None)
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, deadline=2.0) as client:
        started = time.monotonic()
        with pytest.raises(NotFoundError, match="Check the variant's key") as caught:
            await client.flags.users.add("1", "nope", ["u"])
    assert caught.value.path == "/flags/1/variants/nope/users"
    assert caught.value.__cause__ is None
    assert caught.value.variants is None
    assert reads(emulator) <= 1
    assert time.monotonic() - started < 30.0


@pytest.mark.usefixtures("state")
async def test_an_existing_variant(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """If the variant exists, something else does not: the error does not blame the variant."""
    emulator.inject(Fault.status(404), path="*/users/7")
    with pytest.raises(NotFoundError) as caught:
        await client.flags.users.remove_at("1", "on", 7)
    assert "has no variant" not in str(caught.value)
    assert caught.value.variants is None


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("status", [400, 403, 409])
async def test_other_errors(client: AsyncExperimentClient, emulator: Emulator, status: int) -> None:
    """An error of another kind costs no further request, nor does a call that succeeds."""
    emulator.inject(Fault.status(status))
    with pytest.raises(APIStatusError):
        await client.flags.users.add("1", "nope", ["u"])
    await client.flags.users.add("1", "on", ["u"])
    assert reads(emulator) == 0


@pytest.mark.usefixtures("state")
async def test_variants_without_keys(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A flag without variants, and one with many, have short messages."""
    emulator.state.add_flag(id="3", key="none", variants=[])
    emulator.state.add_flag(id="4", key="many", variants=[{"key": f"v{number}"} for number in range(50)])
    with pytest.raises(NotFoundError, match="Its variants: none\\."):
        await client.flags.variants.get("3", "nope")
    with pytest.raises(NotFoundError, match="v18, v19, …\\.") as caught:
        await client.flags.variants.get("4", "nope")
    assert caught.value.variants is not None
    assert len(caught.value.variants) == 50


async def test_a_bulk_run(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A run reads the variants of each flag once, and those of few flags, however many operations fail."""
    for number in range(30):
        emulator.state.add_flag(id=str(number + 1), key=f"k{number}", variants=[{"key": "on"}])
    edits = [EditVariant("flags", str(number % 30 + 1), "nope", {"name": "n"}) for number in range(300)]
    errors = [result.error async for result in client.bulk(edits)]
    assert len(errors) == 300
    assert all(isinstance(error, NotFoundError) for error in errors)
    assert sum("Its variants: on." in str(error) for error in errors) == reads(emulator) == 10
    await client.bulk([RemoveUsers("flags", "30", "nope", ["u"])])
    assert reads(emulator) == 11


@pytest.mark.usefixtures("state")
async def test_a_stopped_run(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A run that is stopped before it could read the variants reports the error of the operation."""
    run = client.with_options(on_attempt=lambda _: run.stop()).bulk([AddUsers("flags", "1", "nope", ["u"])])
    [result] = [result async for result in run]
    assert (result.status, type(result.error)) == ("failed", NotFoundError)
    assert reads(emulator) == 0
