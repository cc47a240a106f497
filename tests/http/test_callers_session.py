"""What requests take from a session of the caller, and what they do not."""

from __future__ import annotations

import warnings
from pathlib import Path

import aiohttp
import pytest

from amp_exp_async import AsyncExperimentClient, RetryPolicy
from tests.reliability.raw_server import RawServer, answer_all, response

KEY = "callers-management-key"


def _basic_auth() -> aiohttp.BasicAuth:
    with warnings.catch_warnings(action="ignore"):  # newer releases of aiohttp deprecate it
        return aiohttp.BasicAuth("user", "password")


@pytest.mark.filterwarnings("ignore:The 'auth' parameter:DeprecationWarning")
@pytest.mark.parametrize("has_auth", [True, False], ids=["auth", "netrc"])
async def test_credentials_and_headers(has_auth: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cookies, passwords and headers of the message are neither used nor changed; its other headers are sent."""
    (tmp_path / "netrc").write_text("default login user password password\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    headers = {"Authorization": "Bearer theirs", "content-length": "7", "Transfer-Encoding": "chunked", "X-Team": "a"}
    answer = response(b'{"id": "1", "key": "k"}', headers=[("Set-Cookie", "id=1; Path=/")])
    with RawServer(answer_all(answer)) as server:
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            trust_env=not has_auth,
            auth=_basic_auth() if has_auth else None,
            headers=headers,
        ) as theirs:
            retry = RetryPolicy(max_attempts=1)
            async with AsyncExperimentClient(KEY, base_url=server.url, session=theirs, retry=retry) as client:
                await client.flags.get("1")
                await client.flags.edit("1", name="x")
            assert list(theirs.cookie_jar) == []
            assert dict(theirs.headers) == headers
            assert (theirs.trust_env, theirs.closed) == (not has_auth, False)
    for request in server.requests:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["x-team"] == "a"
        assert not request.headers.keys() & {"cookie", "transfer-encoding"}
    assert [request.headers.get("content-length") for request in server.requests] == [None, "12"]


async def test_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used if the session trusts the environment."""
    with RawServer(answer_all(response(b'{"id": "1", "key": "k"}'))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with aiohttp.ClientSession(trust_env=True) as theirs:
            url = "http://service.invalid"
            async with AsyncExperimentClient(KEY, base_url=url, allow_insecure_http=True, session=theirs) as client:
                await client.flags.get("1")
    assert [request.target for request in proxy.requests] == ["http://service.invalid/api/1/flags/1"]
