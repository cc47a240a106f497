"""Exit statuses, and errors in the words of the command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from amp_exp_async import ConfigurationError, EditConflictError, InvalidInputError, InvalidManifestError, Problem

from .options import KEY_VARIABLE
from .output import printable


class ExitCode(IntEnum):
    """Exit statuses of all commands."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CHANGES = 3
    INTERRUPTED = 130


EXIT_STATUSES = (
    "Exit status: 0 success; 1 failure; 2 invalid command, option or file; "
    "3 changes found (with --detailed-exitcode); 130 interrupted with Ctrl-C."
)
_NO_KEY_OPTION = (
    "--api-key does not exist, because the key would be visible to other users and saved in the shell history. "
    f"Set {KEY_VARIABLE} or pass --api-key-file PATH."
)

# Python arguments in the library's messages, and what a user of the command line passes.
_OPTIONS = {
    "api_key": "--api-key-file",
    "base_url": "--base-url",
    "keys": "--key",
    "label": "--label",
    "project_id": "--project-id",
    "prune": "--prune",
    "reason": "--reason",
    "region": "--region",
    "type": "--type",
    "variant": "VARIANT",
}
_NAME = re.compile(rf"(?<![\w.'\"/?&@-])({'|'.join(_OPTIONS)})(?![\w.'\"/=@-])")
_PHRASES = (
    (re.compile(r"\bthe region (us|eu)\b"), r"--region \1"),
    (re.compile(r", or set allow_insecure_http=(?:True|true)"), ""),
    (re.compile(r"\bfirst call (?=variants\.edit)"), "first "),
    (
        re.compile(r"un-archive it first, in a call of its own: restore\(id\)\. Otherwise .*? fields\."),
        "restore it first with the command restore.",
    ),
    (
        re.compile(r"Add a deployment first: deployments\.add\(id, \[deployment_id\]\)\."),
        "Assign it to a deployment first: declare its deployments in a file and run amp-exp apply.",
    ),
    (
        re.compile(
            r"Remove the deployment from .*? or archive them: flags\.deployments\.remove\(id, deployment_id\)\."
        ),
        "Archive them, or remove the deployment from them in a file and run amp-exp apply.",
    ),
    (re.compile(r" If an object that was read had it .*?: attrs\.evolve\(segment, extra=\{\}\)\."), ""),
    (re.compile(r"configured in the project as bucketing_unit\b"), "configured in the project as --bucketing-unit"),
    (re.compile(r"variants\.edit\([^,]*, ['\"]([\w-]+)['\"], rollout_weight=(\d+)\)"), r"set the weight of \1 to \2"),
)


class Exit(Exception):  # noqa: N818 - not every exit is an error
    """The end of a command.

    Args:
        message: the message for standard error; None if there is none.
        status: the exit status.
        problems: the problems of a file, for `--json`.
    """

    def __init__(self, message: str | None, status: int = ExitCode.FAILED, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.problems = problems


def exit_for(error: Exception, *, sent: bool) -> Exit:
    """Return the end of a command that failed.

    Args:
        error: the error.
        sent: whether a request was sent.
    """
    is_usage = isinstance(error, InvalidInputError | ConfigurationError)
    problems = error.problems if isinstance(error, InvalidManifestError) else ()
    return Exit(describe_error(error, sent=sent), ExitCode.USAGE if is_usage else ExitCode.FAILED, problems)


def describe_error(error: Exception, *, sent: bool) -> str:
    """Return an error's message with options instead of Python arguments.

    It is one line, unless the error lists several problems.

    Args:
        error: the error.
        sent: whether a request was sent.
    """
    text = _with_options(" ".join([str(error), *getattr(error, "__notes__", ())]), error)
    if sent:
        text = text.replace("Nothing was sent.", "Nothing was written.")
    return text if isinstance(error, InvalidManifestError | EditConflictError) else " ".join(text.split())


def _with_options(text: str, error: Exception) -> str:
    for pattern, replacement in _PHRASES:
        text = pattern.sub(replacement, text)
    if isinstance(error, ConfigurationError):
        return _NAME.sub(lambda match: _OPTIONS[match[1]], text)
    if isinstance(error, InvalidInputError) and error.argument in _OPTIONS:
        return re.sub(rf"\A{error.argument}\b", _OPTIONS[error.argument], text)
    return text


class AmpExpGroup(TyperGroup):
    """The group of all commands. It reports invalid usage in one line on standard error."""

    def main(self, *arguments: Any, **options: Any) -> NoReturn:
        """Run a command and exit."""
        try:
            status = super().main(*arguments, **options | {"standalone_mode": False})
        except typer.TyperException as error:
            _report_usage(error)
            status = error.exit_code
        except typer.Abort:
            typer.echo("Interrupted.", err=True)
            status = ExitCode.INTERRUPTED
        sys.exit(status)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the program's arguments."""
        with _ctrl_c_as_abort():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the selected command."""
        with _ctrl_c_as_abort():
            return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, and reject a key among them."""
        if any(argument.partition("=")[0] == "--api-key" for argument in args):
            raise _KeyOptionError(_NO_KEY_OPTION)
        return super().parse_args(ctx, args)


@contextmanager
def _ctrl_c_as_abort() -> Generator[None, None, None]:
    """Turn Ctrl-C into `Abort`, because typer would exit without a message."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Abort from None


class _KeyOptionError(typer.TyperException):
    exit_code = ExitCode.USAGE


def _report_usage(error: typer.TyperException) -> None:
    message = printable(error.format_message())
    if message:  # without one, help was shown
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "amp-exp"
        typer.echo(f"{path}: {message} (See {path} --help.)", err=True)
