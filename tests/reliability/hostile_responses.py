"""Responses that no good server sends: each with what a client must make of it."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Iterator
from typing import Literal, TypeAlias

from attrs import frozen

from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
)
from tests.reliability.raw_server import RawConnection, Script, answer_all, chunk, head, response

BODY = b'{"id": "1", "key": "k", "name": "n"}'
"""The flag that the client asks for."""

Outcome: TypeAlias = type[AmpExpError] | Literal["right", "wrong", "either"]
"""The class of the error; or the right value, any error of the library, or either of these."""

JSON = ("Content-Type", "application/json")


@frozen
class Scenario:
    """What a server does with a connection.

    Attributes:
        name: a short description.
        outcome: what the read of a flag must end with.
        script: the server's part.
        hangs: whether only the timeout ends an attempt.
    """

    name: str
    outcome: Outcome
    script: Script
    hangs: bool = False

    def __str__(self) -> str:
        return self.name


def sends(data: bytes, *more: bytes) -> Script:
    """Return a script that answers each request with these pieces, a moment apart, and closes the connection."""

    async def script(connection: RawConnection) -> None:
        if await connection.read_request() is not None:
            await connection.send(data)
            for piece in more:
                await asyncio.sleep(0.005)
                await connection.send(piece)

    return script


def keeps(data: bytes) -> Script:
    """Return a script that answers a request with these bytes, and leaves the connection open."""

    async def script(connection: RawConnection) -> None:
        if await connection.read_request() is not None:
            await connection.send(data)
            await connection.wait_closed()

    return script


def with_line(line: bytes) -> bytes:
    """Return a good response with another status line."""
    return line + b"\r\n" + response(BODY).partition(b"\r\n")[2]


def with_header(*lines: bytes, body: bytes = BODY) -> bytes:
    """Return a good response with more header lines."""
    start, _, rest = response(body).partition(b"\r\n")
    return b"\r\n".join([start, *lines, rest])


def with_length(value: bytes, *, body: bytes = BODY) -> bytes:
    """Return a response with this `Content-Length`."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + value + b"\r\n\r\n" + body


def chunked(body: bytes, *headers: tuple[str, str]) -> bytes:
    """Return a response whose body is these bytes of a chunked transfer."""
    return head([JSON, ("Transfer-Encoding", "chunked"), *headers]) + body


def encoded(encoding: str, body: bytes) -> bytes:
    """Return a response with this `Content-Encoding`."""
    return response(body, headers=[("Content-Encoding", encoding)])


GOOD = response(BODY)
LAST_CHUNK = chunk(b"")
CHUNKS = chunk(BODY[:9]) + chunk(BODY[9:]) + LAST_CHUNK


def _status_lines() -> Iterator[Scenario]:
    lines: dict[str, tuple[Outcome, bytes]] = {
        "no reason": ("right", b"HTTP/1.1 200"),
        "an empty reason": ("right", b"HTTP/1.1 200 "),
        "a long reason": ("right", b"HTTP/1.1 200 " + b"O" * 500),
        "a reason in Latin-1": ("either", b"HTTP/1.1 200 \xc4\xff"),
        "HTTP/1.0": ("right", b"HTTP/1.0 200 OK"),
        "HTTP/2.0": ("either", b"HTTP/2.0 200 OK"),
        "HTTP/9.9": ("wrong", b"HTTP/9.9 200 OK"),
        "no version": ("wrong", b"HTTP 200 OK"),
        "another protocol": ("wrong", b"ICY 200 OK"),
        "a misspelt protocol": ("wrong", b"HTP/1.1 200 OK"),
        "lower case": ("wrong", b"http/1.1 200 OK"),
        "two spaces": ("either", b"HTTP/1.1  200  OK"),
        "a tab": ("either", b"HTTP/1.1\t200 OK"),
        "a status of two digits": ("wrong", b"HTTP/1.1 20 OK"),
        "a status of four digits": ("wrong", b"HTTP/1.1 2000 OK"),
        "a status of letters": ("wrong", b"HTTP/1.1 abc OK"),
        "a negative status": ("wrong", b"HTTP/1.1 -20 OK"),
        "no status": ("wrong", b"HTTP/1.1 OK"),
        "status 099": ("wrong", b"HTTP/1.1 099 Low"),
        "status 600": ("wrong", b"HTTP/1.1 600 High"),
        "status 999": ("wrong", b"HTTP/1.1 999 Highest"),
        "binary data": ("wrong", bytes(range(256))),
        "a status line without end": ("wrong", b"HTTP/1.1 200 " + b"x" * 300_000),
        "an empty line first": ("either", b"\r\nHTTP/1.1 200 OK"),
        "a request": ("wrong", b"GET / HTTP/1.1"),
        "a null byte": ("wrong", b"HTTP/1.1 200\x00 OK"),
    }
    for name, (outcome, line) in lines.items():
        yield Scenario(f"status line: {name}", outcome, sends(with_line(line)))
    yield Scenario("line ends: LF only", "either", sends(GOOD.replace(b"\r\n", b"\n")))
    yield Scenario("line ends: CR only", "wrong", sends(GOOD.replace(b"\r\n", b"\r")))


