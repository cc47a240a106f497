"""Settings from arguments and the environment: what cannot work is refused."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

import amp_exp_async
from amp_exp_async import AsyncExperimentClient, ConfigurationError, RateLimit, RetryPolicy
from amp_exp_async.emulator import Emulator
from tests.unit.settings import BASE_URL_VARIABLE, KEY, KEY_VARIABLE, REGION_VARIABLE, refusal

pytestmark = pytest.mark.usefixtures("bare_environment")

US = "https://experiment.amplitude.com/api/1"
EU = "https://experiment.eu.amplitude.com/api/1"


def where(**arguments: Any) -> str:
    """Where the requests of a client go."""
    return repr(AsyncExperimentClient(KEY, **arguments)).removeprefix("<AsyncExperimentClient ").removesuffix(">")


@pytest.mark.parametrize(
    ("argument", "variable"),
    [("right", None), (None, "right"), ("right", "wrong")],
    ids=["argument", "variable", "both"],
)
async def test_the_key_comes_from_the_argument_else_from_the_environment(
    argument: str | None, variable: str | None, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key that is passed is sent; without one, that of the variable which users have set already."""
    keys = {"right": emulator.api_key, "wrong": "of-somebody-else"}
    if variable is not None:
        monkeypatch.setenv(KEY_VARIABLE, keys[variable])

    async with AsyncExperimentClient(argument and keys[argument], base_url=emulator.base_url) as client:
        assert await client.flags.list() == []

    assert emulator.requests[0].authorized


