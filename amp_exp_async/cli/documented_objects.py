"""The objects that the examples of the documentation name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_exp_async.emulator import EmulatorState

PROJECT = "123"
_OTHER_PROJECT = "456"  # flags are promoted to it


def add_documented_objects(state: EmulatorState) -> None:
    """Add what the examples need, so that they can be run as they stand."""
    for id, label in (("1006", "web"), ("1007", "ios"), ("1008", "tv")):
        state.add_deployment(id=id, projectId=PROJECT, label=label)
        state.add_deployment(id=f"4{id[1:]}", projectId=_OTHER_PROJECT, label=label)
    _add_flags(state)
    for id, key, name in (("2001", "price", "Price"), ("2002", "price-table", "Price table")):
        state.add_experiment(
            id=id,
            projectId=PROJECT,
            key=key,
            name=name,
            variants=[{"key": "control"}, {"key": "treatment"}],
            rolloutWeights={"control": 1, "treatment": 1},
            rolloutPercentage=50,
            deployments=["1006"],
        )
    _add_group(state, "Pages", PROJECT, id="3001")
    state.add_holdout(id="3002", projectId=PROJECT, name="Q3", holdoutPercentage=5)
    for name in ("Pages", "Prices"):  # flags that depend on them are promoted
        _add_group(state, name, _OTHER_PROJECT)


def _add_group(state: EmulatorState, name: str, project: str, **fields: str) -> None:
    slots: list[dict[str, object]] = [{"index": index, "percentage": 50, "experiments": []} for index in (1, 2)]
    state.add_mutex(projectId=project, name=name, slots=slots, **fields)


def _add_flags(state: EmulatorState) -> None:
    pilot = {
        "name": "Pilot",
        "conditions": [{"type": "property", "prop": "gp:email", "op": "is", "values": ["kim@example.com"]}],
        "percentage": 100,
        "rolloutWeights": {"on": 1},
    }
    for id, key, name, tags in (
        ("1001", "new-checkout", "New checkout", ["checkout"]),
        ("1002", "old-checkout", "Old checkout", ["checkout"]),
        ("1003", "pilot-checkout", "Pilot checkout", []),
    ):
        state.add_flag(
            id=id,
            projectId=PROJECT,
            key=key,
            name=name,
            tags=tags,
            variants=[{"key": "on"}],
            rolloutWeights={"on": 1},
            targetSegments=[pilot],
            deployments=["1006"],
        )
    state.add_users("flags", "1003", "on", [f"user-{number}" for number in range(1, 6)])
    # The history that the examples read: `new-checkout` has five versions.
    new_checkout = state.stored_flag("flags", "1001")
    state.update(new_checkout, enabled=True)
    for percentage in (5, 10, 20):
        state.update(new_checkout, rolloutPercentage=percentage)
