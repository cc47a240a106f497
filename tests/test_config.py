"""The configuration of a client, from arguments and the environment."""

from __future__ import annotations

from functools import partial
from typing import Any

import aiohttp
import pytest

import amp_exp_async
from amp_exp_async import AsyncBetaClient, AsyncExperimentClient, ConfigurationError, RateLimit, RetryPolicy, Timeout
from amp_exp_async.emulator import Emulator
from tests.client_config import (
    BASE_URL_VARIABLE,
    BETA_BASE_URL_VARIABLE,
    KEY,
    KEY_VARIABLE,
    REGION_VARIABLE,
    SECOND_KEY_VARIABLE,
    configuration_error,
)

pytestmark = pytest.mark.usefixtures("bare_environment")

US = "https://experiment.amplitude.com/api/1"
EU = "https://experiment.eu.amplitude.com/api/1"


def base_url_of(**arguments: Any) -> str:
    """Return the base URL of a client."""
    return repr(AsyncExperimentClient(KEY, **arguments)).removeprefix("<AsyncExperimentClient ").removesuffix(">")


@pytest.mark.parametrize(
    ("argument", "variable"),
    [("right", None), (None, "right"), ("right", "wrong")],
    ids=["argument", "variable", "both"],
)
async def test_the_source_of_the_key(
    argument: str | None, variable: str | None, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of the argument is sent; without the argument, the key of the environment variable."""
    keys = {"right": emulator.api_key, "wrong": "another-key"}
    if variable is not None:
        monkeypatch.setenv(KEY_VARIABLE, keys[variable])

    async with AsyncExperimentClient(argument and keys[argument], base_url=emulator.base_url) as client:
        assert await client.flags.list() == []

    assert emulator.requests[0].authorized


@pytest.mark.parametrize("first", [None, "", "right"])
async def test_the_second_variable_of_the_key(
    first: str | None, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read if the first one is missing or empty."""
    if first is not None:
        monkeypatch.setenv(KEY_VARIABLE, first and emulator.api_key)
    monkeypatch.setenv(SECOND_KEY_VARIABLE, "another-key" if first else emulator.api_key)

    async with AsyncExperimentClient(base_url=emulator.base_url) as client:
        assert await client.flags.list() == []

    monkeypatch.setenv(KEY_VARIABLE, "")
    monkeypatch.setenv(SECOND_KEY_VARIABLE, "with space")
    assert configuration_error(api_key=None).startswith(f"{SECOND_KEY_VARIABLE} contains white space")


@pytest.mark.parametrize("key", ["client-Tq9vB2mXc7LrZk4W", "server-Gp3fK8wRj5NvXt1Q", "Server-Gp3fK8wRj5NvXt1Q"])
def test_a_deployment_key(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rejected by its source, with the right advice and without the key, unless a base URL is given."""
    message = configuration_error(api_key=key)
    assert message.startswith(f"api_key is a deployment key (it begins with {key[:7].lower()})")
    assert "Create a management API key in Amplitude under Experiment > Management API." in message
    assert key not in message
    assert configuration_error(api_key=key, region="eu") == message
    for variable in (SECOND_KEY_VARIABLE, KEY_VARIABLE):
        monkeypatch.setenv(variable, key)
        assert configuration_error(api_key=None).startswith(f"{variable} is a deployment key")
    AsyncExperimentClient(key, base_url="https://host")
    monkeypatch.setenv(BASE_URL_VARIABLE, "https://host")
    AsyncExperimentClient(key)
    # The region wins, so the key would go to the service.
    assert configuration_error(api_key=key, region="us") == message
    monkeypatch.setenv(BASE_URL_VARIABLE, "")
    monkeypatch.setenv(BETA_BASE_URL_VARIABLE, "https://host")
    assert configuration_error(api_key=key) == message
    AsyncBetaClient(key)
    with pytest.raises(ConfigurationError, match="is a deployment key"):
        AsyncBetaClient(key, region="eu")


@pytest.mark.parametrize("key", [None, ""])
def test_a_missing_key(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the argument and the variable, also if the variable is empty."""
    monkeypatch.setenv(KEY_VARIABLE, "")

    message = configuration_error(api_key=key)

    assert "Pass api_key" in message
    assert f"set {KEY_VARIABLE}" in message


def test_an_empty_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rejected; the key of the environment is not used instead."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)

    assert "no management API key" in configuration_error(api_key="")


@pytest.mark.parametrize("key", [f'"{KEY}"', f"'{KEY}", f"{KEY}`"])
def test_a_key_in_quotes(key: str) -> None:
    """Quotes that a file or a shell left are no part of a key."""
    message = configuration_error(api_key=key)
    assert message == "api_key begins or ends with a quotation mark. Remove it."


@pytest.mark.parametrize("key", [f" {KEY}", f"{KEY} ", f"{KEY}\n", f"{KEY[:5]}\t{KEY}", f"{KEY}é", f"{KEY}\x7f", " "])
def test_a_key_with_invalid_characters(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the source of the key, and does not contain the key."""
    message = configuration_error(api_key=key)
    assert message.startswith("api_key contains white space")
    assert KEY not in message

    monkeypatch.setenv(KEY_VARIABLE, key)
    message = configuration_error(api_key=None)
    assert message.startswith(f"{KEY_VARIABLE} contains white space")
    assert KEY not in message


@pytest.mark.parametrize("key", [5, b"bytes", ["list"], object()])
def test_a_key_of_another_type(key: object) -> None:
    """It is rejected by name, and the message says what is accepted."""
    assert configuration_error(api_key=key) == "api_key must be a string, or a function that returns one."


def test_the_endpoint_of_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The region or the base URL sets the host; arguments take precedence over variables."""
    assert (base_url_of(), base_url_of(region="us"), base_url_of(region="eu")) == (US, US, EU)
    monkeypatch.setenv(REGION_VARIABLE, "eu")
    assert base_url_of(region="us") == US
    assert base_url_of(base_url="https://host") == "https://host/api/1"
    monkeypatch.setenv(BASE_URL_VARIABLE, "https://other")
    assert base_url_of(region="us") == US


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, US),
        ({REGION_VARIABLE: "eu"}, EU),
        ({REGION_VARIABLE: ""}, US),
        ({BASE_URL_VARIABLE: "https://host/prefix"}, "https://host/prefix/api/1"),
        ({BASE_URL_VARIABLE: "", REGION_VARIABLE: "eu"}, EU),
    ],
)
def test_the_endpoint_of_the_environment(variables: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments, the variables set the host; an empty variable counts as unset."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert base_url_of() == url


def test_region_and_base_url_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both together are rejected, as arguments and as variables."""
    assert "Pass one of them" in configuration_error(region="us", base_url="https://host")
    monkeypatch.setenv(REGION_VARIABLE, "eu")
    monkeypatch.setenv(BASE_URL_VARIABLE, "https://host")
    message = configuration_error()
    assert REGION_VARIABLE in message
    assert BASE_URL_VARIABLE in message


@pytest.mark.parametrize("region", ["EU", "Eu", "eu"])
def test_a_region_in_any_case(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument and the variable, which the command line shares, may be in any case, for both APIs."""
    for client in (AsyncExperimentClient, AsyncBetaClient):
        monkeypatch.delenv(REGION_VARIABLE, raising=False)
        expected = repr(client(KEY, region="eu"))
        assert repr(client(KEY, region=region)) == expected
        monkeypatch.setenv(REGION_VARIABLE, region)
        assert repr(client(KEY)) == expected


@pytest.mark.parametrize("region", ["mars", "", "us ", 5, ["eu"]])
def test_an_unknown_region(region: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the argument or variable, and the valid regions."""
    assert configuration_error(region=region).startswith('region must be "us" or "eu", got ')
    monkeypatch.setenv(REGION_VARIABLE, "mars")
    assert configuration_error().startswith(REGION_VARIABLE)


BAD_URLS: dict[str, list[Any]] = {
    "Pass a URL like https://host.": [
        *("", "host", "//host", "host:8080", "https://", "https:///path", "ftp://host", 5),
        *("https://host:port", "https://host:99999", "https://[::1"),
    ],
    "Pass only scheme, host and path prefix.": [
        "https://host?project=1",
        "https://host/?",
        "https://host#part",
    ],
    "Remove it: the key is sent separately.": [
        "https://user@host",
        "https://user:password@host",
        "https://:password@host",
    ],
    "contains white space or a control character. Remove it.": [
        *("https://ho st", " https://host", "https://host\n", "https://host/\x01", "https://ho\x1fst"),
    ],
    "contains a character that URLs do not have.": [
        *("https://host\x7f", "https://host/a\x7fb", "https://h\u00f6st", "https://host/\u00e4", "https://host/\x85"),
    ],
    "Leave it out.": ["https://host/api/1", "https://host/prefix/api/1/"],
    "Use https. Only on a trusted network, set allow_insecure_http=True instead.": [
        *("http://example.com", "http://10.0.0.1", "http://0.0.0.0"),
        *("http://localhost.example.com", "http://127.0.0.1.example.com"),
    ],
}


@pytest.mark.parametrize(("url", "advice"), [(url, advice) for advice, urls in BAD_URLS.items() for url in urls])
def test_an_invalid_base_url(url: Any, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to correct it, whether it comes from the argument or the environment."""
    message = configuration_error(base_url=url)
    assert message.startswith("base_url")
    assert advice in message
    assert "password" not in message.replace("a user name or password", "")

    if url and isinstance(url, str):
        monkeypatch.setenv(BASE_URL_VARIABLE, url)
        assert advice in configuration_error()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://host", "https://host/api/1"),
        ("https://host/", "https://host/api/1"),
        ("https://host:8443", "https://host:8443/api/1"),
        ("https://host/a/b", "https://host/a/b/api/1"),
        ("https://host/a/b/", "https://host/a/b/api/1"),
        ("http://localhost:8000", "http://localhost:8000/api/1"),
        ("http://LOCALHOST", "http://LOCALHOST/api/1"),
        ("http://emulator.localhost", "http://emulator.localhost/api/1"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/api/1"),
        ("http://127.9.9.9", "http://127.9.9.9/api/1"),
        ("http://[::1]:8000", "http://[::1]:8000/api/1"),
    ],
)
def test_a_valid_base_url(url: str, expected: str) -> None:
    """Hosts, ports, path prefixes and plain http to loopback are valid; a trailing slash makes no difference."""
    assert base_url_of(base_url=url) == expected


def test_plain_http_can_be_allowed() -> None:
    """`allow_insecure_http` allows plain http to any host."""
    assert base_url_of(base_url="http://10.0.0.1", allow_insecure_http=True) == "http://10.0.0.1/api/1"


async def test_a_path_prefix(emulator: Emulator) -> None:
    """Requests are sent below the prefix."""
    async with AsyncExperimentClient(KEY, base_url=f"{emulator.base_url}/proxy/", rate_limit=None) as client:
        with pytest.raises(amp_exp_async.APIStatusError):
            await client.flags.get("1")

    assert emulator.requests[0].path == "/proxy/api/1/flags/1"


class TelemetryClass:
    """A class whose instances observe calls. The class itself does not."""

    def observe(self, session: object) -> object:
        """Return nothing that observes."""
        return session


class AsyncCallable:
    """An object that is called like an async function."""

    async def __call__(self, _: object) -> None:
        """Do nothing."""


@pytest.mark.parametrize("hook", [AsyncCallable(), AsyncCallable().__call__, partial(AsyncCallable().__call__)])
def test_an_async_hook_of_attempts(hook: object) -> None:
    """`on_attempt` cannot be awaited, which the message says."""
    assert configuration_error(on_attempt=hook) == (
        "on_attempt must not be async. Pass a function that returns at once."
    )


SECONDS: list[Any] = [0, -1, float("nan"), float("inf"), 10**400, "5", True, [5]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("timeout", value) for value in [*SECONDS, None]),
        *(("deadline", value) for value in SECONDS),
        *(("retry", value) for value in [None, 3, "often", RetryPolicy]),
        *(("rate_limit", value) for value in [0, 100, "100", RateLimit]),
        *(("max_concurrency", value) for value in [0, -1, 2.5, "64", True, None]),
        *(("trace_configs", value) for value in [5, [5], aiohttp.TraceConfig()]),
        *(("trust_env", value) for value in [1, "yes", None]),
        *(("on_attempt", value) for value in [1, "print"]),
        *(("telemetry", value) for value in [True, "otel", TelemetryClass]),
    ],
)
def test_an_invalid_option(name: str, value: Any) -> None:
    """The message names the option, for a new client and for `with_options`."""
    assert name in configuration_error(**{name: value})

    if name in {"timeout", "deadline", "retry"}:
        with pytest.raises(ConfigurationError, match=name):
            AsyncExperimentClient(KEY).with_options(**{name: value})


