"""Tags that have outlived their use. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date

from amp_exp_async.manifests.parse import problem_at
from amp_exp_async.manifests.spec import FlagConfigSpec
from amp_exp_async.models import UNSET

from .finding import Found, Whole

_DATE = re.compile(r"(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)")
_QUARTER = re.compile(r"(?<!\d)(?:(\d{4})-[qQ]([1-4])|(?<![a-zA-Z])[qQ]([1-4])-(\d{4}))(?!\d)")
_LAST_DAYS = {"1": (3, 31), "2": (6, 30), "3": (9, 30), "4": (12, 31)}
_BEGINNING = re.compile(r"(?<![a-z])(?:since|from|created|added|started|launched|released)(?![a-z])", re.IGNORECASE)


def stale_tag(whole: Whole) -> Found:
    """Tags with a date that has passed, and tags that only archived flags carry."""
    today = whole.now.astimezone(UTC).date()
    for toggle in whole.live:
        for at, tag in enumerate(toggle.tags or ()):
            last = _last_day(tag)
            if last is not None and last < today:
                why = f"{tag!r} was until {last}, which has passed: do what it reminds of, or take it off"
                yield toggle, problem_at(toggle, f"tags[{at}]", why)
    yield from _only_archived(whole)


def _last_day(tag: str) -> date | None:
    """The last day that a tag names; None if it names none, or says that something began then."""
    days = [] if _BEGINNING.search(tag) else list(_days(tag))
    return max(days, default=None)


def _days(tag: str) -> Iterator[date]:
    for year, quarter, first, last in _QUARTER.findall(tag):
        with suppress(ValueError):  # there is no year 0
            yield date(int(year or last), *_LAST_DAYS[quarter or first])
    for day in _DATE.findall(tag):
        with suppress(ValueError):  # 2026-02-30 is no date
            yield date(*map(int, day))


def _only_archived(whole: Whole) -> Found:
    """Each tag once, where it is first."""
    carried: dict[tuple[object, str], list[tuple[FlagConfigSpec, int]]] = {}
    for toggle in whole.toggles:
        for at, tag in enumerate(toggle.tags or ()) if toggle.archived else ():
            carried.setdefault((toggle.project_id, tag), []).append((toggle, at))
    # One that does not say its project may be of any; one that does not say its tags may carry any.
    in_use = {(toggle.project_id, tag) for toggle in whole.live for tag in toggle.tags or ()}
    unsaid = {toggle.project_id for toggle in whole.live if toggle.tags is UNSET}
    for (project_id, tag), places in carried.items():
        near = {project_id, UNSET}
        if project_id is UNSET:
            near |= {toggle.project_id for toggle in whole.live}
        if near & unsaid or any((one, tag) in in_use for one in near):
            continue
        toggle, at = places[0]
        many = "1 archived" if len(places) == 1 else f"{len(places)} archived"
        why = f"only what is archived carries {tag!r} ({many}): take it off, unless you look for archived flags by it"
        yield toggle, problem_at(toggle, f"tags[{at}]", why)
