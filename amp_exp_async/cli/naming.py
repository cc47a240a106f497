"""Which flag or experiment is meant: by its id, or by its key."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer
from attrs import frozen

from amp_exp_async import UNSET, InvalidInputError, NotFoundError
from amp_exp_async.matching import exactly_one
from amp_exp_async.models import FlagConfig
from amp_exp_async.sync.resources import Experiments, Flags

from .options import Options

Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="FLAG", help="Its id, or its key where that is not all digits.", show_default=False)
]
Names: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="FLAG", help="Their ids, or keys where those are not all digits.", show_default=False),
]


@frozen
class Named:
    """What the user calls a flag or experiment.

    Attributes:
        name: the id, or the key.
        by_key: whether the name is a key.
        project_id: which project, where the key exists in several.
    """

    name: str
    by_key: bool
    project_id: str | None = None


@frozen(kw_only=True)
class Naming(Options):
    """How names are to be taken.

    Attributes:
        key: whether they are keys, though they are all digits.
        project_id: which project, where a key exists in several.
    """

    key: Annotated[bool, typer.Option("--key", help="FLAG is a key, though it is all digits.")] = False
    project_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Which project, where the key exists in several.")
    ] = None

    def of(self, name: str) -> Named:
        """What is meant by a name.

        Raises:
            InvalidInputError: it is an id, which is in one project anyhow, and a project is named.
        """
        if self.key or not (name.isascii() and name.isdigit()):
            return Named(name, by_key=True, project_id=self.project_id)
        if self.project_id is not None:
            raise InvalidInputError(f"--project-id goes with a key, and {name} is an id. If it is a key, pass --key.")
        return Named(name, by_key=False)


def find(toggles: Flags | Experiments, named: Named, *, archived: bool = False) -> FlagConfig:
    """The one that is meant, with what a list shows of it.

    Args:
        toggles: flags or experiments.
        named: its name.
        archived: whether one that is archived is looked for; else one will do where there is no other of the key.

    Raises:
        InvalidInputError: there is none, or there are several.
    """
    try:
        if not named.by_key:
            return toggles.get(named.name)
        project = UNSET if named.project_id is None else named.project_id
        found: list[FlagConfig] = list(toggles.list(key=named.name, project_id=project, include_archived=True))
        preferred = [toggle for toggle in found if bool(toggle.deleted) == archived]
        return exactly_one(toggles._resource.kind.name, preferred or found, named.name, named.project_id)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - until it is public
    except NotFoundError as error:
        hint = "" if named.by_key else f" If {named.name} is a key, pass --key."
        raise InvalidInputError(f"{error}{hint}") from error
    except InvalidInputError as error:
        hint = ". Say which with --project-id." if error.argument == "project_id" and named.project_id is None else ""
        raise InvalidInputError(f"{error}{hint}") from error


def read(toggles: Flags | Experiments, named: Named, *, archived: bool = False) -> FlagConfig:
    """The one that is meant, in full; see `find`."""
    found = find(toggles, named, archived=archived)
    return toggles.get(found.id) if named.by_key else found
