"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

KEY_VARIABLE = "AMPLITUDE_MANAGEMENT_API_KEY"
SECOND_KEY_VARIABLE = "AMPLITUDE_EXPERIMENT_MANAGEMENT_API_KEY"


class OptionGroup:
    """Options that belong together. The constructor's parameters become options of each command that takes a group."""


Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as JSON only.")]
Debug: TypeAlias = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
KeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file", metavar="PATH", help=f"File that holds the management API key. Default: ${KEY_VARIABLE}."
    ),
]
Region: TypeAlias = Annotated[
    Literal["us", "eu"] | None, typer.Option(case_sensitive=False, help="Region of your account.")
]
BaseUrl: TypeAlias = Annotated[
    str | None, typer.Option(metavar="URL", help="Scheme and host of the service, instead of a region.")
]

Proxy: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="URL", help="HTTP proxy. Default: $HTTPS_PROXY, else $ALL_PROXY."),
]
CaBundle: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Certificates to trust, besides those of the system, in PEM format.")
]
AllowInsecureHttp: TypeAlias = Annotated[
    bool, typer.Option("--allow-insecure-http", help="Allow http:// to other hosts than this one.")
]
Timeout: TypeAlias = Annotated[float | None, typer.Option(metavar="SECONDS", help="Time for one attempt. Default: 30.")]
Deadline: TypeAlias = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Time for one call with its retries. Default: 120.")
]

ProjectFilter: TypeAlias = Annotated[str | None, typer.Option("--project-id", metavar="ID", help="Only this project.")]
IncludeArchived: TypeAlias = Annotated[bool, typer.Option("--include-archived", help="Include archived ones.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Show the changes without making them.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
