"""The options that change fields of a flag or experiment, and the changed copy that they ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import attrs
import typer
from attrs import frozen

from amp_exp_async import InvalidInputError, validation
from amp_exp_async.models import FlagConfig
from amp_exp_async.validation import Validator

from .options import Options

Text: TypeAlias = str | None
_ARCHIVE = "archive: has commands of its own, archive and restore. Nothing was sent."


def _types(incomplete: str) -> list[str]:
    known = ("hypothesis-testing", "no-harm", "a-b-test", "multi-arm-bandit")
    return [name for name in known if name.startswith(incomplete)]


@frozen(kw_only=True)
class FlagFields(Options):
    """What of a flag is to be changed; None for what is to stay."""

    name: Annotated[Text, typer.Option(help="The name shown in the app.")] = None
    description: Annotated[Text, typer.Option(help="What it is for.")] = None
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether it is active.")] = None
    rollout_percentage: Annotated[
        float | None, typer.Option(metavar="0-100", help="The share of users whom no segment targets.")
    ] = None
    evaluation_mode: Annotated[Literal["local", "remote"] | None, typer.Option(help="Where variants are decided.")] = (
        None
    )
    bucketing_key: Annotated[Text, typer.Option(help="The property that decides who is in which bucket.")] = None
    bucketing_salt: Annotated[Text, typer.Option(help="The salt of that decision.")] = None
    bucketing_unit: Annotated[Text, typer.Option(help="User, or a group type.")] = None
    add_tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Add a tag. May be repeated.")] = None
    remove_tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Remove a tag. May be repeated.")] = None
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=JSON", help="Set any field that can be edited; null is possible. May be repeated."
        ),
    ] = None

    def change(self, table: Mapping[str, Validator]) -> Callable[[FlagConfig], FlagConfig]:
        """What makes the changed copy.

        Args:
            table: the fields that an edit can set, with the check of each.

        Raises:
            InvalidInputError: a value breaks a rule, a field is named twice or does not exist, or nothing is named.
        """
        given = {name: value for name in table if (value := getattr(self, name, None)) is not None}
        for assignment in self.set or ():
            name, value = _assigned(assignment, table)
            if name in given:
                validation.reject(name, "is given twice")
            given[name] = value
        added, removed = validation.strings("--add-tag", self.add_tag or ()), _removed(self.remove_tag)
        if "tags" in given and (added or removed):
            validation.reject("tags", "is given twice: --set replaces all tags, so that none can be added or removed")
        if both := removed.intersection(added):
            validation.reject("tags", "cannot be added and removed at once", min(both))
        if not (given or added or removed):
            raise InvalidInputError("nothing is to be changed: say what, as in --name NAME. --help has all options.")
        checked = validation.fields(table, {name: _plain(value) for name, value in given.items()})

        def change(before: FlagConfig) -> FlagConfig:
            if not (added or removed):
                return attrs.evolve(before, **checked)
            kept = [tag for tag in before.tags or () if tag not in removed]
            return attrs.evolve(before, tags=list(dict.fromkeys([*kept, *added])), **checked)

        return change


@frozen(kw_only=True)
class ExperimentFields(FlagFields):
    """What of an experiment is to be changed; None for what is to stay."""

    experiment_type: Annotated[
        Text, typer.Option(help="hypothesis-testing, no-harm, multi-arm-bandit, or another.", autocompletion=_types)
    ] = None
    sticky_bucketing: Annotated[bool | None, typer.Option(help="Whether users keep the variant they got first.")] = None
    start_date: Annotated[Text, typer.Option(metavar="DATE", help="2026-11-03, or a moment with its time zone.")] = None
    end_date: Annotated[Text, typer.Option(metavar="DATE", help="Likewise.")] = None
    decision: Annotated[
        Literal["rollout", "rollback", "continue-running"] | None, typer.Option(help="What was decided.")
    ] = None
    decision_reason: Annotated[Text, typer.Option(help="Why.")] = None
    rolled_out_variant: Annotated[Text, typer.Option(metavar="VARIANT", help="The variant that is rolled out.")] = None


def _removed(tags: list[str] | None) -> frozenset[str]:
    return frozenset(validation.strings("--remove-tag", tags or ()))


def _plain(value: Any) -> Any:
    """A whole number as one: the wire tells 20 from 20.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _assigned(assignment: str, table: Mapping[str, Validator]) -> tuple[str, Any]:
    name, equals, text = assignment.partition("=")
    if not (name and equals):
        raise InvalidInputError(f"--set takes FIELD=JSON, as in --set rollout_percentage=20; got {assignment!r}.")
    if name == "archive":
        raise InvalidInputError(_ARCHIVE)
    validation.known_names("", table, [name])
    try:
        return name, json.loads(text)
    except ValueError:
        raise InvalidInputError(
            f"--set {name}: {text!r} is no JSON. Text needs quotes, and the shell others around it: "
            f"--set '{name}={json.dumps(text)}'"
        ) from None
