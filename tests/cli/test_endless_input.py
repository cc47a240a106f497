"""Input that does not end: the command ends, and sends nothing."""

from __future__ import annotations

import sys

import pytest

from amp_exp_async.cli import streams
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand
from tests.cli.terminal import environment_of
from tests.cli.test_end_to_end_flags import run_in_shell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="devices of POSIX")


@pytest.mark.parametrize(
    "command", ["users add 1001 on --yes --file -", "apply --yes -", "api POST /flags --yes --json-body -"]
)
def test_standard_input(account: Emulator, command: str) -> None:
    """Standard input is read up to a limit."""
    result = run_in_shell(f"amp-exp {command} < /dev/zero", environment_of(account))
    expected = "standard input: cannot be read (more than 64 MiB). Nothing was sent. Pass a file instead.\n"
    assert (result.status, result.err, account.requests) == (2, expected, [])


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("api POST /flags --yes --json-body /dev/zero", "--json-body /dev/zero: cannot be read (more than 1 MiB)."),
        ("flags list --api-key-file /dev/zero", "--api-key-file contains white space or a character"),
        ("flags list", "/dev/zero: cannot be read (more than 1 MiB)."),
    ],
)
def test_devices(
    account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, command: str, problem: str
) -> None:
    """A body, a key and the configuration file are read up to a limit."""
    monkeypatch.setattr(streams, "MAX_BYTES", 1 << 20)
    if command == "flags list":
        monkeypatch.setenv("AMP_EXP_CONFIG_FILE", "/dev/zero")
    result = amp_exp(*command.split())
    assert (result.status, account.requests) == (2, [])
    assert result.err.startswith(problem)
