"""Options that several commands share."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, TypeVar, cast

import typer

from .help import SHARED_PANEL

T = TypeVar("T")

KEY_VARIABLE = "AMPLITUDE_MANAGEMENT_API_KEY"
SECOND_KEY_VARIABLE = "AMPLITUDE_EXPERIMENT_MANAGEMENT_API_KEY"
REGION_VARIABLE = "AMPLITUDE_EXPERIMENT_REGION"
BASE_URL_VARIABLE = "AMPLITUDE_EXPERIMENT_BASE_URL"
PROJECT_VARIABLE = "AMPLITUDE_PROJECT_ID"
PROFILE_VARIABLE = "AMP_EXP_PROFILE"
LOG_VARIABLE = "AMP_EXP_LOG"


class OptionGroup:
    """Options that belong together. The constructor's parameters become options of each command that takes a group."""


class DefaultProject(str):
    """The project of an option that was not given.

    Attributes:
        source: where it comes from.
    """

    __slots__ = ("source",)

    source: str

    def __new__(cls, id: str, source: str) -> Self:
        """Return the project with its source."""
        self = super().__new__(cls, id)
        self.source = source
        return self


def describe_project(id: str) -> str:
    """Return a project in words, with the place that it comes from if it is not an option."""
    return f"project {id} ({id.source})" if isinstance(id, DefaultProject) else f"project {id}"


def nothing_found(
    plural: str, project_id: str | None, filters: Sequence[str] = (), *, include_archived: bool = False
) -> str:
    """Return the message for an empty list. It names what was left out: a filter must not read as an empty account.

    Args:
        plural: the word for what is listed.
        project_id: the project; None for all.
        filters: the other options that select, as they were given.
        include_archived: whether archived ones are listed.
    """
    where = "any project visible to this API key" if project_id is None else describe_project(project_id)
    archived = "" if include_archived else " Archived ones are listed with --include-archived only."
    if filters:
        return f"No {plural} in {where} match {' '.join(filters)}.{archived}"
    return f"No {plural} found in {where}.{archived}"


def format_filters(values: Mapping[str, object]) -> list[str]:
    """Return options as they were given, for a message.

    Args:
        values: the options' values: None for one that was not given, True for one without a value, a list for one that
            is repeated.
    """
    words: list[str] = []
    for option, value in values.items():
        if value is True:
            words.append(option)
        elif value is not None:
            repeated = cast("list[object]", value) if isinstance(value, list) else [value]
            words += [f"{option} {shlex.quote(str(item))}" for item in repeated]
    return words


def as_integer(number: float | None) -> float | None:
    """Return a whole float as an integer, because JSON distinguishes 20 from 20.0."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def distinct_names(option: str, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return the values that a repeated option gives to names.

    Raises:
        InvalidInputError: If a name is given twice.
    """
    values: dict[str, T] = {}
    for name, value in pairs:
        if name in values:
            import amp_exp_async  # noqa: PLC0415 - help and completion do not need the library

            raise amp_exp_async.InvalidInputError(
                f"{option}: {json.dumps(name, ensure_ascii=False)} is given twice. Nothing was sent. Give it once."
            )
        values[name] = value
    return values


class Sets:
    """Marks an option that sets arguments of the library which have other names, for messages about them.

    Args:
        arguments: their names.
    """

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments


class ProjectDefault:
    """Marks an option whose default is the project of the environment, or of the profile.

    An option without another default is required if neither names a project.
    """


def _complete_profile(incomplete: str) -> list[str]:
    from .profiles import complete_profile  # noqa: PLC0415 - not needed for the list of commands

    return complete_profile(incomplete)


ProfileName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help=f"Profile of the configuration file. Default: ${PROFILE_VARIABLE}.",
        autocompletion=_complete_profile,
        rich_help_panel=SHARED_PANEL,
    ),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON only.", rich_help_panel=SHARED_PANEL)
]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", help="Show each request on standard error.", rich_help_panel=SHARED_PANEL)
]
Debug: TypeAlias = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=SHARED_PANEL)
]
KeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        metavar="PATH",
        help=f"File that holds the management API key. Default: ${KEY_VARIABLE}.",
        rich_help_panel=SHARED_PANEL,
    ),
]
Region: TypeAlias = Annotated[
    Literal["us", "eu"] | None,
    typer.Option(case_sensitive=False, help="Region of your account.", rich_help_panel=SHARED_PANEL),
]
BaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Scheme and host of the service, instead of a region.", rich_help_panel=SHARED_PANEL
    ),
]

Proxy: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="HTTP proxy. Default: $HTTPS_PROXY, else $ALL_PROXY.", rich_help_panel=SHARED_PANEL
    ),
]
CaBundle: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Certificates to trust, besides those of the system: a PEM file, or a folder.",
        rich_help_panel=SHARED_PANEL,
    ),
]
AllowInsecureHttp: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-insecure-http", help="Allow http:// to other hosts than this one.", rich_help_panel=SHARED_PANEL
    ),
]
Timeout: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Time for one attempt. Default: 30.", rich_help_panel=SHARED_PANEL),
]
Deadline: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", help="Time for one call with its retries. Default: 120.", rich_help_panel=SHARED_PANEL
    ),
]

ProjectFilter: TypeAlias = Annotated[
    str | None,
    typer.Option("--project-id", metavar="ID", help=f"Only this project. Default: ${PROJECT_VARIABLE}."),
    ProjectDefault(),
]
NewProject: TypeAlias = Annotated[
    str,
    typer.Option("--project-id", metavar="ID", help=f"The project. Default: ${PROJECT_VARIABLE}."),
    ProjectDefault(),
]
IncludeArchived: TypeAlias = Annotated[bool, typer.Option("--include-archived", help="Include archived ones.")]
Column: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME|N", help="The file is CSV with a header: read the column with this name or number."),
]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Show the changes without making them.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
