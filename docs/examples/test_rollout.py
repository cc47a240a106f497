"""Test your own code with pytest and the fixture of this package.

Install `pytest`.

Run it as `pytest test_rollout.py`.
"""

from amp_exp_async import ExperimentClient
from amp_exp_async.emulator import Emulator, Fault


def enable_everywhere(client: ExperimentClient, key: str) -> None:
    flag = client.flags.find(key)
    client.flags.edit(flag.id, enabled=True, rollout_percentage=100)


def test_enable_everywhere(experiment_emulator: Emulator) -> None:
    deployment = experiment_emulator.state.add_deployment(label="web")["id"]
    experiment_emulator.state.add_flag(key="new-checkout", deployments=[deployment])
    experiment_emulator.inject(Fault.status(503), method="PATCH")  # the first edit fails, and is retried
    with ExperimentClient(experiment_emulator.api_key, base_url=experiment_emulator.base_url) as client:
        enable_everywhere(client, "new-checkout")
    assert experiment_emulator.state.flags[0]["rolloutPercentage"] == 100
