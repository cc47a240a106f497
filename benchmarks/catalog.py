"""The catalog of all benchmarks, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import (
    awaited_calls,
    blocking_calls,
    bulk_runs,
    encoding,
    growth,
    listing,
    manifests,
    page,
    rate_limiting,
    starting,
)
from .figures import Figure
from .measurement import Size


class Benchmark(NamedTuple):
    """A benchmark.

    Attributes:
        title: what it is about, as a heading.
        run: measures, and yields the figures.
    """

    title: str
    run: Callable[[Size], Iterator[Figure]]


BENCHMARKS: dict[str, Benchmark] = {
    "get": Benchmark("An awaited get, against bare aiohttp", awaited_calls.get),
    "get-httpx": Benchmark("An awaited get, against httpx and pydantic", awaited_calls.get_httpx),
    "request": Benchmark("An awaited request to any endpoint", awaited_calls.request),
    "edit": Benchmark("An awaited edit", awaited_calls.edit),
    "page": Benchmark("A page of flags", page.page),
    "listing": Benchmark("A long list", listing.listing),
    "blocking": Benchmark("A blocking call", blocking_calls.blocking),
    "blocking-bulk": Benchmark("A blocking bulk run", blocking_calls.blocking_bulk),
    "encoding": Benchmark("The body of an edit", encoding.encoding),
    "manifests": Benchmark("Manifests in JSON", manifests.manifests),
    "yaml": Benchmark("Manifests in YAML", manifests.yaml),
    "growth": Benchmark("How cost grows", growth.growth),
    "growth-command": Benchmark("How cost grows in a command", growth.growth_of_commands),
    "bulk-cpu": Benchmark("Bulk runs: CPU", bulk_runs.bulk_cpu),
    "bulk-memory": Benchmark("Bulk runs: memory", bulk_runs.bulk_memory),
    "bulk-limit": Benchmark("Bulk runs at the rate limit", bulk_runs.bulk_limit),
    "bulk-faults": Benchmark("Bulk runs under faults", bulk_runs.bulk_faults),
    "bulk-replace": Benchmark("Bulk runs: requests of a replace", bulk_runs.bulk_replace),
    "rate-limit": Benchmark("Rate limiting", rate_limiting.rate_limit),
    "shared-key": Benchmark("Rate limiting while others use the key", rate_limiting.shared_key),
    "import": Benchmark("Imports", starting.importing),
    "cli": Benchmark("The start of the command line", starting.command_line),
    "pytest": Benchmark("The start of pytest", starting.pytest_start),
}


def run_benchmark(name: str, size: Size) -> list[Figure]:
    """Run a benchmark and return its figures."""
    return list(BENCHMARKS[name].run(size))
