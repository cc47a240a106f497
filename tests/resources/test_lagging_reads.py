"""Reads can lag behind writes: a guarded edit reads again before it reports a conflict."""

from __future__ import annotations

import json
from typing import Any

import attrs

from amp_exp_async import AsyncExperimentClient, EditConflictError, Flag
from tests.virtual_time import Answer, ScriptedSession, outcome, run


def answer(**fields: Any) -> Answer:
    """Return a response with the flag."""
    return Answer(body=json.dumps({"id": "1", "key": "k", "tags": [], "targetSegments": [], **fields}).encode())


OLD, NEW, THEIRS = answer(name="old"), answer(name="new"), answer(name="theirs")


def edit(*verifying: Answer) -> tuple[Any, float, Any]:
    """Return the result of a guarded edit of the name with these last reads, its duration, and what was sent."""
    session: Any = ScriptedSession([OLD, OLD, Answer(body=b"OK"), *verifying])

    async def send() -> Any:
        async with AsyncExperimentClient(
            "key", base_url="http://localhost", session=session, rate_limit=None
        ) as client:  # type: ignore[arg-type]
            return await outcome(client.flags.guarded_edit("1", lambda flag: attrs.evolve(flag, name="new")))

    result, seconds = run(send())
    return result, seconds, session


def test_a_read_that_shows_the_write_is_the_last() -> None:
    """Without lag, four requests are sent without a wait."""
    result, seconds, session = edit(NEW)
    assert isinstance(result, Flag)
    assert (result.name, seconds) == ("new", 0)
    assert [method for _, method in session.sent] == ["GET", "GET", "PATCH", "GET"]


def test_reads_that_lag() -> None:
    """The flag is read again until it shows what was written, whatever it showed before."""
    for lagging in ([OLD], [OLD, OLD, OLD], [THEIRS, OLD]):
        result, seconds, session = edit(*lagging, NEW)
        assert isinstance(result, Flag)
        assert result.name == "new"
        assert 0 < seconds < 2
        assert [method for _, method in session.sent].count("PATCH") == 1


def test_a_write_that_was_overwritten() -> None:
    """After two seconds of reads, the conflict is reported with the last value."""
    result, seconds, _ = edit(THEIRS)
    assert isinstance(result, EditConflictError)
    assert (result.written, result.theirs) == (True, "theirs")
    assert abs(seconds - 2) < 0.001
