"""Existing flags and variants are reachable by any key, also by one that a new object may not have."""

from __future__ import annotations

import pytest

from amp_exp_async import AsyncExperimentClient, ExperimentClient, Flag
from amp_exp_async.bulk import AddUsers, Edit
from amp_exp_async.emulator import Emulator

KEYS = ["checkout.v2", "trailing ", "a/b?c=d&e#f", "é٣ \N{PARTY POPPER}", "%2F", "off", "...", "+"]


@pytest.fixture(params=KEYS)
def key(request: pytest.FixtureRequest, emulator: Emulator) -> str:
    """The key of a flag and of its variant."""
    for kind in ("flags", "experiments"):
        emulator.state.add(kind, {"id": "5", "key": request.param, "variants": [{"key": request.param}]})
        emulator.state.add(kind, {"id": "6", "key": "other", "variants": [{"key": "other"}]})
    return str(request.param)


@pytest.mark.parametrize("kind", ["flags", "experiments"])
async def test_a_flag_and_its_variant_are_reachable(kind: str, key: str, client: AsyncExperimentClient) -> None:
    """Every operation on an existing key sends it percent-encoded."""
    flags = getattr(client, kind)
    assert (await flags.find(key)).id == "5"
    assert [flag.id for flag in await flags.list(key=key)] == ["5"]
    assert (await flags.variants.get("5", key)).key == key

    await flags.variants.edit("5", key, name="new")
    await flags.users.add("5", key, ["u1"])
    await flags.users.add_many("5", key, ["u2", "u3"])
    await flags.users.remove("5", key, ["u1"])
    await flags.users.remove_at("5", key, 0)
    await flags.users.remove_many("5", key, ["u4"])
    await flags.cohorts.add("5", key, ["c1"])
    await flags.cohorts.replace("5", key, ["c2"])
    assert await flags.users.list("5", key) == ["u3"]
    assert await flags.cohorts.list("5", key) == ["c2"]
    await flags.users.remove_all("5", key)
    await flags.cohorts.remove("5", key, ["c2"])

    await flags.variants.edit("5", key, key="renamed")
    await flags.variants.remove("5", "renamed")
    assert await flags.variants.list("5") == []


async def test_bulk_operations_name_a_flag_and_a_variant(
    key: str, client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """Bulk operations address existing flags and variants by any key."""
    operations = [AddUsers("flags", key=key, variant=key, users=["u"]), Edit("flags", key=key, changes={"name": "n"})]
    assert (await client.bulk(operations)).done == 2
    assert emulator.state.users("flags", "5", key) == ["u"]


def test_the_blocking_client_reaches_a_flag_and_its_variant() -> None:
    """The blocking client sends the same requests."""
    with Emulator(per_second=None, per_day=None) as emulator:
        for index, key in enumerate(KEYS):
            emulator.state.add_flag(id=str(index), key=key, variants=[{"key": key}])
        with ExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=None) as client:
            for index, key in enumerate(KEYS):
                flag: Flag = client.flags.find(key)
                assert flag.id == str(index)
                client.flags.users.add(flag.id, key, ["u"])
                assert client.flags.variants.get(flag.id, key).key == key
