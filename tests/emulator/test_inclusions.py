"""Users and cohorts that a variant includes by ID."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator

Api = Callable[..., Awaitable[Any]]


@pytest.fixture
def variant(flag_path: str) -> str:
    return f"{flag_path}/variants/on"


@pytest.fixture(params=["users", "cohorts"])
def member(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_inclusions_are_an_ordered_set(api: Api, variant: str, member: str) -> None:
    """IDs stay in the order in which they were first added, without duplicates."""
    assert (await api("POST", f"{variant}/{member}", {"inclusions": ["b", "a", "b"]})).body == "OK"
    assert (await api("POST", f"{variant}/{member}", {"inclusions": ["c", "a"]})).body == "OK"
    assert (await api("GET", f"{variant}/{member}")).body == ["b", "a", "c"]
    other = {"users": "cohorts", "cohorts": "users"}[member]
    assert (await api("GET", f"{variant}/{other}")).body == []


async def test_a_comma_joined_string_is_one_id(api: Api, variant: str, member: str) -> None:
    """The service accepts it as one ID, which matches no user."""
    assert (await api("POST", f"{variant}/{member}", {"inclusions": ["id1, id2, id3"]})).status == 200
    assert (await api("GET", f"{variant}/{member}")).body == ["id1, id2, id3"]


@pytest.mark.parametrize(
    "body", [{}, {"inclusions": "a"}, {"inclusions": [""]}, {"inclusions": [1]}, {"inclusions": None}, {"users": ["a"]}]
)
async def test_add_rejects_invalid_lists(api: Api, variant: str, member: str, body: Any) -> None:
    """The status is 400, and nothing is added."""
    assert (await api("POST", f"{variant}/{member}", body)).status == 400
    assert (await api("GET", f"{variant}/{member}")).body == []


async def test_the_limit_of_users(api: Api, emulator: Emulator, kind: Any, flag_path: str, variant: str) -> None:
    """2,000 users fit; with one more the request is rejected, and duplicates do not count."""
    id = flag_path.split("/")[2]
    emulator.state.add_users(kind, id, "on", [str(number) for number in range(1998)])
    assert (await api("POST", f"{variant}/users", {"inclusions": ["a", "b", "c"]})).status == 400
    assert len(emulator.state.users(kind, id, "on")) == 1998
    assert (await api("POST", f"{variant}/users", {"inclusions": ["a", "b", "5"]})).status == 200
    assert len(emulator.state.users(kind, id, "on")) == 2000


async def test_remove_by_index_shifts_the_rest(api: Api, emulator: Emulator, kind: Any, flag_path: str) -> None:
    """The same index twice removes two users."""
    id = flag_path.split("/")[2]
    emulator.state.add_users(kind, id, "on", ["a", "b", "c"])
    for _ in range(2):
        assert (await api("DELETE", f"{flag_path}/variants/on/users/1")).body == "OK"
    assert emulator.state.users(kind, id, "on") == ["a"]


@pytest.mark.parametrize(("index", "status"), [("0", 404), ("7", 404), ("-1", 400), ("a", 400), ("1.0", 400)])
async def test_invalid_indexes(api: Api, variant: str, index: str, status: int) -> None:
    """The status is 404 for an index out of range, 400 for an invalid one."""
    assert (await api("DELETE", f"{variant}/users/{index}")).status == status


async def test_remove_all_users(api: Api, emulator: Emulator, kind: Any, flag_path: str) -> None:
    """The users are removed, the cohorts stay; a second call succeeds too."""
    id = flag_path.split("/")[2]
    emulator.state.add_users(kind, id, "on", ["a", "b"])
    emulator.state.add_cohorts(kind, id, "on", ["c"])
    for _ in range(2):
        assert (await api("DELETE", f"{flag_path}/variants/on/users")).status == 200
    assert emulator.state.users(kind, id, "on") == []
    assert emulator.state.cohorts(kind, id, "on") == ["c"]


async def test_bulk_remove(api: Api, variant: str, member: str) -> None:
    """Included IDs are removed, and others ignored; the field is `users` for cohorts too."""
    await api("POST", f"{variant}/{member}", {"inclusions": ["a", "b", "c"]})
    assert (await api("DELETE", f"{variant}/bulk-delete-{member}", {"users": ["c", "x", "a"]})).body == "OK"
    assert (await api("GET", f"{variant}/{member}")).body == ["b"]


@pytest.mark.parametrize("body", [{}, {"cohorts": ["a"]}, {"users": "a"}, {"users": [1]}, {"users": ["a"] * 101}, None])
async def test_bulk_remove_rejects_invalid_lists(api: Api, variant: str, member: str, body: Any) -> None:
    """Only a list of at most 100 IDs in the field `users` is accepted."""
    assert (await api("DELETE", f"{variant}/bulk-delete-{member}", body)).status == 400


async def test_bulk_remove_of_100(api: Api, variant: str, member: str) -> None:
    """The maximum is accepted."""
    ids = [str(number) for number in range(100)]
    await api("POST", f"{variant}/{member}", {"inclusions": ids})
    assert (await api("DELETE", f"{variant}/bulk-delete-{member}", {"users": ids})).status == 200
    assert (await api("GET", f"{variant}/{member}")).body == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "users"),
        ("POST", "users"),
        ("DELETE", "users"),
        ("DELETE", "users/0"),
        ("DELETE", "bulk-delete-users"),
        ("GET", "cohorts"),
        ("POST", "cohorts"),
        ("DELETE", "bulk-delete-cohorts"),
    ],
)
async def test_an_unknown_variant(api: Api, flag_path: str, method: str, path: str) -> None:
    """The status is 404, whatever the body."""
    assert (await api(method, f"{flag_path}/variants/none/{path}")).status == 404


async def test_there_is_no_request_to_remove_all_cohorts(api: Api, variant: str) -> None:
    """The API has this operation for users only."""
    assert (await api("DELETE", f"{variant}/cohorts")).status == 405


async def test_writes_of_inclusions_make_versions(api: Api, flag_path: str, variant: str) -> None:
    """Every write of inclusions makes a version, although the document does not contain them."""
    await api("POST", f"{variant}/users", {"inclusions": ["a"]})
    await api("DELETE", f"{variant}/users/0")
    assert (await api("GET", f"{flag_path}/versions")).body[0]["version"] == 3