@pytest.mark.parametrize("key", [None, ""])
def test_a_missing_key_is_refused(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the message says which argument and which variable to set, also when the variable is empty."""
    monkeypatch.setenv(KEY_VARIABLE, "")

    message = refusal(api_key=key)

    assert "Pass api_key" in message
    assert f"set {KEY_VARIABLE}" in message


def test_an_empty_key_does_not_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty key is a mistake of the caller, who did not mean the environment's."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)

    assert "no management API key" in refusal(api_key="")


@pytest.mark.parametrize("key", [f" {KEY}", f"{KEY} ", f"{KEY}\n", f"{KEY[:5]}\t{KEY}", f"{KEY}é", f"{KEY}\x7f", " "])
def test_a_key_with_white_space_is_refused(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was copied with something around it is refused, naming where it came from and never what it is."""
    message = refusal(api_key=key)
    assert message.startswith("api_key contains white space")
    assert KEY not in message

    monkeypatch.setenv(KEY_VARIABLE, key)
    message = refusal(api_key=None)
    assert message.startswith(f"{KEY_VARIABLE} contains white space")
    assert KEY not in message


@pytest.mark.parametrize("key", [5, b"bytes", ["list"], object()])
def test_a_key_that_is_no_text_is_refused(key: object) -> None:
    """A key of another type is refused like other settings that cannot work."""
    assert "api_key" in refusal(api_key=key)


def test_the_endpoint_is_taken_from_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Region and base URL choose the host; an argument goes before either variable."""
    assert (where(), where(region="us"), where(region="eu")) == (US, US, EU)
    monkeypatch.setenv(REGION_VARIABLE, "eu")
    assert where(region="us") == US
    assert where(base_url="https://host") == "https://host/api/1"
    monkeypatch.setenv(BASE_URL_VARIABLE, "https://other")
    assert where(region="us") == US


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
def test_the_endpoint_is_taken_from_the_environment(
    variables: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without arguments the variables choose; an empty one counts as unset."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert where() == url


def test_region_and_base_url_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two answers to one question are refused, whichever way they are given."""
    assert "Pass one of them" in refusal(region="us", base_url="https://host")
    monkeypatch.setenv(REGION_VARIABLE, "eu")
    monkeypatch.setenv(BASE_URL_VARIABLE, "https://host")
    message = refusal()
    assert REGION_VARIABLE in message
    assert BASE_URL_VARIABLE in message


@pytest.mark.parametrize("region", ["EU", "mars", "", "us ", 5, ["eu"]])
def test_a_region_that_does_not_exist_is_refused(region: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the argument or variable, and the regions that there are."""
    assert refusal(region=region).startswith('region must be "us" or "eu", got ')
    monkeypatch.setenv(REGION_VARIABLE, "mars")
    assert refusal().startswith(REGION_VARIABLE)


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
    "Remove it: the key is passed as api_key.": [
        "https://user@host",
        "https://user:password@host",
        "https://:password@host",
    ],
    "contains white space. Remove it.": ["https://ho st", " https://host", "https://host\n"],
    "Leave it out.": ["https://host/api/1", "https://host/prefix/api/1/"],
    "Use https, or set allow_insecure_http=True": [
        *("http://example.com", "http://10.0.0.1", "http://0.0.0.0"),
        *("http://localhost.example.com", "http://127.0.0.1.example.com"),
    ],
}


@pytest.mark.parametrize(("url", "advice"), [(url, advice) for advice, urls in BAD_URLS.items() for url in urls])
def test_a_bad_base_url_is_refused(url: Any, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base URL that cannot work is refused with what to set instead, also when it comes from the environment."""
    message = refusal(base_url=url)
    assert message.startswith("base_url")
    assert advice in message
    assert "password" not in message.replace("a user name or password", "")

    if url and isinstance(url, str):
        monkeypatch.setenv(BASE_URL_VARIABLE, url)
        assert advice in refusal()


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
def test_a_good_base_url_is_taken(url: str, expected: str) -> None:
    """Hosts, ports, path prefixes and plain http to loopback are fine; a slash at the end makes no difference."""
    assert where(base_url=url) == expected


def test_plain_http_can_be_allowed() -> None:
    """Whoever says so in so many words may send the key in clear text."""
    assert where(base_url="http://10.0.0.1", allow_insecure_http=True) == "http://10.0.0.1/api/1"


async def test_a_path_prefix_stands_before_every_path(emulator: Emulator) -> None:
    """Requests go below the prefix."""
    async with AsyncExperimentClient(KEY, base_url=f"{emulator.base_url}/proxy/", rate_limit=None) as client:
        with pytest.raises(amp_exp_async.APIStatusError):
            await client.flags.get("1")

    assert emulator.requests[0].path == "/proxy/api/1/flags/1"


SECONDS: list[Any] = [0, -1, float("nan"), "5", True, [5]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("timeout", value) for value in [*SECONDS, None]),
        *(("deadline", value) for value in SECONDS),
        *(("retry", value) for value in [None, 3, "often", RetryPolicy]),
        *(("rate_limit", value) for value in [0, 100, "100", RateLimit]),
        *(("max_concurrency", value) for value in [0, -1, 2.5, "64", True, None]),
    ],
)
def test_an_option_that_cannot_work_is_refused(name: str, value: Any) -> None:
    """The message names the option, when a client is made and when it is seen with other options."""
    assert name in refusal(**{name: value})

    if name in {"timeout", "deadline", "retry"}:
        with pytest.raises(ConfigurationError, match=name):
            AsyncExperimentClient(KEY).with_options(**{name: value})


@pytest.mark.parametrize(
    ("cls", "name", "values"),
    [
        (RateLimit, "per_second", [0, -1, 2.5, "100", True]),
        (RateLimit, "per_day", [0, -1, 2.5, "100", True]),
        (RetryPolicy, "max_attempts", [0, -1, 2.5, "5", True, None]),
        (RetryPolicy, "backoff_base", [-1, float("nan"), "1", None]),
        (RetryPolicy, "backoff_cap", [-1, float("nan"), "1", None]),
    ],
)
def test_a_limit_or_policy_that_cannot_work_is_refused(cls: Any, name: str, values: list[Any]) -> None:
    """Limits and policies are refused where they are made, like every other setting, naming the field."""
    for value in values:
        with pytest.raises(ConfigurationError, match=name):
            cls(**{name: value})


async def test_a_session_keeps_its_own_settings() -> None:
    """What belongs to the caller's session cannot be set beside it."""
    async with aiohttp.ClientSession() as session:
        assert "Set them where you create it" in refusal(session=session, trust_env=True)
