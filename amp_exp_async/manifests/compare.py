"""What is declared and what is there: what would change. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
from attrs import define, field

from amp_exp_async.errors import Problem
from amp_exp_async.models import UNSET, FlagConfig
from amp_exp_async.resources import FieldChange

from .change import Action, ResourceChange
from .document import is_array, is_object
from .dump import unstructure
from .merging import covers, onto, same
from .names import Labels
from .parse import problem_at, unknown_variants
from .present import WHATS, Included, Present, What, full, project_of
from .schema import READ_ONLY, SCHEMAS, Array, Object, Schema
from .spec import FlagConfigSpec, KindName

APART = frozenset({"key", "project_id", "archived", *READ_ONLY})
_NOT_WRITTEN = APART | {"dependencies"}
_NOT_FIELDS = _NOT_WRITTEN | {"deployments", "variants", "rollout_weights", "target_segments"}
_VARIANT_FIELDS = ("name", "description", "payload")
_MIDNIGHT = "T00:00:00.000Z"


def needs_details(declared: FlagConfigSpec, there: Present) -> bool:
    """Whether a field is declared that the list does not show."""
    names = (field.name for field in attrs.fields(type(declared)) if field.name not in _NOT_FIELDS | {"location"})
    given = [name for name in names if getattr(declared, name) is not UNSET]
    if declared.dependencies and there.toggle.parent_dependencies is UNSET:
        return True
    return any(getattr(there.toggle, name) is UNSET for name in given)


def needs_variants(declared: FlagConfigSpec, there: Present) -> bool:
    """Whether a field of a variant is declared that the list does not show."""
    listed = {variant.key: variant for variant in there.variants}
    if declared.rollout_weights and there.toggle.rollout_weights is UNSET:
        return True
    return any(
        getattr(variant, name) is not UNSET and getattr(listed[variant.key], name) is UNSET
        for variant in declared.variants or ()
        if variant.key in listed
        for name in _VARIANT_FIELDS
    )


def needed_inclusions(declared: FlagConfigSpec, there: Present) -> list[tuple[str, What]]:
    """The lists of users and cohorts that are declared, of variants that are there."""
    keys = {variant.key for variant in there.variants}
    needed: list[tuple[str, What]] = []
    for variant in declared.variants or ():
        if variant.key in keys:
            needed.extend((variant.key, what) for what in WHATS if getattr(variant, what) is not UNSET)
    return needed


Difference: TypeAlias = tuple[str, Any, Any]
"""A field, what it is, and what it will be."""


@define
class Comparison:
    """One flag or experiment: as it is declared, and as it is.

    Attributes:
        kind: which of the two it is.
        declared: what is declared.
        there: what is there; None for nothing.
        labels: the deployments that there are.
        problems: why it cannot be as declared.
    """

    kind: KindName
    declared: FlagConfigSpec
    there: Present | None
    labels: Labels
    problems: list[Problem] = field(factory=list[Problem])
    _deployments: dict[str, str] = field(factory=dict[str, str])

    @property
    def _toggle(self) -> FlagConfig | None:
        return None if self.there is None else self.there.toggle

    def change(self) -> ResourceChange | None:
        """What would change; None for nothing, or where there are problems."""
        declared, toggle = self.declared, self._toggle
        project_id = project_of(declared, self.there)
        if not project_id:
            self._add("project_id", "must be given, since there is no such key yet, and it is to be created")
        self._check_weights()
        given = unstructure(SCHEMAS[self.kind], declared)
        now: dict[str, Any] = {} if toggle is None else full(toggle)
        changed = {name: FieldChange(name, before, after) for name, before, after in self._changed(given, now)}
        self._check_whole(changed)
        if self.problems or not (changed or toggle is None):
            return None
        return ResourceChange(
            kind=self.kind,
            key=declared.key,
            project_id=str(project_id),
            id=None if toggle is None else toggle.id,
            action=self._action(changed),
            fields=changed,
            deployments=self._deployments,
        )

    def _action(self, changed: Mapping[str, FieldChange]) -> Action:
        if self.there is None:
            return "create"
        if "archived" in changed:
            return "archive" if changed["archived"].after else "restore"
        return "edit"

    def _add(self, name: str, message: str) -> None:
        self.problems.append(problem_at(self.declared, name, message))

    def _check_weights(self) -> None:
        """Weights name variants that will be there."""
        if self.declared.variants is UNSET:
            keys = [variant.key for variant in self.there.variants] if self.there else []
            self.problems += unknown_variants(self.declared, keys)

    def _check_whole(self, changed: Mapping[str, FieldChange]) -> None:
        """What is written as a whole has all its parts: those that are left out are there already."""
        for name, shape in SCHEMAS[self.kind].fields.items():
            if name in changed:
                for place in _lacking(shape, changed[name].after, name):
                    self._add(place, "must be given, since there is none yet that could stay")

    def _changed(self, given: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
        rules: dict[str, Callable[[Any, Any], Iterator[Difference]]] = {
            "tags": self._tags,
            "deployments": lambda value, _: self._assigned(value),
            "variants": lambda value, _: self._variants(value),
            "rollout_weights": self._weights,
            "target_segments": self._segments,
        }
        for name, value in given.items():
            before = now.get(name, UNSET)
            if name in rules:
                yield from rules[name](value, before)
            elif name not in _NOT_WRITTEN:
                yield from self._field(name, value, before)
        archived, was = bool(given.get("archived")), bool(now.get("deleted"))
        if archived != was:
            yield "archived", was if self.there else UNSET, archived

    def _field(self, name: str, value: Any, before: Any) -> Iterator[Difference]:
        if value is None and before is UNSET and self.there:
            return
        if not (covers(value, before) if is_object(value) else is_same(value, before)):
            yield name, before, onto(value, before)

    def _tags(self, value: list[str], before: Any) -> Iterator[Difference]:
        if before is UNSET or set(before or ()) != set(value):
            yield "tags", before, sorted(set(value))

    def _assigned(self, labels: list[str]) -> Iterator[Difference]:
        toggle = self._toggle
        project_id = project_of(self.declared, self.there)
        present = {self.labels.name(id, project_id): id for id in (toggle.deployments or () if toggle else ())}
        wanted: dict[str, str] = {}
        for at, label in enumerate(labels):
            id, why = self.labels.find(label, project_id)
            if why and id not in present.values():
                self._add(f"deployments[{at}]", why)
            wanted[self.labels.name(id, project_id)] = id
        if set(wanted.values()) != set(present.values()):
            self._deployments.update(present | wanted)
            yield "deployments", sorted(present) if toggle else UNSET, sorted(wanted)

    def _variants(self, given: list[dict[str, Any]]) -> Iterator[Difference]:
        listed = {variant.key: full(variant) for variant in (self.there.variants if self.there else ())}
        included: Included = self.there.included if self.there else {}
        if not (given or self.there):
            yield "variants", UNSET, []
        for variant in given:
            key, where = variant["key"], f"variants.{variant['key']}"
            now = listed.pop(key, None)
            if now is None:
                yield where, UNSET, {name: value for name, value in variant.items() if name not in WHATS}
            else:
                for name in _VARIANT_FIELDS:
                    if name in variant:
                        yield from self._variant_field(f"{where}.{name}", variant[name], now.get(name, UNSET))
            for what in WHATS:
                before = sorted(set(included.get((key, what), ())))
                after = sorted(set(variant.get(what, before)))
                if before != after:
                    yield f"{where}.{what}", before, after
        for key, now in listed.items():
            now.pop("extra", None)
            yield f"variants.{key}", now, UNSET

    def _variant_field(self, where: str, value: Any, before: Any) -> Iterator[Difference]:
        if not ((value is None and before is UNSET) or same(value, before)):
            yield where, before, value

    def _weights(self, given: Mapping[str, float], present: Any) -> Iterator[Difference]:
        before = present if is_object(present) else {}
        if not before and self.there:
            before = {one.key: one.rollout_weight for one in self.there.variants if one.rollout_weight is not UNSET}
        keys = {variant.key for variant in self.there.variants} if self.there else set[str]()
        for key, weight in given.items():
            if key not in keys or (before.get(key) or 0) != weight:
                yield f"rollout_weights.{key}", before.get(key, UNSET), weight

    def _segments(self, given: list[Any], before: Any) -> Iterator[Difference]:
        present: list[dict[str, Any]] = before or []
        keys = {variant.key for variant in (self.there.variants if self.there else ())}
        if len(given) == len(present) and all(_is_segment(*pair, keys) for pair in zip(given, present, strict=True)):
            return
        after = onto(given, present)
        for at, segment in enumerate(after if is_array(after) else ()):
            if any(condition.get("type", "property") != "property" for condition in segment.get("conditions") or ()):
                why = "has a condition on a cohort, which the API cannot write: change the segments in the app"
                self._add(f"target_segments[{at}]", why)
        yield "target_segments", before, after


def _lacking(shape: Schema, value: Any, where: str) -> Iterator[str]:
    """The parts without which a value cannot be written."""
    match shape:
        case Array() if is_array(value):
            for at, item in enumerate(value):
                yield from _lacking(shape.of, item, f"{where}[{at}]")
        case Object() if is_object(value):
            yield from (f"{where}.{name}" for name in shape.whole if name not in value)
            for name in (name for name in shape.fields if name in value):
                yield from _lacking(shape.fields[name], value[name], f"{where}.{name}")
        case _:
            return


def _is_segment(given: dict[str, Any], now: dict[str, Any], keys: set[str]) -> bool:
    """Whether a segment is as declared. Weights of variants that are not there count for nothing."""
    shown = dict(now)
    if "rollout_weights" in given:
        present: dict[str, Any] = now.get("rollout_weights") or {}
        weights = {key: weight for key, weight in present.items() if key in keys}
        if not same(given["rollout_weights"], weights):
            return False
        shown["rollout_weights"] = given["rollout_weights"]
    return covers(given, shown)


def is_same(value: Any, before: Any) -> bool:
    """Whether a value is as declared; a bare date is the moment when its day begins."""
    if isinstance(value, str) and isinstance(before, str) and len(value) != len(before):
        return value.removesuffix(_MIDNIGHT) == before.removesuffix(_MIDNIGHT)
    return same(value, before)
