"""The client of a command. The key comes from the environment, a file, or a hidden question; never from an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from amp_exp_async import ConfigurationError, ExperimentClient
from amp_exp_async.config import KEY_VARIABLE

KeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file", metavar="PATH", help=f"A file that holds the management API key; else {KEY_VARIABLE}."
    ),
]
Region: TypeAlias = Annotated[Literal["us", "eu"] | None, typer.Option(help="The region of your account.")]
BaseUrl: TypeAlias = Annotated[str | None, typer.Option(metavar="URL", help="Scheme and host, in place of a region.")]


def connected(key_file: Path | None, region: str | None, base_url: str | None, *, ask: bool) -> ExperimentClient:
    """The client.

    Args:
        key_file: a file that holds the key.
        region: `us` or `eu`.
        base_url: in place of a region.
        ask: whether to ask for a key that is nowhere.

    Raises:
        ConfigurationError: there is no key, or it cannot work as configured.
    """
    return ExperimentClient(_key(key_file, ask=ask), region=region, base_url=base_url)


def is_terminal() -> bool:
    """Whether somebody is there to be asked, and sees what was said before."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _key(file: Path | None, *, ask: bool) -> str | None:
    """The key, or None where the client finds it in the environment."""
    if file is not None:
        return _read(file)
    if os.environ.get(KEY_VARIABLE):
        return None
    if not ask:
        raise ConfigurationError(
            f"no management API key: set {KEY_VARIABLE}, or pass --api-key-file. "
            "Keys are made in Amplitude under Experiment > Management API."
        )
    given: str = typer.prompt("Management API key (it is not shown)", hide_input=True, err=True)
    return given


def _read(file: Path) -> str:
    try:
        words = file.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--api-key-file {file}: cannot be read ({error})") from error
    if len(words) != 1:
        what = "it holds more than one word" if words else "it is empty"
        raise ConfigurationError(
            f"--api-key-file {file}: {what}. Put the management API key into it, and nothing else."
        )
    return words[0]
