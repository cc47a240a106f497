"""The rules of the service for what is written. A change that breaks one is reported when it is planned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from amp_exp_async import validation
from amp_exp_async.errors import Problem
from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET, Experiment, FlagConfig, Group, HoldoutGroup, MutexGroup
from amp_exp_async.resources import FieldChange

from .live import is_web
from .operations import is_whole_variant
from .parse import problem_at
from .spec import FlagConfigSpec

_RESERVED_VARIANT = "off"


def broken_rules(
    desired: FlagConfigSpec, flag: FlagConfig | None, fields: Mapping[str, FieldChange]
) -> Iterator[Problem]:
    """Yield a problem for each rule of the service that a change breaks.

    Args:
        desired: the spec.
        flag: the live flag; None if it is to be created.
        fields: the changed fields.
    """
    if flag and fields and is_web(flag):
        advice = f"change {', '.join(fields)} in the app, or leave the fields out"
        yield problem_at(desired, "", f"is a web experiment, which the API cannot edit: {advice}")
        return
    yield from _invalid_new_keys(desired, flag, fields)
    yield from _enabled_without_deployment(desired, flag, fields)
    yield from _served_while_changed(desired, flag, fields)


def _invalid_new_keys(
    desired: FlagConfigSpec, flag: FlagConfig | None, fields: Mapping[str, FieldChange]
) -> Iterator[Problem]:
    """Yield problems of keys with which nothing can be created; existing objects may have them."""
    if flag is None and not validation.is_key(desired.key):
        yield problem_at(desired, "key", _alphabet_message(desired.key))
    for index, variant in enumerate(desired.variants or ()):
        change = fields.get(f"variants.{variant.key}")
        if change is None or change.before is not UNSET or not is_whole_variant(change.field, change):
            continue
        path = f"variants[{index}].key"
        if not validation.is_key(variant.key):
            yield problem_at(desired, path, _alphabet_message(variant.key))
        elif variant.key.lower() == _RESERVED_VARIANT:
            fact = f"{format_value(variant.key)} is reserved for users who get no variant"
            yield problem_at(desired, path, f"{fact}: use another key for the new variant")


def _alphabet_message(key: str) -> str:
    return f'must consist of letters, digits, "_" and "-" to be created, got {format_value(key)}'


def _enabled_without_deployment(
    desired: FlagConfigSpec, flag: FlagConfig | None, fields: Mapping[str, FieldChange]
) -> Iterator[Problem]:
    enabled = fields.get("enabled")
    if enabled is None or not enabled.after:
        return
    deployments = desired.deployments
    if deployments is UNSET and flag is not None:
        deployments = UNSET if flag.deployments is UNSET else tuple(flag.deployments or ())
        if deployments is UNSET:
            return  # the service does not show them
    if not deployments:
        fact = "cannot be true without a deployment, which it neither has nor gets"
        yield problem_at(desired, "enabled", f"{fact}: declare its deployments")


def _served_while_changed(
    desired: FlagConfigSpec, flag: FlagConfig | None, fields: Mapping[str, FieldChange]
) -> Iterator[Problem]:
    """Yield a problem if an archived flag would serve users while it is restored for a change."""
    if flag and flag.enabled and is_restored_for_change(fields):
        fact = "an archived flag is changed by restoring it, and this one is enabled, so it would serve users meanwhile"
        others = ", ".join(name for name in fields if name != "archived")
        yield problem_at(desired, "archived", f"{fact}: leave out {others}, or declare archived: false")


def is_restored_for_change(fields: Mapping[str, FieldChange]) -> bool:
    """Return whether an archived flag stays archived, although other fields change."""
    archived = fields.get("archived")
    return archived is not None and archived.before is archived.after is True


def taken_key(desired: FlagConfigSpec, project_id: str, others: Iterable[FlagConfig | Group]) -> Iterator[Problem]:
    """Yield a problem if a flag or experiment is to be created with the key of an object of another kind.

    Args:
        desired: the spec.
        project_id: its project.
        others: the flags or experiments of the other kind, and the groups; archived ones too.
    """
    for other in others:
        if other.key == desired.key and other.project_id == project_id:
            noun = f"archived {_noun(other)}" if other.deleted else _noun(other)
            fact = f"is the key of the {noun} with ID {format_value(other.id)}, and a project can have it only once"
            yield problem_at(desired, "key", f"{fact}: use another key")


def _noun(other: FlagConfig | Group) -> str:
    match other:
        case MutexGroup():
            return "mutex group"
        case HoldoutGroup():
            return "holdout group"
        case Experiment():
            return "experiment"
        case _:
            return "flag"


def needed_by_others(fields: Mapping[str, FieldChange]) -> bool:
    """Return whether a change is rejected if others depend on the flag: it archives it, or removes a variant."""
    return bool(_archived_or_removed(fields))


def _archived_or_removed(fields: Mapping[str, FieldChange]) -> dict[str, str | None]:
    """Return the fields that no dependent allows to change, each with the variant that it removes, if any."""
    removed: dict[str, str | None] = {
        name: name.removeprefix("variants.")
        for name, change in fields.items()
        if change.after is UNSET and is_whole_variant(name, change)
    }
    archived = fields.get("archived")
    return removed | ({"archived": None} if archived and archived.after and archived.before is not UNSET else {})


def dependent_problems(
    desired: FlagConfigSpec, id: str, fields: Mapping[str, FieldChange], others: Iterable[FlagConfig]
) -> Iterator[Problem]:
    """Yield a problem for each change that the service rejects because others depend on the flag.

    Args:
        desired: the spec.
        id: the ID of the live flag.
        fields: the changed fields.
        others: all flags and experiments.
    """
    dependents: dict[str, list[str]] = {}
    for other in others:
        parents = other.parent_dependencies.flags if other.parent_dependencies else None
        if parents and id in parents and not other.deleted:
            kind = "experiments" if isinstance(other, Experiment) else "flags"
            dependents[f"{kind}/{other.key}"] = list(parents[id])
    for field, variant in _archived_or_removed(fields).items():
        names = sorted(name for name, variants in dependents.items() if variant is None or variant in variants)
        if not names:
            continue
        verb = "depends" if len(names) == 1 else "depend"
        action = "archive it" if variant is None else f"remove the variant {format_value(variant)}"
        fact = f"cannot {action}, because {', '.join(names)} {verb} on it"
        remedy = "first archive them, or remove the dependency in the app"
        yield problem_at(desired, field if variant is None else "variants", f"{fact}: {remedy}")
