"""What must happen when a call meets a fault: a table of rules over the kind of fault and the idempotency of the call.

The rules are written from the documentation of the service and of the library. They do not look at the library's code.
"""

from __future__ import annotations

from attrs import frozen

from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
)
from amp_exp_async.http import Idempotency
from tests.reliability.wire_faults import WireFault
from tests.reliability.world import Call

ATTEMPTS = 3
"""How often the clients of the harness send a request at most."""

_NEVER_REPEATED = (Idempotency.CREATE, Idempotency.NON_IDEMPOTENT)
_FAILURES: dict[str, type[AmpExpError]] = {
    "lost": APIConnectionError,
    "timeout": APITimeoutError,
    "server error": ServerError,
    "unreadable": UnexpectedResponseError,
    "oversized": UnexpectedResponseError,
}
_GATEWAYS = (502, 503, 504)


@frozen
class Expectation:
    """How a call must end.

    Attributes:
        error: the exact class of its error; None for the result that it has without a fault.
        applied: whether the account is as the call makes it; otherwise it is unchanged.
        sends: how often its request arrives.
        cause: the class of the error's cause, if that is fixed.
        is_settled: whether reading back has shown that the call was not carried out.
    """

    error: type[AmpExpError] | None
    applied: bool
    sends: int
    cause: type[AmpExpError] | None = None
    is_settled: bool = False

    @property
    def is_ambiguous(self) -> bool:
        """Whether the error of a write must say that the write may have been applied."""
        return self.error not in (None, RateLimitError, APIStatusError) and not self.is_settled


def expect(call: Call, fault: WireFault, *, always: bool) -> Expectation:
    """Return how a call must end if its first request, or every request, meets a fault."""
    if fault.kind == "harmless":
        return _success(sends=1)
    if fault.kind == "redirected":
        return Expectation(APIStatusError, applied=False, sends=1)
    if fault.kind == "refused":
        return _refused(fault, always=always)
    if fault.kind in ("unreadable", "oversized"):
        return _without_meaning(call, fault, always=always)
    return _ambiguous(call, fault, always=always)


def _success(*, sends: int) -> Expectation:
    return Expectation(None, applied=True, sends=sends)


def _refused(fault: WireFault, *, always: bool) -> Expectation:
    """A 429 means that nothing was done, so anything may be sent again, if there is time to wait."""
    if fault.retry_after is not None:
        return Expectation(RateLimitError, applied=False, sends=1)
    return Expectation(RateLimitError, applied=False, sends=ATTEMPTS) if always else _success(sends=2)


def _without_meaning(call: Call, fault: WireFault, *, always: bool) -> Expectation:
    """A success that cannot be read would come again, so nothing is sent again. A creation is looked for."""
    if call.returned in fault.accepted:
        return _success(sends=1)
    if call.is_read or call.idempotency not in _NEVER_REPEATED:
        return Expectation(UnexpectedResponseError, fault.applied, sends=1)
    return _never_repeated(call, fault, always=always)


def _ambiguous(call: Call, fault: WireFault, *, always: bool) -> Expectation:
    """The service may or may not have done it: what does no harm a second time is sent again."""
    if call.idempotency in _NEVER_REPEATED:
        return _never_repeated(call, fault, always=always)
    return Expectation(_FAILURES[fault.kind], fault.applied, sends=ATTEMPTS) if always else _success(sends=2)


def _never_repeated(call: Call, fault: WireFault, *, always: bool) -> Expectation:
    """A creation is looked for. A removal by index is not, because no reading can tell whether it was done."""
    failure = _FAILURES[fault.kind]
    if call.idempotency is Idempotency.CREATE and not always:
        if fault.applied:
            return _success(sends=1)
        if fault.kind == "server error" and fault.status not in _GATEWAYS:
            return Expectation(failure, applied=False, sends=1, is_settled=True)
    return Expectation(OutcomeUnknownError, fault.applied, sends=1, cause=failure)
