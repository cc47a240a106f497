"""`amp-exp variants`: requests, output and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand, writes


@pytest.fixture(params=["flag", "experiment"])
def target(request: pytest.FixtureRequest, account: Emulator) -> tuple[str, str]:
    """The noun and the key of a flag or an experiment with the variants `on` and `b`."""
    add = account.state.add_flag if request.param == "flag" else account.state.add_experiment
    add(id="7", key="banner", variants=[{"key": "on", "payload": {"n": 1}}, {"key": "b"}])
    account.requests.clear()
    return request.param, "banner"


def variants(account: Emulator, noun: str) -> dict[str, Any]:
    """Return the stored variants by key."""
    flag = (account.state.flag if noun == "flag" else account.state.experiment)("7")
    return {variant["key"]: variant for variant in flag["variants"]}


@pytest.mark.usefixtures("target")
def test_list_and_get(account: Emulator, amp_exp: RunCommand) -> None:
    """A name may be that of a flag or of an experiment, by ID or by key."""
    assert [line.split("\t")[0] for line in amp_exp("variants", "list", "banner").out.splitlines()] == [
        "key",
        "on",
        "b",
    ]
    assert amp_exp("variants", "get", "7", "on", "--json").json["payload"] == {"n": 1}
    assert 'payload: {"n": 1}' in amp_exp("variants", "get", "banner", "on").out
    assert writes(account) == []


def test_create_edit_and_remove(account: Emulator, amp_exp: RunCommand, target: tuple[str, str]) -> None:
    """Each command shows its change, sends it once, and changes nothing in a dry run."""
    noun, key = target
    create = ("variants", "create", key, "blue", "--payload", '{"colour": "blue"}', "--weight", "2")
    assert 'payload: (none) -> {"colour": "blue"}' in amp_exp(*create, "--dry-run").out
    assert "blue" not in variants(account, noun)
    assert amp_exp(*create).status == 0
    assert variants(account, noun)["blue"]["payload"] == {"colour": "blue"}

    result = amp_exp("variants", "edit", key, "blue", "--name", "Blue", "--weight", "3", "--json").json
    assert result["changes"][0]["differences"]["rollout_weight"] == {"before": 2, "after": 3}
    assert amp_exp("variants", "edit", key, "blue", "--name", "Blue").out.endswith("nothing to change\n")
    assert amp_exp("variants", "edit", key, "blue", "--new-key", "navy").status == 0
    assert variants(account, noun)["navy"]["name"] == "Blue"

    refused = amp_exp("variants", "remove", key, "navy")
    assert (refused.status, "Pass --yes" in refused.err) == (2, True)
    assert amp_exp("variants", "remove", key, "navy", "--yes").status == 0
    assert "navy" not in variants(account, noun)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edit", "banner", "on"], "no change given"),
        (["edit", "banner", "nope", "--weight", "1"], 'has no variant "nope". Its variants: on, b.'),
        (["get", "gone", "on"], 'no flag or experiment with key "gone"'),
        (["get", "99", "on"], "no flag or experiment with ID 99. If 99 is a key, pass --by-key."),
        (["create", "banner", "x", "--payload", "blue"], f"--payload '{json.dumps('blue')}'"),
        (["create", "banner", "off"], "must not be"),
        (["create", "banner", "a b"], "must consist of letters"),
    ],
)
@pytest.mark.usefixtures("target")
def test_mistakes(account: Emulator, amp_exp: RunCommand, arguments: list[str], message: str) -> None:
    """The error is one line, and nothing is written."""
    result = amp_exp("variants", *arguments)
    assert (result.status, message in result.err, result.err.count("\n")) == (2, True, 1), result.err
    assert writes(account) == []


def test_a_key_of_a_flag_and_an_experiment(account: Emulator, amp_exp: RunCommand) -> None:
    """If a key stands for two objects, the error names both; the project or the ID decides."""
    account.state.add_flag(id="8", key="twice", projectId="1")
    account.state.add_experiment(id="9", key="twice", projectId="2")
    result = amp_exp("variants", "list", "twice")
    assert (result.status, "1 (flag 8), 2 (experiment 9)" in result.err) == (2, True), result.err
    assert amp_exp("variants", "list", "twice", "--project-id", "2", "--json").json[0]["key"] == "control"


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
@pytest.mark.parametrize("status", [400, 403, 409])
def test_a_refusal(account: Emulator, amp_exp: RunCommand, method: str, status: int) -> None:
    """A write that the service refuses has failed; its outcome is not unknown."""
    account.inject(Fault.status(status), method=method, times=None)
    command = {
        "POST": ("create", "new-checkout", "blue"),
        "DELETE": ("remove", "new-checkout", "on", "--yes"),
        "PATCH": ("edit", "new-checkout", "on", "--name", "On"),
    }[method]
    result = amp_exp("variants", *command, "--json")
    assert (result.status, result.json["changes"][0]["state"]) == (1, "failed")
