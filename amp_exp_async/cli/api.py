"""`amp-exp api`: requests to endpoints that have no command."""

from __future__ import annotations

import json as json_text
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import parse_qsl

import typer

import amp_exp_async

from .context import CommandContext, command
from .errors import describe_os_error
from .inputs import STDIN, read_stdin
from .options import Sets, Yes, distinct_names
from .streams import read_bounded

_READING = frozenset({"GET", "HEAD"})
_WITH_BODY = frozenset({"PATCH", "PUT"})
_METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
_METHOD_NAMES = f"{', '.join(_METHODS[:-1])} or {_METHODS[-1]}"

app = typer.Typer()


@command(app, "api")
def _api(
    ctx: CommandContext,
    *,
    method: Annotated[str, typer.Argument(metavar="METHOD", help=f"{_METHOD_NAMES}.")],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Path below /api/1, such as /flags/1001, with its query.")
    ],
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="NAME=VALUE",
            help="Query parameter of a GET; otherwise a field of the body, as JSON or as text. Digits are a number: "
            "for text, write 'projectId=\"123\"'. Repeatable.",
        ),
        Sets("params"),
    ] = None,
    json_body: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with the JSON body; - for standard input."), Sets("json")
    ] = None,
    include: Annotated[
        bool, typer.Option("--include", help="Show the status and the headers of the response on standard error.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Send a request to an endpoint without a command, and print the response. Asks, except for GET.

    Example: amp-exp api GET /flags --field limit=10

    Example: amp-exp api PATCH /flags/1001 --field description=new

    Example: amp-exp api POST /flags --field key=dark-mode --field 'projectId="123"'

    Example: amp-exp api GET /flags/1001 --include
    """
    verb = method.upper()
    if verb not in _METHODS:
        raise amp_exp_async.InvalidInputError(
            f"METHOD: must be {_METHOD_NAMES}, got {json_text.dumps(method)}. Nothing was sent."
        )
    query, body = _arguments(verb, path, field or [], json_body)
    target = path.partition("?")[0]
    if verb not in _READING:
        if body is not None:
            ctx.echo_err(f"{verb} {target} with {json_text.dumps(body, ensure_ascii=False)}")
        ctx.confirm(f"Send {verb} {target}?", yes=yes)
    with ctx.client.capture_responses() as responses, _with_query(), _showing_failures(ctx, include=include):
        if verb in _READING:
            response = ctx.client.request(verb, target, params=query)
        else:
            with ctx.mutation(f"{verb} {target}", "applied"), _explaining_numbers(field or []):
                response = ctx.client.request(verb, target, params=query, json=body)
    if include:
        _echo_head(ctx, responses[-1].status, responses[-1].headers)
    client: Any = ctx.client
    ctx.result = response = _redacted(response, client._resource._transport.session.redact)  # noqa: SLF001 - the sender knows what is secret
    ctx.write(response if isinstance(response, str) else json_text.dumps(response, indent=2, ensure_ascii=False))


def _redacted(value: object, redact: Callable[[str], str]) -> Any:
    """Return a JSON value without secrets: terminals and logs of jobs keep what is printed."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_redacted(item, redact) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {redact(name): _redacted(item, redact) for name, item in fields.items()}
    return value


def _echo_head(ctx: CommandContext, status: int, headers: Mapping[str, str]) -> None:
    ctx.echo_err("\n".join([str(status), *(f"{name}: {value}" for name, value in headers.items())]))


@contextmanager
def _showing_failures(ctx: CommandContext, *, include: bool) -> Generator[None, None, None]:
    """Show the status and the headers of a response that is an error."""
    try:
        yield
    except amp_exp_async.APIStatusError as error:
        if include:
            _echo_head(ctx, error.status, error.headers)
        raise


@contextmanager
def _with_query() -> Generator[None, None, None]:
    """Say in an error about the path that it may have a query, which the library takes apart from it."""
    try:
        yield
    except amp_exp_async.InvalidInputError as error:
        if error.argument == "path":
            error.rule = 'must be "/" and percent-encoded segments, such as /flags/1001?limit=10'
        raise


@contextmanager
def _explaining_numbers(assignments: list[str]) -> Generator[None, None, None]:
    """Say in a rejection of the service which fields were sent as numbers: IDs are text, although they are digits."""
    try:
        yield
    except amp_exp_async.BadRequestError as error:
        numbers = [
            name for name, value in map(_parse_field, assignments) if isinstance(_parse_value(value), int | float)
        ]
        if numbers:
            error.add_note(
                f"Sent as a number: {', '.join(numbers)}. To send text, quote it twice: --field '{numbers[0]}=\"…\"'."
            )
        raise


def _arguments(verb: str, path: str, assignments: list[str], file: Path | None) -> tuple[dict[str, str], Any]:
    """Return the query and the body of a request."""
    fields = distinct_names("--field", map(_parse_field, assignments))
    query = distinct_names("PATH", parse_qsl(path.partition("?")[2], keep_blank_values=True))
    if verb in _READING:
        if file is not None:
            raise amp_exp_async.InvalidInputError(f"--json-body: a {verb} has no body. Nothing was sent.")
        return distinct_names("--field", [*query.items(), *fields.items()]), None
    if file is None and not fields and verb in _WITH_BODY:
        raise amp_exp_async.InvalidInputError(
            f"{verb} without a body changes nothing. Pass --field or --json-body. Nothing was sent."
        )
    if file is None:
        return query, {name: _parse_value(value) for name, value in fields.items()} if fields else None
    if fields:
        raise amp_exp_async.InvalidInputError(
            "--field and --json-body exclude each other. Pass one of them. Nothing was sent."
        )
    return query, _read_body(file)


def _parse_field(assignment: str) -> tuple[str, str]:
    name, equals, value = assignment.partition("=")
    if not (name and equals):
        raise amp_exp_async.InvalidInputError(
            f"--field takes NAME=VALUE, such as --field limit=10; got {json_text.dumps(assignment)}."
        )
    return name, value


def _parse_value(text: str) -> Any:
    """Return a value that looks like JSON as JSON, and any other as text."""
    if not re.match(r'[\[{"\d-]|true$|false$|null$', text):
        return text
    try:
        return json_text.loads(text)
    except ValueError:
        return text


def _read_body(file: Path) -> Any:
    try:
        text = (read_stdin() if str(file) == STDIN else _read_file(file)).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise amp_exp_async.InvalidInputError(
            f"--json-body {file}: cannot be read ({describe_os_error(error)}). Nothing was sent."
        ) from error
    try:
        return json_text.loads(text)
    except ValueError as error:
        raise amp_exp_async.InvalidInputError(
            f"--json-body {file}: is not JSON ({error}). Nothing was sent."
        ) from error


def _read_file(file: Path) -> bytes:
    with file.open("rb") as stream:
        return read_bounded(stream)