def _statuses() -> Iterator[Scenario]:
    statuses: dict[str, Outcome] = {
        "201 Created": "right",
        "203 Non-Authoritative Information": "right",
        "206 Partial Content": "either",
        "299 Odd": "right",
        "400 Bad Request": APIStatusError,
        "401 Unauthorized": AuthenticationError,
        "402 Payment Required": APIStatusError,
        "403 Forbidden": PermissionDeniedError,
        "404 Not Found": NotFoundError,
        "406 Not Acceptable": APIStatusError,
        "407 Proxy Authentication Required": APIStatusError,
        "409 Conflict": ConflictError,
        "410 Gone": APIStatusError,
        "413 Content Too Large": APIStatusError,
        "418 I'm a teapot": APIStatusError,
        "421 Misdirected Request": APIStatusError,
        "425 Too Early": APIStatusError,
        "429 Too Many Requests": RateLimitError,
        "431 Request Header Fields Too Large": APIStatusError,
        "451 Unavailable For Legal Reasons": APIStatusError,
        "500 Internal Server Error": ServerError,
        "501 Not Implemented": ServerError,
        "505 HTTP Version Not Supported": ServerError,
        "511 Network Authentication Required": ServerError,
        "599 Network Connect Timeout": ServerError,
    }
    for status, outcome in statuses.items():
        yield Scenario(f"status {status[:3]}", outcome, answer_all(response(BODY, status=status)))
    yield Scenario("status 204", "wrong", sends(head(status="204 No Content")))
    yield Scenario("status 204 with a body", "wrong", sends(response(BODY, status="204 No Content")))
    yield Scenario("status 205", "wrong", sends(head(status="205 Reset Content")))
    yield Scenario("status 205 with a body", "either", sends(response(BODY, status="205 Reset Content")))
    deep = b"[" * 1000 + b"]" * 1000
    yield Scenario("status 400 with 1,000 levels", APIStatusError, sends(response(deep, status="400 Bad Request")))
    yield Scenario("status 401 with a challenge", AuthenticationError, sends(_challenge("401 Unauthorized", "WWW")))
    yield Scenario("status 407 with a challenge", APIStatusError, sends(_challenge("407 Proxy", "Proxy")))


def _challenge(status: str, prefix: str) -> bytes:
    return response(b"", status=status, headers=[(f"{prefix}-Authenticate", 'Basic realm="x"')])


def _redirects() -> Iterator[Scenario]:
    for status in ("300", "301", "302", "303", "304", "305", "307", "308"):
        answer = response(b"", status=f"{status} Elsewhere", headers=[("Location", "/api/1/flags/2")])
        yield Scenario(f"redirect {status}", APIStatusError, sends(answer))
    locations = {
        "to another host": "http://203.0.113.7/steal",
        "to itself": "/api/1/flags/1",
        "to a file": "file:///etc/passwd",
        "to a script": "javascript:alert(1)",
        "to nothing": "",
        "to an invalid URL": "http://[::1",
        "to a URL with a password": "http://user:secret@127.0.0.1/",
    }
    for name, location in locations.items():
        answer = response(b"", status="302 Found", headers=[("Location", location)])
        yield Scenario(f"redirect {name}", APIStatusError, sends(answer))
    yield Scenario("redirect without Location", APIStatusError, sends(response(b"", status="302 Found")))
    yield Scenario("a Location with 200", "right", sends(with_header(b"Location: http://203.0.113.7/")))
    yield Scenario("a Refresh with 200", "right", sends(with_header(b"Refresh: 0; url=http://203.0.113.7/")))


