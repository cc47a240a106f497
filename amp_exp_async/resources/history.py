"""The history of a flag or experiment: the changes of each version, and restoring a version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import attrs
from attrs import frozen

from amp_exp_async import validation
from amp_exp_async.errors import NOTHING_WRITTEN, InvalidInputError
from amp_exp_async.escaping import escape
from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET, FlagConfig, Maybe, ResultList, Version

from .diff import FieldChange, diff_flags, summarize_version
from .flags import AsyncFlagConfigs
from .optimistic import OptimisticEdit, changed_fields, editable_attributes, reject_impossible_edit
from .versions import AsyncVersions

FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)


@frozen
class VersionChange:
    """The changes that a version made.

    Attributes:
        version: the version's number.
        created_by: the author.
        created_at: the time of the change, in UTC.
        differences: the fields that differ from the previous version, by name. Empty for the oldest version, and if the
            service does not show the change, as when a flag is archived.
    """

    version: int
    created_by: Maybe[str]
    created_at: Maybe[datetime]
    differences: dict[str, FieldChange]

    def _table_row(self) -> dict[str, object]:
        """Return the columns that a notebook shows of the change in a list."""
        time = f"{self.created_at:%Y-%m-%d %H:%M}" if self.created_at else ""
        return {"version": self.version, "by": self.created_by or "", "at": time, "changes": self.summary}

    @property
    def summary(self) -> str:
        """The differences as one text: `created` for version 1, `no visible difference` if the service shows none."""
        return summarize_version(self.version, self.differences)

    def __str__(self) -> str:
        author = f" by {self.created_by}" if self.created_by else ""
        time = f" at {self.created_at:%Y-%m-%d %H:%M:%S} UTC" if self.created_at else ""
        return escape(f"version {self.version}{author}{time}: {self.summary}")


@frozen
class RestoreResult(Generic[FlagConfigT_co]):
    """The result of restoring a version, or of a dry run.

    Attributes:
        differences: the fields that the edit sets, by name: before the call, and in the version.
        not_restorable: the fields that differ from the version, but that an edit cannot set, such as `variants`.
        flag_config: the flag or experiment as read after the write; in a dry run, the live one.
        dry_run: whether the write was skipped.
    """

    differences: dict[str, FieldChange]
    not_restorable: dict[str, FieldChange]
    flag_config: FlagConfigT_co
    dry_run: bool

    def __str__(self) -> str:
        unchanged = (f"not restorable: {change}" for change in self.not_restorable.values())
        return "\n".join([*map(str, self.differences.values()), *unchanged]) or "no difference"


def version_changes(versions: Sequence[Version[Any]]) -> list[VersionChange]:
    """Return the changes of each version, newest first."""
    ordered = sorted(versions, key=lambda version: version.version, reverse=True)
    previous: list[Version[Any] | None] = [*ordered[1:], None]
    return ResultList(
        VersionChange(
            version.version,
            version.created_by,
            version.created_at,
            {} if before is None else diff_flags(before.config, version.config),
        )
        for version, before in zip(ordered, previous, strict=False)
    )


def apply_version(flag_config: FlagConfig, version: FlagConfig) -> FlagConfig:
    """Return the flag with every editable field that the version has set to the version's value."""
    values = {name: getattr(version, name) for name in editable_attributes(flag_config)}
    return attrs.evolve(flag_config, **{name: value for name, value in values.items() if value is not UNSET})


def not_restorable(flag_config: FlagConfig, version: FlagConfig) -> dict[str, FieldChange]:
    """Return the fields that still differ from a version after `apply_version`."""
    changes = diff_flags(flag_config, version)
    return {name: change for name, change in changes.items() if change.after is not UNSET}


async def restore_version(
    resource: AsyncFlagConfigs[FlagConfigT_co], id: str, version: int | str, *, dry_run: bool
) -> RestoreResult[FlagConfigT_co]:
    """Restore the editable fields of a version."""
    transport = resource.transport.as_one_call()
    editor = OptimisticEdit(transport, resource.collection)
    desired = (await AsyncVersions(transport, resource.collection).get(id, version)).config
    live = await editor.read(id)
    restored = apply_version(live, desired)
    with validation.trusted_text():
        reject_impossible_edit(live, changed_fields(live, restored))  # a dry run rejects what the edit would reject
    differences, remaining = diff_flags(live, restored), not_restorable(restored, desired)
    if differences and restored.deleted is True:
        # It would have to be un-archived for the edit, and would serve users in between if it is enabled.
        raise InvalidInputError(
            subject=f"{type(live).__name__.lower()} {id}",
            argument="id",
            rule="is archived, and the service edits nothing that is archived",
            consequence=NOTHING_WRITTEN,
            advice="Restore it first.",
            code_advice=f"Call {resource.collection.name}.restore({format_value(id)}).",
        )
    if not dry_run:
        with validation.trusted_text():
            live = await editor.write(id, live, restored)
    return RestoreResult(differences, remaining, live, dry_run)
