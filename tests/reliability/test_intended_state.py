"""A run of mixed operations against a service that fails every tenth time leaves exactly the intended flags."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

from amp_exp_async import (
    AddCohorts,
    AddDeployments,
    AddUsers,
    APIStatusError,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    Operation,
    Outcome,
    RemoveAllUsers,
    RemoveCohorts,
    RemoveDeployment,
    RemoveUsers,
    RemoveVariant,
    ReplaceCohorts,
    ReplaceUsers,
    RetryPolicy,
    ServerError,
)
from amp_exp_async.emulator import Emulator, Fault
from tests.reliability.conftest import CALLERS_SESSION, OWN_SESSION, ClientFactory
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.figures import Figures
from tests.reliability.flag_model import FIELDS, FlagModel, RejectedError, VariantModel, apply

AREA = "Exactly the intended state"
PROJECT = "7"
DEPLOYMENTS = ("51", "52", "53")
KEYS = ("on", "a", "b", "c")
FAULTS = (
    Fault.close(),
    Fault.close(applied=True),
    Fault.truncate(),
    Fault.status(500),
    Fault.status(500, applied=True),
    Fault.status(502, applied=True, body="<html>bad gateway</html>", content_type="text/html"),
    Fault.status(503),
    Fault.status(429, retry_after=0),
)
SHARE = 0.1
"""The part of the requests that fail."""

Target: TypeAlias = tuple[str, str]
"""The kind and the key of a flag or experiment."""


def populate(emulator: Emulator, targets: list[Target]) -> None:
    """Add deployments, and flags and experiments with one variant."""
    for id in DEPLOYMENTS:
        emulator.state.add_deployment(id=id, projectId=PROJECT)
    for kind, key in targets:
        emulator.state.add(kind, {"projectId": PROJECT, "key": key, "variants": [{"key": "on"}]})


def inject_faults(emulator: Emulator) -> None:
    """Make every tenth request fail."""
    for fault in FAULTS:
        emulator.inject(fault, times=None, probability=SHARE / len(FAULTS))


def count_faults(emulator: Emulator) -> tuple[int, int]:
    """Return how many requests have arrived, and how many of the logged ones have failed."""
    return emulator.request_count, sum(request.fault is not None for request in emulator.requests)


def read_models(emulator: Emulator) -> dict[Target, FlagModel]:
    """Return what the emulator holds, in the form of the model."""
    state = emulator.state
    return {
        (kind, flag.document["key"]): FlagModel(
            {name: flag.document[name] for name in FIELDS.values()},
            {
                variant["key"]: VariantModel(
                    {name: value for name, value in variant.items() if name != "key"}
                    | {"rolloutWeight": flag.document["rolloutWeights"].get(variant["key"], 0)},
                    tuple(flag.members(variant["key"], "users")),
                    tuple(flag.members(variant["key"], "cohorts")),
                )
                for variant in flag.document["variants"]
            },
            tuple(flag.document["deployments"]),
        )
        for kind, flags in state.stored_flags.items()
        for flag in flags.values()
    }


def make_operations(seed: int, count: int, old: list[Target]) -> Iterator[tuple[Target, Operation]]:
    """Yield random operations, on the flags that exist and on flags that they create."""
    rng = random.Random(seed)
    targets = list(old)
    for number in range(count):
        if rng.random() < 0.02:
            kind, key = rng.choice(["flags", "experiments"]), f"made-{number}"
            create = CreateFlag if kind == "flags" else CreateExperiment
            targets.append((kind, key))
            yield targets[-1], create(PROJECT, key, description=f"d{number}", variants=[{"key": "on"}])
        else:
            target = rng.choice(targets)
            yield target, _operation(rng, number, {"kind": target[0], "key": target[1], "project_id": PROJECT})


def _operation(rng: random.Random, number: int, flag: dict[str, Any]) -> Operation:
    variant = {**flag, "variant": rng.choice(KEYS)}
    users = [f"u{rng.randrange(300)}" for _ in range(rng.randint(1, 150))]
    cohorts = [f"c{rng.randrange(9)}" for _ in range(rng.randint(1, 4))]
    values = {"name": f"n{number}", "payload": [number, None], "rollout_weight": rng.randint(0, 9)}
    edits = [{"name": f"n{number}"}, {"tags": [f"t{number}"], "rollout_percentage": number % 101}]
    return rng.choice(
        [
            lambda: Edit(**flag, changes=rng.choice(edits)),
            lambda: CreateVariant(**variant, **values),
            lambda: EditVariant(**variant, changes={"payload": number}),
            lambda: EditVariant(**variant, changes={"key": rng.choice(KEYS), "name": f"n{number}"}),
            lambda: RemoveVariant(**variant),
            lambda: AddUsers(**variant, users=users),
            lambda: RemoveUsers(**variant, users=users),
            lambda: ReplaceUsers(**variant, users=users),
            lambda: RemoveAllUsers(**variant),
            lambda: AddCohorts(**variant, cohorts=cohorts),
            lambda: RemoveCohorts(**variant, cohorts=cohorts),
            lambda: ReplaceCohorts(**variant, cohorts=cohorts),
            lambda: AddDeployments(**flag, deployments=rng.sample(DEPLOYMENTS, 2)),
            lambda: RemoveDeployment(**flag, deployment=rng.choice(DEPLOYMENTS)),
        ]
    )()


def possible_states(start: FlagModel | None, outcomes: list[Outcome]) -> list[FlagModel | None]:
    """Return all states of a flag that its outcomes allow.

    An operation that is done has changed the flag, and one that was rejected has not. If the outcome is unknown, both
    are possible, until the outcome of a later operation shows which.
    """
    possible = [start]
    for outcome in outcomes:
        after = [state for before in possible for state in _states_after(before, outcome)]
        possible = [state for index, state in enumerate(after) if state not in after[:index]]
    return possible


def _states_after(before: FlagModel | None, outcome: Outcome) -> list[FlagModel | None]:
    try:
        changed: FlagModel | None = apply(before, outcome.operation)
    except RejectedError:
        return [before] if outcome.status != "done" or _looks_done(before, outcome.operation) else []
    if outcome.status == "done":
        return [changed]
    if outcome.status == "unknown":
        return [before, changed]
    return [before] if _is_creation(outcome.operation) and isinstance(outcome.error, ServerError) else []


def _looks_done(flag: FlagModel | None, operation: Operation) -> bool:
    """Return whether a rejected operation looks as if it was done, once its first response was lost.

    A variant that was removed or renamed cannot be told from one that was never there.
    """
    if isinstance(operation, RemoveVariant):
        return True
    return isinstance(operation, EditVariant) and flag is not None and operation.changes.get("key") in flag.variants


def _is_creation(operation: Operation) -> bool:
    return isinstance(operation, CreateFlag | CreateExperiment | CreateVariant)


@pytest.mark.parametrize(
    ("count", "seed", "session_path"),
    [
        (600, 1, OWN_SESSION),
        (600, 1, CALLERS_SESSION),
        pytest.param(20_000, 1, OWN_SESSION, marks=pytest.mark.slow),
        pytest.param(20_000, 2, CALLERS_SESSION, marks=pytest.mark.slow),
        pytest.param(20_000, 3, OWN_SESSION, marks=pytest.mark.slow),
    ],
    indirect=["session_path"],
)
async def test_mixed_operations(
    emulator_process: EmulatorProcess, make_client: ClientFactory, figures: Figures, count: int, seed: int
) -> None:
    """Each flag is as the outcomes of the operations on it say, and every failure is a rejection by the service."""
    old = [(kind, f"old-{number}") for number in range(count // 50) for kind in ("flags", "experiments")]
    emulator_process.run(populate, old)
    emulator_process.run(inject_faults)
    before: dict[Target, FlagModel | None] = {**emulator_process.run(read_models)}
    client = await make_client(
        emulator_process.base_url,
        api_key=emulator_process.api_key,
        retry=RetryPolicy(max_attempts=15, backoff_base=0.0),
    )
    operations = list(make_operations(seed, count, old))
    outcomes = sorted([outcome async for outcome in client.bulk(operation for _, operation in operations)], key=_index)

    assert [outcome.index for outcome in outcomes] == list(range(count))
    by_target: dict[Target, list[Outcome]] = defaultdict(list)
    for (target, _), outcome in zip(operations, outcomes, strict=True):
        by_target[target].append(outcome)
    after = emulator_process.run(read_models)
    assert after.keys() <= by_target.keys() | set(old)
    for target, flag_outcomes in by_target.items():
        possible = possible_states(before.get(target), flag_outcomes)
        assert after.get(target) in possible, (target, flag_outcomes)
    unexpected = [outcome.error for outcome in outcomes if outcome.status == "failed" and not _is_rejection(outcome)]
    assert unexpected == []

    requests, failed = emulator_process.run(count_faults)
    statuses = Counter(outcome.status for outcome in outcomes)
    assert requests >= count
    assert failed > 0.05 * min(requests, 10_000)  # the log has no more
    figures.count("operations", count)
    figures.count("requests", requests)
    figures.count("operations done", statuses["done"])
    figures.count("operations rejected by the service", statuses["failed"] + statuses["skipped"])
    figures.count("creations with an unknown outcome", statuses["unknown"])


def _index(outcome: Outcome) -> int:
    return outcome.index


def _is_rejection(outcome: Outcome) -> bool:
    """Return whether the service has rejected the operation or failed to create anything, or its flag is missing."""
    error = outcome.error
    if isinstance(error, ServerError):
        return _is_creation(outcome.operation)
    return isinstance(error, APIStatusError) and error.status in (200, 400, 404)
