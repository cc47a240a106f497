"""A key, the variables of the environment, and clients that are refused: what tests of settings share."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import AsyncExperimentClient, ConfigurationError

KEY = "a-management-key-4711"
KEY_VARIABLE = "AMPLITUDE_MANAGEMENT_API_KEY"
REGION_VARIABLE = "AMPLITUDE_EXPERIMENT_REGION"
BASE_URL_VARIABLE = "AMPLITUDE_EXPERIMENT_BASE_URL"
BETA_BASE_URL_VARIABLE = "AMPLITUDE_EXPERIMENT_BETA_BASE_URL"


def refusal(**arguments: Any) -> str:
    """What the refusal of a client says."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncExperimentClient(**{"api_key": KEY, **arguments})
    return str(caught.value)
