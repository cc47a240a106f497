"""The generated account of the demo."""

from __future__ import annotations

from typing import Any

from amp_exp_async.cli.demo_account import EXPERIMENT_COUNT, FLAG_COUNT, make_account
from amp_exp_async.emulator import Emulator

ACCOUNT = make_account()


def all_flags() -> list[dict[str, Any]]:
    return [*ACCOUNT["flags"], *ACCOUNT["experiments"]]


def test_counts() -> None:
    """The account has this number of distinct flags and experiments."""
    assert (len(ACCOUNT["flags"]), len(ACCOUNT["experiments"])) == (FLAG_COUNT, EXPERIMENT_COUNT) == (271, 128)
    for kind in ("flags", "experiments"):
        assert len({flag["key"] for flag in ACCOUNT[kind]}) == len(ACCOUNT[kind])
    assert len({flag["id"] for flag in all_flags()}) == FLAG_COUNT + EXPERIMENT_COUNT


def test_seed() -> None:
    """The same seed gives the same account, and another seed another one."""
    assert make_account() == ACCOUNT
    assert make_account(seed=2) != ACCOUNT


def test_valid_for_the_service() -> None:
    """The service would accept all of it."""
    deployments = {deployment["id"]: deployment["projectId"] for deployment in ACCOUNT["deployments"]}
    for flag in all_flags():
        keys = {variant["key"] for variant in flag["variants"]}
        assert keys
        assert "off" not in keys
        assert flag["deployments"] or not flag["enabled"]
        assert {deployments[id] for id in flag["deployments"]} == {flag["projectId"]}
        assert flag["rolloutWeights"].keys() == keys
        for segment in flag["targetSegments"]:
            assert segment["rolloutWeights"].keys() == keys
            assert all(condition["values"] for condition in segment["conditions"])


def test_variety() -> None:
    """The account has several projects, segments, payloads, archived flags, and names in other scripts."""
    flags = all_flags()
    assert len({flag["projectId"] for flag in flags}) > 2
    assert any(flag["deleted"] for flag in flags)
    assert any(len(flag["targetSegments"]) > 1 for flag in flags)
    assert any("payload" in variant for flag in flags for variant in flag["variants"])
    assert any(not flag["name"].isascii() for flag in flags)
    assert {experiment["decision"] for experiment in ACCOUNT["experiments"]} >= {None, "rollout", "rollback"}


def test_the_emulator_loads_it() -> None:
    """It is a state of the emulator."""
    assert len(Emulator(ACCOUNT).state.flags) == FLAG_COUNT
