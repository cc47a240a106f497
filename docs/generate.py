"""Write docs/operations.md from the code; with `--check`, fail if it is not what the code says.

Each method is called with placeholders for its arguments, on a transport that keeps the request instead of sending it:
what stands in the tables is what would be sent.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import itertools
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from attrs import evolve, frozen

from amp_exp_async import (
    UNSET,
    AsyncBetaClient,
    AsyncBulkRun,
    AsyncExperimentClient,
    BetaClient,
    ExperimentClient,
    InvalidInputError,
)
from amp_exp_async.config import BETA, V1
from amp_exp_async.http import Idempotency, Request, Transport
from amp_exp_async.resources import Resource

PAGE = Path(__file__).parent / "operations.md"

INTRODUCTION = f"""\
# The operations

Made from the code by `docs/generate.py`; do not edit it here. Paths stand below `{V1.prefix}` unless a section says
otherwise.

The last column is what happens after a lost reply, a timeout or a 5xx, when nobody knows whether the service did it.
After a 429, or a connection that was never made, every operation is sent again. [reliability.md](reliability.md) has
the rules.

| repeated? | |
|---|---|
"""
MEANINGS = {
    "yes": "a second time changes nothing: it is sent again",
    "yes; 404 then means done": "likewise; that it is gone by then is what was asked for",
    "yes; 404 then: read back": "likewise; whether the first request renamed it is settled by looking for the new key",
    "never: read back": "it is sent once; whether it was done is settled by looking, else `OutcomeUnknownError`",
    "never": "it is sent once: `OutcomeUnknownError`, and you look",
}
KINDS = """\
On `client.flags` and `client.experiments` alike: `{kind}` in a path is `flags`, as in these calls, or `experiments`.
"""
BETA_SECTION = f"""\
On `AsyncBetaClient` and `BetaClient`, for accounts that are still on that API: see [beta.md](beta.md). Paths stand
below `{BETA.hosts["us"]}`, without a prefix.
"""
ANYTHING = """\
`client.request(method, path, params=…, json=…)` reaches an endpoint that has no method here. GET, HEAD, PATCH and PUT
are repeated, others never.
"""
# What a rule of the API keeps from being a number or a text of digits.
GUARDED = {"guarded_edit", "roll_out", "roll_back"}
VALUES: dict[str, Any] = {"slots": [{"percentage": 100}], "holdout_percentage": 5}


class Sent(Exception):  # noqa: N818 - it is no error
    """The request that a method would have sent."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.method, request.path)
        self.request = request


class Recorder(Transport):
    """Raises the first request of a call instead of sending it."""

    def start(self, request: Request) -> NoReturn:
        """Raise it."""
        raise Sent(request)


@frozen
class Row:
    """A line of a table.

    Attributes:
        name: the method, by its dotted name on the client.
        endpoint: the HTTP method, and the path with the arguments' names in braces.
        arguments: those of the call, as text.
        paged: whether it is read with a loop.
        repeat: what the last column says.
        docstring: the method's.
    """

    name: str
    endpoint: str
    arguments: str
    paged: bool
    repeat: str
    docstring: str

    @property
    def section(self) -> str:
        """The part of the client."""
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        call = f"client.{self.name}({self.arguments})"
        awaited, blocking = (
            (f"async for item in {call}", f"for item in {call}") if self.paged else (f"await {call}", call)
        )
        return f"| `{self.endpoint}` | `{awaited}` | `{blocking}` | {self.repeat} |"


def sections(client: object, prefix: str = "") -> Iterator[tuple[str, Resource]]:
    """The parts of a client, by their dotted names."""
    for name, part in vars(client).items():
        if not name.startswith("_") and isinstance(part, Resource):
            yield f"{prefix}{name}", part
            yield from sections(part, f"{prefix}{name}.")


def methods(section: object) -> dict[str, Callable[..., Any]]:
    """The public methods of a part, in the order in which they are written."""
    names = dict.fromkeys(name for cls in reversed(type(section).__mro__) for name in vars(cls))
    found = {name: getattr(section, name) for name in names if not name.startswith("_")}
    return {name: method for name, method in found.items() if inspect.ismethod(method)}