@pytest.mark.parametrize(
    ("cls", "name", "values"),
    [
        (RateLimit, "per_second", [0, -1, 2.5, "100", True]),
        (RateLimit, "per_day", [0, -1, 2.5, "100", True]),
        (RetryPolicy, "max_attempts", [0, -1, 2.5, "5", True, None]),
        (RetryPolicy, "backoff_base", [-1, float("nan"), 10**400, "1", None]),
        (RetryPolicy, "backoff_cap", [-1, float("nan"), 10**400, "1", None]),
        *((Timeout, name, SECONDS) for name in ("total", "connect", "read")),
    ],
)
def test_an_invalid_limit_or_policy(cls: Any, name: str, values: list[Any]) -> None:
    """It is rejected when it is created, and the message names the field."""
    for value in values:
        with pytest.raises(ConfigurationError, match=name):
            cls(**{name: value})


@pytest.mark.parametrize("name", ["rate_limit", "retry", "session", "ssl", "timeout"])
def test_a_url_in_the_place_of_another_option(name: str) -> None:
    """A URL may contain a password, so the error does not show it."""
    error = configuration_error(**{name: "redis://:secret-password@host"})
    assert ("got a URL" in error, "secret-password" in error) == (True, False)


def test_another_event_loop_than_that_of_asyncio() -> None:
    """An async client names asyncio and the blocking client, as under trio."""
    call = AsyncExperimentClient(KEY).flags.get("1")
    with pytest.raises(ConfigurationError, match=r"asyncio does not run here\. .* or use ExperimentClient"):
        call.send(None)


async def test_options_of_a_session() -> None:
    """Options that belong to the caller's session cannot be set together with it."""
    async with aiohttp.ClientSession() as session:
        assert "Set them where you create it" in configuration_error(session=session, trust_env=True)
