"""`amp-exp export`: what there is, as a file declares it."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from amp_exp_async import InvalidInputError, Manifest, dumps, save

from .declared import INPUT, writing
from .reading import exported
from .session import Session

_SUFFIXES: dict[str, Literal["yaml", "json"]] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}

IncludeArchived: TypeAlias = Annotated[bool, typer.Option("--include-archived", help="Archived ones too.")]
WithInclusions: TypeAlias = Annotated[
    bool, typer.Option("--with-inclusions", help="Users and cohorts too: two requests for each variant.")
]
WithVariants: TypeAlias = Annotated[
    bool, typer.Option("--with-variants", help="Variants in full: a request for each flag.")
]


def export(
    session: Session,
    *,
    project_id: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this project.")] = None,
    key: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Only that of this key; repeatable.")] = None,
    include_archived: IncludeArchived = False,
    with_inclusions: WithInclusions = False,
    with_variants: WithVariants = False,
    server_fields: Annotated[
        bool, typer.Option("--server-fields", help="Ids, salts, and who changed it when.")
    ] = False,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="A file, or a folder; - for standard output.")
    ] = INPUT,
    format: Annotated[Literal["yaml", "json"] | None, typer.Option(help="Else what PATH is named, or YAML.")] = None,
) -> None:
    """Write flags and experiments as they are to a file, a folder or standard output."""
    chosen = _format(output, format)
    state = exported(
        session,
        project_id,
        keys=key or None,
        include_archived=include_archived,
        users=with_inclusions,
        cohorts=with_inclusions,
        variants=with_variants,
        server_fields=server_fields,
    )
    counts = {"flags": len(state.of("flags")), "experiments": len(state.of("experiments"))}
    if output == INPUT:
        _print(session, state, chosen)
        return
    with writing("--output", output):
        save(state, output, format=chosen)
    session.result = {**counts, "output": output}
    flags, experiments = _counted(counts["flags"], "flag"), _counted(counts["experiments"], "experiment")
    session.say(f"Wrote {flags} and {experiments} to {output}.")


def _print(session: Session, state: Manifest, format: Literal["yaml", "json"]) -> None:
    if session.json:
        session.result = json_text.loads(dumps(state, format="json"))
    else:
        session.print(dumps(state, format=format).rstrip("\n"))


def _format(output: str, format: Literal["yaml", "json"] | None) -> Literal["yaml", "json"]:
    """What is written.

    Raises:
        InvalidInputError: it does not go with the name of the file.
    """
    suffix = Path(output).suffix.lower()
    named = _SUFFIXES.get(suffix)
    if output == INPUT or Path(output).is_dir() or not suffix:
        return format or "yaml"
    if named is None:
        raise InvalidInputError(
            f"--output {output}: must be named .yaml, .yml or .json, or be a folder. Nothing was written."
        )
    if format not in {None, named}:
        raise InvalidInputError(f"--output {output} is a name for {named}, and --format says {format}: leave it out.")
    return named


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
