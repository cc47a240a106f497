"""The command `python -m tests.reliability.report`, which runs both forms of the tests and writes the figures.

It runs pytest without `-m "not slow"`, and reads the figures from its JUnit report. If all tests have passed, it
replaces a section of docs/reliability.md, or with `--print`, prints the section. Other arguments are pytest's.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.reliability.figures import PREFIX

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- The lines up to the next comment are written by `python -m tests.reliability.report`. -->"
END = "<!-- End of the generated lines. -->"


def run_tests(arguments: Iterable[str], junit: Path) -> int:
    """Run all tests of the harness, those marked `slow` too, and return pytest's exit status."""
    # Much of the time is waiting, so more processes than cores are of use. Some tests take as long as a hundred others.
    command = [sys.executable, "-m", "pytest", "-m", "", "-n4", "--dist=worksteal", "tests/reliability"]
    command += [f"--junitxml={junit}", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def read_figures(junit: Path) -> dict[str, dict[str, float]]:
    """Return the figures in a JUnit report: by area, and by name, with those of all tests combined."""
    areas: dict[str, dict[str, float]] = {}
    for item in ET.parse(junit).iter("property"):
        name, value = item.get("name", ""), item.get("value", "")
        if name.startswith(PREFIX):
            combine, area, figure = name.removeprefix(PREFIX).split(":", 2)
            figures = areas.setdefault(area, {})
            if combine == "max":
                figure = f"highest {figure}"
                figures[figure] = max(float(value), figures.get(figure, float("-inf")))
            else:
                figures[figure] = figures.get(figure, 0) + float(value)
    return areas


def render(areas: Mapping[str, Mapping[str, float]], seconds: float, when: datetime) -> str:
    """Return the generated section."""
    about = (
        f"Measured on {when:%Y-%m-%d} in {seconds / 60:.0f} minutes, with amp_exp_async {version('amp_exp_async')},\n"
        f"{platform.python_implementation()} {platform.python_version()} and aiohttp {version('aiohttp')}, "
        f"on {platform.system()} {platform.machine()} with {os.cpu_count()} cores."
    )
    rows = [
        f"| {area if index == 0 else ''} | {name} | {value:,.10g} |"
        for area, figures in sorted(areas.items())
        for index, (name, value) in enumerate(figures.items())
    ]
    return "\n".join([BEGIN, "", about, "", "| area | figure | |", "|---|---|--:|", *rows, "", END])


def replace_section(page: str, section: str) -> str:
    """Return a page with another generated section.

    Raises:
        ValueError: If the page has no such section.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no generated section")
    return before + section + after


def main(arguments: list[str]) -> int:
    """Run the tests and write the report. Return the exit status."""
    prints = "--print" in arguments
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        status = run_tests([argument for argument in arguments if argument != "--print"], junit)
        if status:
            return status
        section = render(read_figures(junit), time.monotonic() - started, datetime.now(UTC))
    if prints:
        sys.stdout.write(f"{section}\n")
    else:
        PAGE.write_text(replace_section(PAGE.read_text(), section))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
