"""The key and passwords are in no pickle, repr, error or traceback."""

from __future__ import annotations

import copy
import pickle
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import amp_exp_async
from amp_exp_async import AsyncExperimentClient, ConfigurationError, ExperimentClient
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.http.sender import _Headers
from tests.client_config import KEY, KEY_VARIABLE, configuration_error
from tests.leaks import leaks

pytestmark = pytest.mark.usefixtures("bare_environment")

PACKAGE = Path(amp_exp_async.__file__).parent


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling(protocol: int) -> None:
    """A client cannot be pickled; the message says what to do instead."""
    with pytest.raises(TypeError, match="Create one in each process") as caught:
        pickle.dumps(AsyncExperimentClient(KEY), protocol)
    assert KEY not in str(caught.value)


def test_copying() -> None:
    """A client cannot be copied with `copy`; `with_options` does that."""
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="pickled"):
            copied(AsyncExperimentClient(KEY))


def test_no_repr_shows_the_key() -> None:
    """Neither a client nor its parts show the key."""
    client = AsyncExperimentClient(KEY)
    transport = client._transport
    held = [client, client.with_options(timeout=1), transport, transport.options, transport.session]
    held += [*vars(transport.session).values(), transport.session.endpoint.key, client.usage]

    assert KEY not in "".join(map(repr, held))
    assert KEY not in "".join(map(str, held))


async def test_no_error_shows_the_key(emulator: Emulator) -> None:
    """A response that contains the key is quoted without it."""
    emulator.inject(Fault.status(400, body=f"bad key {KEY}"))
    async with AsyncExperimentClient(KEY, base_url=emulator.base_url) as client:
        with pytest.raises(amp_exp_async.BadRequestError) as caught:
            await client.flags.get("1")

    assert "bad key ***" in str(caught.value)
    assert KEY not in f"{caught.value!r} {vars(caught.value)}"


@pytest.mark.parametrize(
    "url", [f"https://{KEY}@host:port", f"ftp://{KEY}@host", f"user:{KEY}@host", f"https://host?key={KEY}"]
)
def test_the_error_for_a_url_with_the_key(url: str) -> None:
    """The message does not repeat the key."""
    assert KEY not in configuration_error(base_url=url)


PASSWORD = "canary-password"
PROXY = f"http://user:{PASSWORD}@127.0.0.1:9"


@pytest.mark.parametrize("client", [AsyncExperimentClient, ExperimentClient], ids=lambda client: client.__name__)
@pytest.mark.parametrize(
    "arguments",
    [
        {"base_url": "https://user:<password>@host"},
        {"base_url": "https://user:<password>@host:port"},
        {"base_url": "ftp://user:<password>@host"},
        {"base_url": "user:<password>@host"},
        {"base_url": "https://user:<password>@host?query"},
        {"base_url": "https://user:<password>@host/api/1"},
        {"base_url": "https://<key>@host:port"},
        {"base_url": "https://host:<key>"},
        {"base_url": "<key>"},
        {"base_url": "https://host/<key>"},
        {"proxy": "socks5://user:<password>@host"},
        {"proxy": "http://user:<password>@host:port"},
        {"proxy": "http://user:<password>@"},
        {"proxy": "http://user:<password>@host", "timeout": -1},
        {"proxy": "http://user:<password>@host", "region": "mars"},
        {"proxy": "http://user:<password>@host", "ssl": "yes"},
        {"proxy": "http://user:<password>@host", "rate_limit": 5},
        {"proxy": "http://user:<password>@host", "retry": None},
    ],
    ids=str,
)
def test_rejected_arguments(client: type[AsyncExperimentClient | ExperimentClient], arguments: dict[str, Any]) -> None:
    """Neither the error, nor what it leads to, nor any frame shows the key or a password in a URL."""
    with pytest.raises(ConfigurationError) as caught:
        client(KEY, **{name: _fill_in(value) for name, value in arguments.items()})
    assert leaks(caught.value, KEY, PASSWORD) == []


def _fill_in(value: object) -> Any:
    return value.replace("<key>", KEY).replace("<password>", PASSWORD) if isinstance(value, str) else value


def test_a_base_url_that_contains_the_key() -> None:
    """It is rejected, because URLs are shown."""
    assert "contains the key" in configuration_error(base_url=f"https://host/{KEY}")


def test_no_repr_shows_the_password_of_a_proxy() -> None:
    """Neither a client nor its parts show it, and the headers and the URL cannot be pickled."""
    client = AsyncExperimentClient(KEY, proxy=PROXY)
    session = client._transport.session
    held = [client, client._transport, session, session._options, *vars(session).values()]
    assert PASSWORD not in "".join(map(repr, held))
    for secret in (_Headers(Authorization=KEY), session._options.proxy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(secret)


def own_frames(error: BaseException) -> Iterator[FrameType]:
    traceback = error.__traceback__
    while traceback is not None:
        if Path(traceback.tb_frame.f_code.co_filename).is_relative_to(PACKAGE):
            yield traceback.tb_frame
        traceback = traceback.tb_next


def format_local(value: object) -> str:
    """Return the text that a tool prints for a local variable."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - such tools print the exception
        return repr(error)


@pytest.mark.parametrize("source", ["argument", "environment"])
@pytest.mark.parametrize(
    ("arguments", "suffix"),
    [
        ({"region": "mars"}, ""),
        ({"base_url": "host"}, ""),
        ({"base_url": "http://example.com"}, ""),
        ({"region": "us", "base_url": "https://host"}, ""),
        ({"timeout": -1}, ""),
        ({}, " "),
    ],
    ids=str,
)
def test_no_traceback_shows_the_key(
    arguments: dict[str, Any], suffix: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No local variable of the library in a traceback shows the key."""
    key = KEY + suffix
    if source == "environment":
        monkeypatch.setenv(KEY_VARIABLE, key)

    with pytest.raises(ConfigurationError) as caught:
        AsyncExperimentClient(key if source == "argument" else None, **arguments)

    frames = list(own_frames(caught.value))
    assert frames
    variables = [
        (frame.f_code.co_name, name, format_local(value)) for frame in frames for name, value in frame.f_locals.items()
    ]
    assert [(function, name) for function, name, text in variables if KEY in text] == []


@pytest.mark.parametrize("body", [False, True])
async def test_no_variable_of_asyncio_shows_the_key(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, body: bool
) -> None:
    """What is written hides it, because asyncio logs writes that fail, and tools add the local variables."""
    id = emulator.state.add_flag(key="a")["id"]
    written: list[str] = []

    def write(transport: Any, data: Any) -> None:
        written.append(format_local(data))
        real_write(transport, data)

    real_write = _SelectorSocketTransport.write
    monkeypatch.setattr(_SelectorSocketTransport, "write", write)
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        await (client.flags.edit(id, name="b") if body else client.flags.get(id))
    assert [request.status for request in emulator.requests] == [200]
    assert len(written) >= 2
    assert emulator.api_key not in "".join(written)


def test_the_repr_of_a_client_that_was_not_initialised() -> None:
    """It works, because a traceback may show the client."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncExperimentClient(KEY, region="mars")

    (client,) = [frame.f_locals["self"] for frame in own_frames(caught.value) if "self" in frame.f_locals]
    assert "AsyncExperimentClient" in repr(client)
