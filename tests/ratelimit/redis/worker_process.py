"""A process with one client that shares its limit and sends as many requests as the limit allows.

It reads its settings as one line of JSON, prints "started" after the first response, and prints a report as JSON when
it reads another line. Then it reads other settings, until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from amp_exp_async import AsyncExperimentClient, RedisRateLimit
from tests.ratelimit.redis.moved_clock import use_clock_with_offset


async def run(settings: dict[str, Any]) -> dict[str, int]:
    """Send requests until a line can be read, and return the report."""
    if settings["moved_clock"]:
        use_clock_with_offset()
    client = AsyncExperimentClient(
        settings["key"],
        base_url=settings["base_url"],
        rate_limit=RedisRateLimit(settings["redis"], **settings["limit"]),
        max_concurrency=settings["concurrency"],
    )
    done = 0

    async def send_repeatedly() -> None:
        nonlocal done
        while True:
            await client.flags.get("1")
            done += 1
            if done == 1:
                print("started", flush=True)  # noqa: T201 - the protocol

    async with client:
        tasks = [asyncio.create_task(send_repeatedly()) for _ in range(settings["concurrency"])]
        await asyncio.to_thread(sys.stdin.readline)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        failed = sum(not isinstance(result, asyncio.CancelledError) for result in results)
        return {"done": done, "failed": failed, "requests_today": client.usage.requests_today}


if __name__ == "__main__":
    print("ready", flush=True)  # noqa: T201 - the protocol
    while line := sys.stdin.readline():
        print(json.dumps(asyncio.run(run(json.loads(line)))), flush=True)  # noqa: T201
