"""Ids in paths: one segment each, whatever they are made of, and the key that writes are ordered by."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from yarl import URL

from amp_exp_async import AsyncExperimentClient, NotFoundError, validation
from amp_exp_async.emulator import Emulator
from amp_exp_async.errors import InvalidInputError
from amp_exp_async.http import Request, build_path

DANGEROUS = "/?#%.&=+:@;\\ \t\r\n\x00\u2028é漢😀2eE"
TEXTS = st.text(min_size=1) | st.text(DANGEROUS, min_size=1)
METHODS = ["POST", "PATCH", "PUT", "DELETE"]


def accepted(id: str) -> str:
    """The id as it goes into a path, for ids that do."""
    assume(id not in {".", ".."})
    return validation.identifier("id", id)


@given(TEXTS, TEXTS)
def test_an_id_is_one_segment_of_the_path(id: str, other: str) -> None:
    """Any id that is accepted makes one segment, which decodes to that id and holds nothing that a URL would split."""
    path = build_path("flags", accepted(id), "versions", accepted(other))

    assert path.isascii()
    assert not set(path) & set("?#\\ \t\r\n\x00")
    assert [unquote(segment) for segment in path.split("/")] == ["", "flags", id, "versions", other]


@given(TEXTS)
def test_an_id_is_no_way_to_another_path(id: str) -> None:
    """No segment is empty or reads as `.` or `..`, percent-encoded or not, so no server resolves it to another path."""
    path = build_path("flags", accepted(id), "variants")

    for segment in path.split("/")[1:]:
        assert segment
        assert segment.lower().replace("%2e", ".") not in {".", ".."}
    url = URL(f"https://host/api/1{path}", encoded=True)
    assert url.raw_path == f"/api/1{path}"
    assert not url.raw_query_string
    assert not url.raw_fragment


@pytest.mark.parametrize("id", ["", ".", "..", None, 1.5, True, b"1", ["1"], "\ud800"])
def test_an_id_that_cannot_be_a_segment_is_refused(id: object) -> None:
    """Empty text, `.` and `..` would name another path; what is no text or integer is no id."""
    with pytest.raises(InvalidInputError):
        validation.identifier("id", id)


def test_a_number_is_an_id() -> None:
    """Ids are often numbers, and may be passed as such."""
    assert build_path("flags", validation.identifier("id", 12)) == "/flags/12"


@pytest.mark.parametrize(
    "id", ["a/b", "a?b=c#d", "%2e%2e", "%2F", "..%2f..", "...", " ", "é漢😀", "a+b&c", "a\nb", "\\.."]
)
async def test_an_id_arrives_as_it_was_given(id: str, client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Over real HTTP, with everything that touches a URL on the way, the service decodes the very id."""
    emulator.state.add_flag(id=id, key="k")

    assert (await client.flags.get(id)).id == id
    with pytest.raises(NotFoundError):
        await client.experiments.get(id)

    assert [unquote(request.path.rpartition("/")[2]) for request in emulator.requests] == [id, id]
    assert {request.path.count("/") for request in emulator.requests} == {4}


@given(st.lists(st.tuples(TEXTS, st.text() | st.text(DANGEROUS))))
def test_a_query_decodes_to_its_values(query: list[tuple[str, str]]) -> None:
    """Names and values of a query survive, in order, whatever they are made of."""
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
def test_writes_are_ordered_by_the_object_they_belong_to(method: str, path: str, key: str | None) -> None:
    """All writes below one object share a key; a creation belongs to no object yet."""
    assert Request(method, path).lock_key == key


@pytest.mark.parametrize("path", ["/flags/12", "/flags/12/variants/on/users", "/flags"])
def test_reads_wait_for_nobody(path: str) -> None:
    """A read has no place in the order of writes."""
    assert Request("GET", path).lock_key is None


@given(TEXTS, TEXTS, st.sampled_from(METHODS))
def test_different_objects_do_not_wait_for_each_other(one: str, other: str, method: str) -> None:
    """Two ids share a key only when they are the same, even if they hold slashes."""
    below = Request(method, build_path("flags", accepted(one), "variants", "on"))
    edit = Request("PATCH", build_path("flags", accepted(other)))

    assert (below.lock_key == edit.lock_key) == (one == other)
    assert below.lock_key != Request("PATCH", build_path("experiments", one)).lock_key
