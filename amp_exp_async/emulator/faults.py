"""Faults, and the requests that they apply to."""

import threading
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Final, Literal

from attrs import define, field, frozen

from amp_exp_async.emulator import json_text
from amp_exp_async.emulator.documents import format_json
from amp_exp_async.emulator.routes import PREFIX

_JSON_UTF8: Final = "application/json; charset=utf-8"
_TEXT_UTF8: Final = "text/plain; charset=utf-8"


@frozen
class Fault:
    """One way in which a request can fail; created by the class methods.

    `applied` tells whether the request changes the state before the fault.
    """

    kind: Literal["status", "close", "truncate", "delay", "invalid_json", "redirect"]
    applied: bool = False
    code: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    content_type: str = _JSON_UTF8
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
        """Respond with this status.

        `retry_after` is in seconds, or a date as text. Text or bytes as `body` are sent unchanged (as `text/plain`
        unless `content_type` is set), other values as JSON; the default is an error object.
        """
        headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
        is_text = isinstance(body, str | bytes)
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json_text.dumps({"error": f"Injected fault: status {status}"} if body is None else body)
        content_type = content_type or (_TEXT_UTF8 if is_text else _JSON_UTF8)
        return cls("status", applied, status, headers, body, content_type)

    @classmethod
    def close(cls, *, applied: bool = False) -> "Fault":
        """Close the connection without a response."""
        return cls("close", applied)

    @classmethod
    def truncate(cls, *, applied: bool = True) -> "Fault":
        """Send half of the response's body, and close the connection."""
        return cls("truncate", applied)

    @classmethod
    def delay(cls, seconds: float, *, applied: bool = True) -> "Fault":
        """Send the usual response later; the state changes before or after the delay."""
        return cls("delay", applied, seconds=seconds)

    @classmethod
    def invalid_json(cls) -> "Fault":
        """Change the state, and respond with status 200 and truncated JSON."""
        return cls("invalid_json", applied=True, body=b'{"flags": [{"id": "10')

    @classmethod
    def redirect(cls, location: str, *, status: int = 302) -> "Fault":
        """Redirect the client to another URL; the state does not change."""
        return cls("redirect", code=status, headers=(("Location", location),), content_type=_TEXT_UTF8)


@define(eq=False)
class _Rule:
    fault: Fault
    method: str | None
    path: str | None
    nth: int
    times: int | None
    probability: float
    matched: int = 0
    injected: int = 0

    def injects(self, method: str, path: str, random: Random) -> bool:
        """Count a matching request, and return whether it gets the fault."""
        if self.method not in (None, method) or not (self.path is None or fnmatchcase(path, self.path)):
            return False
        self.matched += 1
        if self.matched < self.nth:
            return False
        # A rule without a probability must not draw a number, which would change the choices of the others.
        if self.probability < 1 and random.random() >= self.probability:
            return False
        self.injected += 1
        return True


@define
class Faults:
    """The faults that can still occur."""

    _random: Random
    _rules: list[_Rule] = field(factory=list[_Rule])
    _lock: threading.Lock = field(factory=threading.Lock)  # tests add rules from another thread

    def add(
        self, fault: Fault, *, method: str | None, path: str | None, nth: int, times: int | None, probability: float
    ) -> None:
        """Inject the fault into matching requests, as `Emulator.inject` documents."""
        if not isinstance(fault, Fault):  # pyright: ignore[reportUnnecessaryIsInstance] - tests are often not typed
            raise TypeError(f"fault must be a Fault, such as Fault.status(503), not {format_json(fault)}")
        if nth < 1 or (times is not None and times < 1):
            raise ValueError(f"nth and times count from 1, not nth={nth}, times={format_json(times)}")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must be a number from 0 to 1, not {format_json(probability)}")
        if probability != 1 and nth != 1:
            raise ValueError(f"nth and probability exclude each other, not nth={nth}, probability={probability}")
        with self._lock:
            # Paths are compared without the prefix.
            glob = path.removeprefix(PREFIX) if path is not None else None
            self._rules.append(
                _Rule(fault, method.upper() if method is not None else None, glob, nth, times, probability)
            )

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._rules.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault of this request; if several match, the one that was added first."""
        with self._lock:
            rules = [rule for rule in self._rules if rule.injects(method, path, self._random)]
            for rule in rules:
                if rule.injected == rule.times:
                    self._rules.remove(rule)
        return rules[0].fault if rules else None
