"""The benchmarks run, and report figures. What they measure is not asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.catalog import BENCHMARKS, run_benchmark
from benchmarks.measurement import Size


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs(name: str) -> None:
    """Each benchmark yields figures with all cells that they need, which are numbers."""
    figures = run_benchmark(name, Size.TINY)
    assert figures
    for figure in figures:
        assert all(figure.texts()[column] for column in ("what", "measured as", "median"))
        json.dumps(figure.as_dict(), allow_nan=False)


def test_the_command_writes_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The selected benchmarks are printed, and written as JSON with the machine and the versions."""
    file = tmp_path / "figures.json"
    main(["encoding", "--size", "tiny", "--json", str(file)])
    document = json.loads(file.read_text(encoding="utf-8"))
    assert "The body of an edit" in capsys.readouterr().out
    assert {figure["benchmark"] for figure in document["figures"]} == {"encoding"}
    assert set(document["environment"]) >= {"date", "processor", "Python", "packages"}


def test_an_unknown_name_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists the names that exist."""
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "no benchmark nonsense. There are: get" in capsys.readouterr().err
