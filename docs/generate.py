"""The generator of docs/operations.md from the declarations of the operations; `--check` fails if it is out of date."""

from __future__ import annotations

import argparse
import inspect
import sys
import textwrap
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from amp_exp_async import AsyncBetaClient, AsyncBulkRun, AsyncExperimentClient
from amp_exp_async.config import BETA, V1
from amp_exp_async.http import Idempotency
from amp_exp_async.resources import ApiOperation, list_methods, list_operations, operation_of

PAGE = Path(__file__).parent / "operations.md"

INTRODUCTION = f"""\
# Operations

This page is generated from the code by `docs/generate.py`; do not edit it. Paths are relative to `{V1.prefix}` unless a
section says otherwise. The links go to the vendor's API reference.

The last column says what happens after a lost response, a timeout or a 5xx, when the request may have been applied.
After a 429, or if no connection was made, every operation is retried. [reliability.md](reliability.md) has the rules.

Each method in the tables below also takes [`extra_headers` and `extra_query`](api.md#headers-and-query).

| repeated? | |
|---|---|
"""
REPEATED = {
    Idempotency.IDEMPOTENT: ("yes", "a second application changes nothing"),
    Idempotency.DELETE: (
        "yes; not found means done",
        "“not found” on the repeat means that the first request removed the object",
    ),
    Idempotency.EXCLUDE: (
        "yes; not included means done",
        "“no users for this key” on the repeat means that the first request removed the ids",
    ),
    Idempotency.RENAME: (
        "yes; reconciled after a rename",
        "if the key changes, “not found” on the repeat is reconciled by reading the variant by its new key",
    ),
    Idempotency.ARCHIVE: (
        "yes; reconciled after a refusal",
        "“cannot edit archived flag” on the repeat is reconciled by reading the object: archived means done",
    ),
    Idempotency.CREATE: (
        "no; reconciled",
        "sent once; reading back determines the outcome, otherwise `OutcomeUnknownError`",
    ),
    Idempotency.NON_IDEMPOTENT: ("no", "sent once, otherwise `OutcomeUnknownError`: read the list and decide"),
}
KINDS = """\
`client.flags` and `client.experiments` have the same operations. `{kind}` in a path is `flags`, as in these calls, or
`experiments`.
"""
BETA_SECTION = f"""\
On `AsyncBetaClient` and `BetaClient`, for accounts that still use this API: see [beta.md](beta.md). Paths are relative
to `{BETA.hosts["us"]}`.
"""
OTHER_ENDPOINTS = """\
`client.request(method, path, params=…, json=…)` reaches an endpoint that has no method here. GET, HEAD, PATCH and PUT
are repeated, others are not.
"""


@frozen
class Row:
    """A line of a table.

    Attributes:
        name: the dotted name of the method on the client.
        operation: its declaration.
        method: the method of the async client.
    """

    name: str
    operation: ApiOperation
    method: Callable[..., Any]

    @property
    def kind(self) -> str:
        """The client's resource, such as `flags`."""
        return self.name.partition(".")[0]

    @property
    def docs(self) -> str:
        """The vendor's page for the operation, that of its kind if kinds share the method."""
        pages = self.operation.docs
        return next((page for page in pages if f"-api-{self.kind[:5]}" in page), pages[0])

    def endpoint(self, kind: str) -> str:
        """Return the method and the path, with `{kind}` filled in."""
        return str(self.operation).replace("{kind}", kind)

    def line(self, kind: str) -> str:
        """Return the line, with this kind in the path."""
        call = f"client.{self.name}({', '.join(self.arguments())})"
        is_paged = "cursor" in inspect.signature(self.method).parameters
        awaited, blocking = (
            (f"async for item in {call}", f"for item in {call}") if is_paged else (f"await {call}", call)
        )
        repeated, _ = REPEATED[self.operation.idempotency]
        cells = [
            f"`{self.endpoint(kind)}`",
            f"`{awaited}`",
            f"`{blocking}`",
            repeated,
            f"[page]({self.docs})",
        ]
        return f"| {' | '.join(cells)} |"

    def arguments(self) -> Iterator[str]:
        """Yield the required arguments, and an ellipsis if a write takes more."""
        takes_more = False
        for parameter in inspect.signature(self.method).parameters.values():
            if parameter.name == "options":
                continue  # each method takes these, as the introduction says
            if parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
                takes_more = True
            else:
                yield f"{parameter.name}=…" if parameter.kind is parameter.KEYWORD_ONLY else parameter.name
        if takes_more and self.operation.method != "GET":
            yield "…"


