"""The context of one command: its client, its output and its exit status; and the decorator that adds a command."""

from __future__ import annotations

import inspect
import itertools
import json as json_text
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from copy import copy
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

import attrs
import typer
from typer.models import ArgumentInfo, OptionInfo

import amp_exp_async

from .connection import Connection
from .errors import Exit, exit_for
from .exit_codes import ExitCode
from .help import HelpCommand
from .options import (
    LOG_VARIABLE,
    PROJECT_VARIABLE,
    AllowInsecureHttp,
    BaseUrl,
    CaBundle,
    Deadline,
    Debug,
    Json,
    KeyFile,
    OptionGroup,
    ProfileName,
    ProjectDefault,
    Proxy,
    Region,
    Sets,
    Timeout,
    Verbose,
)
from .output import is_model, is_object, printable, printable_lines, render_table
from .signals import interrupt_status
from .status_line import STATUS_LINE, showing_waits
from .streams import discard_stdout, is_closed

CommandT = TypeVar("CommandT", bound=Callable[..., None])


class CommandContext(OptionGroup):
    """The context of one command. Its parameters are the options of all commands that use a client.

    Attributes:
        json: whether standard output is reserved for JSON.
        verbose: whether each request is shown.
        debug: whether errors come with their traceback.
        option_names: the options and arguments of the command by the names of the arguments that they set.
        connection: the options of the connection.
        result: what `--json` prints: plain JSON, an attrs object of plain JSON, or a function that returns it at the
            end.
        uncertain: what is unknown if the command is interrupted now; None if nothing is.
        changed: what was changed so far.
        makes_changes: whether the command may change something.
    """

    def __init__(
        self,
        *,
        json: Json = False,
        profile: ProfileName = None,
        api_key_file: KeyFile = None,
        region: Region = None,
        base_url: BaseUrl = None,
        proxy: Proxy = None,
        ca_bundle: CaBundle = None,
        allow_insecure_http: AllowInsecureHttp = False,
        timeout: Timeout = None,
        deadline: Deadline = None,
        verbose: Verbose = False,
        debug: Debug = False,
    ) -> None:
        self.json = json
        self.debug = debug
        self.verbose = verbose
        self.result: Any = None
        self.option_names: dict[str, str] = {}
        self.uncertain: str | None = None
        self.changed: list[str] = []
        self.makes_changes = False
        self._is_output_closed = False
        self._is_summary_shown = False
        self.connection = Connection(
            profile=profile,
            api_key_file=api_key_file,
            region=region,
            base_url=base_url,
            proxy=proxy,
            ca_bundle=ca_bundle,
            allow_insecure_http=allow_insecure_http,
            timeout=timeout,
            deadline=deadline,
        )
        self._client: amp_exp_async.ExperimentClient | None = None

    @property
    def client(self) -> amp_exp_async.ExperimentClient:
        """The client, created on first use.

        Raises:
            ConfigurationError: If there is no key, or the configuration is invalid.
        """
        if self._client is None:
            if self.connection.profile:
                for note in self.connection.settings.overridden:
                    self.echo_err(note)
            self._client = self.connection.create_client(ask=self.is_interactive)
        return self._client

    @property
    def requests(self) -> int:
        """The number of requests sent."""
        return 0 if self._client is None else self._client.usage.requests

    @property
    def is_interactive(self) -> bool:
        """Whether the user can be asked."""
        return is_terminal() and not self.json

    def default_project(self, parameter: str, *, is_required: bool) -> str | None:
        """Return the project of the environment, or of the profile; None without one.

        Args:
            parameter: the name of the option's parameter.
            is_required: whether there must be one.

        Raises:
            ConfigurationError: If the configuration file has a mistake.
            InvalidInputError: If there must be one.
        """
        project = self.connection.default_project()
        if project is not None:
            self.option_names[parameter] = project.source
        elif is_required:
            raise amp_exp_async.InvalidInputError(
                f"{self.option_names[parameter]} is missing. Pass it, or set {PROJECT_VARIABLE}. Nothing was sent."
            )
        return project

    def command_line(self, *arguments: str) -> str:
        """Return a command line for the same account.

        Args:
            arguments: the command and its options.
        """
        return shlex.join(["amp-exp", *arguments, *self.connection.options()])

    def echo(self, text: str) -> None:
        """Print to stdout, unless it is reserved for JSON."""
        self.write(printable_lines(text))

    def write(self, text: str) -> None:
        """Print text that is already formatted to stdout, unless it is reserved for JSON."""
        if not self.json:
            STATUS_LINE.clear()
            self._print(text)

    def _print(self, text: str) -> None:
        """Print to stdout. If it is closed, only a command that makes changes continues, without output.

        Raises:
            Exit: If the reader is gone, and the command changes nothing.
            OSError: If the caller closed it, and the command changes nothing; or if it cannot be written.
        """
        try:
            typer.echo(text)
        except OSError as error:
            self._continue_without_output(error)

    def _continue_without_output(self, error: OSError) -> None:
        error.filename = "standard output"
        if not is_closed(error):
            raise error
        discard_stdout()
        self._is_output_closed = True
        if self.makes_changes or self.changed:
            return
        if isinstance(error, BrokenPipeError):
            raise Exit(None, ExitCode.OK) from None
        raise error

    def echo_line(self, document: Mapping[str, Any]) -> None:
        """With `--json`, print a document as one line at once, besides the document at the end."""
        if self.json:
            self._print(json_text.dumps(document))

    def echo_final(self, text: str) -> None:
        """Print the command's summary to stdout, or to stderr if stdout is closed."""
        self.echo(text)
        if self._is_output_closed:
            self.echo_err(text)
            self._is_summary_shown = True

    def echo_err(self, text: str) -> None:
        """Print to stderr, if it can be written: a terminal may be gone."""
        STATUS_LINE.clear()
        with suppress(OSError):
            typer.echo(printable_lines(text), err=True)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        importance: Sequence[str] = (),
        wrapped: Mapping[str, int] = MappingProxyType({}),
        empty: str = "",
    ) -> None:
        """Print rows: in columns on a terminal, tab-separated elsewhere, not at all with `--json`.

        Args:
            columns: the columns' names.
            rows: the cells.
            importance: the most important columns; the others follow in their order. On a narrow terminal, the least
                important columns are left out.
            wrapped: the columns whose text may be wrapped, and the least width of each.
            empty: the message on stderr if there are no rows. A terminal then gets no header.
        """
        if self.json:
            return
        cells = ([printable(cell) for cell in row] for row in rows)
        first = list(itertools.islice(cells, 1))  # if reading fails, no header must suggest an empty table
        if not first and empty:
            self.echo_err(empty)
            if sys.stdout.isatty():
                return
        if not sys.stdout.isatty():
            for row in itertools.chain([columns], first, cells):
                self.write("\t".join(row))
            return
        lines = [*first, *cells]
        STATUS_LINE.clear()
        ranked = list(dict.fromkeys([*(name for name in importance if name in columns), *columns]))
        if hidden := render_table(columns, lines, ranked, wrapped):
            self.echo_err(f"Terminal too narrow for: {', '.join(hidden)}.")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask the user to confirm changes that were shown.

        Raises:
            InvalidInputError: If the user cannot be asked.
            Exit: If the user did not confirm.
        """
        if yes:
            return
        if not self.is_interactive:
            reason = "--json does not ask" if self.json else "there is no terminal to ask on"
            raise amp_exp_async.InvalidInputError(f"Nothing was changed: {reason}. Pass --yes to make the changes.")
        if not typer.confirm(printable(question)):
            raise Exit("Nothing was changed.")

    @contextmanager
    def mutation(self, name: str, participle: str = "changed") -> Generator[None, None, None]:
        """Mark a block that changes something, for the message of a Ctrl-C.

        Args:
            name: what is changed.
            participle: what happens to it.
        """
        self.uncertain = f"It is unknown whether {name} was {participle}."
        yield
        self.uncertain = None
        self.changed.append(name)

    @contextmanager
    def exit_handling(self) -> Generator[None, None, None]:
        """Run the command in the block; then close the client, report errors, print JSON, and exit."""
        end: Exit | None = None
        try:
            with self._logging(), self._showing_waits(), self._closing():
                try:
                    yield
                    end = Exit(None, ExitCode.OK)
                except Exit as exit:
                    end = exit
        except (KeyboardInterrupt, typer.Abort):
            if end is None:
                end = self._interrupted()
            else:  # while closing: the command has ended, and its end says what it did
                end.status = interrupt_status()
        except (amp_exp_async.AmpExpError, OSError) as error:
            end = self._failed(error)
        if end.message is not None:
            self.echo_err(end.message)
        if self.json:
            end = self._print_json(end)
        if self._is_output_closed and self.changed and end.message is None and not self._is_summary_shown:
            self.echo_err(f"The output was closed. Changed: {', '.join(self.changed)}.")
        raise typer.Exit(end.status)

    def _print_json(self, end: Exit) -> Exit:
        try:
            self._print(json_text.dumps(_json_document(self.result, end)))
        except Exit:  # the reader is gone
            pass
        except OSError as error:
            end = self._failed(error)
            self.echo_err(end.message or "")
        return end

    def _logging(self) -> AbstractContextManager[None]:
        if not (self.verbose or os.environ.get(LOG_VARIABLE)):
            return nullcontext()
        from .stderr_log import logging_to_stderr  # noqa: PLC0415 - not needed for help and completion

        return logging_to_stderr(verbose=self.verbose)

    def _showing_waits(self) -> AbstractContextManager[None]:
        return nullcontext() if self.json else showing_waits(self._pending_calls)

    def _pending_calls(self) -> Sequence[amp_exp_async.PendingCall]:
        return () if self._client is None else self._client.pending_calls

    @contextmanager
    def _closing(self) -> Generator[None, None, None]:
        try:
            yield
        finally:
            if self._client is not None:
                self._client.close()

    def _interrupted(self) -> Exit:
        if is_terminal():
            self.echo_err("")  # below the ^C
        uncertain = self.uncertain or ("Nothing else was changed." if self.changed else "Nothing was changed.")
        return Exit(f"Interrupted. {uncertain}{self._changed_before()}", interrupt_status())

    def _failed(self, error: Exception) -> Exit:
        if self.debug:
            traceback.print_exc()
        names = {**self.option_names, **self._setting_sources(error)}
        end = exit_for(error, sent=bool(self.requests), options=names)
        if self.changed:
            end.message = f"{(end.message or '').rstrip('.')}.{self._changed_before()}"
        return end

    def _setting_sources(self, error: Exception) -> Mapping[str, str]:
        """Return where the settings of the client come from, for an error about one of them."""
        if isinstance(error, amp_exp_async.ConfigurationError) and error.argument:
            return self.connection.settings.sources
        return {}

    def _changed_before(self) -> str:
        return f" Changed before: {', '.join(self.changed)}." if self.changed else ""


def command(app: typer.Typer, name: str, *, help: str | None = None) -> Callable[[CommandT], CommandT]:
    """Return a decorator that adds a function as a command.

    The function takes a `CommandContext` and its own options. If a parameter is an `OptionGroup`, the command has the
    options of that group.

    Args:
        app: the group of commands.
        name: the command's name.
        help: the command's help; by default the function's docstring.
    """

    def add(function: CommandT) -> CommandT:
        context, *own = _parameters(function).values()
        own = [_name_kind(parameter, app) for parameter in own]
        groups = {parameter.name: parameter.annotation for parameter in own if _is_group(parameter.annotation)}
        options = [
            option
            for parameter in own
            for option in (_parameters(groups[parameter.name]).values() if parameter.name in groups else [parameter])
        ]

        option_names = {name: _option_name(option) for option in options for name in _arguments(option)}
        projects = {option.name: _is_required(option) for option in options if _has_project_default(option)}
        options = [_make_optional(option) if projects.get(option.name) else option for option in options]

        def run(**values: Any) -> None:
            ctx = _make_group(CommandContext, values)
            ctx.option_names = dict(option_names)
            ctx.makes_changes = not option_names.keys().isdisjoint({"dry_run", "yes"})
            with ctx.exit_handling():
                for option, is_required in projects.items():
                    if values[option] is None:
                        values[option] = ctx.default_project(option, is_required=is_required)
                made = {parameter: _make_group(group, values) for parameter, group in groups.items()}
                function(ctx, **values, **made)

        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in [*options, *_parameters(context.annotation).values()]
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, cls=HelpCommand, help=help or inspect.getdoc(function))(run)
        return function

    return add


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function, eval_str=True).parameters


def _arguments(parameter: inspect.Parameter) -> Iterator[str]:
    """Yield the names of the arguments of the library that a parameter sets, and its own name."""
    yield parameter.name
    for info in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(info, Sets):
            yield from info.arguments


def _option_name(parameter: inspect.Parameter) -> str:
    """Return the option or argument of a parameter, as the command line shows it."""
    for info in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(info, ArgumentInfo):
            return str(info.metavar or parameter.name.upper())
        if isinstance(info, OptionInfo) and info.param_decls:
            return info.param_decls[0].partition("/")[0]
    return f"--{parameter.name.replace('_', '-')}"


def _name_kind(parameter: inspect.Parameter, app: typer.Typer) -> inspect.Parameter:
    """Return a parameter whose argument FLAG is called EXPERIMENT, if the commands are those of experiments."""
    metadata = getattr(parameter.annotation, "__metadata__", ())
    if app.info.name != "experiments" or "FLAG" not in {getattr(info, "metavar", None) for info in metadata}:
        return parameter
    renamed = [copy(info) for info in metadata]
    for info in renamed:
        if isinstance(info, ArgumentInfo):
            info.metavar = "EXPERIMENT"
    annotation: Any = Annotated
    return parameter.replace(annotation=annotation[(parameter.annotation.__origin__, *renamed)])


def _has_project_default(option: inspect.Parameter) -> bool:
    return any(isinstance(item, ProjectDefault) for item in getattr(option.annotation, "__metadata__", ()))


def _is_required(option: inspect.Parameter) -> bool:
    return option.default is inspect.Parameter.empty


def _make_optional(option: inspect.Parameter) -> inspect.Parameter:
    """Return an option that typer does not require."""
    metadata: tuple[Any, ...] = option.annotation.__metadata__
    annotation: Any = Annotated
    return option.replace(default=None, annotation=annotation[(str | None, *metadata)])


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, OptionGroup)


def _make_group(group: Any, values: dict[str, Any]) -> Any:
    """Return a group of options, made of its own values, which are removed from `values`."""
    return group(**{option: values.pop(option) for option in _parameters(group)})


def is_terminal() -> bool:
    """Return whether both standard input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _json_document(result: Any, end: Exit) -> Any:
    """Return what `--json` prints."""
    if callable(result):
        result = result()
    document: Any = attrs.asdict(result) if is_model(result) else result
    with_error: dict[str, Any] = {**document} if is_object(document) else {}
    message = end.message or with_error.get("error")
    if message is None:
        return document
    with_error |= {"error": message, "code": end.code, "status": end.http_status, "message": message}
    if end.request_id is not None:
        with_error["request_id"] = end.request_id
    if end.problems:
        with_error["problems"] = [attrs.asdict(problem) for problem in end.problems]
    return with_error
