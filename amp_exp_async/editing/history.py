"""The versions of a flag or experiment as what each has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
from attrs import frozen

from amp_exp_async.models import UNSET, FlagConfig, Maybe, Version

from .fields import equal, table_of
from .showing import shown

# About the flag, not of it.
_ABOUT = frozenset({"created_by", "created_at", "last_modified_by", "last_modified_at", "extra"})


@frozen
class FieldDifference:
    """A field that differs. Its text names the places inside it that do.

    Attributes:
        field: its name in `Flag` or `Experiment`; for a field that this version of the library does not know, its name
            on the wire.
        before: what it was; `UNSET` where it was not there.
        after: what it became, or would become.
    """

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return "; ".join(shown(self.field, self.before, self.after)) or f"{self.field}: no difference"


@frozen
class VersionChange:
    """What a version has changed, and who made it.

    Attributes:
        version: the version's number.
        created_by: who made it.
        created_at: when, in UTC.
        differences: the fields that differ from the version before, by their names; empty for the oldest, which has
            none before it, and where the service does not show what has changed, as for one that was archived.
    """

    version: int
    created_by: Maybe[str]
    created_at: Maybe[datetime]
    differences: dict[str, FieldDifference]

    def __str__(self) -> str:
        by = f" by {self.created_by}" if self.created_by else ""
        at = f" at {self.created_at:%Y-%m-%d %H:%M:%S} UTC" if self.created_at else ""
        what = "; ".join(map(str, self.differences.values())) or "no difference shown"
        return f"version {self.version}{by}{at}: {what}"


def differences(before: FlagConfig, after: FlagConfig) -> dict[str, FieldDifference]:
    """The fields that differ, by their names."""
    old, new = _fields(before), _fields(after)
    names = list(dict.fromkeys([*old, *new]))
    pairs = {name: (old.get(name, UNSET), new.get(name, UNSET)) for name in names}
    return {name: FieldDifference(name, *pair) for name, pair in pairs.items() if not equal(*pair)}


def changes(versions: Sequence[Version[Any]]) -> list[VersionChange]:
    """What each version has changed, newest first."""
    ordered = sorted(versions, key=lambda version: version.version, reverse=True)
    befores: list[Version[Any] | None] = [*ordered[1:], None]
    return [
        VersionChange(
            version.version,
            version.created_by,
            version.created_at,
            {} if before is None else differences(before.config, version.config),
        )
        for version, before in zip(ordered, befores, strict=False)
    ]


def as_in(toggle: FlagConfig, version: FlagConfig) -> FlagConfig:
    """A flag or experiment with what an edit can set as it was in a version, as far as the version shows it."""
    editable = {"deleted" if name == "archive" else name for name in table_of(toggle)}
    shown = {name: getattr(version, name) for name in editable}
    return attrs.evolve(toggle, **{name: value for name, value in shown.items() if value is not UNSET})


def left(toggle: FlagConfig, version: FlagConfig) -> dict[str, FieldDifference]:
    """What differs in a version, and an edit cannot set."""
    return {name: found for name, found in differences(toggle, version).items() if found.after is not UNSET}


def _fields(toggle: FlagConfig) -> Mapping[str, Any]:
    known = {field.name: getattr(toggle, field.name) for field in attrs.fields(type(toggle))}
    return {name: value for name, value in known.items() if name not in _ABOUT} | toggle.extra
