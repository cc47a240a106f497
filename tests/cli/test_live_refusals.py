"""Commands on an account that refuses what the live service refuses: what is sent, and the advice."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import amp_exp_async.cli.connection
from amp_exp_async import ExperimentClient, RetryPolicy
from amp_exp_async.emulator import ApiKey, Emulator, Fault
from tests.cli.cli_result import RunCommand, writes

CONDITION_WITHOUT_VALUES = (
    '{"name": "a", "conditions": [{"type": "property", "prop": "p", "op": "is", "values": []}], "percentage": 1, '
    '"rollout_weights": {"on": 1}}'
)
PYTHON = re.compile(r"\b\w+(\.\w+)*\(|\bclient\.|\bun-archive|bucketing_unit|attrs\.")


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """The live service's emulator with the deployment 1001 `web`; flag 1002 `shop` uses it, experiment 1003 does not.

    The key `restricted` is of a user without any permission.
    """
    with Emulator(strictness="live", keys={"restricted": ApiKey(scopes=[])}) as emulator:
        deployment = emulator.state.add_deployment(label="web")["id"]
        emulator.state.add_flag(key="shop", deployments=[deployment])
        emulator.state.add_experiment(key="price")
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        without_backoff = functools.partial(ExperimentClient, retry=RetryPolicy(backoff_base=0.0))
        monkeypatch.setattr(amp_exp_async, "ExperimentClient", without_backoff)
        yield emulator


REFUSED: dict[str, tuple[list[str], int, str]] = {
    "no flag with this ID": (["flags", "get", "99"], 2, "pass --by-key"),
    "no variant": (["users", "add", "shop", "x", "--file", "-", "--yes"], 2, "Its variants: on."),
    "no deployment": (["experiments", "enable", "price"], 2, "Add a deployment first."),
    "a deployment in use": (
        ["deployments", "edit", "1001", "--archive", "--yes"],
        1,
        "from all flags and experiments that use it, or archive them. Assigned to it: flag 1002 (shop).",
    ),
    "no group type": (["flags", "edit", "shop", "--bucketing-unit", "Person"], 1, "in the project as bucketing unit"),
    "an incomplete segment": (
        ["flags", "edit", "shop", "--set", 'target_segments=[{"name": "a", "conditions": [], "percentage": 1}]'],
        2,
        "rollout_weights",
    ),
    "a condition without values": (
        ["flags", "edit", "shop", "--set", f"target_segments=[{CONDITION_WITHOUT_VALUES}]"],
        2,
        "values",
    ),
    "a value in the wrong case": (["flags", "edit", "shop", "--set", 'evaluation_mode="Remote"'], 2, '"remote"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal(live: Emulator, amp_exp: RunCommand, case: str) -> None:
    """The error is one line that says what to do, in words of the command line."""
    arguments, status, advice = REFUSED[case]
    result = amp_exp(*arguments, stdin="u1\n")
    assert (result.status, result.err.count("\n")) == (status, 1), result.err
    assert advice in result.err
    assert PYTHON.search(result.err) is None
    assert [request.path for request in live.requests if request.method != "GET" and request.status == 200] == []


@pytest.mark.parametrize("arguments", [["flags", "get", "shop"], ["flags", "enable", "1002"]], ids=" ".join)
def test_a_missing_permission(
    live: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Lists work, other commands name the permission and whose it is."""
    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "restricted")
    assert amp_exp("flags", "list").status == 0
    result = amp_exp(*arguments)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert '"experimentation" is missing. It is the permission of the user who created the key' in result.err
    assert writes(live) == []


@pytest.mark.parametrize(("kind", "key"), [("flags", "shop"), ("experiments", "price")])
def test_journey_of_a_flag(live: Emulator, amp_exp: RunCommand, kind: str, key: str, tmp_path: Path) -> None:
    """Commands send what the service accepts: `archive` alone, and nothing else while a flag is archived."""
    file = tmp_path / "flags.yaml"
    file.write_text(f'project_id: "1"\n{kind}:\n- key: {key}\n  deployments: [web]\n')
    assert amp_exp("apply", file, "--yes").status == 0
    for command in (
        [kind, "enable", key],
        [kind, "edit", key, "--name", "new", "--disabled", "--add-tag", "a"],
        [kind, "archive", key, "--yes"],
        [kind, "archive", key, "--yes"],
    ):
        result = amp_exp(*command)
        assert (result.status, result.err) == (0, "")
    assert amp_exp(kind, "enable", key).status == 2
    assert amp_exp(kind, "restore", key).status == 0
    result = amp_exp(kind, "restore-version", key, "1", "--yes")
    assert result.status == 0
    bodies = [request.body for request in live.requests if request.method == "PATCH"]
    assert bodies[:2] == [{"enabled": True}, {"name": "new", "enabled": False, "tags": ["a"]}]
    assert bodies[2:4] == [{"archive": True}, {"archive": False}]
    assert all(request.status == 200 for request in live.requests)


def test_repeated_archiving(live: Emulator, amp_exp: RunCommand) -> None:
    """A command whose response was lost reports what happened."""
    live.inject(Fault.close(applied=True), method="PATCH")
    result = amp_exp("flags", "archive", "shop", "--yes")
    assert (result.status, result.err) == (0, "")
    assert live.state.flag("1002")["deleted"]
