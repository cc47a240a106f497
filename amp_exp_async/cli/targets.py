"""Flags and experiments that a command names, by ID or by key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeAlias

import attrs
import typer
from attrs import frozen

import amp_exp_async

from .completion import complete_flag
from .errors import UnknownNameError
from .options import PROJECT_VARIABLE, DefaultProject, OptionGroup, ProjectDefault, describe_project
from .output import format_value, printable

PAGE_SIZE = 1000

_ID_OR_KEY = "ID or key. All-digit values are IDs; use --by-key to force a key."
_OF_ANY_KIND = f"Flag or experiment: {_ID_OR_KEY}"
AnyTarget: TypeAlias = Annotated[
    str, typer.Argument(metavar="FLAG", help=_OF_ANY_KIND, show_default=False, autocompletion=complete_flag)
]
Target: TypeAlias = Annotated[
    str, typer.Argument(metavar="FLAG", help=_ID_OR_KEY, show_default=False, autocompletion=complete_flag)
]
Targets: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="FLAG", help=_ID_OR_KEY, show_default=False, autocompletion=complete_flag)
]


@frozen
class FlagKind:
    """Flags or experiments: the same commands on two collections.

    Attributes:
        name: `flags` or `experiments`.
        noun: the word for one.
        examples: the keys of two that the demo has, and one that it has not, for help pages.
    """

    name: Literal["flags", "experiments"]
    noun: str
    examples: tuple[str, str, str]

    @property
    def noun_with_article(self) -> str:
        """The word for one, with its article."""
        return f"{'a' if self.name == 'flags' else 'an'} {self.noun}"

    @property
    def editable(self) -> Collection[str]:
        """The fields that an edit can set."""
        params = amp_exp_async.FlagEditParams if self.name == "flags" else amp_exp_async.ExperimentEditParams
        return params.__annotations__

    def resource(self, client: amp_exp_async.ExperimentClient) -> amp_exp_async.Flags | amp_exp_async.Experiments:
        """Return the client's resource of this kind."""
        return client.flags if self.name == "flags" else client.experiments

    def label(self, flag: amp_exp_async.FlagConfig) -> str:
        """Return the name of a flag or experiment in messages."""
        return printable(f"{self.noun} {flag.id} ({flag.key})")


