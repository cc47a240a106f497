"""What differs between two states. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import orjson
from attrs import frozen

from amp_exp_async.models import UNSET, Condition
from amp_exp_async.resources import FieldChange

from .change import Action, ResourceChange
from .changes import Changes
from .compare import APART, Difference, is_same
from .document import is_array, is_object
from .dump import unstructure, validated_values
from .merging import same
from .present import WHATS
from .schema import CONDITION, SCHEMAS, Array, Object, Schema
from .spec import KINDS, FlagConfigSpec, KindName, Manifest

_UNORDERED = frozenset({"tags", "deployments"})


@frozen(kw_only=True)
class ManifestDiff(Changes):
    """What the second of two states declares that the first does not. Make one with `diff`.

    It is falsy when there is nothing. `print` it for a diff, in colour on a terminal.

    Attributes:
        changes: a `ResourceChange` for each flag and experiment that differs. Its `action` is `create` for what is in
            the second state only, and `remove` for what is in the first one only.
    """

    def to_json(self) -> str:
        """The differences as JSON text: `changes` as in the attribute."""
        whole = {"changes": [change.as_json() for change in self.changes]}
        return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode() + "\n"


def diff(before: Manifest, after: Manifest) -> ManifestDiff:
    """Find what the second of two states declares that the first does not. Nothing is sent.

    A field that one of them leaves out says nothing, and is not compared; nor are ids, projects, and who changed it
    when. Flags and experiments are matched by key: those of one project first, and then, unless both states are of
    several projects, those of different projects.

    Args:
        before: the first state, from `load`, `client.export` or code.
        after: the second one.

    Raises:
        InvalidInputError: one of them is no state.
        InvalidManifestError: a value in one of them cannot be.

    Example:
        `print(diff(load("staging.yaml"), load("production.yaml")))`
    """
    before, after = validated_values("before", before), validated_values("after", after)
    across = not (_has_several_projects(before) and _has_several_projects(after))
    changes: list[ResourceChange] = []
    for kind in KINDS:
        if UNSET not in (getattr(before, kind), getattr(after, kind)):
            pairs = _pairs(before.of(kind), after.of(kind), across=across)
            changes += [change for pair in pairs if (change := _change(kind, *pair))]
    changes.sort(key=lambda change: (change.kind != "flags", change.project_id, change.key))
    return ManifestDiff(changes=tuple(changes))


def _has_several_projects(state: Manifest) -> bool:
    return len({toggle.project_id for kind in KINDS for toggle in state.of(kind)} - {UNSET}) > 1


_Pair: TypeAlias = tuple[FlagConfigSpec | None, FlagConfigSpec | None]


def _pairs(befores: Iterable[FlagConfigSpec], afters: Iterable[FlagConfigSpec], *, across: bool) -> Iterator[_Pair]:
    """What belongs together; None beside what is on one side only."""
    olds, news = _by_key(befores), _by_key(afters)
    for key in dict.fromkeys([*olds, *news]):
        yield from _matched(olds.get(key, []), news.get(key, []), across=across)


def _by_key(toggles: Iterable[FlagConfigSpec]) -> dict[str, list[FlagConfigSpec]]:
    found: dict[str, list[FlagConfigSpec]] = {}
    for toggle in toggles:
        found.setdefault(toggle.key, []).append(toggle)
    return found


def _matched(olds: list[FlagConfigSpec], news: list[FlagConfigSpec], *, across: bool) -> Iterator[_Pair]:
    """Those of one key: of the same project, and then what is left if that can only be meant."""
    left: list[FlagConfigSpec] = []
    for new in news:
        old = next((one for one in olds if one.project_id == new.project_id), None)
        if old is None:
            left.append(new)
        else:
            olds.remove(old)
            yield old, new
    if len(olds) == len(left) == 1 and (across or UNSET in (olds[0].project_id, left[0].project_id)):
        yield olds[0], left[0]
    else:
        yield from ((old, None) for old in olds)
        yield from ((None, new) for new in left)


def _change(kind: KindName, before: FlagConfigSpec | None, after: FlagConfigSpec | None) -> ResourceChange | None:
    """What differs; None for nothing."""
    fields = {name: FieldChange(name, was, now) for name, was, now in _differences(kind, before, after)}
    if before and after and not fields:
        return None
    known = [one for one in (after, before) if one]
    return ResourceChange(
        kind=kind,
        key=known[0].key,
        project_id=next((one.project_id for one in known if one.project_id), ""),
        id=next((one.id for one in known if one.id), None),
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


def _differences(kind: KindName, before: FlagConfigSpec | None, after: FlagConfigSpec | None) -> Iterator[Difference]:
    shape = SCHEMAS[kind]
    old, new = (unstructure(shape, one) if one else None for one in (before, after))
    for name, was, now in _both(old, new):
        if name == "variants":
            yield from _variants(was, now)
        elif name == "rollout_weights":
            yield from _weights(was, now)
        elif name in _UNORDERED:
            yield from _unordered(name, was, now)
        elif name not in APART and not _agree(shape.fields[name], was, now):
            yield name, was, now
    was, now = (UNSET if one is None else bool(one.archived) for one in (before, after))
    if bool(was) != bool(now):
        yield "archived", was, now


def _both(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[Difference]:
    """What both have by one name; or what the one has, if there is one only."""
    sides = [side for side in (old, new) if side is not None]
    for name in sides[0]:
        if all(name in side for side in sides):
            yield name, UNSET if old is None else old[name], UNSET if new is None else new[name]


def _variants(olds: Any, news: Any) -> Iterator[Difference]:
    was, now = ({one["key"]: one for one in side or ()} for side in (olds, news))
    for key in dict.fromkeys([*was, *now]):
        old, new, where = was.get(key), now.get(key), f"variants.{key}"
        if old is None or new is None:
            yield where, _without_inclusions(old), _without_inclusions(new)
        for name, one, other in _both(old, new):
            if name in WHATS:
                yield from _unordered(f"{where}.{name}", one or [], other or [])
            elif old and new and not same(one, other):
                yield f"{where}.{name}", one, other


def _without_inclusions(variant: Mapping[str, Any] | None) -> Any:
    return UNSET if variant is None else {name: value for name, value in variant.items() if name not in WHATS}


def _weights(old: Any, new: Any) -> Iterator[Difference]:
    for key, was, now in _both(*(None if side is UNSET else side for side in (old, new))):
        if not same(was, now):
            yield f"rollout_weights.{key}", was, now


def _unordered(name: str, old: Any, new: Any) -> Iterator[Difference]:
    was, now = (side if side is UNSET else sorted(set(side)) for side in (old, new))
    if was != now:
        yield name, was, now


def _agree(shape: Schema, one: Any, other: Any) -> bool:
    """Whether two values are the same in all that both of them have."""
    match shape:
        case Array() if is_array(one) and is_array(other):
            return len(one) == len(other) and all(_agree(shape.of, *pair) for pair in zip(one, other, strict=True))
        case Object() if is_object(one) and is_object(other):
            if shape is CONDITION:
                one, other = ({"type": Condition().type} | side for side in (one, other))
            return all(_agree(shape.fields[name], was, now) for name, was, now in _both(one, other))
        case _:
            return is_same(one, other)
