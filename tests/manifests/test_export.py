"""Export: what there is as a file declares it, with the lists' requests only."""

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
    """A flag and an experiment in project 1, an archived flag, and a flag in project 2."""
    state = emulator.state
    state.add_deployment(id="51", label="web")
    state.add_deployment(id="52", label="twin")
    state.add_deployment(id="53", label="twin")
    state.add_flag(
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
    state.add_experiment(id="12", key="a", startDate="2023-07-29", exposureEvent={"event_type": "e", "filters": []})
    state.add_flag(id="13", key="old", deleted=True)
    state.add_flag(id="14", key="b", projectId="2")
    state.add_users("flags", "11", "on", ["u2", "u1"])
    state.add_cohorts("flags", "11", "on", ["c1"])
    emulator.requests.clear()


EXPORTED = """\
# yaml-language-server: $schema=./.amp-exp.schema.json
project_id: '1'
flags:
  - key: b
    name: b
    description: ''
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
    description: ''
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
    start_date: '2023-07-29'
    end_date: null
    exposure_event:
      event_type: e
      filters: []
    decision: null
    decision_reason: null
    rolled_out_variant: null
"""


async def test_an_export_reads_the_lists_only(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """And the file has no id, no salt and no timestamp."""
    fill(emulator)
    state = await client.export(project_id="1")

    assert sorted(request.path for request in emulator.requests) == [
        "/api/1/deployments",
        "/api/1/experiments",
        "/api/1/flags",
    ]
    save(state, tmp_path / "flags.yaml")
    assert (tmp_path / "flags.yaml").read_text() == EXPORTED
    assert load(tmp_path / "flags.yaml") == state


async def test_what_is_asked_for_besides_is_read(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Inclusions, variants in full, what the service makes, archived ones, and single keys."""
    fill(emulator)
    state = await client.export(
        keys=["b", "old"], include_archived=True, users=True, cohorts=True, variants=True, server_fields=True
    )
    first, second, old = state.of("flags")
    assert (first.project_id, second.project_id, old.archived) == ("1", "2", True)
    assert (first.id, bool(first.bucketing_salt), bool(first.created_at)) == ("11", True, True)
    assert first.variants
    [variant] = first.variants
    assert (variant.name, variant.users, variant.cohorts) == ("", ("u1", "u2"), ("c1",))
    assert state.of("experiments") == ()


async def test_one_key_is_asked_for_by_itself(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Not the list of all."""
    fill(emulator)
    assert [one.key for one in (await client.export(keys=["a"])).of("experiments")] == ["a"]
    assert [request.query for request in emulator.requests] == [{"key": "a"}, {"key": "a"}]


async def test_a_key_that_is_not_there_is_refused(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Rather than left out without a word."""
    fill(emulator)
    with pytest.raises(InvalidInputError, match='keys: no flag or experiment with key "missing"'):
        await client.export(keys=["a", "missing"])
    with pytest.raises(InvalidInputError, match="at least one"):
        await client.export(keys=[])


async def test_what_a_file_cannot_hold_is_left_out(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """So that an export can be saved whatever is there, and its plan is empty: ids in one text, too many, labels."""
    for id, label in (("51", "My web.app"), ("52", "id:51")):
        emulator.state.add_deployment(id=id, label=label)
    variants = [{"key": key} for key in ("joined", "many", "good")]
    emulator.state.add_flag(id="1", key="a", deployments=["51", "52"], variants=variants)
    for key, users in (("joined", ["ada,grace"]), ("many", [f"u{at}" for at in range(2001)]), ("good", ["ada"])):
        emulator.state.add_users("flags", "1", key, users)
    save(await client.export(users=True), tmp_path / "flags.json")
    state = load(tmp_path / "flags.json")
    [flag] = state.of("flags")
    assert {variant.key: variant.users for variant in flag.variants or ()} == {
        "joined": UNSET,
        "many": UNSET,
        "good": ("ada",),
    }
    assert flag.deployments == ("id:51", "id:52")
    assert not await client.plan(state)


async def test_a_failed_page_is_no_short_export(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The service's refusal is raised as itself, in no group."""
    emulator.inject(Fault.status(403), path="/experiments")
    with pytest.raises(PermissionDeniedError):
        await client.export()


def test_export_for_blocking_callers(experiment_emulator: Emulator, at_once: RetryPolicy) -> None:
    """The same, without await."""
    experiment_emulator.state.add_flag(key="a")
    with ExperimentClient(experiment_emulator.api_key, base_url=experiment_emulator.base_url, retry=at_once) as client:
        state = client.export()
    assert isinstance(state, Manifest)
    assert [flag.key for flag in state.of("flags")] == ["a"]
