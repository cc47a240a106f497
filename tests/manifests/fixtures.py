"""An emulated account for each example of a property test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from amp_exp_async import AsyncExperimentClient, RetryPolicy
from amp_exp_async.emulator import Emulator
from tests.manifests.strategies import LABELS

NO_BACKOFF = RetryPolicy(backoff_base=0.0)


@asynccontextmanager
async def account(
    projects: Iterable[str], *, retry: RetryPolicy = NO_BACKOFF, seed: int = 0
) -> AsyncGenerator[tuple[Emulator, AsyncExperimentClient], None]:
    """Yield an emulator without limits, whose projects have the same deployments, and a client of it."""
    async with (
        Emulator(per_second=None, per_day=None, seed=seed, strictness="live") as emulator,
        AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, rate_limit=None, retry=retry) as client,
    ):
        for project in projects:
            for label in LABELS:
                emulator.state.add_deployment(label=label, projectId=project)
        yield emulator, client