def rows_of(client: object) -> list[Row]:
    """Return the rows of all operations of a client."""
    operations = list_operations(client)
    return [Row(name, operations[name], method) for name, method in list_methods(client) if name in operations]


def composed_of(client: object) -> tuple[list[str], list[str]]:
    """Return the methods that send requests of other operations: bulk runs, and guarded edits.

    A method that flags and experiments share is listed once, as that of flags.
    """
    runs, edits = [], []
    for name, method in list_methods(client):
        shared = name.replace("experiments.", "flags.", 1)
        if operation_of(method) is None and not (name != shared and {shared} & {*runs, *edits}):
            is_run = typing.get_type_hints(method)["return"] is AsyncBulkRun
            (runs if is_run else edits).append(name)
    return runs, edits


def table(rows: Iterable[Row], kind: str = "") -> str:
    """Return the rows as a table. If `kind` is empty, each path has its own kind."""
    heading = ["| endpoint | async | blocking | repeated? | API reference |", "|---|---|---|---|---|"]
    return "\n".join([*heading, *(row.line(kind or row.kind) for row in rows)]) + "\n"


def flags_and_experiments(rows: list[Row]) -> str:
    """Return one table for flags and experiments.

    Raises:
        RuntimeError: If they do not have the same operations.
    """
    flags, experiments = ([row for row in rows if row.kind == kind] for kind in ("flags", "experiments"))
    names = ([row.name.partition(".")[2] for row in kind] for kind in (flags, experiments))
    if next(names) != next(names):
        raise RuntimeError("flags and experiments have different operations: they need a table each")
    return table(flags, "{kind}")


def page() -> str:
    """Return the page."""
    key = "key-of-no-account"
    client, beta = AsyncExperimentClient(key, region="us"), AsyncBetaClient(key, region="us")
    rows = rows_of(client)
    declared = {row.operation.idempotency for row in rows}
    legend = [REPEATED[idempotency] for idempotency in REPEATED if idempotency in declared]
    runs, edits = (", ".join(f"`client.{name}`" for name in names) for names in composed_of(client))
    parts = [
        INTRODUCTION + "\n".join(f"| {short} | {meaning} |" for short, meaning in legend) + "\n",
        "## Flags and experiments\n",
        KINDS,
        flags_and_experiments(rows),
        f"Runs over lists and files of IDs, in as few of these requests as possible: {runs}. See [bulk.md](bulk.md).\n",
        f"Guarded edits, which merge others' changes: {edits}. See [reliability.md](reliability.md#guarded-edits).\n",
    ]
    for kind in dict.fromkeys(row.kind for row in rows if row.kind not in {"flags", "experiments"}):
        parts += [f"## {kind.title()}\n", table(row for row in rows if row.kind == kind)]
    parts += ["## Beta API\n", BETA_SECTION, table(rows_of(beta)), "## Other endpoints\n", OTHER_ENDPOINTS]
    return "\n\n".join(map(wrap, "\n".join(parts).split("\n\n")))


def wrap(paragraph: str) -> str:
    """Return a paragraph in lines of at most 100 columns; tables and headings as they are."""
    if paragraph.startswith(("|", "#")):
        return paragraph
    end = "\n" if paragraph.endswith("\n") else ""
    return textwrap.fill(paragraph, 100, break_long_words=False, break_on_hyphens=False) + end


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    check = parser.parse_args().check
    text = page()
    if not check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is out of date: run python docs/{Path(__file__).name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
