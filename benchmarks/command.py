"""The command `python -m benchmarks`."""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from .catalog import BENCHMARKS, run_benchmark
from .environment import describe_environment
from .figures import Figure
from .measurement import Size
from .report import format_row, is_page, write_charts, write_json, write_page


def main(arguments: list[str] | None = None) -> None:
    """Run the selected benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the library costs.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure: {', '.join(BENCHMARKS)}")
    parser.add_argument("--size", choices=[size.value for size in Size], default=Size.FULL.value)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--charts", type=Path, metavar="DIR", help="write a chart of each benchmark to a folder")
    parser.add_argument("--page", type=Path, metavar="FILE", help="replace the generated section of a Markdown page")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}. There are: {', '.join(BENCHMARKS)}")
    if options.page is not None and not is_page(options.page):
        parser.error(f"{options.page} has no generated section")
    environment = describe_environment()
    for name, text in environment.items():
        print(f"{name}: {text}")
    figures: dict[str, list[Figure]] = {}
    for name in options.names or BENCHMARKS:
        figures[name] = _run_alone(name, Size(options.size))
        print(f"\n{BENCHMARKS[name].title} ({name})")
        for figure in figures[name]:
            print("  " + format_row(figure), flush=True)
    if options.json is not None:
        write_json(options.json, environment, figures)
    charts = {} if options.charts is None else write_charts(options.charts, figures)
    if options.page is not None:
        write_page(options.page, environment, figures, charts)


def _run_alone(name: str, size: Size) -> list[Figure]:
    """Run a benchmark in its own process, so that the garbage of one does not slow down the next."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        return executor.submit(run_benchmark, name, size).result()
