"""The headers and query parameters that a call adds: of each operation, over HTTP, with both clients."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import attrs
import pytest
from attrs import frozen

from amp_exp_async import AmpExpError, ConfigurationError, InvalidInputError, NotFoundError
from amp_exp_async.http import Idempotency
from tests.leaks import leaks
from tests.operations.catalog import Example
from tests.operations.examples import EXAMPLES
from tests.operations.recording_server import CannedResponse, RecordedRequest, RecordingServer
from tests.operations.test_wire import PLAIN, WRITES, check_request

SECRET = "canary-header-value"


def with_options(example: Example) -> Example:
    """Return the call with a header and a query parameter."""
    options = {"extra_headers": {"X-Change": "OPS 12"}, "extra_query": {"debug": True}}
    return attrs.evolve(example, kwargs={**example.kwargs, **options})


def without_additions(sent: RecordedRequest) -> RecordedRequest:
    """Require the header and the parameter, and return the rest of the request."""
    assert sent.headers["X-Change"] == "OPS 12"
    assert ("debug", "true") in sent.query
    headers = {name: value for name, value in sent.headers.items() if name != "X-Change"}
    return attrs.evolve(sent, headers=headers, query=[item for item in sent.query if item[0] != "debug"])


@frozen
class SecretCall(Example):
    """A call with a header that no frame of the caller holds."""

    def __call__(self, client: Any) -> Any:
        """Call the method of an async or blocking client."""
        return attrgetter(self.name)(client)(*self.args, **self.kwargs, extra_headers={"X-Secret": f"{SECRET}"})


def secret_call(example: Example, **changes: Any) -> SecretCall:
    """Return the call with a secret header, and with other arguments."""
    return SecretCall(**{**attrs.asdict(example, recurse=False), **changes})


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_what_is_sent(server: RecordingServer, send: Any, example: Example) -> None:
    """The header and the parameter are sent in addition; the rest of the request and the result are the same."""
    server.responses = [example.canned()]
    assert await send(with_options(example)) == example.result
    [sent] = server.requests
    check_request(without_additions(sent), example)


@pytest.mark.parametrize("example", WRITES, ids=str)
async def test_reading_back(server: RecordingServer, send_in_turn: Any, example: Example) -> None:
    """The requests that determine the outcome of a write have them too."""
    server.responses = [CannedResponse("gateway", status=503), CannedResponse("Cannot edit archived flag", status=400)]
    with pytest.raises(AmpExpError):
        await send_in_turn(with_options(example))
    for sent in server.requests:
        without_additions(sent)
    idempotency = example.operation.idempotency
    is_read_back = idempotency is Idempotency.CREATE or (idempotency.may_repeat and not example.is_beta)
    assert ("GET" in [sent.method for sent in server.requests]) == is_read_back


@pytest.mark.parametrize("example", PLAIN, ids=str)
async def test_no_frame_of_a_refused_request_shows_a_header(
    server: RecordingServer, send_in_turn: Any, example: Example
) -> None:
    """The value is sent, also to explain the error, and is in no local variable of the error's frames."""
    server.responses = [CannedResponse("not found", status=404)]
    with pytest.raises(NotFoundError) as caught:
        await send_in_turn(secret_call(example))
    assert leaks(caught.value, SECRET) == []
    assert {sent.headers["X-Secret"] for sent in server.requests} == {SECRET}


def wrong_calls(example: Example) -> Iterator[SecretCall]:
    """Yield the call with each of its arguments wrong in turn."""
    for index in range(len(example.args)):
        yield secret_call(example, args=(*example.args[:index], object(), *example.args[index + 1 :]))
    for name in example.kwargs or ["limit"][: not example.args]:
        yield secret_call(example, kwargs={**example.kwargs, name: object()})


@pytest.mark.parametrize("example", PLAIN, ids=str)
async def test_no_frame_of_a_wrong_call_shows_a_header(
    server: RecordingServer, send_in_turn: Any, example: Example
) -> None:
    """This holds for each argument, for an unknown keyword and for a wrong option, and nothing is sent."""
    for call in wrong_calls(example):
        with pytest.raises(InvalidInputError) as caught:
            await send_in_turn(call)
        assert leaks(caught.value, SECRET) == []
    unknown = secret_call(example, kwargs={**example.kwargs, "extra_header": "x"})
    with pytest.raises((TypeError, InvalidInputError), match="extra_header") as unexpected:
        await send_in_turn(unknown)
    assert leaks(unexpected.value, SECRET) == []
    rejected = secret_call(example, kwargs={**example.kwargs, "extra_query": {"cursor": "x"}})
    with pytest.raises(ConfigurationError, match=r"extra_query\.cursor") as rejection:
        await send_in_turn(rejected)
    assert leaks(rejection.value, SECRET) == []
    assert server.requests == []


@pytest.mark.parametrize("name", ["flags.get", "flags.list"])
async def test_a_header_under_a_misspelt_name(send: Any, name: str) -> None:
    """The error names the keyword, and no frame shows the value."""

    class Misspelt(Example):
        def __call__(self, client: Any) -> Any:
            return attrgetter(self.name)(client)(*self.args, extra_header={"X-Secret": f"{SECRET}"})

    [example] = [example for example in PLAIN if example.name == name and not example.is_beta]
    with pytest.raises(TypeError, match=r"\(\) got an unexpected keyword argument 'extra_header'$") as caught:
        await send(Misspelt(**attrs.asdict(example, recurse=False)))
    assert leaks(caught.value, SECRET) == []
