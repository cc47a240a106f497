"""Requests: their paths, queries and headers, and the keys of their locks."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from yarl import URL

from amp_exp_async import AsyncExperimentClient, NotFoundError, __version__, validation
from amp_exp_async.emulator import Emulator
from amp_exp_async.errors import InvalidInputError
from amp_exp_async.http import Request, build_path
from tests.aioresponses_shim import mocked

KEY = "request-management-key"
SERVICE = "https://experiment.eu.amplitude.com/api/1"

DANGEROUS = "/?#%.&=+:@;\\ \t\r\n\x00\u2028é漢😀2eE"
TEXTS = st.text(min_size=1) | st.text(DANGEROUS, min_size=1)
METHODS = ["POST", "PATCH", "PUT", "DELETE"]


def valid_id(id: str) -> str:
    """Return the validated ID; skip the example if the ID is invalid."""
    assume(id not in {".", ".."})
    return validation.identifier("id", id)


@given(TEXTS, TEXTS)
def test_an_id_is_one_segment(id: str, other: str) -> None:
    """A valid ID becomes one segment, which decodes to the ID and has no delimiters of URLs."""
    path = build_path("flags", valid_id(id), "versions", valid_id(other))

    assert path.isascii()
    assert not set(path) & set("?#\\ \t\r\n\x00")
    assert [unquote(segment) for segment in path.split("/")] == ["", "flags", id, "versions", other]


@given(TEXTS)
def test_an_id_cannot_lead_to_another_path(id: str) -> None:
    """No segment is empty, `.` or `..`, percent-encoded or not, so no server resolves the path to another one."""
    path = build_path("flags", valid_id(id), "variants")

    for segment in path.split("/")[1:]:
        assert segment
        assert segment.lower().replace("%2e", ".") not in {".", ".."}
    url = URL(f"https://host/api/1{path}", encoded=True)
    assert url.raw_path == f"/api/1{path}"
    assert not url.raw_query_string
    assert not url.raw_fragment


@pytest.mark.parametrize("id", ["", ".", "..", None, 1.5, True, b"1", ["1"], "\ud800"])
def test_an_invalid_id_is_rejected(id: object) -> None:
    """The empty string, `.` and `..` would lead to another path; other types are not IDs."""
    with pytest.raises(InvalidInputError):
        validation.identifier("id", id)


def test_a_number_is_a_valid_id() -> None:
    """IDs are often numbers, and may be passed as integers."""
    assert build_path("flags", validation.identifier("id", 12)) == "/flags/12"


@pytest.mark.parametrize(
    "id", ["a/b", "a?b=c#d", "%2e%2e", "%2F", "..%2f..", "...", " ", "é漢😀", "a+b&c", "a\nb", "\\.."]
)
async def test_an_id_arrives_unchanged(id: str, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """The server decodes the same ID, over real HTTP."""
    emulator.state.add_flag(id=id, key="k")

    assert (await client.flags.get(id)).id == id
    with pytest.raises(NotFoundError):
        await client.experiments.get(id)

    assert [unquote(request.path.rpartition("/")[2]) for request in emulator.requests] == [id, id]
    assert {request.path.count("/") for request in emulator.requests} == {4}


@given(st.lists(st.tuples(TEXTS, st.text() | st.text(DANGEROUS))))
def test_a_query_decodes_to_its_values(query: list[tuple[str, str]]) -> None:
    """Any names and values of a query decode to the same ones, in the same order."""
    target = Request("GET", "/flags", tuple(query)).target

    path, _, encoded = target.partition("?")
    assert path == "/flags"
    assert target.isascii()
    assert "#" not in target
    assert parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(query)) == query


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/flags/12", "flags/12"),
        ("/flags/12/variants", "flags/12"),
        ("/flags/12/variants/on/users/0", "flags/12"),
        ("/experiments/12", "experiments/12"),
        ("/deployments/12", "deployments/12"),
        ("/mutexes/12/slots/1", "mutexes/12"),
        ("/experiments/12/activate", "experiments/12"),
        ("/flags", None),
        ("/deployments", None),
        ("/experiments/new", None),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_the_lock_key_of_a_write(method: str, path: str, key: str | None) -> None:
    """All writes below one object share a key. A creation has none."""
    assert Request(method, path).lock_key == key


@pytest.mark.parametrize("path", ["/flags/12", "/flags/12/variants/on/users", "/flags"])
def test_the_lock_key_of_a_read(path: str) -> None:
    """A read has none."""
    assert Request("GET", path).lock_key is None


@given(TEXTS, TEXTS, st.sampled_from(METHODS))
def test_lock_keys_of_different_objects(first: str, second: str, method: str) -> None:
    """Two IDs share a key only if they are equal, even if they contain slashes."""
    below = Request(method, build_path("flags", valid_id(first), "variants", "on"))
    edit = Request("PATCH", build_path("flags", valid_id(second)))

    assert (below.lock_key == edit.lock_key) == (first == second)
    assert below.lock_key != Request("PATCH", build_path("experiments", first)).lock_key


async def test_url_and_headers() -> None:
    """They are those of the API reference."""
    with mocked() as service:
        url = f"{SERVICE}/flags?includeArchived=true&key=a-b&limit=5"  # aioresponses sorts the query
        service.get(url, payload={"flags": []})
        async with AsyncExperimentClient(KEY, region="eu") as client:
            await client.flags.list(key="a-b", include_archived=True, limit=5)
        ((method, sent_to), (call,)) = next(iter(service.requests.items()))
    assert (method, sent_to) == ("GET", URL(url))
    assert dict(call.kwargs["headers"]) == {
        "Authorization": f"Bearer {KEY}",
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": f"amp_exp_async/{__version__}",
    }
    assert call.kwargs["allow_redirects"] is False
    assert call.kwargs["data"] is None


@pytest.mark.parametrize("write", [True, False])
async def test_the_content_type(write: bool) -> None:
    """It is JSON for a request with a body, and missing for a request without."""
    with mocked() as service:
        service.patch(f"{SERVICE}/flags/1", body="OK")
        service.get(f"{SERVICE}/flags/1", payload={"id": 1, "key": "x"})
        async with AsyncExperimentClient(KEY, region="eu") as client:
            await (client.flags.edit("1", description=None) if write else client.flags.get("1"))
        ((call,),) = service.requests.values()
    assert ("Content-Type" in call.kwargs["headers"]) is write
    assert call.kwargs["data"] == (b'{"description":null}' if write else None)