def _informational() -> Iterator[Scenario]:
    for status in ("100 Continue", "102 Processing", "103 Early Hints", "199 Odd"):
        yield Scenario(f"{status[:3]} first", "right", sends(head(status=status) + GOOD))
        yield Scenario(f"{status[:3]} first, in pieces", "right", sends(head(status=status), GOOD[:30], GOOD[30:]))
        yield Scenario(f"{status[:3]} only", "wrong", sends(head(status=status)))
    hints = head([("Link", "</style.css>; rel=preload")], status="103 Early Hints")
    yield Scenario("a hundred hints", "right", sends(hints * 100 + GOOD))
    upgrade = head([("Upgrade", "websocket"), ("Connection", "Upgrade")], status="101 Switching Protocols")
    yield Scenario("101 switches the protocol", "wrong", sends(upgrade))
    yield Scenario("101 and then a response", "wrong", sends(upgrade + GOOD))
    yield Scenario("an upgrade with 200", "either", sends(with_header(b"Connection: Upgrade", b"Upgrade: h2c")))


def _headers() -> Iterator[Scenario]:
    lines: dict[str, tuple[Outcome, bytes]] = {
        "without a colon": ("wrong", b"Nonsense"),
        "with a space before the colon": ("either", b"X-Odd : 1"),
        "with a leading space": ("either", b" folded: 1"),
        "folded": ("either", b"X-Odd: 1\r\n more"),
        "with an empty name": ("either", b": value"),
        "with an empty value": ("right", b"X-Odd:"),
        "with a null in its name": ("wrong", b"X-\x00: 1"),
        "with a null in its value": ("wrong", b"X-Odd: a\x00b"),
        "with a bare CR": ("wrong", b"X-Odd: a\rb"),
        "in Latin-1": ("right", b"X-Odd: \xe4\xf6\xfc"),
        "in UTF-8": ("right", "X-Odd: äöü€".encode()),
        "with invalid characters in its name": ("wrong", b"X(Odd): 1"),
        "Connection: close": ("right", b"Connection: close"),
        "Connection: nonsense": ("right", b"Connection: ,;=,"),
        "Keep-Alive: nonsense": ("right", b"Keep-Alive: timeout=-1, max=x"),
        "Date: nonsense": ("right", b"Date: yesterday"),
        "Retry-After with 200": ("right", b"Retry-After: 3600"),
        "Content-Language": ("right", b"Content-Language: de"),
        "Trailer": ("right", b"Trailer: Expires"),
        "Server, 4,000 characters": ("right", b"Server: " + b"s" * 4000),
        "Content-Type: nonsense": ("right", b"Content-Type: ;;//;charset"),
        "charset: unknown": ("right", b"Content-Type: application/json; charset=klingon"),
        "charset: utf-16": ("right", b"Content-Type: application/json; charset=utf-16"),
        "Content-Type: text/html": ("right", b"Content-Type: text/html"),
    }
    for name, (outcome, line) in lines.items():
        yield Scenario(f"header {name}", outcome, sends(with_header(line)))
    yield Scenario("a hundred headers", "right", sends(with_header(*(b"X-%d: 1" % number for number in range(90)))))
    yield Scenario("no headers", "right", sends(b"HTTP/1.1 200 OK\r\n\r\n" + BODY))
    yield Scenario("headers without end", "wrong", sends(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"))


def _lengths() -> Iterator[Scenario]:
    size = len(BODY)
    values: dict[str, tuple[Outcome, bytes]] = {
        "too long": (APIConnectionError, b"%d" % (size + 1)),
        "10 ** 30": ("wrong", b"1" + b"0" * 30),
        "negative": ("wrong", b"-1"),
        "signed": ("wrong", b"+%d" % size),
        "hexadecimal": ("wrong", b"0x%x" % size),
        "a float": ("wrong", b"%d.0" % size),
        "letters": ("wrong", b"all"),
        "empty": ("wrong", b""),
        "two values": ("wrong", b"%d, %d" % (size, size + 1)),
        "the same value twice": ("either", b"%d, %d" % (size, size)),
        "with a space": ("wrong", b"3 6"),
        "with zeros": ("either", b"000%d" % size),
        "with other digits": ("wrong", "٣٦".encode()),
        "zero": ("wrong", b"0"),
        "too short": ("wrong", b"%d" % (size - 5)),
    }
    for name, (outcome, value) in values.items():
        yield Scenario(f"length: {name}", outcome, sends(with_length(value)))
    twice = b"Content-Length: %d" % size
    yield Scenario("length: twice, equal", "either", sends(with_header(twice)))
    yield Scenario("length: twice, different", "wrong", sends(with_header(b"Content-Length: 1")))
    yield Scenario("length: none, ends with the connection", "right", sends(head([JSON]) + BODY))
    yield Scenario("length and chunks", "either", sends(chunked(CHUNKS, ("Content-Length", "5"))))


def _chunks() -> Iterator[Scenario]:
    bodies: dict[str, tuple[Outcome, bytes]] = {
        "in two": ("right", CHUNKS),
        "of one byte each": ("right", b"".join(chunk(bytes([byte])) for byte in BODY) + LAST_CHUNK),
        "sizes in upper case and zeros": ("right", b"000%X\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
        "with an extension": ("right", b'%x;name="value"\r\n%s\r\n0\r\n\r\n' % (len(BODY), BODY)),
        "with trailers": ("right", chunk(BODY) + b"0\r\nX-Checksum: 1\r\n\r\n"),
        "with a length in the trailers": ("either", chunk(BODY) + b"0\r\nContent-Length: 1\r\n\r\n"),
        "size of letters": ("wrong", b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "size negative": ("wrong", b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "size of 2 ** 64": ("wrong", b"1" + b"0" * 16 + b"\r\n" + BODY),
        "size of 2 ** 63": ("wrong", b"8" + b"0" * 15 + b"\r\n" + BODY),
        "size of 40 digits": ("wrong", b"f" * 40 + b"\r\n" + BODY),
        "size with 0x": ("wrong", b"0x%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
        "size with a space": ("either", b"%x \r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
        "size empty": ("wrong", b"\r\n" + BODY),
        "size too large": ("wrong", b"fff\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "size too small": ("wrong", b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "no line end after the data": ("wrong", b"%x\r\n%s0\r\n\r\n" % (len(BODY), BODY)),
        "LF only": ("either", b"%x\n%s\n0\n\n" % (len(BODY), BODY)),
        "no last chunk": ("wrong", chunk(BODY)),
        "no end after the last chunk": ("either", chunk(BODY) + b"0\r\n"),
        "cut off in a chunk": ("wrong", chunk(BODY)[:10]),
        "cut off in a size": ("wrong", b"2"),
        "more data after the end": ("either", CHUNKS + b"more"),
        "trailers that are not headers": ("either", chunk(BODY) + b"0\r\n\x00\x01\x02\r\n\r\n"),
    }
    for name, (outcome, body) in bodies.items():
        yield Scenario(f"chunks: {name}", outcome, sends(chunked(body)))
    for coding, outcome in {
        "gzip": "wrong",
        "chunked, chunked": "either",
        "identity": "either",
        "nonsense": "wrong",
        "gzip, chunked": "either",
        "chunked, gzip": "wrong",
        "CHUNKED": "right",
    }.items():
        answer = head([JSON, ("Transfer-Encoding", coding)]) + CHUNKS
        yield Scenario(f"transfer coding: {coding}", outcome, sends(answer))  # type: ignore[arg-type] - literals


def _encodings() -> Iterator[Scenario]:
    zipped, deflated = gzip.compress(BODY), zlib.compress(BODY)
    raw = zlib.compressobj(wbits=-15)
    raw_deflated = raw.compress(BODY) + raw.flush()
    bodies: dict[str, tuple[Outcome, str, bytes]] = {
        "gzip": ("right", "gzip", zipped),
        "gzip, upper case": ("right", "GZIP", zipped),
        "gzip, two members": ("wrong", "gzip", zipped + gzip.compress(b"{}")),
        "gzip, cut off": ("wrong", "gzip", zipped[:-12]),
        "gzip, no end": ("either", "gzip", zipped[:-8]),
        "gzip, a wrong checksum": ("wrong", "gzip", zipped[:-8] + bytes(8)),
        "gzip, rubbish after it": ("either", "gzip", zipped + b"rubbish"),
        "gzip that is none": ("wrong", "gzip", BODY),
        "gzip, empty": ("wrong", "gzip", b""),
        "gzip of gzip": ("wrong", "gzip", gzip.compress(zipped)),
        "gzip, named twice": ("wrong", "gzip, gzip", zipped),
        "deflate": ("right", "deflate", deflated),
        "deflate without header": ("right", "deflate", raw_deflated),
        "deflate, cut off": ("wrong", "deflate", deflated[:-12]),
        "deflate that is none": ("wrong", "deflate", BODY),
        "br, which was not requested": (UnexpectedResponseError, "br", BODY),
        "identity": ("right", "identity", BODY),
        "unknown": (UnexpectedResponseError, "rot13", BODY),
        "empty name": ("right", "", BODY),
        "zstd that is none": (UnexpectedResponseError, "zstd", BODY),
    }
    for name, (outcome, encoding, body) in bodies.items():
        yield Scenario(f"encoding: {name}", outcome, sends(encoded(encoding, body)))


def _bodies() -> Iterator[Scenario]:
    unexpected = UnexpectedResponseError
    many_fields = b"".join(b', "f%d": 1' % number for number in range(20_000))
    bodies: dict[str, tuple[Outcome, bytes]] = {
        "empty": (unexpected, b""),
        "white space": (unexpected, b" \r\n\t "),
        "null": (unexpected, b"null"),
        "true": (unexpected, b"true"),
        "a number": (unexpected, b"1"),
        "a string": (unexpected, b'"1"'),
        "an array": (unexpected, b"[" + BODY + b"]"),
        "an empty object": (unexpected, b"{}"),
        "HTML": (unexpected, b"<!doctype html><title>Sign in</title>"),
        "OK": (unexpected, b"OK"),
        "two values": (unexpected, BODY + BODY),
        "a comma too many": (unexpected, b'{"id": "1", "key": "k",}'),
        "cut off": (unexpected, BODY[:-1]),
        "single quotes": (unexpected, b"{'id': '1', 'key': 'k'}"),
        "NaN": (unexpected, b'{"id": "1", "key": "k", "rolloutPercentage": NaN}'),
        "infinity": (unexpected, b'{"id": "1", "key": "k", "rolloutPercentage": Infinity}'),
        "1e999": ("either", b'{"id": "1", "key": "k", "rolloutPercentage": 1e999}'),
        "an integer of 5,000 digits": ("either", b'{"id": "1", "key": "k", "other": %s}' % (b"9" * 5000)),
        "invalid UTF-8": (unexpected, b'{"id": "1", "key": "\xff\xfe"}'),
        "UTF-16": (unexpected, '{"id": "1", "key": "k"}'.encode("utf-16")),
        "a byte order mark": ("either", b"\xef\xbb\xbf" + BODY),
        "a lone surrogate": ("either", b'{"id": "1", "key": "k", "other": "\\ud800"}'),
        "a null byte": (unexpected, b'{"id": "1", "key": "k\x00"}'),
        "an escaped null": ("right", b'{"id": "1", "key": "k", "other": "\\u0000"}'),
        "a key twice": ("right", b'{"id": "2", "key": "x", "id": "1", "key": "k"}'),
        "an ID that is a number": ("right", b'{"id": 1, "key": "k"}'),
        "another ID": (unexpected, b'{"id": "2", "key": "k"}'),
        "an ID that is null": (unexpected, b'{"id": null, "key": "k"}'),
        "an ID that is a list": (unexpected, b'{"id": ["1"], "key": "k"}'),
        "no ID": (unexpected, b'{"key": "k"}'),
        "a key that is a number": (unexpected, b'{"id": "1", "key": 5}'),
        "variants that are an object": (unexpected, b'{"id": "1", "key": "k", "variants": {"on": 1}}'),
        "variants that are null": ("either", b'{"id": "1", "key": "k", "variants": null}'),
        "a percentage of text": (unexpected, b'{"id": "1", "key": "k", "rolloutPercentage": "all"}'),
        "a date of text": (unexpected, b'{"id": "1", "key": "k", "createdAt": "yesterday"}'),
        "200 levels of arrays": ("either", _nested(b"[", b"]", 198)),
        "1,000 levels of arrays": (unexpected, _nested(b"[", b"]", 1000)),
        "300 levels of objects": (unexpected, _nested(b'{"a":', b"}", 300, b"1")),
        "100,000 levels of arrays": (unexpected, _nested(b"[", b"]", 100_000)),
        "100,000 open arrays": (unexpected, b"[" * 100_000),
        "a string of 500,000 characters": ("right", b'{"id": "1", "key": "k", "other": "%s"}' % (b"x" * 500_000)),
        "20,000 unknown fields": ("right", b'{"id": "1", "key": "k"' + many_fields + b"}"),
        "names of attributes": ("right", b'{"id": "1", "key": "k", "__class__": "x", "__dict__": {}, "extra": {}}'),
    }
    for name, (outcome, body) in bodies.items():
        yield Scenario(f"body: {name}", outcome, sends(response(body)))


def _nested(start: bytes, end: bytes, depth: int, inner: bytes = b"") -> bytes:
    return b'{"id": "1", "key": "k", "other": %s}' % (start * depth + inner + end * depth)


def _timing() -> Iterator[Scenario]:
    timeout = APITimeoutError
    yield Scenario("silent", timeout, keeps(b""), hangs=True)
    for name, data in {
        "after the protocol": GOOD[:5],
        "in the status line": GOOD[:12],
        "in the headers": GOOD[:30],
        "after the headers": GOOD[: -len(BODY)],
        "in the body": GOOD[:-1],
        "in a chunk": chunked(chunk(BODY)[:9]),
        "before the last chunk": chunked(chunk(BODY)),
        "in the trailers": chunked(chunk(BODY) + b"0\r\nX-Trailer: 1\r\n"),
        "after 100 Continue": head(status="100 Continue"),
        "after a body without length": head([JSON]) + BODY,
        "in gzip": encoded("gzip", gzip.compress(BODY))[:-4],
    }.items():
        yield Scenario(f"silent {name}", timeout, keeps(data), hangs=True)
    for name, data, size in (
        ("slow: a byte at a time", GOOD, 1),
        ("slow: chunks", chunked(CHUNKS), 1),
        ("slow: empty lines first", b"\r\n" * 200, 2),
        ("slow: endless hints", head(status="103 Early Hints") * 100, 20),
    ):
        yield Scenario(name, timeout, _drips(data, 0.02, size), hangs=True)
    yield Scenario("slow enough", "right", _drips(GOOD, 0.001, 8))
    yield Scenario("closed at once", APIConnectionError, _closes_at_once)
    yield Scenario("reset at once", APIConnectionError, _resets_at_once)
    for name, data in {"closed": b"", "closed in the headers": GOOD[:30], "closed in the body": GOOD[:-1]}.items():
        yield Scenario(name, APIConnectionError, sends(data))
    for name, data in {"reset": b"", "reset in the headers": GOOD[:30], "reset in the body": GOOD[:-1]}.items():
        yield Scenario(name, APIConnectionError, _resets_after(data))


def _drips(data: bytes, seconds: float, size: int) -> Script:
    async def script(connection: RawConnection) -> None:
        if await connection.read_request() is not None:
            await connection.drip(data, seconds, size)

    return script


async def _closes_at_once(connection: RawConnection) -> None:
    connection.close()


async def _resets_at_once(connection: RawConnection) -> None:
    connection.reset()


def _resets_after(data: bytes) -> Script:
    async def script(connection: RawConnection) -> None:
        if await connection.read_request() is not None:
            await connection.send(data)
            await asyncio.sleep(0.005)
            connection.reset()

    return script


def _cookies() -> Iterator[Scenario]:
    for name, cookie in {
        "a cookie": "session=1; Path=/",
        "a cookie for another domain": "session=1; Domain=example.com",
        "a cookie of 4,000 characters": f"session={'c' * 4000}",
        "a cookie with odd characters": 'a b="c;d"; é=1; =x',
        "an invalid cookie": "\x7f\x01;;;===",
    }.items():
        yield Scenario(name, "right", sends(with_header(f"Set-Cookie: {cookie}".encode("latin-1"))))


SCENARIOS = tuple(
    scenario
    for group in (
        _status_lines,
        _statuses,
        _redirects,
        _informational,
        _headers,
        _lengths,
        _chunks,
        _encodings,
        _bodies,
        _timing,
        _cookies,
    )
    for scenario in group()
)
