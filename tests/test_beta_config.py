"""The configuration of the clients of the Beta API."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import AsyncBetaClient, AsyncExperimentClient, BetaClient, ConfigurationError
from amp_exp_async.emulator import Emulator
from tests.client_config import BASE_URL_VARIABLE, BETA_BASE_URL_VARIABLE, KEY, KEY_VARIABLE, REGION_VARIABLE

pytestmark = pytest.mark.usefixtures("bare_environment")

US = "https://management-api.experiment.amplitude.com"
EU = "https://management-api.experiment.eu.amplitude.com"

each_client = pytest.mark.parametrize("kind", [AsyncBetaClient, BetaClient])


def base_url_of(kind: Any, **arguments: Any) -> str:
    """Return the base URL of a client."""
    return repr(kind(KEY, **arguments)).removeprefix(f"<{kind.__name__} ").removesuffix(">")


@each_client
def test_the_hosts(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The region sets the host, without a prefix. A base URL replaces it, and may have a path."""
    assert (base_url_of(kind), base_url_of(kind, region="us"), base_url_of(kind, region="eu")) == (US, US, EU)
    assert base_url_of(kind, base_url="https://host/a/") == "https://host/a"
    assert base_url_of(kind, base_url="https://host/api/1") == "https://host/api/1"
    monkeypatch.setenv(REGION_VARIABLE, "eu")
    assert base_url_of(kind) == EU
    assert base_url_of(kind, region="us") == US


@each_client
def test_the_variable_for_the_base_url(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Beta API and version 1 have different variables for the base URL."""
    monkeypatch.setenv(BASE_URL_VARIABLE, "https://v1")
    assert base_url_of(kind) == US
    monkeypatch.setenv(BETA_BASE_URL_VARIABLE, "https://beta")
    assert base_url_of(kind) == "https://beta"
    assert base_url_of(kind, base_url="https://other") == "https://other"
    assert base_url_of(kind, region="eu") == EU
    assert base_url_of(AsyncExperimentClient) == "https://v1/api/1"
    monkeypatch.delenv(BASE_URL_VARIABLE)
    assert base_url_of(AsyncExperimentClient) == "https://experiment.amplitude.com/api/1"
    monkeypatch.setenv(BETA_BASE_URL_VARIABLE, "")
    assert base_url_of(kind) == US


@each_client
@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        ({"api_key": None}, {}, KEY_VARIABLE),
        ({"region": "mars"}, {}, '"us" or "eu"'),
        ({"region": "us", "base_url": "https://host"}, {}, "exclude each other"),
        ({}, {REGION_VARIABLE: "eu", BETA_BASE_URL_VARIABLE: "https://host"}, BETA_BASE_URL_VARIABLE),
        ({}, {REGION_VARIABLE: "mars"}, REGION_VARIABLE),
        ({"base_url": "http://example.com"}, {}, "allow_insecure_http"),
        ({}, {BETA_BASE_URL_VARIABLE: "host"}, "has no scheme"),
        ({"timeout": 0}, {}, "timeout"),
    ],
)
def test_an_invalid_configuration(
    kind: Any, arguments: Any, variables: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is rejected as by the other clients; the message names the variable of the Beta API."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        kind(**{"api_key": KEY, **arguments})
    assert words in str(caught.value)
    assert KEY not in str(caught.value)


async def test_requests_with_the_environment_only(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key and the base URL of the environment suffice, and `request` adds no prefix."""
    monkeypatch.setenv(KEY_VARIABLE, emulator.api_key)
    monkeypatch.setenv(BETA_BASE_URL_VARIABLE, emulator.beta_base_url)
    async with AsyncBetaClient() as client:
        assert await client.flags.list() == []
        assert await client.request("GET", "/flags/list") == {"flags": []}
        assert type(client.with_options(timeout=5)) is AsyncBetaClient
        assert await client.with_options(timeout=5).deployments.list() == []
    assert [request.path for request in emulator.requests] == [
        "/beta/flags/list",
        "/beta/flags/list",
        "/beta/deployments/list",
    ]
