"""Everything that goes wrong between the client and the service, byte by byte."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable, Iterator
from email.utils import formatdate
from functools import cache
from time import time
from typing import Literal, TypeAlias

from attrs import frozen

from tests.reliability.raw_server import RawConnection, chunk, head, response

BODY_BOUND = 1 << 20
"""The bytes of a response that the clients of the harness read at most, so that exceeding them takes little time."""

HEADER_BYTES = 256 << 10
"""The size of the header block that is too large."""

HTML = b"<html><body>502 Bad Gateway</body></html>"
SLOW, DEADLINE = 0.4, 8.0
"""Seconds: the timeout of an attempt that is too slow, and the deadline of a call."""


@frozen
class Answer:
    """The response of the emulator to a request.

    Attributes:
        status: the status and the reason.
        content_type: the type of the body.
        body: the body.
    """

    status: str
    content_type: str
    body: bytes

    def encode(self, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
        """Return it as bytes, with more headers."""
        return response(self.body, status=self.status, headers=headers, content_type=self.content_type)


Send: TypeAlias = Callable[[RawConnection, Answer], Awaitable[None]]
"""Sends something in place of an answer."""


Kind: TypeAlias = Literal[
    "lost", "timeout", "server error", "refused", "unreadable", "oversized", "redirected", "harmless"
]


@frozen
class WireFault:
    """A fault that a request meets.

    Attributes:
        name: what happens.
        kind: decides what the client must do; `fault_rules` explains it.
        applied: whether the service carries out the request.
        send: what it sends.
        status: the status of the response that the client sees, or 0.
        retry_after: the seconds that a 429 asks for, if they are more than the deadline.
        accepted: the kinds of calls that can do nothing but take the response for a success.
    """

    name: str
    kind: Kind
    applied: bool
    send: Send
    status: int = 0
    retry_after: float | None = None
    accepted: tuple[str, ...] = ()

    @property
    def is_slow(self) -> bool:
        """Whether an attempt lasts until its timeout."""
        return self.kind == "timeout"

    def __str__(self) -> str:
        return self.name


def _sending(data: bytes) -> Send:
    async def send(connection: RawConnection, _: Answer) -> None:
        await connection.send(data)

    return send


async def _close(connection: RawConnection, _: Answer) -> None:
    connection.close()


async def _reset(connection: RawConnection, _: Answer) -> None:
    connection.reset()


async def _truncate(connection: RawConnection, answer: Answer) -> None:
    await connection.send(answer.encode()[:-1])
    connection.close()


async def _truncate_head(connection: RawConnection, answer: Answer) -> None:
    await connection.send(answer.encode()[:20])
    connection.close()


async def _truncate_chunks(connection: RawConnection, answer: Answer) -> None:
    fields = [("Content-Type", answer.content_type), ("Transfer-Encoding", "chunked")]
    await connection.send(head(fields, status=answer.status) + chunk(answer.body)[:-3])
    connection.close()


async def _drip(connection: RawConnection, answer: Answer) -> None:
    data = answer.encode()
    await connection.drip(data, 2 * SLOW / len(data))


async def _drip_quickly(connection: RawConnection, answer: Answer) -> None:
    data = answer.encode()
    await connection.drip(data, 0.001, 1 + len(data) // 8)


async def _silence(connection: RawConnection, _: Answer) -> None:
    await connection.wait_closed()


async def _inform(connection: RawConnection, answer: Answer) -> None:
    await connection.send(head(status="102 Processing") + head(status="103 Early Hints") + answer.encode())


async def _flood(connection: RawConnection, answer: Answer) -> None:
    fields = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]
    await connection.send(head(fields) + chunk(answer.body[:-1]))
    while True:
        await connection.send(chunk(b" " * 65536))


async def _flood_until_close(connection: RawConnection, answer: Answer) -> None:
    await connection.send(head([("Content-Type", "application/json"), ("Connection", "close")]) + answer.body[:-1])
    while True:
        await connection.send(b" " * 65536)


async def _flood_error(connection: RawConnection, _: Answer) -> None:
    await connection.send(head([("Content-Type", "text/plain"), ("Content-Length", str(10**12))], status="503 Busy"))
    while True:
        await connection.send(b" " * 65536)


async def _grow_headers(connection: RawConnection, answer: Answer) -> None:
    await connection.send(answer.encode((("X-Large", "x" * HEADER_BYTES),)))


async def _many_headers(connection: RawConnection, answer: Answer) -> None:
    await connection.send(answer.encode(tuple((f"X-{number}", "x" * 1000) for number in range(HEADER_BYTES // 1000))))


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
}


@cache
def bomb(encoding: str) -> bytes:
    """Return a small compressed body that becomes many times the bound, and would be valid JSON."""
    return COMPRESSIONS[encoding](b" " * (32 * BODY_BOUND) + b"{}")


def _exploding(encoding: str) -> Send:
    async def send(connection: RawConnection, _: Answer) -> None:
        await connection.send(response(bomb(encoding), headers=[("Content-Encoding", encoding)]))

    return send


def _compressed(encoding: str) -> Send:
    async def send(connection: RawConnection, answer: Answer) -> None:
        fields = [("Content-Encoding", encoding)]
        body = COMPRESSIONS[encoding](answer.body)
        await connection.send(response(body, headers=fields, status=answer.status, content_type=answer.content_type))

    return send


async def _answer(connection: RawConnection, answer: Answer) -> None:
    await connection.send(answer.encode())


def _refusing(*values: Callable[[], str]) -> Send:
    async def send(connection: RawConnection, _: Answer) -> None:
        fields = [("Retry-After", value()) for value in values]
        await connection.send(response('{"error": "slow down"}', status="429 Too Many Requests", headers=fields))

    return send


_NO_WAIT: dict[str, tuple[Callable[[], str], ...]] = {
    "without Retry-After": (),
    "Retry-After: 0": (lambda: "0",),
    "Retry-After: 0.01": (lambda: "0.01",),
    "Retry-After in words": (lambda: "soon",),
    "Retry-After: -5": (lambda: "-5",),
    "Retry-After empty": (lambda: "",),
    "Retry-After: 1.5.5": (lambda: "1.5.5",),
    "Retry-After: nan": (lambda: "nan",),
    "Retry-After: inf": (lambda: "inf",),
    "Retry-After of 309 digits": (lambda: "9" * 309,),
    "Retry-After, a date in the past": (lambda: formatdate(time() - 60, usegmt=True),),
    "Retry-After, no such date": (lambda: "Mon, 99 Foo 2026 99:99:99 GMT",),
    "Retry-After of 20 digits": (lambda: "9" * 20,),
}
_LONG_WAIT: dict[str, tuple[Callable[[], str], ...]] = {
    "Retry-After: 30": (lambda: "30",),
    "Retry-After: 30.5": (lambda: "30.5",),
    "Retry-After, a date": (lambda: formatdate(time() + 30, usegmt=True),),
    "Retry-After, a POSIX time": (lambda: str(int(time()) + 30),),
    "Retry-After, a POSIX time in ms": (lambda: str(int(time() * 1000) + 30_000),),
    "Retry-After in the year 9999": (lambda: "Fri, 31 Dec 9999 23:59:59 GMT",),
    "Retry-After: 31000000": (lambda: "31000000",),
    "Retry-After of 13 digits": (lambda: "9" * 13,),
    "Retry-After twice": (lambda: "30", lambda: "40"),
}


def _status(status: str, body: bytes = b'{"error": "on purpose"}', content_type: str = "application/json") -> Send:
    return _sending(response(body, status=status, content_type=content_type))


def _lost() -> Iterator[WireFault]:
    for applied in (False, True):
        when = "after the change" if applied else "before the change"
        for name, send in {
            "closed": _close,
            "reset": _reset,
            "truncated": _truncate,
            "truncated head": _truncate_head,
            "truncated chunk": _truncate_chunks,
            "408": _status("408 Request Timeout"),
        }.items():
            yield WireFault(f"{name} {when}", "lost", applied, send)
        for name, send in {"slow drip": _drip, "silence": _silence}.items():
            yield WireFault(f"{name} {when}", "timeout", applied, send)
        for status in ("500 Internal Server Error", "503 Service Unavailable"):
            code = int(status[:3])
            yield WireFault(f"{code} {when}", "server error", applied, _status(status), code)
        html = _status("502 Bad Gateway", HTML, "text/html")
        yield WireFault(f"502 with HTML {when}", "server error", applied, html, 502)
        yield WireFault(f"endless 503 {when}", "server error", applied, _flood_error, 503)


def _refused() -> Iterator[WireFault]:
    for name, values in _NO_WAIT.items():
        yield WireFault(f"429 {name}", "refused", False, _refusing(*values), 429)
    for name, values in _LONG_WAIT.items():
        yield WireFault(f"429 {name}", "refused", False, _refusing(*values), 429, retry_after=30.0)


def _unreadable() -> Iterator[WireFault]:
    writes = ("acknowledgement",)
    for name, body, accepted in (
        ("invalid JSON", b'{"flags": [{"id": "10', writes),
        ("empty 200", b"", writes),
        ("other JSON", b'"nothing of that kind"', writes),
        ("a failure with 200", b'{"error": "it did not work"}', ()),
        ("200 with HTML", HTML, ()),
    ):
        for applied in (False, True):
            if applied or not accepted:
                when = "after the change" if applied else "before the change"
                yield WireFault(f"{name} {when}", "unreadable", applied, _status("200 OK", body), accepted=accepted)


def _oversized() -> Iterator[WireFault]:
    for name, send in {
        "endless chunks": _flood,
        "endless body": _flood_until_close,
        "huge header": _grow_headers,
        "too many headers": _many_headers,
        **{f"{encoding} bomb": _exploding(encoding) for encoding in COMPRESSIONS},
    }.items():
        yield WireFault(name, "oversized", True, send)


def _redirected() -> Iterator[WireFault]:
    for status in ("301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
        fields = [("Location", "/api/1/elsewhere")]
        data = response(b"", status=status, headers=fields)
        yield WireFault(status.lower(), "redirected", False, _sending(data), int(status[:3]))


def _harmless() -> Iterator[WireFault]:
    for name, send in {
        "nothing": _answer,
        "a drip that is fast enough": _drip_quickly,
        "informational responses": _inform,
        **{f"{encoding} response": _compressed(encoding) for encoding in COMPRESSIONS},
    }.items():
        yield WireFault(name, "harmless", True, send)


FAULTS = tuple(
    fault for faults in (_lost, _refused, _unreadable, _oversized, _redirected, _harmless) for fault in faults()
)
"""Faults of a single response."""


async def idle_close(connection: RawConnection) -> None:
    """Close an idle connection."""
    await connection.aclose()


def idle_stray(data: bytes) -> Callable[[RawConnection], Awaitable[None]]:
    """Return what sends a response that answers no request on an idle connection."""

    async def send(connection: RawConnection) -> None:
        await connection.send(data)

    return send


STRAY = response('{"id": "666", "key": "stray", "flags": [], "experiments": [], "deployments": []}')
IDLE_FAULTS: dict[str, Callable[[RawConnection], Awaitable[None]]] = {
    "idle connection closed": idle_close,
    "stray response": idle_stray(STRAY),
    "stray 408": idle_stray(response(b"", status="408 Request Timeout", headers=[("Connection", "close")])),
    "stray OK": idle_stray(response(b"OK")),
}
"""What happens to a connection between two requests."""

LOST = next(fault for fault in FAULTS if fault.name == "closed before the change")
"""A request that does not arrive."""