FLAGS = FlagKind("flags", "flag", ("new-checkout", "old-checkout", "new-banner"))
EXPERIMENTS = FlagKind("experiments", "experiment", ("price", "price-table", "banner-test"))


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
        by_key: whether it is a key even if it is all digits.
        project_id: the project of a key that exists in several projects.
    """

    by_key: Annotated[bool, typer.Option("--by-key", help="The argument is a key, even if it is all digits.")] = False
    project_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help=f"Project of a key that exists in several projects. Default: ${PROJECT_VARIABLE}."
        ),
        ProjectDefault(),
    ] = None

    def target(self, kind: FlagKind, name: str) -> FlagTarget:
        """Return the target that a FLAG argument names.

        Raises:
            InvalidInputError: If a project is given for an ID.
        """
        if self.by_key or not (name.isascii() and name.isdigit()):
            return FlagTarget(kind, name, is_key=True, project_id=self.project_id)
        if self.project_id is not None and not isinstance(self.project_id, DefaultProject):
            raise amp_exp_async.InvalidInputError(
                f"--project-id goes with a key, but {name} is an ID. If it is a key, pass --by-key."
            )
        return FlagTarget(kind, name, is_key=False)

    def targets(self, name: str) -> list[FlagTarget]:
        """Return the targets that a FLAG argument names if it may be a flag or an experiment."""
        return [self.target(kind, name) for kind in (FLAGS, EXPERIMENTS)]


def locate(
    client: amp_exp_async.ExperimentClient, targets: Sequence[FlagTarget], *, prefer_archived: bool = False
) -> tuple[FlagKind, amp_exp_async.FlagConfig]:
    """Return the one flag or experiment that the targets name, and its kind, with the fields that a list shows.

    Args:
        client: the client.
        targets: the same name as a flag, as an experiment, or both.
        prefer_archived: whether the key of an archived and an active flag means the archived one.

    Raises:
        UnknownNameError: If none match. If only one kind was looked for, the message says if the other kind matches.
        InvalidInputError: If several match.
    """
    matches: list[tuple[FlagKind, amp_exp_async.FlagConfig]] = []
    for target in targets:
        matches += [(target.kind, flag) for flag in _matches(client, target)]
        if matches and not target.is_key:
            break  # flags and experiments share one set of IDs
    preferred = [match for match in matches if bool(match[1].deleted) == prefer_archived] or matches
    if len(preferred) == 1:
        return preferred[0]
    name, project_id = targets[0].name, targets[0].project_id
    if preferred:
        places = ", ".join(f"{flag.project_id} ({kind.noun} {flag.id})" for kind, flag in preferred)
        raise amp_exp_async.InvalidInputError(
            f"key {format_value(name)} exists {len(preferred)} times, in projects {places}. "
            "Choose one with --project-id, or pass an ID."
        )
    nouns = " or ".join(target.kind.noun for target in targets)
    other = _of_other_kind(client, targets)
    if not targets[0].is_key:
        raise UnknownNameError(f"no {nouns} with ID {name}. {other or f'If {name} is a key, pass --by-key.'}")
    where = "any project visible to this API key" if project_id is None else describe_project(project_id)
    raise UnknownNameError(f"no {nouns} with key {format_value(name)} in {where}. {other or 'Check the key.'}")


def _of_other_kind(client: amp_exp_async.ExperimentClient, targets: Sequence[FlagTarget]) -> str:
    """Return, in words, that the name is a flag if an experiment was looked for, or the reverse; empty if it is not."""
    if len(targets) > 1:
        return ""
    kind = EXPERIMENTS if targets[0].kind is FLAGS else FLAGS
    with suppress(amp_exp_async.AmpExpError):  # it is an addition to a message
        if _matches(client, attrs.evolve(targets[0], kind=kind)):
            return f"It is {kind.noun_with_article}: use amp-exp {kind.name}."
    return ""


def _matches(client: amp_exp_async.ExperimentClient, target: FlagTarget) -> list[amp_exp_async.FlagConfig]:
    resource = target.kind.resource(client)
    try:
        if not target.is_key:
            return [resource.get(target.name)]
        project_id = amp_exp_async.UNSET if target.project_id is None else target.project_id
        return list(resource.list(key=target.name, project_id=project_id, include_archived=True, limit=PAGE_SIZE))
    except amp_exp_async.NotFoundError:
        return []
    except amp_exp_async.InvalidInputError as error:
        if error.argument in {"id", "key"}:
            error.subject = "ID or key"
        raise


def resolve(
    client: amp_exp_async.ExperimentClient, target: FlagTarget, *, prefer_archived: bool = False
) -> amp_exp_async.FlagConfig:
    """Return the flag or experiment that a target names, with the fields that a list shows; see `locate`."""
    return locate(client, [target], prefer_archived=prefer_archived)[1]


def load_any(
    client: amp_exp_async.ExperimentClient, targets: Sequence[FlagTarget]
) -> tuple[FlagKind, amp_exp_async.FlagConfig]:
    """Return the one flag or experiment that the targets name, and its kind, with all fields; see `locate`."""
    kind, flag = locate(client, targets)
    return kind, kind.resource(client).get(flag.id) if targets[0].is_key else flag


def load(
    client: amp_exp_async.ExperimentClient, target: FlagTarget, *, prefer_archived: bool = False
) -> amp_exp_async.FlagConfig:
    """Return the flag or experiment that a target names, with all fields; see `resolve`."""
    flag = resolve(client, target, prefer_archived=prefer_archived)
    return target.kind.resource(client).get(flag.id) if target.is_key else flag


def reject_missing_variant(error: amp_exp_async.NotFoundError) -> None:
    """Raise `UnknownNameError` if an error says that the flag or experiment does not have the variant."""
    if error.variants is not None:
        raise UnknownNameError(f"{error.advice} Nothing was changed.") from error
