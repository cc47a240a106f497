"""Errors about arguments of the library, in the words of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand, writes

MESSAGES = [
    (
        "log --since 1d --until 2026-01-01",
        'must be before --until (2026-01-01 00:00 UTC), got "1d". Nothing was sent.',
    ),
    ("log --since 2999-01-01", "--since: must be before now ("),
    ("log --until 2026-01-01", 'must be before --until (2026-01-01 00:00 UTC), got "7d".'),
    ("holdouts create --project-id 1 --name a --percentage 0", "--percentage: must be "),
    ("holdouts create --project-id 1 --name a --percentage 5 --member x --member x", "--member: must "),
    ("holdouts edit {holdout} --include=", "--include: must "),
    ("holdouts edit {holdout} --exclude=", "--exclude: must "),
    ("mutexes create --project-id 1 --name a --slot 50 --slot 40", "--slot: must have percentages "),
    ("mutexes create --project-id 1 --name a --slot 101", "--slot: must "),
    ("mutexes edit-slot {mutex} 1 --individual=", "--individual: must "),
    ("mutexes edit-slot {mutex} 1 --holdout=", "--holdout: must "),
    ("variants edit 1001 on --weight -1", "--weight: must be a number "),
    ("variants edit 1001 on --new-key off", '--new-key: must not be "off"'),
    ("variants create 1001 off", 'VARIANT: must not be "off"'),
    ("flags edit 1001 --set deleted=true", "deleted cannot be set. Use the commands archive and restore. Nothing was"),
    ("flags edit 1001 --set deployments=[]", "Use the commands deployments add and deployments remove. Nothing was"),
    ("flags edit 1001 --set rollout_weights={{}}", "Use the commands variants edit --weight. Nothing was sent."),
    (
        "experiments edit 9 --set parent_dependencies=[]",
        "Use the commands mutexes edit-slot and holdouts edit. Nothing",
    ),
    ("flags edit 1001 --set variants=[]", "Use the commands variants create, variants edit and variants remove."),
    ("flags create a --project-id 1 --variant off=1", '--variant: must not be "off"'),
    ("flags create a --project-id 1 --variant a.b", "--variant: must "),
    ("flags create a --project-id 1 --deployment=", "--deployment: must "),
    ("flags create a/b --project-id 1", "KEY: must "),
    ("flags edit 1001 --add-tag=", "--add-tag: must "),
    ("users add 1001 on --file {many} --yes", "--file {many}: must contain at most 2000 IDs"),
    ("users replace 1001 on --file {many} --yes", "--file {many}: must contain at most 2000 IDs"),
    ("segments add-values 1001 s gp:email --file {quoted}", '{quoted}, line 1: "\\"a\\"" '),
    (
        "experiments roll-out price treatment --everyone --reason r",
        "the experiment is disabled and has no deployment. Nothing was written. Add one with: amp-exp deployments add",
    ),
    (
        "flags list --base-url http://example.com",
        "would send the key unencrypted. Use https. Only on a trusted network, pass --allow-insecure-http instead.",
    ),
]


@pytest.mark.parametrize(("line", "message"), MESSAGES, ids=[line for line, _ in MESSAGES])
def test_options_instead_of_arguments(
    account: Emulator, amp_exp: RunCommand, tmp_path: Path, line: str, message: str
) -> None:
    """A message names the option, the argument or the file of the command line, and shows the rejected value."""
    account.state.add_experiment(key="price", enabled=False, deployments=[])
    names = {"mutex": account.state.add_mutex(key="offers")["id"], "holdout": account.state.add_holdout(key="q4")["id"]}
    names |= {name: str(tmp_path / f"{name}.txt") for name in ("many", "quoted")}
    Path(names["many"]).write_text("\n".join(f"u{number}" for number in range(2500)))
    Path(names["quoted"]).write_text('"a"\n')
    result = amp_exp(*line.format(**names).split())
    assert (result.status, message.format(**names) in result.err) == (2, True), result.err
    words = (
        result.err.replace(str(tmp_path), "")
        .replace("rollout_weights cannot", "")
        .replace("parent_dependencies cannot", "")
    )
    assert not re.search(r"\b[a-z]+(_[a-z]+)+\b|=True|datetime|(deployments|variants)\.", words), result.err
    assert writes(account) == []


def test_an_empty_name(account: Emulator, amp_exp: RunCommand) -> None:
    """A name that cannot be looked up is called what the help page calls it."""
    assert amp_exp("flags", "get", "").err == "ID or key: must not be empty. Nothing was sent.\n"
    assert account.requests == []
