"""The command `python -m benchmarks`."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from .catalog import BENCHMARKS, run_benchmark
from .environment import describe_environment
from .figures import Figure
from .measurement import Size


def main(arguments: list[str] | None = None) -> None:
    """Run the selected benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the library costs.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure: {', '.join(BENCHMARKS)}")
    parser.add_argument("--size", choices=[size.value for size in Size], default=Size.FULL.value)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}. There are: {', '.join(BENCHMARKS)}")
    environment = describe_environment()
    for name, text in environment.items():
        print(f"{name}: {text}")
    figures: dict[str, list[Figure]] = {}
    for name in options.names or BENCHMARKS:
        figures[name] = _run_alone(name, Size(options.size))
        print(f"\n{BENCHMARKS[name].title} ({name})")
        for figure in figures[name]:
            print("  " + _format_row(figure), flush=True)
    if options.json is not None:
        rows = [{"benchmark": name, **figure.as_dict()} for name, group in figures.items() for figure in group]
        document = {"environment": environment, "figures": rows}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _run_alone(name: str, size: Size) -> list[Figure]:
    """Run a benchmark in its own process, so that the garbage of one does not slow down the next."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        return executor.submit(run_benchmark, name, size).result()


def _format_row(figure: Figure) -> str:
    cells = figure.texts()
    details = {"middle half": "", "by wall clock": "by wall clock ", "ours": "ours ", "baseline": "baseline "}
    text = ", ".join(f"{label}{cells[name]}" for name, label in details.items() if cells[name])
    return f"{cells['what']}: {cells['median']} {cells['measured as']}" + (f" [{text}]" if text else "")


if __name__ == "__main__":
    sys.exit(main())
