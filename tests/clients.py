"""Clients of an emulator."""

from __future__ import annotations

from typing import Any

from amp_exp_async import AsyncExperimentClient
from amp_exp_async.emulator import Emulator, Fault


def client_of(emulator: Emulator, **options: Any) -> AsyncExperimentClient:
    """Return a client of the emulator with the library's defaults."""
    return AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url, **options)


def with_timeout_for(client: AsyncExperimentClient, fault: Fault) -> AsyncExperimentClient:
    """Return the client, with a short timeout if the fault is a delay; a busy machine responds within it."""
    return client.with_options(timeout=0.4) if fault.kind == "delay" else client
