"""The difference between two manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import orjson
from attrs import frozen

from amp_exp_async import serialization
from amp_exp_async.models import UNSET

from .change import Action, ChangeSet, ResourceChange, sort_changes
from .compare import FlagDiffer, to_spec_document
from .parse import validated_values
from .spec import KINDS, FlagConfigSpec, KindName, Manifest

_Pair: TypeAlias = tuple[FlagConfigSpec | None, FlagConfigSpec | None]
"""The specs of one flag in both manifests; None if a manifest does not have it."""


@frozen(kw_only=True)
class ManifestDiff(ChangeSet):
    """The changes that turn one manifest into another. Make one with `diff`.

    It is falsy if the manifests do not differ. `print` shows a diff, in colour on a terminal.

    Attributes:
        changes: a `ResourceChange` for each flag and experiment that differs. Its `action` is `create` if only the
            second manifest has the flag, and `remove` if only the first one has it.
    """

    @property
    def _command(self) -> str:
        return "diff"

    def to_json(self) -> str:
        """Return the changes as JSON text."""
        document = {"changes": [change.as_json() for change in self.changes]}
        return serialization.dumps(document, orjson.OPT_INDENT_2).decode() + "\n"


def diff(before: Manifest, after: Manifest) -> ManifestDiff:
    """Return the changes that turn one manifest into another. No request is sent.

    Only fields that both manifests declare are compared, and neither IDs, projects, nor who changed a flag and when.
    Flags and experiments are matched by key: first within one project, then across projects, unless both manifests
    name several projects.

    Args:
        before: the first manifest, from `load`, `client.export` or code.
        after: the second manifest.

    Raises:
        InvalidInputError: If an argument is not a manifest.
        InvalidManifestError: If a value in a manifest is invalid.

    Example:
        `print(diff(load("staging.yaml"), load("production.yaml")))`
    """
    before, after = validated_values("before", before), validated_values("after", after)
    across_projects = not (_has_several_projects(before) and _has_several_projects(after))
    changes: list[ResourceChange] = []
    for kind in KINDS:
        if UNSET not in (getattr(before, kind), getattr(after, kind)):
            pairs = _match_specs(before.of(kind), after.of(kind), across_projects=across_projects)
            changes += [change for pair in pairs if (change := _compare_specs(kind, *pair))]
    return ManifestDiff(changes=sort_changes(changes))


def _has_several_projects(manifest: Manifest) -> bool:
    return len({spec.project_id for kind in KINDS for spec in manifest.of(kind)} - {UNSET}) > 1


def _match_specs(
    before: Iterable[FlagConfigSpec], after: Iterable[FlagConfigSpec], *, across_projects: bool
) -> Iterator[_Pair]:
    old_by_key, new_by_key = _group_by_key(before), _group_by_key(after)
    for key in dict.fromkeys([*old_by_key, *new_by_key]):
        yield from _match_projects(old_by_key.get(key, []), new_by_key.get(key, []), across_projects=across_projects)


def _group_by_key(specs: Iterable[FlagConfigSpec]) -> dict[str, list[FlagConfigSpec]]:
    by_key: dict[str, list[FlagConfigSpec]] = {}
    for spec in specs:
        by_key.setdefault(spec.key, []).append(spec)
    return by_key


def _match_projects(
    before: list[FlagConfigSpec], after: list[FlagConfigSpec], *, across_projects: bool
) -> Iterator[_Pair]:
    """Match the specs of one key: by project, then the remaining ones if only one is left on each side."""
    unmatched: list[FlagConfigSpec] = []
    for new in after:
        old = next((spec for spec in before if spec.project_id == new.project_id), None)
        if old is None:
            unmatched.append(new)
        else:
            before.remove(old)
            yield old, new
    if len(before) == len(unmatched) == 1 and (
        across_projects or UNSET in (before[0].project_id, unmatched[0].project_id)
    ):
        yield before[0], unmatched[0]
    else:
        yield from ((old, None) for old in before)
        yield from ((None, new) for new in unmatched)


def _compare_specs(
    kind: KindName, before: FlagConfigSpec | None, after: FlagConfigSpec | None
) -> ResourceChange | None:
    """Return the change between two specs; None if they do not differ."""
    old, new = (to_spec_document(kind, spec) if spec else None for spec in (before, after))
    fields = FlagDiffer(kind, old, new, before_is_live=False).changes()
    if before and after and not fields:
        return None
    specs = [spec for spec in (after, before) if spec]
    return ResourceChange(
        kind=kind,
        key=specs[0].key,
        project_id=next((spec.project_id for spec in specs if spec.project_id), ""),
        id=next((spec.id for spec in specs if spec.id), None),
        action=_action(before, after),
        fields=fields,
    )


def _action(before: FlagConfigSpec | None, after: FlagConfigSpec | None) -> Action:
    if before is None:
        return "create"
    if after is None:
        return "remove"
    if bool(before.archived) != bool(after.archived):
        return "archive" if after.archived else "restore"
    return "edit"
