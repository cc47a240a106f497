"""Faults on demand: what goes wrong, and with which requests."""

import threading
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Final, Literal

import orjson
from attrs import define, field, frozen

_JSON: Final = "application/json; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"


@frozen
class Fault:
    """One way in which a request goes wrong; made by the class methods.

    `applied` tells whether the request's change is made nevertheless, before the fault shows.
    """

    kind: Literal["status", "close", "truncate", "delay", "invalid_json", "redirect"]
    applied: bool = False
    code: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    content_type: str = _JSON
    seconds: float = 0.0

    @classmethod
    def status(
        cls,
        status: int,
        *,
        retry_after: float | str | None = None,
        body: Any = None,
        applied: bool = False,
        content_type: str | None = None,
    ) -> "Fault":
        """Answer this status.

        `retry_after` is seconds or the text of a date. `body` is a text or bytes sent as they are (as `text/plain`
        unless `content_type` says otherwise), or anything else, sent as JSON; left out, it is an error object.
        """
        headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
        plain = isinstance(body, str | bytes)
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = orjson.dumps({"error": f"Status {status}, on demand"} if body is None else body)
        content_type = content_type or (_TEXT if plain else _JSON)
        return cls("status", applied, status, headers, body, content_type)

    @classmethod
    def close(cls, *, applied: bool = False) -> "Fault":
        """Close the connection without any reply."""
        return cls("close", applied)

    @classmethod
    def truncate(cls, *, applied: bool = True) -> "Fault":
        """Send half of the reply that its Content-Length announces, and close the connection."""
        return cls("truncate", applied)

    @classmethod
    def delay(cls, seconds: float, *, applied: bool = True) -> "Fault":
        """Answer as usual, but so many seconds later; the change is made before the delay, or after it."""
        return cls("delay", applied, seconds=seconds)

    @classmethod
    def invalid_json(cls) -> "Fault":
        """Make the change and answer 200 with a JSON text that is cut off."""
        return cls("invalid_json", applied=True, body=b'{"flags": [{"id": "10')

    @classmethod
    def redirect(cls, location: str, *, status: int = 302) -> "Fault":
        """Send the client elsewhere; nothing is changed."""
        return cls("redirect", code=status, headers=(("Location", location),), content_type=_TEXT)


@define(eq=False)
class _Rule:
    fault: Fault
    method: str | None
    path: str | None
    nth: int
    times: int | None
    probability: float
    seen: int = 0
    struck: int = 0

    def strikes(self, method: str, path: str, random: Random) -> bool:
        """Count the request if it is one of the rule's, and tell whether it is struck."""
        if self.method not in (None, method) or not (self.path is None or fnmatchcase(path, self.path)):
            return False
        self.seen += 1
        if self.seen < self.nth:
            return False
        # Without a share nothing is drawn, so that such a rule leaves what others draw alone.
        if self.probability < 1 and random.random() >= self.probability:
            return False
        self.struck += 1
        return True


@define
class Faults:
    """The faults that are waiting for their requests."""

    _random: Random
    _rules: list[_Rule] = field(factory=list[_Rule])
    _lock: threading.Lock = field(factory=threading.Lock)  # tests add rules from another thread

    def add(
        self, fault: Fault, *, method: str | None, path: str | None, nth: int, times: int | None, probability: float
    ) -> None:
        """Let the fault strike matching requests from the nth on, this share of them, until it has struck so often."""
        if not isinstance(fault, Fault):  # pyright: ignore[reportUnnecessaryIsInstance] - tests are seldom type checked
            raise TypeError(f"a fault is made by Fault.status(...) and its like, not {fault!r}")
        if nth < 1 or (times is not None and times < 1):
            raise ValueError(f"nth and times count from 1, not nth={nth}, times={times}")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must be a number from 0 to 1, not {probability!r}")
        if probability != 1 and nth != 1:
            raise ValueError(f"nth and probability exclude each other, not nth={nth}, probability={probability!r}")
        with self._lock:
            # The log's paths have the prefix.
            glob = path.removeprefix("/api/1") if path is not None else None
            self._rules.append(
                _Rule(fault, method.upper() if method is not None else None, glob, nth, times, probability)
            )

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._rules.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request: of several, the one that was added first."""
        with self._lock:
            struck = [rule for rule in self._rules if rule.strikes(method, path, self._random)]
            for rule in struck:
                if rule.struck == rule.times:
                    self._rules.remove(rule)
        return struck[0].fault if struck else None
