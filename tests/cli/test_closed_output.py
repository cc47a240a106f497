"""Output that cannot be written: of pages that are shown before any command runs, and of commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.terminal import AMP_EXP, environment_of
from tests.crossing import long_form
from tests.polling import TIMEOUT

TEXTS = (
    "--help",
    "--version",
    "--show-completion bash",
    "--show-completion zsh",
    "flags",
    "flags --help",
    "flags list --help",
    "config path",
    "flags list",
    "flags list --json",
)
SHORT = ("--help", "--show-completion bash", "flags", "flags list --json")
FULL = Path("/dev/full")


def run(account: Emulator, arguments: str, stdout: int, **others: str) -> tuple[int, str]:
    """Return the exit status and standard error of a command with this standard output."""
    result = subprocess.run(
        [*AMP_EXP, *arguments.split()],
        env=environment_of(account, **others),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    return result.returncode, result.stderr


@pytest.mark.parametrize("arguments", long_form(TEXTS, short=SHORT))
def test_closed_pipe(account: Emulator, arguments: str) -> None:
    """If the reader of the output is gone, the status is 0, and nothing is said."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run(account, arguments, writer) == (0, "")
    finally:
        os.close(writer)


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", long_form(TEXTS, short=SHORT))
def test_full_disk(account: Emulator, arguments: str) -> None:
    """If the disk is full, the error is one line, and the status says so."""
    with FULL.open("wb") as full:
        status, err = run(account, arguments, full.fileno())
    assert (status, err.count("\n")) == (1, 1), err
    assert "No space left on device." in err


def test_completion(account: Emulator) -> None:
    """A TAB whose reader is gone prints no traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    request = {"_AMP_EXP_COMPLETE": "complete_bash", "COMP_WORDS": "amp-exp fl", "COMP_CWORD": "1"}
    try:
        assert run(account, "", writer, **request) == (0, "")
    finally:
        os.close(writer)