class Placeholders:
    """Arguments that can be found again in a path: all of digits, each another."""

    def __init__(self) -> None:
        self._number = itertools.count(9_000_001)
        self._names: dict[str, str] = {}

    def of(self, name: str, kind: Any) -> Any:
        """A value for an argument of that type."""
        if name in VALUES:
            return VALUES[name]
        number = next(self._number)
        self._names[str(number)] = name
        members = [one for one in (kind, *typing.get_args(kind)) if UNSET not in typing.get_args(one)]
        origins = [typing.get_origin(one) or one for one in members]
        for one, origin in zip(members, origins, strict=True):
            if origin is Literal:
                return typing.get_args(one)[0]
            if isinstance(origin, type) and issubclass(origin, Iterable) and origin is not str:
                return {} if issubclass(origin, Mapping) else [str(number)]
        if bool in origins:
            return True
        return number if int in origins and str not in origins else str(number)

    def template(self, path: str) -> str:
        """A path with the names of the arguments that stand in it."""
        segments = path.split("/")
        return "/".join(f"{{{self._names[segment]}}}" if segment in self._names else segment for segment in segments)


def optional_of(method: Callable[..., Any]) -> dict[str, Any]:
    """The arguments that may be left out, and their types."""
    hints = typing.get_type_hints(method)
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (fields,) = typing.get_args(hints[name])
            found |= typing.get_type_hints(fields)
        elif parameter.default is not inspect.Parameter.empty:
            found[name] = hints[name]
    return found


