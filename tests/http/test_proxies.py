"""The proxy of the environment."""

from __future__ import annotations

import asyncio
import socket
import traceback
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    AsyncExperimentClient,
    ConfigurationError,
    ExperimentClient,
    RetryPolicy,
)
from amp_exp_async.config import Secret
from amp_exp_async.http.proxies import environment_proxy, require_http_proxy
from tests.client_config import KEY

RETRY = RetryPolicy(max_attempts=1)
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
    found = environment_proxy(URL)
    assert (None if found is None else found.url.reveal()) == proxy
    assert found is None or found.name in variables


@pytest.mark.parametrize(
    ("host", "excluded", "is_used"),
    [
        ("10.0.0.1", "10.0.0.0/8", False),
        ("10.0.0.1:8443", "example.com, 10.0.0.0/8", False),
        ("10.0.0.1", "10.0.0.1", False),
        ("10.0.0.1", "10.0.0.1/8", False),
        ("10.1.2.3", "127.0.0.0/8,10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.0/30", False),
        ("10.1.2.4", "10.1.2.0/30", True),
        ("11.0.0.1", "10.0.0.0/8", True),
        ("[fd00::1]", "fd00::1", False),
        ("[fd00::1]:8443", "[fd00::1]", False),
        ("[fd00::5]", "fd00::/8", False),
        ("[fd00::5]", "[fd00::]/8", False),
        ("[fe00::5]", "fd00::/8", True),
        ("[fd00::1]", "10.0.0.0/8", True),
        ("10.example.com", "10.0.0.0/8", True),
        ("10.0.0.1", "10.0.0.0/99, /8, ::/x", True),
    ],
)
def test_excluded_networks(host: str, excluded: str, *, is_used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`NO_PROXY` may name addresses and networks of IPv4 and IPv6, as for curl."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", excluded)
    assert (environment_proxy(f"https://{host}/api/1") is not None) == is_used


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
@pytest.mark.parametrize(
    ("host", "is_used"),
    [
        ("127.0.0.1:8080", False),
        ("127.9.9.9", False),
        ("[::1]:8080", False),
        ("localhost", False),
        ("LOCALHOST:1", False),
        ("emulator.localhost", False),
        ("localhost.example.com", True),
        ("notlocalhost", True),
        ("128.0.0.1", True),
        ("emulator", True),
    ],
)
def test_this_machine(name: str, host: str, *, is_used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loopback address is reached directly, also if the proxy is malformed: a proxy has a loopback of its own."""
    monkeypatch.setenv(name, "http://proxy:3128" if is_used else "socks5://proxy")
    assert (environment_proxy(f"http://{host}/api/1") is not None) == is_used


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY", "https_proxy"])
async def test_a_proxy_of_another_scheme(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOCKS is rejected by the variable's name, without the password."""
    monkeypatch.setenv(name, "socks5://user:secret-password@host:1080")
    with pytest.raises(ConfigurationError, match=f"^{name} is a SOCKS proxy, which is not supported") as caught:
        await AsyncExperimentClient(KEY, trust_env=True).flags.get("1")
    assert "secret-password" not in str(caught.value)


PASSWORD = "sek-ret"
ODD = [
    "http://",
    "http://h:99999",
    "http://h:x",
    f"http://u:{PASSWORD}@[::1",
    f"http://u:{PASSWORD}/2@h:1",
    f"http://u:1/{PASSWORD}@h:1",
    f"http://u:{PASSWORD}#2@h:1",
    f"http://u:{PASSWORD}?2@h",
    f"http://u:{PASSWORD} 2@h",
    f"http://u:%E2%82%AC{PASSWORD}@h",
    f"u:{PASSWORD}://@h:1",
    f"{PASSWORD}://h:1",
    f"ftp://u:{PASSWORD}@h",
    f"u:{PASSWORD}@[h",
    f"http://u:{PASSWORD}@",
    f"http://u:{PASSWORD}@h\u00f6st",
]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("client", [AsyncExperimentClient, ExperimentClient])
def test_what_is_not_a_proxy(text: str, client: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rejected with the name of the variable, as the argument is by its own; neither shows the password."""
    monkeypatch.setenv("HTTPS_PROXY", text)
    with pytest.raises(ConfigurationError) as caught:
        client(KEY, proxy=text if "://" in text else f"http://{text}")
    for name, error in {"HTTPS_PROXY": error_of(client, trust_env=True), "proxy": caught.value}.items():
        assert str(error).startswith(f"{name} is not the URL of an HTTP proxy. ")
        assert PASSWORD not in everything(error)


@pytest.mark.parametrize("client", [AsyncExperimentClient, ExperimentClient])
def test_a_user_with_a_colon(client: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rejected by name, because the proxy would take what follows for the password. A password may have one."""
    text = f"http://u%3Av:{PASSWORD}@h:1"
    monkeypatch.setenv("HTTPS_PROXY", text)
    with pytest.raises(ConfigurationError) as caught:
        client(KEY, proxy=text)
    for name, error in {"HTTPS_PROXY": error_of(client, trust_env=True), "proxy": caught.value}.items():
        assert str(error).startswith(f"{name} has a user name with a colon, which HTTP cannot send. Pass another user.")
        assert PASSWORD not in everything(error)
    require_http_proxy("proxy", Secret("http://u:v%3Aw:x@h:1"))


ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6)


def no_names(host: str | None, *_: object, **__: object) -> None:
    """Find no host, and fail as the real function does for what cannot be a name."""
    (host or "").encode("idna")
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["http://", "https://", "", "socks5://", "HTTP://", "://", "http:/", "u:"]),
    ascii_text,
    st.tuples(ascii_text, st.sampled_from(["@", "", ":@", "@@"])).map("".join),
    ascii_text | st.sampled_from(["[::1]:1", "[::1", "127.0.0.1:1", "localhost:0", "h:99999", "-", "a..b", "x" * 70]),
)
def test_odd_proxies(monkeypatch: pytest.MonkeyPatch, scheme: str, before: str, after: str, host: str) -> None:
    """Whatever the URL is, the call ends in an error of the library, which shows no part of the password."""
    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}{before}:{PASSWORD}{after}{host}")
    assert PASSWORD not in everything(error_of(AsyncExperimentClient, trust_env=True))


