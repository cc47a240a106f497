"""The README tells the truth: its code runs."""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import amp_exp_async
from amp_exp_async import AsyncExperimentClient
from amp_exp_async.emulator import Emulator

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An emulator with what the README speaks of, found through the environment."""
    with Emulator() as emulator:
        emulator.state.add_flag(projectId="123456", key="old-checkout", tags=["checkout"])
        emulator.state.add_experiment(
            id="7890", variants=[{"key": "control"}, {"key": "treatment"}], endDate="2026-01-01"
        )
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        yield emulator


def _run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_async_example(account: Emulator) -> None:
    """The first example creates a flag, edits it, includes users, and tags every flag of the project."""
    (code,) = [block for block in BLOCKS if "asyncio.run" in block]
    _run(code)
    flags = {flag["key"]: flag for flag in account.state.flags}
    assert flags["old-checkout"]["tags"] == ["reviewed"]
    assert flags["new-checkout"]["rolloutPercentage"] == 10
    assert account.state.users("flags", flags["new-checkout"]["id"], "on") == ["user-1", "user-2"]


def test_the_bulk_example(account: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The example of a run edits every flag of the project, adds a user to the one named by key, and has a journal."""
    monkeypatch.chdir(tmp_path)
    account.state.add_flag(projectId="123456", key="new-checkout", variants=[{"key": "on"}])
    (code,) = [block for block in BLOCKS if "client.bulk(operations" in block]
    _run(code)
    flags = {flag["key"]: flag for flag in account.state.flags}
    assert {key: flag["tags"] for key, flag in flags.items()} == {key: ["reviewed"] for key in flags}
    assert account.state.users("flags", flags["new-checkout"]["id"], "on") == ["user-3"]
    assert len((tmp_path / "sync.jsonl").read_text().splitlines()) == 1 + 2 * (len(flags) + 1)


def test_the_example_of_guarded_edits(account: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The example adds addresses to the pilot segment and a tag, turns the flag on, and shows what happened."""
    condition = {"type": "property", "prop": "gp:email", "op": "is", "values": ["Ann@example.com"]}
    pilot = {"name": "Pilot", "conditions": [condition], "percentage": 10, "rolloutWeights": {"on": 1}}
    flag = account.state.add_flag(projectId="123456", key="pilot-checkout", tags=["old"], targetSegments=[pilot])
    (code,) = [block for block in BLOCKS if "guarded_edit" in block]
    _run(code)
    after = account.state.flag(flag["id"])
    assert after["targetSegments"][0]["conditions"][0]["values"] == ["Ann@example.com", "bo@example.com"]
    assert (after["tags"], after["enabled"], after["rolloutPercentage"]) == (["old", "reviewed"], True, 20)
    printed = capsys.readouterr().out
    assert "target_segments['Pilot'].conditions[0].values: +'bo@example.com'" in printed
    assert printed.splitlines()[-1] == "tags: -'reviewed'"


def test_the_blocking_example(account: Emulator) -> None:
    """The example without asyncio edits a variant."""
    (code,) = [block for block in BLOCKS if "client.experiments.variants.edit" in block]
    _run(code)
    variants = account.state.experiment("7890")["variants"]
    assert {"key": "treatment", "payload": {"price": 9}} in variants


def test_the_examples_of_null(account: Emulator) -> None:
    """Sending null takes a field away; leaving it out leaves it alone."""
    (code,) = [block for block in BLOCKS if "end_date=None" in block]
    body = "async def example(client):\n" + textwrap.indent(code, "    ")

    async def run() -> None:
        async with AsyncExperimentClient() as client:
            await _run(body)["example"](client)

    asyncio.run(run())
    experiment = account.state.experiment("7890")
    assert experiment["endDate"] is None
    assert experiment["description"] == "…"


def test_the_example_of_a_users_own_test(experiment_emulator: Emulator) -> None:
    """The test that users are shown passes."""
    (code,) = [block for block in BLOCKS if "def test_my_sync" in block]
    _run(code)["test_my_sync"](experiment_emulator)


def test_every_example_is_run_here() -> None:
    """A block that is added to the README is added to these tests."""
    assert len(BLOCKS) == 6


def test_every_name_in_the_error_table_exists() -> None:
    """The table of errors names the errors that there are."""
    table = README.read_text().split("### Errors")[1].split("##")[0]
    names = set(re.findall(r"`(\w+Error)`", table))
    exported = {name for name in amp_exp_async.__all__ if name.endswith("Error")}
    assert names - exported == {"ValueError", "TimeoutError"}
    assert exported == names - {"ValueError", "TimeoutError"}
