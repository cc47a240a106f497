"""The group of all commands, which are loaded when they are needed."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from typing import Any, NoReturn

import typer

from .arguments import find_invalid_text
from .exit_codes import ExitCode
from .help import HelpGroup
from .lazy_command import LazyCommand
from .options import KEY_VARIABLE
from .signals import forget_signals, interrupt_status
from .streams import discard_stdout
from .typer_support import UsageFailure

_COMMANDS = (
    ("demo", "Edit many flags on an embedded emulator, over HTTP. Needs no account and no network.", "emulation"),
    ("emulator", "Serve an emulator of the API until Ctrl-C.", "emulation"),
    ("export", "Export flags and experiments to a file, a folder or standard output.", "files"),
    ("plan", "Show what would change to match the files. Changes nothing.", "files"),
    ("apply", "Show what would change to match the files, ask for confirmation, and make the changes.", "files"),
    ("lint", "Check files or a project for likely mistakes. Exits with 1 if any are found.", "files"),
    ("diff", "Show the changes that turn A into B.", "files"),
    ("flags", "Show and change flags.", "flags", "flags"),
    ("experiments", "Show and change experiments.", "flags", "experiments"),
    ("variants", "Show and change the variants of a flag or experiment.", "variants"),
    ("segments", "Show and change the target segments of a flag or experiment.", "segments"),
    ("deployments", "Show and change deployments.", "deployments"),
    ("mutexes", "Show and change mutex groups.", "groups", "mutexes"),
    ("holdouts", "Show and change holdout groups.", "groups", "holdouts"),
    ("log", "Show who changed what in all flags and experiments, newest first.", "log"),
    ("api", "Send a request to an endpoint without a command, and print the response. Asks, except for GET.", "api"),
    ("config", "Show the configuration file and the settings in effect.", "config"),
    ("users", "Users and devices included in a variant by ID.", "inclusions", "users"),
    ("cohorts", "Cohorts included in a variant by ID.", "inclusions", "cohorts"),
)
_NO_KEY_OPTION = (
    "--api-key does not exist, because the key would be visible to other users and saved in the shell history. "
    f"Set {KEY_VARIABLE} or pass --api-key-file PATH."
)


_COMPLETION_OPTIONS = ("--show-completion", "--install-completion")
_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


def _suggest_options(match: re.Match[str]) -> str:
    """Return the end of a message about an unknown option, with the options that it resembles."""
    known = {option.lstrip("-"): option for option in match[3].split(", ")}
    similar = [known[name] for name in get_close_matches(match[2], known)]
    return f"{match[1]}{match[2]}." + (f" Did you mean {' or '.join(similar)}?" if similar else "")


_NO_LOGIN = f"There is no login: set {KEY_VARIABLE}, or api_key_file in a profile."
# What the parsers say, in the words of other messages.
_PARSER_WORDS = (
    (r"Value error, ", ""),
    (r"Input should be (.*?)(, unable to parse .*? as \w+( \w+)?)?(?= \(|$)", r"must be \1"),
    (r"(No such command '(?:login|auth)'\.).*", rf"\1 {_NO_LOGIN}"),
    (r"(No such option: -*)(.*?) ?\((?:Possible options|Did you mean):? (.*?)\)", _suggest_options),
    (r"(for|argument|option) '([^']*)'", r"\1 \2"),
    (r"(?<!\w)'([^']*)'(?!\w)", r'"\1"'),
)


class AmpExpGroup(HelpGroup):
    """The group of all commands. It reports invalid usage in one line on standard error."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for command in _COMMANDS:
            self.add_command(LazyCommand(*command))

    def main(self, *arguments: Any, **options: Any) -> NoReturn:
        """Run a command and exit."""
        forget_signals()
        try:
            with _ending_early():
                status = super().main(*arguments, **options | {"standalone_mode": False})
        except typer.Exit as end:
            status = end.exit_code
        except UsageFailure as error:
            given = arguments[0] if arguments else options.get("args")
            _report_usage(error, self, sys.argv[1:] if given is None else given)
            status = error.exit_code
        except typer.Abort:
            _echo_err("Interrupted.")
            status = interrupt_status()
        sys.exit(status)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the program's arguments."""
        with _ending_early():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the selected command."""
        with _ending_early():
            return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, and reject a key or invalid text among them."""
        if any(argument.partition("=")[0] == "--api-key" for argument in args):
            raise _InvalidArgumentError(_NO_KEY_OPTION)
        if not ctx.resilient_parsing and (invalid := find_invalid_text(args)):
            raise _InvalidArgumentError(
                f'"{invalid}" is not text in UTF-8. Nothing was done. Pass UTF-8, or rename the file.'
            )
        if args and not ctx.resilient_parsing:
            _handle_completion_option(ctx, *args[:2])
        return super().parse_args(ctx, args)


@contextmanager
def _ending_early() -> Generator[None, None, None]:
    """Report an interruption, for which typer has no message, and output that cannot be written.

    If the reader of the output is gone, exit with 0.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Abort from None
    except BrokenPipeError:
        discard_stdout()
        raise typer.Exit from None
    except OSError as error:  # commands report those of their files
        discard_stdout()
        _echo_err(f"standard output: {error.strerror}.")
        raise typer.Exit(ExitCode.FAILED) from None


def _echo_err(text: str) -> None:
    """Print to stderr, if it can be written."""
    with suppress(OSError):
        typer.echo(text, err=True)


def _handle_completion_option(ctx: Any, first: str, second: str = "") -> None:
    """Show or install completion for a shell that is named after the option, or else for the current one."""
    option, _, shell = first.partition("=")
    if option not in _COMPLETION_OPTIONS:
        return
    from typer.completion import install_callback, show_callback  # noqa: PLC0415 - rarely needed

    shell = shell or second
    if shell and shell not in _SHELLS:
        raise typer.BadParameter(f"must be one of {', '.join(_SHELLS)}, got '{shell}'.", param_hint=option)
    callback: Any = show_callback if option == "--show-completion" else install_callback
    try:
        callback(ctx, None, shell or True)
    except OSError as error:
        if error.filename is None:  # of the output
            raise
        _echo_err(f"{option}: {error.filename}: {error.strerror}.")
        raise typer.Exit(ExitCode.FAILED) from None


class _InvalidArgumentError(UsageFailure):
    exit_code = ExitCode.USAGE


def _report_usage(error: UsageFailure, group: Any, arguments: Sequence[str]) -> None:
    from .output import printable  # noqa: PLC0415 - it loads the library, which help and completion do not need

    message = printable(" ".join(error.format_message().split("\n")))
    for pattern, words in _PARSER_WORDS:
        message = re.sub(pattern, words, message)
    if message:  # without one, help was shown
        context = getattr(error, "ctx", None)
        if _is_misplaced_option(message, context):
            message = f"{message.rstrip('.')}. Options of a command come after it."
        path = context.command_path if context else " ".join(["amp-exp", *_command_words(group, arguments)])
        _echo_err(f"{path}: {message} (See {path} --help.)")


def _is_misplaced_option(message: str, context: Any) -> bool:
    """Return whether an option that is not known stands before a command, which may have it."""
    is_before = hasattr(getattr(context, "command", None), "commands")
    return is_before and "No such option" in message and "Did you mean" not in message


def _command_words(group: Any, arguments: Sequence[str]) -> Iterator[str]:
    """Yield the names of the command that arguments begin with. Groups have no options with values."""
    for argument in arguments:
        command = getattr(group, "commands", {}).get(argument)
        if command is not None:
            yield argument
            group = command.load() if isinstance(command, LazyCommand) else command
        elif not argument.startswith("-"):
            return
