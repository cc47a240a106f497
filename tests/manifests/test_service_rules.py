"""Plans that the service would reject: they are rejected when planned, with file, line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import (
    AsyncExperimentClient,
    FlagSpec,
    InvalidManifestError,
    Manifest,
    VariantSpec,
    load,
    loads,
    save,
)
from amp_exp_async.emulator import Emulator


async def problems_of(client: AsyncExperimentClient, text: str, **options: Any) -> list[str]:
    """Return the problems of the plan of a text, each with its line and field."""
    with pytest.raises(InvalidManifestError) as caught:
        await client.plan(loads(text, name="f"), **options)
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


async def test_enabling_needs_a_deployment(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The flag must have one already, or get one by the same plan."""
    emulator.state.add_deployment(id="51", label="web")
    emulator.state.add_flag(key="assigned", deployments=["51"])
    emulator.state.add_flag(key="bare")
    text = """\
project_id: "1"
flags:
  - key: assigned
    enabled: true
  - key: bare
    enabled: true
  - key: new
    deployments: []
    enabled: true
  - key: complete
    deployments: [web]
    enabled: true
  - key: archived
    archived: true
    enabled: true
"""
    reason = "cannot be true without a deployment, which it neither has nor gets: declare its deployments"
    assert await problems_of(client, text) == [
        f"6: flags[1].enabled: {reason}",
        f"9: flags[2].enabled: {reason}",
    ]
    text = text.replace("deployments: []", "deployments: [web]").replace("bare\n", "bare\n    deployments: [web]\n")
    assert (await client.apply(await client.plan(loads(text)))).ok
    assert not await client.plan(loads(text))


async def test_keys_that_nothing_can_be_created_with(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Existing flags and variants may have them."""
    emulator.state.add_flag(key="old key", variants=[{"key": "Off"}, {"key": "a.name"}])
    text = """\
project_id: "1"
flags:
  - key: old key
    variants:
      - key: "Off"
      - key: a.name
      - key: "oFF"
  - key: new.key
    variants:
      - key: new.variant
      - key: "off"
"""
    reserved = "is reserved for users who get no variant: use another key for the new variant"
    alphabet = 'must consist of letters, digits, "_" and "-" to be created, got'
    assert await problems_of(client, text) == [
        f'7: flags[0].variants[2].key: "oFF" {reserved}',
        f'8: flags[1].key: {alphabet} "new.key"',
        f'10: flags[1].variants[0].key: {alphabet} "new.variant"',
        f'11: flags[1].variants[1].key: "off" {reserved}',
    ]


KEYS = ("checkout.v2", "trailing ", "with/slash", ".hidden", "a%20b", "ключ", "id", "1", "null")


@pytest.mark.parametrize("name", ["flags.yaml", "flags.json", "folder"])
async def test_existing_objects_may_break_rules_for_new_ones(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, name: str
) -> None:
    """Their export can be saved and loaded, its plan is empty, and a changed one can be applied."""
    for key in KEYS:
        variants = [{"key": "off"}, {"key": f"{key}.name", "payload": 1}, {"key": key}]
        emulator.state.add_flag(
            id=f"flag {key}", key=key, enabled=True, variants=variants, rolloutWeights={"off": 1, key: 2}
        )
        emulator.state.add_flag(
            key=f"child of {key}", parentDependencies={"flags": {f"flag {key}": ["off"]}, "operator": "all"}
        )
        emulator.state.add_users("flags", f"flag {key}", key, ["ada"])
    exported = await client.export(users=True, variants=True)
    assert {spec.key for spec in exported.of("flags")} == {*KEYS, *(f"child of {key}" for key in KEYS)}
    save(exported, tmp_path / name)
    loaded = load(tmp_path / name)
    assert loaded.of("flags") == exported.of("flags") or name == "folder"
    plan = await client.plan(loaded)
    assert (plan.changes, plan.warnings) == ((), ())
    for key in KEYS:
        child = next(spec for spec in loaded.of("flags") if spec.key == f"child of {key}")
        assert child.dependencies
        assert child.dependencies.flags == {key: ["off"]}

    changed = [
        FlagSpec(
            key=key,
            rollout_weights={key: 5},
            variants=[
                VariantSpec(key="off"),
                VariantSpec(key=f"{key}.name", payload=2),
                VariantSpec(key=key, users=["bob"], name="n"),
            ],
        )
        for key in KEYS
    ]
    plan = await client.plan(Manifest(flags=changed))
    assert (await client.apply(plan)).ok
    assert not await client.plan(Manifest(flags=changed))
