"""The log of requests."""

from datetime import datetime
from typing import Any

from attrs import define, field

from amp_exp_async.emulator.faults import Fault


@define(eq=False)
class RecordedRequest:
    """One request that arrived. It is logged on arrival; the last four fields are known later."""

    method: str
    path: str
    """As it came over the wire, percent-encoded, without the query."""
    query: dict[str, str]
    headers: dict[str, str]
    """With lower-case names; the value of `authorization` is masked."""
    authorized: bool
    """Whether the key is known."""
    received: datetime
    """The emulator's clock at arrival."""
    monotonic: float
    """Seconds of `time.monotonic` at arrival."""
    body: Any = field(default=None)
    """Parsed JSON; a text if it is none; `None` without a body."""
    status: int | None = field(default=None)
    """The status that was answered; `None` while there is no answer, or if the connection was closed without one."""
    fault: Fault | None = field(default=None)
    """The fault that struck this request."""
    applied: bool = field(default=False)
    """Whether a change was made."""
