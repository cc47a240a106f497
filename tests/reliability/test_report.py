"""The report has the figures of all tests, and goes into a section of the documentation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.reliability.figures import Figures
from tests.reliability.report import BEGIN, END, PAGE, read_figures, render, replace_section

SUITE = """<testsuites><testsuite>
<testcase name="a"><properties>
  <property name="figure:sum:Fault matrix:cells" value="900" />
  <property name="figure:max:Fault matrix:growth, MiB" value="1.5" />
  <property name="something else" value="1" />
</properties></testcase>
<testcase name="b"><properties>
  <property name="figure:sum:Fault matrix:cells" value="200" />
  <property name="figure:max:Fault matrix:growth, MiB" value="-2" />
  <property name="figure:sum:Endurance:requests" value="7" />
</properties></testcase>
</testsuite></testsuites>"""


def test_figures_of_several_tests(tmp_path: Path) -> None:
    """Counts are added up, and of peaks the highest is shown."""
    junit = tmp_path / "junit.xml"
    junit.write_text(SUITE)
    areas = read_figures(junit)
    assert areas == {"Fault matrix": {"cells": 1100, "highest growth, MiB": 1.5}, "Endurance": {"requests": 7}}
    lines = render(areas, 150, datetime(2026, 11, 26, tzinfo=UTC)).splitlines()
    assert lines[2].startswith("Measured on 2026-11-26 in 2 minutes, with amp_exp_async ")
    assert lines[-5:-2] == [
        "| Endurance | requests | 7 |",
        "| Fault matrix | cells | 1,100 |",
        "|  | highest growth, MiB | 1.5 |",
    ]


def test_what_a_test_records() -> None:
    """Each figure is a property of the test, with its area."""
    recorded: list[tuple[str, object]] = []
    figures = Figures(lambda name, value: recorded.append((name, value)), "Area")
    figures.count("cells")
    figures.count("cells", 3)
    figures.peak("growth", 1.5)
    assert recorded == [
        ("figure:sum:Area:cells", 1),
        ("figure:sum:Area:cells", 3),
        ("figure:max:Area:growth", 1.5),
    ]


def test_the_section_is_replaced() -> None:
    """The rest of the page stays; a page without such a section is rejected."""
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replace_section(page, f"{BEGIN}\nnew\n{END}") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="no generated section"):
        replace_section("before", "new")


def test_the_page_has_the_section() -> None:
    """The documentation has a section for the figures."""
    page = PAGE.read_text()
    assert replace_section(page, f"{BEGIN}\n{END}").count(BEGIN) == 1
