"""What the arguments FILE… name: files, folders, standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from amp_exp_async import InvalidInputError, InvalidManifestError, Manifest, Problem, load, loads
from amp_exp_async.manifests.parse import cross_checks, raise_for_problems
from amp_exp_async.manifests.spec import merge_manifests
from amp_exp_async.models import UNSET

INPUT = "-"
_PLAN = re.compile(rb'\s*\{\s*"plan"\s*:')
_BEGINNING = 200

Files: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="FILE", help="YAML or JSON files, folders of them, or - for standard input.")
]


def declared(files: Sequence[str]) -> Manifest:
    """What all files declare together.

    Args:
        files: files, folders, or `-`.

    Raises:
        InvalidManifestError: there are problems in them, or between them; it has all of them.
        InvalidInputError: they declare nothing.
    """
    states: list[Manifest] = []
    problems: list[Problem] = []
    for file in dict.fromkeys(files):
        try:
            states.append(_read(file))
        except InvalidManifestError as error:
            problems += error.problems
    state = merge_manifests(states)
    raise_for_problems([*problems, *cross_checks(state)])
    if state.flags is UNSET and state.experiments is UNSET:
        raise InvalidInputError(
            f"{', '.join(files)}: there are no flags and no experiments in it. Nothing was changed."
        )
    return state


def is_plan(file: str) -> bool:
    """Whether a file holds a saved plan; one that is damaged counts, too."""
    path = Path(file)
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return _PLAN.match(stream.read(_BEGINNING)) is not None


@contextmanager
def writing(option: str, path: str) -> Generator[None, None, None]:
    """A block that writes what an option names.

    Raises:
        InvalidInputError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise InvalidInputError(f"{option} {path}: cannot be written ({error.strerror}).") from error


def _read(file: str) -> Manifest:
    if file == INPUT:
        return _given(sys.stdin.buffer.read())
    if not Path(file).exists():
        raise_for_problems([Problem(file, 0, "", "there is no such file or folder")])
    return load(file)


def _given(content: bytes) -> Manifest:
    """What is declared on standard input."""
    if _PLAN.match(content):
        raise InvalidInputError("standard input: it is a saved plan. Save it to a file, and apply that.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"standard input: is not UTF-8 text ({error.reason} at byte {error.start}). Nothing was changed."
        ) from error
    return loads(text, format="json" if text.lstrip()[:1] == "{" else "yaml", name="standard input")
