"""Clients for tests with injected faults."""

from __future__ import annotations

from amp_exp_async import AsyncExperimentClient
from amp_exp_async.emulator import Fault


def with_timeout_for(client: AsyncExperimentClient, fault: Fault) -> AsyncExperimentClient:
    """Return the client, with a short timeout if the fault is a delay."""
    return client.with_options(timeout=0.15) if fault.kind == "delay" else client
