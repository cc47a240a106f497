"""`amp-exp` in a process of its own, with pipes or on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import amp_exp_async
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import CommandResult
from tests.sync.timeouts import TIMEOUT, until

AMP_EXP = [sys.executable, "-c", "from amp_exp_async.cli import main; main()"]
# On a new session's first terminal, which Ctrl-C then comes from. Forking here would copy locks of other threads.
_ON_A_TERMINAL = [AMP_EXP[0], "-c", f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {AMP_EXP[2]}"]
_ROOT = str(Path(amp_exp_async.__file__).parent.parent)
_CTRL_C = b"\x03"

Condition = Callable[[], object]


def environment_of(emulator: Emulator, **others: str) -> dict[str, str]:
    """Return the environment of a process that finds the library and this account; empty variables count as unset."""
    ours = {
        "PYTHONPATH": _ROOT,
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "120",
        "TERM": "xterm",
        "AMPLITUDE_MANAGEMENT_API_KEY": emulator.api_key,
        "AMPLITUDE_EXPERIMENT_BASE_URL": emulator.base_url,
    }
    return os.environ | ours | others


def run_piped(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: str = "",
    interrupt: Condition | None = None,
) -> CommandResult:
    """Run `amp-exp` without a terminal.

    Args:
        arguments: the command and its options.
        environment: see `environment_of`.
        stdin: what it reads from standard input.
        interrupt: sends it SIGINT once this is true.
    """
    with started(arguments, environment) as process:
        if interrupt is not None:
            until(interrupt)
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(stdin, timeout=TIMEOUT)
    return CommandResult(process.returncode, out, err)


@contextmanager
def started(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run `amp-exp` with pipes for the duration of the block."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*AMP_EXP, *arguments], env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run_on_terminal(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    typed: Mapping[str, str] | None = None,
    interrupt: Condition | None = None,
) -> CommandResult:
    """Run `amp-exp` on a pseudo-terminal. All it shows is `out`, without the terminal's control sequences.

    Args:
        arguments: the command and its options.
        environment: see `environment_of`.
        typed: each text is typed once its question is shown.
        interrupt: Ctrl-C is pressed once this is true.
    """
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        [*_ON_A_TERMINAL, *arguments],
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            shown = _watch(terminal, dict(typed or {}), interrupt)
            status = process.wait(TIMEOUT)
        finally:
            process.kill()
            os.close(terminal)
    return CommandResult(status, re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown).replace("\r\n", "\n"), "")


def _watch(terminal: int, waiting: dict[str, str], interrupt: Condition | None) -> str:
    """Type the answers until the other end is closed, and return what was shown."""
    shown, end = b"", time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        if interrupt is not None and interrupt():
            interrupt = None
            os.write(terminal, _CTRL_C)
        if not select.select([terminal], [], [], 0.01)[0]:
            continue
        try:
            read = os.read(terminal, 65536)
        except OSError:  # Linux says so of a terminal whose other end is closed
            break
        if not read:
            break
        shown += read
        for question in [question for question in waiting if question.encode() in shown]:
            time.sleep(0.1)  # a hidden question throws away what was typed before it
            os.write(terminal, waiting.pop(question).encode())
    return shown.decode(errors="replace")
