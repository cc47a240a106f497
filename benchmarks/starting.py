"""The start of programs: imports, the command line, and pytest with the plugin. All with bytecode."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from .figures import Figure, ratio, seconds
from .measurement import Size, Timing, alternate

_IMPORT = """\
import time
cpu, wall = time.process_time(), time.perf_counter()
{}
print(time.process_time() - cpu, time.perf_counter() - wall)
"""
_RUN = """\
import resource, subprocess, sys, time
wall = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, time.perf_counter() - wall)
"""
_AMP_EXP = (sys.executable, "-c", "from amp_exp_async.cli import main; main()")
_TAB = {"_AMP_EXP_COMPLETE": "complete_bash", "COMP_WORDS": "amp-exp fl", "COMP_CWORD": "1"}
_PLUGIN = "amp_exp_async.emulator.pytest_plugin"


def importing(size: Size) -> Iterator[Figure]:
    """Measure imports in new interpreters, without the start of the interpreter, against `import aiohttp`."""
    imports = {
        "import amp_exp_async": "import amp_exp_async",
        "import of AsyncExperimentClient": "from amp_exp_async import AsyncExperimentClient",
        "import of ExperimentClient": "from amp_exp_async import ExperimentClient",
        "import of Flag": "from amp_exp_async import Flag",
        "import of all names": "from amp_exp_async import *",
    }
    environment = _environment()
    for what, statement in list(imports.items())[: size.pick(1, 5, 5)]:
        ours, baseline = partial(_import, statement, environment), partial(_import, "import aiohttp", environment)
        yield ratio(what, "import aiohttp", alternate(ours, baseline, size.pick(1, 7, 21)))


def command_line(size: Size) -> Iterator[Figure]:
    """Measure commands that send no request, with the start of the interpreter, which is the last row."""
    commands: dict[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
        "amp-exp --help": ((*_AMP_EXP, "--help"), {}),
        "a TAB after amp-exp fl": (_AMP_EXP, _TAB),
        "amp-exp flags list --help": ((*_AMP_EXP, "flags", "list", "--help"), {}),
        "amp-exp --version": ((*_AMP_EXP, "--version"), {}),
        "Python alone": ((sys.executable, "-c", "pass"), {}),
    }
    environment = _environment()
    for what, (command, variables) in list(commands.items())[: size.pick(2, 5, 5)]:
        # The first run writes the bytecode.
        _run(command, environment | variables)
        yield seconds(what, [_run(command, environment | variables) for _ in range(size.pick(1, 5, 15))])


def pytest_start(size: Size) -> Iterator[Figure]:
    """Measure the start of pytest with the plugin, against one without it."""
    pytest = (sys.executable, "-m", "pytest", "--markers", "-p", "no:cacheprovider")
    environment = _environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ours, baseline = partial(_run, (*pytest, "-p", _PLUGIN), environment), partial(_run, pytest, environment)
    yield ratio("start of pytest with the plugin", "pytest without it", alternate(ours, baseline, size.pick(1, 5, 15)))


def _environment() -> dict[str, str]:
    """Return an environment in which modules are loaded from bytecode, once they were imported before."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"PYTHONPATH": str(Path(__file__).parents[1])}


def _import(statement: str, environment: Mapping[str, str]) -> Timing:
    return _timing((sys.executable, "-c", _IMPORT.format(statement)), environment)


def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> Timing:
    return _timing((sys.executable, "-c", _RUN, *command), environment)


def _timing(command: tuple[str, ...], environment: Mapping[str, str]) -> Timing:
    # In a folder without settings of pytest.
    cwd = tempfile.gettempdir()
    result = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=True, timeout=120)
    cpu, wall = result.stdout.split()
    return Timing(float(cpu), float(wall))
