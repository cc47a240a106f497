"""A response must be about the object that was requested."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from amp_exp_async import AsyncExperimentClient, RetryPolicy, UnexpectedResponseError
from tests.reliability.raw_server import RawConnection, RawServer, response

pytestmark = pytest.mark.usefixtures("path_in_turn")

FLAG = {"id": "1", "key": "k", "projectId": "1"}
Call = Callable[[AsyncExperimentClient], Awaitable[Any]]


async def outcome(call: Call, body: bytes) -> Any:
    """Return the result of a call whose every request gets this body."""

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(response(body))

    with RawServer(serve) as server:
        policy = RetryPolicy(max_attempts=2, backoff_base=0.0)
        async with AsyncExperimentClient("key-of-tests", base_url=server.url, retry=policy) as client:
            try:
                return await call(client)
            finally:
                assert len(server.requests) == 1


READS: dict[str, tuple[Call, dict[str, Any], dict[str, Any]]] = {
    "flag": (lambda c: c.flags.get("1"), FLAG, {"id": "2"}),
    "flag with a number": (lambda c: c.flags.get("1"), FLAG | {"id": 1}, {"id": 11}),
    "experiment": (lambda c: c.experiments.get("1"), FLAG, {"id": "666"}),
    "variant": (lambda c: c.flags.variants.get("1", "a b"), {"key": "a b"}, {"key": "a%20b"}),
    "version": (lambda c: c.flags.versions.get("1", 4), {"version": 4, "flagConfig": FLAG}, {"version": 5}),
    "mutex group": (lambda c: c.mutexes.get("1"), FLAG, {"id": "2"}),
    "holdout group": (lambda c: c.holdouts.get("1"), FLAG, {"id": "2"}),
}


@pytest.mark.parametrize(("call", "document", "other"), READS.values(), ids=READS)
async def test_a_read(call: Call, document: dict[str, Any], other: dict[str, Any]) -> None:
    """The requested object is returned; another one is rejected by name, and not requested again."""
    await outcome(call, orjson.dumps(document))
    ((location, value),) = other.items()
    with pytest.raises(UnexpectedResponseError, match=rf"at {location}: expected .*, got .*{value}") as caught:
        await outcome(call, orjson.dumps(document | other))
    assert caught.value.location == location


@pytest.mark.parametrize("body", [b"OK", b"", b"{}", b'{"id": "1"}', b'{"id": 1, "more": 2}', b"{not JSON", b'["id"]'])
async def test_a_write_that_is_acknowledged(body: bytes) -> None:
    """An edit succeeds if the response does not name another object."""
    assert await outcome(lambda c: c.flags.edit("1", name="x"), body) is None


async def test_a_write_whose_response_names_another_object() -> None:
    """It is rejected, and says that the change may have been applied."""
    with pytest.raises(UnexpectedResponseError, match=r"at id.*may have been applied"):
        await outcome(lambda c: c.flags.edit("1", name="x"), b'{"id": "666"}')


async def test_a_write_below_an_object() -> None:
    """The response to a write of a part of an object may name the part."""
    assert await outcome(lambda c: c.flags.variants.edit("1", "on", name="x"), b'{"id": "77"}') is None
    assert await outcome(lambda c: c.flags.deployments.remove("1", "5"), b'{"id": "77"}') is None


LONG = b'"more": "%s"' % (b"x" * 100_000)


async def test_a_long_acknowledgement() -> None:
    """The fields that show the outcome of a write are read, and the others are skipped."""

    def edit(client: AsyncExperimentClient) -> Awaitable[Any]:
        return client.flags.edit("1", name="x")

    for fields in (b'"id": "1"', b'"id": 1, "status": 200, "error": null', b'"success": true, "code": "done"'):
        assert await outcome(edit, b"{%s, %s}" % (fields, LONG)) is None
        assert await outcome(edit, b"{%s, %s}" % (LONG, fields)) is None
    with pytest.raises(UnexpectedResponseError, match="at id: expected"):
        await outcome(edit, b'{%s, "id": "666"}' % LONG)
    for field in (b'"error": "no"', b'"success": false', b'"statusCode": 500', b'"status_code": "failed"'):
        with pytest.raises(UnexpectedResponseError, match="a failure"):
            await outcome(edit, b"{%s, %s}" % (LONG, field))
