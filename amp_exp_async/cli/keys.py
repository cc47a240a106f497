"""Where the management API key comes from: a file, a command, the environment, or a hidden prompt."""

from __future__ import annotations

import shlex
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import typer
from attrs import field, frozen

import amp_exp_async

from .errors import describe_os_error
from .options import KEY_VARIABLE

_COMMAND_SECONDS = 60.0  # it may ask for a fingerprint or a password
_MAX_BYTES = 65_536  # a key has some dozens


@frozen
class KeySource:
    """A place that the key comes from.

    Attributes:
        name: the place, for messages.
        read: returns the key.
        is_command: whether a command prints it, which may ask for a password.
    """

    name: str
    read: Callable[[], str] = field(repr=False)
    is_command: bool = False


def file_source(name: str, file: Path) -> KeySource:
    """Return the source of a key in a file, which must hold nothing else."""
    return KeySource(name, lambda: _read_file(name, file))


def command_source(name: str, command: str | Sequence[str]) -> KeySource:
    """Return the source of a key that a command prints. No shell runs it: a string is split as a shell splits words."""
    return KeySource(name, lambda: _run(name, command), is_command=True)


def prompt_source() -> KeySource:
    """Return the source of a key that the user types."""
    return KeySource("prompt", lambda: typer.prompt("Management API key (input is hidden)", hide_input=True, err=True))


def no_key_error(profiles: Iterable[str]) -> amp_exp_async.ConfigurationError:
    """Return the error for a missing key.

    Args:
        profiles: the profiles that could be chosen.
    """
    names = ", ".join(profiles)
    profile = f", or choose a profile with --profile ({names})" if names else ""
    return amp_exp_async.ConfigurationError(
        f"no management API key: set {KEY_VARIABLE}, or pass --api-key-file{profile}. "
        "Create a key in Amplitude under Experiment > Management API."
    )


def _read_file(name: str, file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return _only_word(f"{name} {file}: file", stream.read(_MAX_BYTES))
    except (OSError, UnicodeDecodeError) as error:
        raise amp_exp_async.ConfigurationError(
            f"{name} {file}: cannot be read ({describe_os_error(error)})."
        ) from error


def _only_word(subject: str, content: bytes) -> str:
    words = content.decode("utf-8-sig").split()
    if len(words) != 1:
        fact = "contains more than one word" if words else "is empty"
        raise amp_exp_async.ConfigurationError(f"{subject} {fact}. It must contain the management API key only.")
    return words[0]


def _run(name: str, command: str | Sequence[str]) -> str:
    """Return the output of a command. Its errors and its questions go to the terminal; it cannot read stdin."""
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise amp_exp_async.ConfigurationError(f"{name}: cannot be split into words ({error}).") from None
    if not words:
        raise amp_exp_async.ConfigurationError(f"{name}: contains no command.")
    try:
        # Unbuffered, so that the stream can be closed while a thread still waits for a grandchild's output.
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603 - the user's own command
    except OSError as error:
        raise amp_exp_async.ConfigurationError(
            f"{name}: cannot be run ({describe_os_error(error)}). No shell runs it: give the program and its arguments."
        ) from error
    with process:
        output = _read_output(process)
        if output is None:
            raise amp_exp_async.ConfigurationError(f"{name}: printed no key within {_COMMAND_SECONDS:.0f} s.")
        if process.wait():
            raise amp_exp_async.ConfigurationError(f"{name}: failed with exit status {process.returncode}.")
    try:
        return _only_word(f"{name}: output", output)
    except UnicodeDecodeError:
        raise amp_exp_async.ConfigurationError(f"{name}: output is not UTF-8 text.") from None


def _read_output(process: subprocess.Popen[bytes]) -> bytes | None:
    """Return what a process prints until it ends; None, and a killed process, if it takes too long or prints on."""
    output = bytearray()
    stream = process.stdout

    def read() -> None:
        while stream is not None and len(output) < _MAX_BYTES and (chunk := stream.read(_MAX_BYTES)):
            output.extend(chunk)

    reader = threading.Thread(target=read, name="amp-exp api_key_command", daemon=True)
    reader.start()
    reader.join(_COMMAND_SECONDS)
    if reader.is_alive() or len(output) >= _MAX_BYTES:
        process.kill()
        return None
    return bytes(output)
