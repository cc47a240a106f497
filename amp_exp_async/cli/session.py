"""One run of a command: its client, what it says, and how it ends."""

from __future__ import annotations

import itertools
import json as json_text
import os
import shlex
import sys
import traceback
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import attrs
import typer

from amp_exp_async import (
    AmpExpError,
    ConfigurationError,
    EditConflictError,
    ExperimentClient,
    InvalidInputError,
    InvalidManifestError,
    Problem,
)
from amp_exp_async.manifests.document import is_object

from .connecting import BaseUrl, KeyFile, Region, connected, is_terminal
from .options import Options
from .shown import printable, readable
from .tables import draw

FAILED, WRONG, CHANGES, INTERRUPTED = 1, 2, 3, 130
"""Exit statuses: it failed; the command or its input is wrong; there are changes; Ctrl-C."""

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]
Debug: TypeAlias = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


class Stopped(Exception):  # noqa: N818 - not every end is an error
    """The command ends here.

    Args:
        message: what to say; None where all is said.
        status: the exit status.
        problems: what is wrong in a file.
    """

    def __init__(self, message: str | None, status: int = FAILED, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.problems = problems


class Session(Options):
    """One run of a command. The arguments are the options that all commands with a client have.

    Attributes:
        json: whether standard output is for JSON alone.
        debug: whether errors come with their traceback.
        result: what `--json` prints: plain JSON, an attrs object of it, or a function that gives it at the end.
        doubt: what is unknown if it is interrupted now; None if nothing is.
        changed: what was changed so far.
    """

    def __init__(
        self,
        *,
        json: Json = False,
        api_key_file: KeyFile = None,
        region: Region = None,
        base_url: BaseUrl = None,
        debug: Debug = False,
    ) -> None:
        self.json = json
        self.debug = debug
        self.result: Any = None
        self.doubt: str | None = None
        self.changed: list[str] = []
        self._options: tuple[Path | None, str | None, str | None] = (api_key_file, region, base_url)
        self._client: ExperimentClient | None = None

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return 0 if self._client is None else self._client.usage.requests

    def line(self, *arguments: str) -> str:
        """A command line for the same account.

        Args:
            arguments: the command and its own options.
        """
        names = ("--api-key-file", "--region", "--base-url")
        given = [part for name, value in zip(names, self._options, strict=True) if value for part in (name, str(value))]
        return shlex.join(["amp-exp", *arguments, *given])

    @property
    def asks(self) -> bool:
        """Whether somebody is there to be asked."""
        return is_terminal() and not self.json

    @property
    def client(self) -> ExperimentClient:
        """The client; it is made when it is needed first.

        Raises:
            ConfigurationError: there is no key, or it cannot work as configured.
        """
        if self._client is None:
            self._client = connected(*self._options, ask=self.asks)
        return self._client

    def say(self, text: str) -> None:
        """Say something to who reads the output; nothing where only JSON is wanted."""
        if not self.json:
            typer.echo(readable(text))

    def print(self, text: str) -> None:
        """Print text as it is: it has been made for a terminal, or for programs. Nothing where only JSON is wanted."""
        if not self.json:
            typer.echo(text)

    def conclude(self, text: str) -> None:
        """Say how it ended: on standard error where nobody reads the output any more."""
        try:
            self.say(text)
        except BrokenPipeError:
            self.tell(text)
            with Path(os.devnull).open("wb") as nowhere:  # where what is in the buffer goes, too
                os.dup2(nowhere.fileno(), sys.stdout.fileno())

    def tell(self, text: str) -> None:
        """Say something that is no output: on standard error."""
        typer.echo(readable(text), err=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print rows: in columns on a terminal, with a tab between them elsewhere; nothing where JSON is wanted.

        Args:
            columns: the columns' names. What a terminal has no room for is left out from the right.
            rows: the cells.
        """
        if self.json:
            return
        cells = ([printable(cell) for cell in row] for row in rows)
        first = list(itertools.islice(cells, 1))  # a failure to read them is no empty table
        if not sys.stdout.isatty():
            for row in itertools.chain([columns], first, cells):
                typer.echo("\t".join(row))
            return
        left_out = draw(columns, [*first, *cells])
        if left_out:
            self.tell(f"There was no room for: {', '.join(left_out)}.")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Get the user's consent to changes, which are shown already.

        Raises:
            InvalidInputError: there is nobody to ask.
            Stopped: it was not given.
        """
        if yes:
            return
        if not self.asks:
            why = "--json asks nothing" if self.json else "there is no terminal to ask on"
            raise InvalidInputError(f"Nothing was changed: {why}. Pass --yes to make the changes.")
        if not typer.confirm(printable(question)):
            raise Stopped("Nothing was changed.")

    @contextmanager
    def changing(self, what: str, how: str = "changed") -> Generator[None, None, None]:
        """A block that changes something. Interrupted in it, nobody knows whether it was changed.

        Args:
            what: what is being changed, with its name.
            how: what happens to it.
        """
        self.doubt = f"It is not known whether {what} was {how}."
        yield
        self.doubt = None
        self.changed.append(what)

    @contextmanager
    def reported(self) -> Generator[None, None, None]:
        """End the command: with one line for an error, the result where JSON is wanted, and the exit status."""
        end = Stopped(None, status=0)
        try:
            try:
                with self._closing():
                    yield
            except Stopped as stopped:
                end = stopped
            except (KeyboardInterrupt, typer.Abort):
                end = self._interrupted()
            except BrokenPipeError:
                raise
            except (AmpExpError, OSError) as failure:
                end = self._failed(failure)
            if end.message is not None:
                self.tell(end.message)
            if self.json:
                end = self._printed(end)
        except BrokenPipeError:
            if self.changed:  # who reads the output has gone, and with it what was said
                self.tell(f"Nobody reads the output any more: nothing else was changed.{self._before()}")
            raise
        raise typer.Exit(end.status)

    def _printed(self, end: Stopped) -> Stopped:
        """Print the result as JSON; how the command ends then."""
        try:
            typer.echo(json_text.dumps(_document(self.result, end)))
        except BrokenPipeError:
            raise
        except OSError as failure:
            end = self._failed(failure)
            self.tell(str(end))
        return end

    @contextmanager
    def _closing(self) -> Generator[None, None, None]:
        try:
            yield
        finally:
            if self._client is not None:
                self._client.close()

    def _interrupted(self) -> Stopped:
        if is_terminal():
            self.tell("")  # below the ^C
        doubt = self.doubt or ("Nothing else was changed." if self.changed else "Nothing was changed.")
        return Stopped(f"Interrupted. {doubt}{self._before()}", INTERRUPTED)

    def _failed(self, failure: Exception) -> Stopped:
        if self.debug:
            traceback.print_exc()
        is_wrong = isinstance(failure, InvalidInputError | ConfigurationError)
        problems = failure.problems if isinstance(failure, InvalidManifestError) else ()
        return Stopped(f"{_told(failure)}{self._before()}", WRONG if is_wrong else FAILED, problems)

    def _before(self) -> str:
        return f" Changed before: {', '.join(self.changed)}." if self.changed else ""


def _document(result: Any, end: Stopped) -> Any:
    """What `--json` prints."""
    if callable(result):
        result = result()
    document: Any = attrs.asdict(result) if hasattr(result, "__attrs_attrs__") else result
    if end.message is None:
        return document
    whole: dict[str, Any] = {**document} if is_object(document) else {}
    whole["error"] = end.message
    if end.problems:
        whole["problems"] = [attrs.asdict(problem) for problem in end.problems]
    return whole


def _told(failure: Exception) -> str:
    """An error as one line, or, if it is of many things, as a line for each."""
    text = " ".join([str(failure), *getattr(failure, "__notes__", ())])
    if isinstance(failure, InvalidManifestError | EditConflictError):
        return text
    return " ".join(text.split())
