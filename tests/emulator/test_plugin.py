"""The pytest plugin."""

import os
import subprocess
import sys
from pathlib import Path

import amp_exp_async.emulator.pytest_plugin as plugin
from amp_exp_async.emulator import Emulator

TESTS = """
import json
import urllib.request

import pytest


def get(emulator):
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    request = urllib.request.Request(f"{emulator.base_url}/api/1/flags", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


@pytest.mark.parametrize("number", [1, 2])
def test_blocking(experiment_emulator, number):
    assert get(experiment_emulator) == {"flags": []}
    experiment_emulator.state.add_flag(key="x")
    assert len(get(experiment_emulator)["flags"]) == 1


@pytest.mark.asyncio
async def test_async(experiment_emulator):
    assert get(experiment_emulator) == {"flags": []}
"""


def test_the_fixture_in_another_project(tmp_path: Path) -> None:
    """Each test gets an empty emulator, in blocking and async tests, with warnings as errors."""
    (tmp_path / "test_project.py").write_text(TESTS)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    options = ["-q", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:cacheprovider"]
    plugins = ["-p", plugin.__name__, "-p", "pytest_asyncio.plugin"]
    command = [sys.executable, "-m", "pytest", *options, *plugins, str(tmp_path)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout


def test_the_fixture_here(experiment_emulator: Emulator) -> None:
    """The emulator is running, with an empty state and log."""
    assert experiment_emulator.base_url.startswith("http://127.0.0.1:")
    assert experiment_emulator.state.flags == []
    assert experiment_emulator.requests == []


def test_the_entry_point_names_the_plugin() -> None:
    """The project's entry point is the plugin's module."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'amp_exp_async = "{plugin.__name__}"' in text
