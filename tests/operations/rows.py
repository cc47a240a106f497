"""A row of the tables of operations: how one is called, what goes over the wire, what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from attrs import field, frozen

from tests.operations.recording import Canned

WILD = "a/b c?d#e&f=g+h%2Fü"
WILD_ENCODED = "a%2Fb%20c%3Fd%23e%26f%3Dg%2Bh%252F%C3%BC"


@frozen
class Call:
    """A method of a client, by its dotted name, and its arguments."""

    method: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __call__(self, client: Any) -> Any:
        """Call it on either client."""
        return attrgetter(self.method)(client)(*self.args, **self.kwargs)


def call(method: str, *args: Any, **kwargs: Any) -> Call:
    """A call, written like one."""
    return Call(method, args, kwargs)


@frozen
class Row:
    """One call of one operation. `path` stands after the API's prefix; without a `body` none is sent."""

    operation: str
    """The contract's word for it; additional rows have a note besides."""
    call: Call
    method: str
    path: str
    query: Mapping[str, str] = field(factory=dict[str, str])
    body: Any = None
    reply: Any = "OK"
    result: Any = None
    note: str = ""
    beta: bool = False
    """Whether it is an operation of the Beta API, which has clients of its own and no prefix."""

    @property
    def section(self) -> str:
        """The part of the client that it is called on, such as `flags`."""
        return self.call.method.partition(".")[0]

    @property
    def canned(self) -> Canned:
        """What the server answers."""
        return Canned(self.reply)

    def __str__(self) -> str:
        return f"{'beta-' * self.beta}{self.section}-{self.operation}{self.note and f' ({self.note})'}".replace(
            " ", "-"
        )
