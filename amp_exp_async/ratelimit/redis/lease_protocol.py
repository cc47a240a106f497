"""The messages between a lease client and the store of the leases."""

from __future__ import annotations

from typing import Protocol, cast

from attrs import frozen

from amp_exp_async.ratelimit.window import SECONDS_PER_DAY

_DAY = SECONDS_PER_DAY * 1000
_MAX_INTERVAL = 3000  # milliseconds
_MAX_COUNT = 10**15  # more than any count, day or time in milliseconds


class LeaseStoreError(Exception):
    """The store is unavailable. The message is the reason, and shows nothing of what the store has said."""


@frozen(kw_only=True)
class LeaseRequest:
    """The report of a client. All times are in milliseconds.

    Attributes:
        client: the id of the client.
        sequence: a number that grows with each request, so that a late request does not undo a newer one.
        acknowledged: the sequence of the last request that got a response, if the store must still know it; else 0.
        elapsed: the time since that request.
        epoch: the epoch of the last response; 0 if there was none.
        lease_expiry: the time after which the permits of a silent client are given to others.
        settling_time: the time after the start of an epoch in which no client gets more permits than it has.
        per_second: the limit per second.
        per_day: the limit per day; 0 for none.
        wants: the number of permits that it can use.
        has: the number of permits that it may be using, and goes on to use until it gets the response.
        day: the UTC day, counted from 1970, that the next five numbers refer to.
        released: the requests that were reserved and will not be sent.
        debt: the requests that were sent without a reservation.
        unused: the requests that are reserved and may still be sent.
        reserve: the requests to reserve in addition.
        min_used: the minimum of the requests of the day, in case the store has lost their number.
        pause: the time in which nothing may be sent; 0 for no news.
        day_pause: the same because the limit of the day is reached.
    """

    client: str
    sequence: int
    acknowledged: int
    elapsed: int
    epoch: int
    lease_expiry: int
    settling_time: int
    per_second: int
    per_day: int
    wants: int
    has: int
    day: int
    released: int
    debt: int
    unused: int
    reserve: int
    min_used: int
    pause: int
    day_pause: int

    def to_args(self) -> list[str | int]:
        """Return the arguments of the script, in its order."""
        return [
            self.client,
            self.sequence,
            self.acknowledged,
            self.elapsed,
            self.epoch,
            self.lease_expiry,
            self.settling_time,
            self.per_second,
            self.per_day,
            self.wants,
            self.has,
            self.day,
            self.released,
            self.debt,
            self.unused,
            self.reserve,
            self.min_used,
            self.pause,
            self.day_pause,
        ]


@frozen(kw_only=True)
class LeaseResponse:
    """The part of the permits that a client gets. All times are in milliseconds.

    Attributes:
        capacity: the number of permits that it may use.
        interval: the time until another refresh may bring more.
        epoch: identifies the time since which the store knows all leases.
        day: the current UTC day by the clock of the store, counted from 1970.
        reserved: the requests of that day that are reserved for it, without those that it reported as unused.
        used: the requests of that day of all processes, reserved ones included.
        exhausted_for: the time to the end of the day if its limit is reached; else 0.
        pause: the time in which nothing may be sent.
        day_pause: the same because the limit of the day is reached.
    """

    capacity: int
    interval: int
    epoch: int
    day: int
    reserved: int
    used: int
    exhausted_for: int
    pause: int
    day_pause: int


def parse_response(values: object, request: LeaseRequest) -> LeaseResponse:
    """Return the response to a request from the array that the script returns.

    Raises:
        LeaseStoreError: If the array does not consist of the right number of integers in their ranges.
    """
    bounds = {
        "capacity": (0, request.per_second),
        "interval": (1, _MAX_INTERVAL),
        "epoch": (1, _MAX_COUNT),
        "day": (0, _MAX_COUNT),
        "reserved": (0, request.reserve),
        "used": (0, _MAX_COUNT),
        "exhausted_for": (0, _DAY),
        "pause": (0, _DAY),
        "day_pause": (0, _DAY),
    }
    items = cast("list[object]", values) if isinstance(values, list) else []
    integers = [item for item in items if type(item) is int]
    if not len(items) == len(integers) == len(bounds):
        raise LeaseStoreError("unexpected response")
    if not all(low <= number <= high for number, (low, high) in zip(integers, bounds.values(), strict=True)):
        raise LeaseStoreError("unexpected response")
    return LeaseResponse(**dict(zip(bounds, integers, strict=True)))


class LeaseStore(Protocol):
    """The place where leases are kept."""

    @property
    def location(self) -> str:
        """The place, for messages."""
        ...

    async def refresh(self, request: LeaseRequest) -> LeaseResponse:
        """Refresh a lease.

        Raises:
            LeaseStoreError: If the store is unavailable.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
