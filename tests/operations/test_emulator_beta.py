"""The life of an experiment with both clients of the Beta API, against the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import (
    AsyncExperimentClient,
    BadRequestError,
    Condition,
    Experiment,
    Flag,
    MethodNotAllowedError,
    NotFoundError,
    Segment,
)
from amp_exp_async.emulator import Emulator
from tests.operations.conftest import PROJECT
from tests.operations.recording_server import run


async def test_an_experiment(beta: Any, emulator: Emulator) -> None:
    """It is created, activated, given weights and deactivated, and every response becomes its model."""
    condition = Condition(prop="p", op="is", values=["v"])
    segment = Segment(name="s", conditions=[condition], percentage=5, rollout_weights={"treatment": 1})
    made = await run(
        beta.experiments.create(
            project_id=PROJECT,
            key="checkout",
            variants=[{"key": "control"}, {"key": "treatment", "payload": {"a": [1]}}],
            rollout_weights={"control": 1, "treatment": 1},
            target_segments=[segment],
            sticky_bucketing=True,
            deployments=["50"],
        )
    )
    assert isinstance(made, Experiment)
    assert (made.key, made.project_id, made.sticky_bucketing, made.deployments) == ("checkout", PROJECT, True, ["50"])
    await run(beta.experiments.activate(made.id))
    assert emulator.state.experiment(made.id)["enabled"] is True
    await run(beta.experiments.set_rollout_weights(made.id, {"control": 3, "treatment": 7}))
    live = await run(beta.experiments.get(made.id))
    assert (live.enabled, live.rollout_weights) == (True, {"control": 3, "treatment": 7})
    await run(beta.experiments.deactivate(made.id))
    assert emulator.state.experiment(made.id)["enabled"] is False
    versions = await run(beta.experiments.versions.list(made.id))
    assert [version.config.enabled for version in versions] == [False, True, True, False]
    assert await run(beta.experiments.versions.get(made.id, 4)) == versions[0]
    with pytest.raises(BadRequestError, match="exists"):
        await run(beta.experiments.create(project_id=PROJECT, key="checkout"))
    with pytest.raises(NotFoundError):
        await run(beta.experiments.activate("404"))
    assert {request.path.split("/")[1] for request in emulator.requests} == {"beta"}


async def test_flags_and_deployments_are_read(beta: Any, emulator: Emulator) -> None:
    """All pages are read, newest first, with the models of version 1."""
    ids = [emulator.state.add_flag(key=f"k{number}")["id"] for number in range(5)]
    flags = await run(beta.flags.list(limit=2))
    assert [flag.id for flag in flags] == ids[::-1]
    assert {type(flag) for flag in flags} == {Flag}
    assert await run(beta.flags.get(ids[0])) == flags[-1]
    [version] = await run(beta.flags.versions.list(ids[0]))
    assert await run(beta.flags.versions.get(ids[0], version.version)) == version
    [deployment] = await run(beta.deployments.list(limit=1))
    assert (deployment.id, deployment.label) == ("50", "web")
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        assert await client.flags.list() == flags
        assert await client.deployments.list() == [deployment]


async def test_a_web_experiment(beta: Any, emulator: Emulator) -> None:
    """It can only be edited in the app."""
    id = emulator.state.add_experiment(_type="web-experiment")["id"]
    for write in (beta.experiments.activate, beta.experiments.deactivate):
        with pytest.raises(MethodNotAllowedError):
            await run(write(id))
    with pytest.raises(MethodNotAllowedError):
        await run(beta.experiments.set_rollout_weights(id, {"control": 1}))
