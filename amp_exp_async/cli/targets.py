"""Flags and experiments that a command names, by ID or by key."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, TypeAlias

import typer
from attrs import frozen

from amp_exp_async import (
    UNSET,
    ExperimentClient,
    ExperimentEditParams,
    Experiments,
    FlagConfig,
    FlagEditParams,
    Flags,
    InvalidInputError,
    NotFoundError,
)

from .options import OptionGroup
from .output import format_value, printable

PAGE_SIZE = 1000

_ID_OR_KEY = "ID or key. All-digit values are IDs; use --key to force a key."
Target: TypeAlias = Annotated[str, typer.Argument(metavar="FLAG", help=_ID_OR_KEY, show_default=False)]
Targets: TypeAlias = Annotated[list[str], typer.Argument(metavar="FLAG", help=_ID_OR_KEY, show_default=False)]


@frozen
class FlagKind:
    """Flags or experiments: the same commands on two collections.

    Attributes:
        name: `flags` or `experiments`.
        noun: the word for one.
        editable: the fields that an edit can set.
    """

    name: Literal["flags", "experiments"]
    noun: str
    editable: Collection[str]

    def resource(self, client: ExperimentClient) -> Flags | Experiments:
        """Return the client's resource of this kind."""
        return client.flags if self.name == "flags" else client.experiments

    def label(self, flag: FlagConfig) -> str:
        """Return the name of a flag or experiment in messages."""
        return printable(f"{self.noun} {flag.id} ({flag.key})")


FLAGS = FlagKind("flags", "flag", FlagEditParams.__annotations__)
EXPERIMENTS = FlagKind("experiments", "experiment", ExperimentEditParams.__annotations__)


@frozen
class FlagTarget:
    """A flag or experiment as the user named it.

    Attributes:
        kind: flags or experiments.
        name: the ID or key.
        is_key: whether the name is a key.
        project_id: the project to look in; None for all.
    """

    kind: FlagKind
    name: str
    is_key: bool
    project_id: str | None = None

    @property
    def operation_args(self) -> dict[str, Any]:
        """The arguments that name the target in an operation."""
        reference = {"key": self.name, "project_id": self.project_id} if self.is_key else {"id": self.name}
        return {"kind": self.kind.name, **reference}


@frozen(kw_only=True)
class TargetOptions(OptionGroup):
    """Options that say how a FLAG argument is meant.

    Attributes:
        key: whether it is a key even if it is all digits.
        project_id: the project of a key that exists in several projects.
    """

    key: Annotated[bool, typer.Option("--key", help="FLAG is a key, even if it is all digits.")] = False
    project_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Project of a key that exists in several projects.")
    ] = None

    def target(self, kind: FlagKind, name: str) -> FlagTarget:
        """Return the target that a FLAG argument names.

        Raises:
            InvalidInputError: If a project is given for an ID.
        """
        if self.key or not (name.isascii() and name.isdigit()):
            return FlagTarget(kind, name, is_key=True, project_id=self.project_id)
        if self.project_id is not None:
            raise InvalidInputError(f"--project-id goes with a key, but {name} is an ID. If it is a key, pass --key.")
        return FlagTarget(kind, name, is_key=False)


def resolve(client: ExperimentClient, target: FlagTarget, *, prefer_archived: bool = False) -> FlagConfig:
    """Return the flag or experiment that a target names, with the fields that a list shows.

    Args:
        client: the client.
        target: the target.
        prefer_archived: whether the key of an archived and an active flag means the archived one.

    Raises:
        InvalidInputError: If no flag or several flags match.
    """
    resource = target.kind.resource(client)
    if not target.is_key:
        try:
            return resource.get(target.name)
        except NotFoundError as error:
            raise InvalidInputError(f"{error} If {target.name} is a key, pass --key.") from error
    project_id = UNSET if target.project_id is None else target.project_id
    matches: list[FlagConfig] = list(
        resource.list(key=target.name, project_id=project_id, include_archived=True, limit=PAGE_SIZE)
    )
    preferred = [flag for flag in matches if bool(flag.deleted) == prefer_archived] or matches
    if len(preferred) == 1:
        return preferred[0]
    if preferred:
        projects = ", ".join(f"{flag.project_id} (ID {flag.id})" for flag in preferred)
        raise InvalidInputError(
            f"key {format_value(target.name)} exists {len(preferred)} times, in projects {projects}. "
            "Choose one with --project-id."
        )
    where = "any project visible to this API key" if target.project_id is None else f"project {target.project_id}"
    raise InvalidInputError(f"no {target.kind.noun} with key {format_value(target.name)} in {where}. Check the key.")


def load(client: ExperimentClient, target: FlagTarget, *, prefer_archived: bool = False) -> FlagConfig:
    """Return the flag or experiment that a target names, with all fields; see `resolve`."""
    flag = resolve(client, target, prefer_archived=prefer_archived)
    return target.kind.resource(client).get(flag.id) if target.is_key else flag
