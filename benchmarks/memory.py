"""Peak memory of reading a list of 20,000 flags in pages of 500, compared with a list of 2,000."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from urllib.parse import parse_qs, urlsplit

import orjson
from measuring import Comparison, alternate, arguments, show
from sample import flags
from serving import Service, serving

from amp_exp_async import AsyncExperimentClient

_PAGE_SIZE = 500


class _ListService(Service):
    """A service whose project `2000` has 2,000 flags, and so on."""

    def answer(self, target: str) -> tuple[int, bytes]:
        query = parse_qs(urlsplit(target).query)
        start, total = int(query.get("cursor", ["0"])[0]), int(query["projectId"][0])
        page = flags(_PAGE_SIZE, seed=start)
        cursor = str(start + _PAGE_SIZE) if start + _PAGE_SIZE < total else None
        return 200, orjson.dumps({"flags": page, "nextCursor": cursor})


async def _peak(client: AsyncExperimentClient, total: int) -> float:
    """Return the peak memory of reading a list, in bytes above the level before."""
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    count = 0
    async for _ in client.flags.list(project_id=str(total), limit=_PAGE_SIZE):
        count += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == total
    return float(peak - before)


def main() -> None:
    """Compare the peak memory of a long list with that of a short one."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--flags", type=int, default=20_000, help="length of the long list (default 20000)")
    options = parser.parse_args()
    with serving(_ListService()) as base_url, asyncio.Runner() as runner:
        client = AsyncExperimentClient("benchmark-key", base_url=base_url, rate_limit=None)
        pairs = alternate(
            lambda: runner.run(_peak(client, options.flags)),
            lambda: runner.run(_peak(client, 2_000)),
            options.rounds,
        )
        runner.run(client.aclose())
    name = f"peak memory of a list of {options.flags:,} flags against one of 2,000"
    show(Comparison(name, pairs, "B"), as_json=options.json)


if __name__ == "__main__":
    main()
