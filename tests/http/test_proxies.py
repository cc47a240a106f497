"""The proxy of the environment."""

from __future__ import annotations

import pytest

from amp_exp_async import AsyncExperimentClient, ConfigurationError
from amp_exp_async.http.proxies import environment_proxy
from tests.client_config import KEY

URL = "https://experiment.amplitude.com/api/1"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxies of the machine from the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://host:3128"}, "http://host:3128"),
        ({"https_proxy": "host:3128"}, "http://host:3128"),
        ({"HTTPS_PROXY": "https://user:pw@host"}, "https://user:pw@host"),
        ({"HTTP_PROXY": "http://host:3128"}, None),
        ({"ALL_PROXY": "http://host:3128"}, "http://host:3128"),
        ({"ALL_PROXY": "http://other", "HTTPS_PROXY": "http://host"}, "http://host"),
        ({"HTTPS_PROXY": "http://host", "NO_PROXY": "amplitude.com"}, None),
        ({"HTTPS_PROXY": "http://host", "NO_PROXY": "example.com"}, "http://host"),
        ({"HTTPS_PROXY": "http://host", "NO_PROXY": "*"}, None),
    ],
)
def test_the_proxy(variables: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the scheme comes first, then that for all; a missing scheme is HTTP."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert environment_proxy(URL) == proxy


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_a_proxy_of_another_scheme(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOCKS is rejected by the variable's name, without the password."""
    monkeypatch.setenv(name, "socks5://user:secret-password@host:1080")
    with pytest.raises(ConfigurationError, match=f"^{name} must be an HTTP proxy, .* socks5") as caught:
        await AsyncExperimentClient(KEY, trust_env=True).flags.get("1")
    assert "secret-password" not in str(caught.value)
