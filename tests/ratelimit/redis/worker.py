"""A process of its own with a client that shares its limit. It prints what it has sent, as JSON.

It takes its orders as JSON: base_url, key, redis, limit, at_once, seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from amp_exp_async import AmpExpError, AsyncExperimentClient, RedisRateLimit


async def work(orders: dict[str, Any]) -> dict[str, Any]:
    """As many requests as the limit lets through."""
    done = failed = 0
    longest = 0.0
    client = AsyncExperimentClient(
        orders["key"],
        base_url=orders["base_url"],
        rate_limit=RedisRateLimit(orders["redis"], **orders["limit"]),
        max_concurrency=orders["at_once"],
        deadline=orders.get("deadline", 30.0),
    )

    async def one_by_one() -> None:
        nonlocal done, failed, longest
        while not failed:
            started = time.monotonic()
            try:
                await client.flags.get("1")
            except AmpExpError:
                failed += 1
            else:
                done += 1
                longest = max(longest, time.monotonic() - started)

    async with client:
        tasks = [asyncio.create_task(one_by_one()) for _ in range(orders["at_once"])]
        await asyncio.wait(tasks, timeout=orders["seconds"])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return {
            "done": done,
            "failed": failed,
            "longest": longest,
            "requests": client.usage.requests,
            "requests_today": client.usage.requests_today,
            "rate_limited": client.usage.rate_limited,
        }


if __name__ == "__main__":
    print("ready", flush=True)  # noqa: T201 - that is how it speaks
    print(json.dumps(asyncio.run(work(json.loads(sys.stdin.readline())))), flush=True)  # noqa: T201