def error_of(client: type[Any], **options: Any) -> AmpExpError:
    """Return the error of a call through a proxy that is not there, without warnings of what was left open."""
    made = client(KEY, base_url="https://192.0.2.1:1", retry=RETRY, **options)

    async def call() -> None:
        async with made:
            await made.flags.get("1")

    def call_blocking() -> None:
        with made:
            made.flags.get("1")

    with pytest.raises(AmpExpError) as caught:
        asyncio.run(call()) if client is AsyncExperimentClient else call_blocking()
    return caught.value


def everything(error: BaseException) -> str:
    """Return the texts of an error, of what led to it, and of the local variables of its traceback in the library."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    shown = [repr(frame.f_locals) for frame in frames if "/amp_exp_async/" in frame.f_code.co_filename]
    causes = [cause for cause in (error.__cause__, error.__context__) if cause is not None]
    return "".join([str(error), repr(error), *shown, *map(everything, causes)])


async def test_a_proxy_that_cannot_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice names the setting of the proxy, not the network."""
    monkeypatch.setenv("HTTPS_PROXY", "nohost.invalid:3128")
    for options, name in (({"trust_env": True}, "HTTPS_PROXY"), ({"proxy": "http://nohost.invalid:3128"}, "proxy")):
        async with AsyncExperimentClient(KEY, base_url="https://192.0.2.1:1", retry=RETRY, **options) as client:
            with pytest.raises(APIConnectionError, match="could not connect to the proxy") as caught:
                await client.flags.get("1")
        assert str(caught.value).endswith(f"Nothing was sent. Check the host and the port in {name}.")
        assert caught.value.setting == name


async def test_a_proxy_that_refuses_the_host() -> None:
    """The advice is to name another proxy."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with AsyncExperimentClient(KEY, base_url="https://service.example", proxy=proxy) as client:
            with pytest.raises(APIConnectionError, match=r"answered 403.*Name a proxy that allows the host in proxy\."):
                await client.flags.get("1")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password(scheme: str) -> None:
    """The advice is to check the credentials, whether the proxy tunnels or forwards."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        proxy = f"http://u:{PASSWORD}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        url = f"{scheme}://service.example"
        async with AsyncExperimentClient(KEY, base_url=url, proxy=proxy, allow_insecure_http=True) as client:
            with pytest.raises(AmpExpError, match=r"407.*Check the user and the password") as caught:
                await client.flags.get("1")
    assert PASSWORD not in everything(caught.value)
