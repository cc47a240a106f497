"""The environment variables of a client, and the error for an invalid configuration."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import AsyncExperimentClient, ConfigurationError

KEY = "a-management-key-4711"
KEY_VARIABLE = "AMPLITUDE_MANAGEMENT_API_KEY"
SECOND_KEY_VARIABLE = "AMPLITUDE_EXPERIMENT_MANAGEMENT_API_KEY"
REGION_VARIABLE = "AMPLITUDE_EXPERIMENT_REGION"
BASE_URL_VARIABLE = "AMPLITUDE_EXPERIMENT_BASE_URL"
BETA_BASE_URL_VARIABLE = "AMPLITUDE_EXPERIMENT_BETA_BASE_URL"


def configuration_error(**arguments: Any) -> str:
    """Create a client with an invalid configuration, and return the message of the error."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncExperimentClient(**{"api_key": KEY, **arguments})
    return str(caught.value)
