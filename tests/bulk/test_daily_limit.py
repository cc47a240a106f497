"""A run that uses up the daily request limit."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AsyncExperimentClient, Edit, RateLimit, RateLimitError
from amp_exp_async.emulator import Emulator
from tests.bulk.emulator_snapshot import finished_edits
from tests.bulk.test_early_exit import MAX_CONCURRENCY, assert_idle


@pytest.mark.parametrize("count", [1, 30])
@pytest.mark.parametrize("limited_by", ["service", "limiter"])
async def test_the_daily_limit_is_used_up(count: int, limited_by: str, tmp_path: Path) -> None:
    """At the daily limit, finished outcomes stay, the rest is skipped, and the run raises the reason.

    On the next day, a rerun with the same journal completes the rest.
    """
    async with Emulator(per_second=None, per_day=count if limited_by == "service" else None) as emulator:
        operations = [Edit("flags", emulator.state.add_flag()["id"], {"name": "done"}) for _ in range(100)]
        limit = RateLimit(per_second=None, per_day=count if limited_by == "limiter" else None)
        options: dict[str, Any] = {"base_url": emulator.base_url, "max_concurrency": MAX_CONCURRENCY}
        async with AsyncExperimentClient(emulator.api_key, rate_limit=limit, **options) as client:
            run, outcomes = client.bulk(operations, journal=tmp_path / "journal"), []
            reading = aiter(run)
            with pytest.raises(RateLimitError) as caught:  # noqa: PT012 - collects the outcomes before it
                while True:
                    outcomes.append(await anext(reading))
            assert caught.value.daily
            statuses = [outcome.status for outcome in outcomes]
            assert statuses.count("done") == len(finished_edits(emulator)) == count
            assert statuses.count("skipped") == len(statuses) - count == run.summary.not_started > 0
            assert all(isinstance(o.error, RateLimitError) and o.error.daily for o in outcomes if o.status == "skipped")
            await run.aclose()
            assert_idle(client)
        if count == 1:
            return
        emulator.reset()
        for day in range(4 if limited_by == "service" else 1):
            emulator.clock = partial(datetime, 2040, 1, 1 + day, tzinfo=UTC)
            async with AsyncExperimentClient(emulator.api_key, rate_limit=None, **options) as client:
                with contextlib.suppress(RateLimitError):
                    await client.bulk(operations, journal=tmp_path / "journal")
        applied = [request.path for request in emulator.requests if request.applied]
        assert len(applied) == len(set(applied)) == 70
        assert len(finished_edits(emulator)) == 100
