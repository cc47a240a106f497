"""What a process tells Redis, and what it hears."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

FRESH = 1.0
"""Seconds for which a part may be spent without asking again. So long others' pauses may go unheard."""

KEPT = 4.0
"""Seconds for which Redis keeps a part for a process of which it hears nothing: as long as it may be spent, until what
was sent last has arrived, within reason, and the service's second after that."""


@frozen(kw_only=True)
class Ask:
    """A process's question.

    Attributes:
        client: who asks.
        number: counts its questions: one that was held up on its way must not undo a later one.
        per_second: the limit of a second.
        per_day: the limit of a day; 0 for none.
        demand: permits that it could use.
        keep: permits that it may be using, and goes on using until it hears the answer.
        day: the UTC day, counted from 1970, that the next three are of.
        returned: requests that were counted for it, and that it will not send.
        owed: requests that it has sent without their being counted.
        holding: requests that are counted for it, and that it may yet send.
        wanted: how many more it would like to be counted.
        seen: the least that the day's count must be, should Redis have lost it.
        pause: milliseconds for which nothing may be sent; 0 for no news.
        day_pause: the same because of the day's limit.
    """

    client: str
    number: int
    per_second: int
    per_day: int
    demand: int
    keep: int
    day: int
    returned: int
    owed: int
    holding: int
    wanted: int
    seen: int
    pause: int
    day_pause: int

    def arguments(self) -> list[str | int]:
        """In the script's order."""
        return [
            self.client,
            self.number,
            int(KEPT * 1000),
            self.per_second,
            self.per_day,
            self.demand,
            self.keep,
            self.day,
            self.returned,
            self.owed,
            self.holding,
            self.wanted,
            self.seen,
            self.pause,
            self.day_pause,
        ]


@frozen
class Answer:
    """The answer.

    Attributes:
        part: permits that the process may use.
        interval: milliseconds after which it pays to ask again.
        day: the present UTC day, by Redis's clock.
        counted: requests of that day that are counted for the process, beyond what it is holding.
        used: requests of that day that are counted, for all processes.
        spent: milliseconds to the day's end, when its limit is used up; else 0.
        pause: milliseconds for which nothing may be sent.
        day_pause: the same because of the day's limit.
    """

    part: int
    interval: int
    day: int
    counted: int
    used: int
    spent: int
    pause: int
    day_pause: int


class Accounts(Protocol):
    """Where the questions go."""

    @property
    def where(self) -> str:
        """The place, for people."""
        ...

    async def exchange(self, ask: Ask) -> Answer:
        """Ask. Whatever it raises, there is no answer."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...