async def rows_of(name: str, method: Callable[..., Any]) -> list[Row]:
    """A row for a method, and one for each optional argument that makes another request of it."""
    hints, given = typing.get_type_hints(method), inspect.signature(method).parameters.values()
    required = [one for one in given if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    positional = [one.name for one in required if one.kind is not one.KEYWORD_ONLY]
    named = [f"{one.name}=…" for one in required if one.kind is one.KEYWORD_ONLY]
    optional, paged = optional_of(method), "cursor" in hints
    more = ["…"] if optional and not paged and not name.endswith(".find") else []
    found: dict[tuple[str, str], list[str]] = {}
    for option in (None, *optional):
        values = Placeholders()
        arguments = {one.name: values.of(one.name, hints[one.name]) for one in required}
        options = {} if option is None else {option: values.of(option, optional[option])}
        try:
            await method(*[arguments.pop(one) for one in positional], **arguments, **options)
        except InvalidInputError:
            continue  # an edit without changes, or a placeholder that will not do
        except Sent as sent:
            endpoint = f"{sent.request.method} {values.template(sent.request.path)}"
            found.setdefault((endpoint, repeated(sent)), []).extend(options)
        else:
            raise RuntimeError(f"{name} sends nothing")
    if not found:
        raise RuntimeError(f"no placeholder will do for {name}")
    # The request that most arguments lead to, and those that a few make another one of.
    most, *others = sorted(found, key=lambda one: -len(found[one]))
    doc = inspect.getdoc(method) or ""
    rows = [Row(name, most[0], ", ".join([*positional, *named, *more]), paged, most[1], doc)]
    for endpoint, repeat in others:
        special = [f"{option}=…" for option in found[endpoint, repeat]]
        rows.append(Row(name, endpoint, ", ".join([*positional, *named, *special, *more]), paged, repeat, doc))
    return rows


def repeated(sent: Sent) -> str:
    """What happens when the reply of a request is lost."""
    match sent.request.idempotency:
        case Idempotency.IDEMPOTENT:
            return "yes"
        case Idempotency.DELETE:
            return "yes; 404 then means done"
        case Idempotency.RENAME:
            return "yes; 404 then: read back"
        case Idempotency.NON_IDEMPOTENT:
            return "never"
        case Idempotency.CREATE:
            return "never: read back"


def is_guarded(method: Callable[..., Any]) -> bool:
    """Whether a method reads, writes and reads back."""
    return (
        inspect.unwrap(method).__name__ in GUARDED
        or inspect.unwrap(method).__module__ == "amp_exp_async.resources.segments"
    )


def is_run(method: Callable[..., Any]) -> bool:
    """Whether a method sends many requests, as a bulk run."""
    return typing.get_type_hints(method).get("return") is AsyncBulkRun


@frozen
class Operations:
    """What a client can do.

    Attributes:
        rows: one for each operation.
        runs: the methods that are bulk runs, by their dotted names.
        guarded: the methods that are guarded edits.
    """

    rows: list[Row]
    runs: list[str]
    guarded: list[str]


async def operations(awaited: Any, blocking: Any) -> Operations:
    """All operations of a client, each of which the blocking one must have as well."""
    client = object.__new__(type(awaited))
    client._init_resources(Recorder(awaited._transport.session, awaited._transport.options))  # noqa: SLF001
    rows: list[Row] = []
    runs: list[str] = []
    guarded: list[str] = []
    for section, part in sections(client):
        facade = blocking
        for step in section.split("."):
            facade = getattr(facade, step)
        for name, method in methods(part).items():
            if inspect.unwrap(getattr(type(facade), name)) is not method.__func__:
                raise RuntimeError(f"the blocking {section}.{name} is not made of the async one")
            if is_run(method):
                runs.append(f"{section}.{name}")
            elif is_guarded(method):
                guarded.append(f"{section}.{name}")
            else:
                rows += await rows_of(f"{section}.{name}", method)
    return Operations(rows, runs, guarded)


def of_kind(rows: Iterable[Row], kind: str) -> list[Row]:
    """The rows of flags or experiments, with `{kind}` in their paths."""
    found = [row for row in rows if row.section == kind]
    return [evolve(row, endpoint=row.endpoint.replace(f"/{kind}", "/{kind}", 1)) for row in found]


def table(rows: Iterable[Row]) -> str:
    """The rows, below a heading."""
    return "\n".join(["| endpoint | async | blocking | repeated? |", "|---|---|---|---|", *map(str, rows)]) + "\n"


def both_kinds(rows: list[Row]) -> str:
    """One table for flags and experiments, which must be alike."""
    flags, experiments = of_kind(rows, "flags"), of_kind(rows, "experiments")
    renamed = [str(row).replace("client.experiments.", "client.flags.") for row in experiments]
    if renamed != list(map(str, flags)):
        raise RuntimeError("flags and experiments differ: they need a table each")
    return table(flags)


async def all_operations() -> tuple[Operations, Operations]:
    """Those of version 1, and those of the Beta API."""
    key = "key-of-no-account"
    return (
        await operations(AsyncExperimentClient(key, region="us"), ExperimentClient(key, region="us")),
        await operations(AsyncBetaClient(key, region="us"), BetaClient(key, region="us")),
    )


async def page() -> str:
    """The whole page."""
    v1, beta = await all_operations()
    runs = ", ".join(f"`client.{name}`" for name in v1.runs if name.startswith("flags."))
    parts = [INTRODUCTION + "\n".join(f"| {short} | {long} |" for short, long in MEANINGS.items()) + "\n"]
    parts += ["## Flags and experiments\n", KINDS, both_kinds(v1.rows)]
    parts.append(f"Of any number of ids, in as many of these requests as it takes: {runs}. See [bulk.md](bulk.md).\n")
    guarded = ", ".join(f"`client.{name}`" for name in v1.guarded if name.startswith("flags."))
    only = ", ".join(
        f"`client.{name}`" for name in v1.guarded if name.replace("experiments.", "flags.") not in v1.guarded
    )
    parts.append(
        f"Read, write and read back, where others edit too: {guarded}; {only}. See "
        "[reliability.md](reliability.md#guarded-edits).\n"
    )
    for section in dict.fromkeys(row.section for row in v1.rows if row.section not in {"flags", "experiments"}):
        parts += [f"## {section.title()}\n", table(row for row in v1.rows if row.section == section)]
    parts += ["## The Beta API\n", BETA_SECTION, table(beta.rows), "## Anything else\n", ANYTHING]
    return "\n".join(parts)


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, and fail if the page is not as it should be"
    )
    check = parser.parse_args().check
    text = asyncio.run(page())
    if not check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is not what the code says: run python {Path(__file__).name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
