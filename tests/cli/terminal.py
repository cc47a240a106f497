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
from tests.polling import TIMEOUT, wait_until

# A job in the background of a shell ignores Ctrl-C, and so would its children.
_CATCH_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
_RUN = f"{_CATCH_CTRL_C}; from amp_exp_async.cli import main; main()"
AMP_EXP = [sys.executable, "-c", _RUN]
# The process leads a session of its own, so that Ctrl-C comes from its terminal. Forking here would copy locks.
_AMP_EXP_ON_TERMINAL = [AMP_EXP[0], "-c", f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {_RUN}"]
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
        stdin: the text on standard input.
        interrupt: when this is true, SIGINT is sent.
    """
    with started(arguments, environment) as process:
        if interrupt is not None:
            wait_until(interrupt)
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
    answers: Mapping[str, str] | None = None,
    interrupt: Condition | None = None,
) -> CommandResult:
    """Run `amp-exp` on a pseudo-terminal. All output is in `out`, without control sequences.

    Args:
        arguments: the command and its options.
        environment: see `environment_of`.
        answers: what is typed when a question is shown, by the question.
        interrupt: when this is true, Ctrl-C is pressed.
    """
    terminal, process_end = pty.openpty()
    with subprocess.Popen(
        [*_AMP_EXP_ON_TERMINAL, *arguments],
        env=environment,
        stdin=process_end,
        stdout=process_end,
        stderr=process_end,
        start_new_session=True,
    ) as process:
        os.close(process_end)
        try:
            output = _watch(terminal, dict(answers or {}), interrupt)
            status = process.wait(TIMEOUT)
        finally:
            process.kill()
            os.close(terminal)
    return CommandResult(status, re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", output).replace("\r\n", "\n"), "")


def _watch(terminal: int, answers: dict[str, str], interrupt: Condition | None) -> str:
    """Type the answers until the other end is closed, and return the output."""
    output, deadline = b"", time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if interrupt is not None and interrupt():
            interrupt = None
            os.write(terminal, _CTRL_C)
        if not select.select([terminal], [], [], 0.01)[0]:
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # on Linux, the other end is closed
            break
        if not chunk:
            break
        output += chunk
        for question in [question for question in answers if question.encode() in output]:
            time.sleep(0.1)  # a hidden prompt discards what was typed before it
            os.write(terminal, answers.pop(question).encode())
    return output.decode(errors="replace")
