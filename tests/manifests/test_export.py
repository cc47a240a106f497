"""Exports of live flags to a manifest, with as few requests as possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    ExperimentClient,
    InvalidInputError,
    Manifest,
    PermissionDeniedError,
    RetryPolicy,
    load,
    save,
)
from amp_exp_async.emulator import Emulator, Fault

CONDITION = {"type": "property", "prop": "gp:plan", "op": "is", "values": ["pro"], "unknown": 1}


def fill(emulator: Emulator) -> None:
    """Add a flag and an experiment in project 1, an archived flag, and a flag in project 2."""
    store = emulator.state
    store.add_deployment(id="51", label="web")
    store.add_deployment(id="52", label="twin")
    store.add_deployment(id="53", label="twin")
    store.add_flag(
        id="11",
        key="b",
        deployments=["51", "53", "99"],
        variants=[{"key": "on", "payload": {"a": None}}],
        rolloutWeights={"on": 2, "gone": 1},
        targetSegments=[
            {"name": "s", "conditions": [CONDITION], "percentage": 5, "rolloutWeights": {"on": 1, "gone": 1}, "new": 1}
        ],
        rolloutPercentage=None,
        tags=["y", "x"],
    )
    store.add_experiment(id="12", key="a", startDate="2023-07-29", exposureEvent={"event_type": "e", "filters": []})
    store.add_flag(id="13", key="old", deleted=True)
    store.add_flag(id="14", key="b", projectId="2")
    store.add_users("flags", "11", "on", ["u2", "u1"])
    store.add_cohorts("flags", "11", "on", ["c1"])
    emulator.requests.clear()


EXPORTED = """\
# yaml-language-server: $schema=./.amp-exp.schema.json
project_id: "1"
flags:
  - key: b
    name: b
    description: ""
    enabled: false
    evaluation_mode: remote
    bucketing_key: amplitude_id
    bucketing_unit: User
    tags:
      - x
      - "y"
    deployments:
      - id:53
      - id:99
      - web
    variants:
      - key: "on"
        payload:
          a: null
    rollout_weights:
      "on": 2
    target_segments:
      - name: s
        conditions:
          - prop: gp:plan
            op: is
            values:
              - pro
        percentage: 5
        rollout_weights:
          "on": 1
experiments:
  - key: a
    name: a
    description: ""
    enabled: false
    evaluation_mode: remote
    bucketing_key: amplitude_id
    bucketing_unit: User
    tags: []
    deployments: []
    variants:
      - key: control
      - key: treatment
    rollout_percentage: 0
    rollout_weights:
      control: 1
      treatment: 1
    target_segments: []
    experiment_type: hypothesis-testing
    sticky_bucketing: false
    start_date: "2023-07-29"
    end_date: null
    exposure_event:
      event_type: e
      filters: []
    decision: null
    decision_reason: null
    rolled_out_variant: null
"""


async def test_export_reads_only_lists(emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path) -> None:
    """The file has no IDs, salts and timestamps."""
    fill(emulator)
    manifest = await client.export(project_id="1")

    assert sorted(request.path for request in emulator.requests) == [
        "/api/1/deployments",
        "/api/1/experiments",
        "/api/1/flags",
    ]
    save(manifest, tmp_path / "flags.yaml")
    assert (tmp_path / "flags.yaml").read_text() == EXPORTED
    assert load(tmp_path / "flags.yaml") == manifest


async def test_options_of_export(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """They add inclusions, complete variants, server fields, archived flags, and select keys."""
    fill(emulator)
    manifest = await client.export(
        keys=["b", "old"], include_archived=True, users=True, cohorts=True, variants=True, server_fields=True
    )
    first, second, old = manifest.of("flags")
    assert (first.project_id, second.project_id, old.archived) == ("1", "2", True)
    assert (first.id, bool(first.bucketing_salt), bool(first.created_at)) == ("11", True, True)
    assert first.variants
    [variant] = first.variants
    assert (variant.name, variant.users, variant.cohorts) == ("", ("u1", "u2"), ("c1",))
    assert manifest.of("experiments") == ()


async def test_single_key_is_requested_by_itself(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The list of all flags is not read."""
    fill(emulator)
    assert [spec.key for spec in (await client.export(keys=["a"])).of("experiments")] == ["a"]
    assert [request.query for request in emulator.requests] == [{"key": "a"}, {"key": "a"}]


async def test_missing_key_is_rejected(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is not silently left out."""
    fill(emulator)
    with pytest.raises(InvalidInputError, match='keys: no flag or experiment with key "missing"'):
        await client.export(keys=["a", "missing"])
    with pytest.raises(InvalidInputError, match="at least one"):
        await client.export(keys=[])


async def test_values_that_a_file_cannot_hold_are_left_out(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """Every export can be saved, and its plan is empty: joined IDs, too many IDs, labels that are not keys."""
    for id, label in (("51", "My web.app"), ("52", "id:51")):
        emulator.state.add_deployment(id=id, label=label)
    variants = [{"key": key} for key in ("joined", "many", "good")]
    emulator.state.add_flag(id="1", key="a", deployments=["51", "52"], variants=variants)
    for key, users in (
        ("joined", ["ada,grace"]),
        ("many", [f"u{number}" for number in range(2001)]),
        ("good", ["ada"]),
    ):
        emulator.state.add_users("flags", "1", key, users)
    save(await client.export(users=True), tmp_path / "flags.json")
    manifest = load(tmp_path / "flags.json")
    [flag] = manifest.of("flags")
    assert {variant.key: variant.users for variant in flag.variants or ()} == {
        "joined": UNSET,
        "many": UNSET,
        "good": ("ada",),
    }
    assert flag.deployments == ("id:51", "id:52")
    assert not await client.plan(manifest)


async def test_failed_page_fails_the_export(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The error is raised as it is, not in an exception group."""
    emulator.inject(Fault.status(403), path="/experiments")
    with pytest.raises(PermissionDeniedError):
        await client.export()


def test_sync_export(experiment_emulator: Emulator, no_backoff: RetryPolicy) -> None:
    """The synchronous client exports as the asynchronous one does."""
    experiment_emulator.state.add_flag(key="a")
    with ExperimentClient(
        experiment_emulator.api_key, base_url=experiment_emulator.base_url, retry=no_backoff
    ) as client:
        manifest = client.export()
    assert isinstance(manifest, Manifest)
    assert [flag.key for flag in manifest.of("flags")] == ["a"]
