"""Where the clients of the Beta API send their requests."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import AsyncBetaClient, AsyncExperimentClient, BetaClient, ConfigurationError
from amp_exp_async.emulator import Emulator
from tests.unit.settings import BASE_URL_VARIABLE, BETA_BASE_URL_VARIABLE, KEY, KEY_VARIABLE, REGION_VARIABLE

pytestmark = pytest.mark.usefixtures("bare_environment")

US = "https://management-api.experiment.amplitude.com"
EU = "https://management-api.experiment.eu.amplitude.com"

each_client = pytest.mark.parametrize("kind", [AsyncBetaClient, BetaClient])


def where(kind: Any, **arguments: Any) -> str:
    """Where the requests of a client go."""
    return repr(kind(KEY, **arguments)).removeprefix(f"<{kind.__name__} ").removesuffix(">")


@each_client
def test_the_hosts(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By region, without a prefix; a base URL takes its place, and may have a path."""
    assert (where(kind), where(kind, region="us"), where(kind, region="eu")) == (US, US, EU)
    assert where(kind, base_url="https://host/a/") == "https://host/a"
    assert where(kind, base_url="https://host/api/1") == "https://host/api/1"
    monkeypatch.setenv(REGION_VARIABLE, "eu")
    assert where(kind) == EU
    assert where(kind, region="us") == US


@each_client
def test_the_variable_of_its_own(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base URL of version 1 means nothing to it, and its own means nothing to version 1."""
    monkeypatch.setenv(BASE_URL_VARIABLE, "https://v1")
    assert where(kind) == US
    monkeypatch.setenv(BETA_BASE_URL_VARIABLE, "https://beta")
    assert where(kind) == "https://beta"
    assert where(kind, base_url="https://other") == "https://other"
    assert where(kind, region="eu") == EU
    assert where(AsyncExperimentClient) == "https://v1/api/1"
    monkeypatch.delenv(BASE_URL_VARIABLE)
    assert where(AsyncExperimentClient) == "https://experiment.amplitude.com/api/1"
    monkeypatch.setenv(BETA_BASE_URL_VARIABLE, "")
    assert where(kind) == US


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
def test_what_cannot_work_is_refused(
    kind: Any, arguments: Any, variables: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the other clients; the message names its own variable."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        kind(**{"api_key": KEY, **arguments})
    assert words in str(caught.value)
    assert KEY not in str(caught.value)


async def test_requests_go_to_the_variables_url(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and URL from the environment are all that it needs; `request` has no prefix either."""
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
