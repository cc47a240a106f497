"""Comparison of two documents of a flag: a live flag with its spec for a plan, or two specs for a diff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

from attrs import frozen

from amp_exp_async.models import UNSET, Condition
from amp_exp_async.resources import FieldChange

from .document import is_array, is_object, json_equal
from .dump import unstructure
from .live import INCLUSIONS, LiveFlag
from .schema import CONDITION, READ_ONLY, SCHEMAS, Array, Object, Schema
from .spec import FlagConfigSpec, KindName
from .unchanged import is_unchanged

Difference: TypeAlias = tuple[str, Any, Any]
"""A field, its value before, and its value after."""

NOT_COMPARED = frozenset({"key", "project_id", "archived", *READ_ONLY})
"""Fields that identify a flag, that the service makes, or that are compared by a rule of their own."""

_DATES = frozenset({"start_date", "end_date"})
_MIDNIGHT = "T00:00:00.000Z"


def to_spec_document(kind: KindName, spec: FlagConfigSpec, live: LiveFlag | None = None) -> dict[str, Any]:
    """Return a spec as plain values, with unordered lists sorted and without duplicates.

    Args:
        kind: `flags` or `experiments`.
        spec: the spec.
        live: the live flag, if fields that are as declared shall be left out.
    """
    document: dict[str, Any] = {
        name: unstructure(schema, value)
        for name, schema in SCHEMAS[kind].fields.items()
        if (value := getattr(spec, name)) is not UNSET and not (live and is_unchanged(name, value, live))
    }
    _sort_sets(document, ("tags", "deployments"))
    for variant in document.get("variants", ()):
        _sort_sets(variant, INCLUSIONS)
    return document


def _sort_sets(document: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if name in document:
            document[name] = sorted(set(document[name]))


@frozen
class FlagDiffer:
    """A comparison of two documents of one flag or experiment.

    A document has the fields of a manifest, as plain values.

    Attributes:
        kind: `flags` or `experiments`.
        before: the document before the change; None if the flag is new.
        after: the document after the change; None if the flag is removed.
        before_is_live: whether `before` is a live flag. A live flag is complete: a field that it lacks has no value.
            In a spec a missing field is unknown, so only fields that both documents have are compared.
    """

    kind: KindName
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    before_is_live: bool

    def changes(self) -> dict[str, FieldChange]:
        """Return the changed fields by name, in the order of the format."""
        return {name: FieldChange(name, before, after) for name, before, after in self._differences()}

    def _differences(self) -> Iterator[Difference]:
        for name, before, after in self._pairs(self.before, self.after):
            match name:
                case "variants":
                    yield from self._compare_variants(before, after)
                case "rollout_weights":
                    yield from self._compare_weights(before, after)
                case "target_segments":
                    yield from self._compare_segments(before, after)
                case "tags" | "deployments":
                    yield from _compare_sets(name, before, after)
                case "enabled" if after is True and self._stays_archived:
                    pass  # only a flag that is not archived can be enabled, and it would serve users meanwhile
                case _ if name not in NOT_COMPARED:
                    yield from self._compare_values(name, before, after)
                case _:
                    pass
        was, archived = (side is not None and bool(side.get("archived")) for side in (self.before, self.after))
        if was != archived:
            yield "archived", UNSET if self.before is None else was, UNSET if self.after is None else archived

    @property
    def _stays_archived(self) -> bool:
        """Whether the differences are those of a plan that leaves the flag archived."""
        return self.before_is_live and self.after is not None and self.after.get("archived") is True

    def _pairs(self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Iterator[Difference]:
        """Yield the fields to compare, with both values; a side without the field has `UNSET`."""
        if before is None or (after is not None and self.before_is_live):
            names = iter(after or ())
        else:
            names = (name for name in before if after is None or name in after)
        for name in names:
            yield name, (before or {}).get(name, UNSET), (after or {}).get(name, UNSET)

    def _compare_values(self, name: str, before: Any, after: Any) -> Iterator[Difference]:
        if name == "rolled_out_variant":
            before, after = map(self._variant_key, (before, after))
        is_equal = _is_same_date if name in _DATES else partial(self._is_equal, SCHEMAS[self.kind].fields[name])
        if not (self._is_absent(before, after) or is_equal(before, after)):
            yield name, before, after

    def _variant_key(self, name: Any) -> Any:
        """Return the key of the live variant with a key or a name: the service shows either."""
        variants = (self.before.get("variants") if self.before else None) or ()
        keys = [variant["key"] for variant in variants if variant.get("name") == name]
        return keys[0] if len(keys) == 1 and name not in {variant["key"] for variant in variants} else name

    def _is_absent(self, before: Any, after: Any) -> bool:
        """Return whether a spec sets a field to null that a live flag does not have."""
        return self.before_is_live and self.before is not None and before is UNSET and after is None

    def _is_equal(self, schema: Schema, before: Any, after: Any) -> bool:
        """Return whether two values are equal in all fields to compare."""
        match schema:
            case Array(is_set=True) if is_array(before) and is_array(after):
                return set(before) == set(after)
            case Array() if is_array(before) and is_array(after):
                return len(before) == len(after) and all(
                    self._is_equal(schema.items, *pair) for pair in zip(before, after, strict=True)
                )
            case Object() if is_object(before) and is_object(after):
                if schema is CONDITION and not self.before_is_live:
                    before, after = ({"type": Condition().type} | side for side in (before, after))
                return all(self._is_equal(schema.fields[name], *pair) for name, *pair in self._pairs(before, after))
            case _:
                return json_equal(before, after)

    def _compare_variants(self, before: Any, after: Any) -> Iterator[Difference]:
        if self.before is None and self.before_is_live and not after:
            yield "variants", UNSET, []
        old, new = ({variant["key"]: variant for variant in side or ()} for side in (before, after))
        for key in [*new, *(key for key in old if key not in new)]:
            yield from self._compare_variant(f"variants.{key}", old.get(key), new.get(key))

    def _compare_variant(
        self, path: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> Iterator[Difference]:
        if before is None or after is None:
            yield path, _without_inclusions(before), _without_inclusions(after)
        for name, old, new in self._pairs(before, after):
            if name in INCLUSIONS:
                yield from _compare_sets(f"{path}.{name}", old or [], new or [])
            elif before and after and not (self._is_absent(old, new) or json_equal(old, new)):
                yield f"{path}.{name}", old, new

    def _compare_weights(self, before: Any, after: Any) -> Iterator[Difference]:
        old, new = (side if is_object(side) else None for side in (before, after))
        live_keys = self._live_variants()
        for key, old_weight, new_weight in self._pairs(old, new):
            # A live variant without a weight has the weight 0. A weight without a live variant must be written.
            is_live_equal = key in live_keys and (old_weight or 0) == new_weight
            if not (is_live_equal if self.before_is_live else json_equal(old_weight, new_weight)):
                yield f"rollout_weights.{key}", old_weight, new_weight

    def _compare_segments(self, before: Any, after: Any) -> Iterator[Difference]:
        compared = before
        if self.before_is_live:
            keys = self._live_variants()
            compared = [_with_weights_of(segment, keys) for segment in before or ()]
        if not self._is_equal(SCHEMAS[self.kind].fields["target_segments"], compared, after):
            yield "target_segments", before, after

    def _live_variants(self) -> set[str]:
        variants = self.before.get("variants") if self.before and self.before_is_live else ()
        return {variant["key"] for variant in variants or ()}


def _compare_sets(name: str, before: Any, after: Any) -> Iterator[Difference]:
    """Compare two lists without order."""
    if UNSET in (before, after) or set(before or ()) != set(after or ()):
        yield name, before, after


def _without_inclusions(variant: Mapping[str, Any] | None) -> Any:
    if variant is None:
        return UNSET
    return {name: value for name, value in variant.items() if name not in INCLUSIONS}


def _with_weights_of(segment: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    """Return a live segment with the weights of live variants only."""
    weights: Mapping[str, Any] = segment.get("rollout_weights") or {}
    return {**segment, "rollout_weights": {key: weight for key, weight in weights.items() if key in keys}}


def _is_same_date(before: Any, after: Any) -> bool:
    """Return whether two dates are equal; a date without a time is midnight UTC."""
    if isinstance(before, str) and isinstance(after, str):
        return before.removesuffix(_MIDNIGHT) == after.removesuffix(_MIDNIGHT)
    return json_equal(before, after)


def is_subset(desired: Any, live: Any) -> bool:
    """Return whether a live value has all that is desired. Objects may have more fields, arrays no more items."""
    if is_object(desired) and is_object(live):
        return all(name in live and is_subset(value, live[name]) for name, value in desired.items())
    if is_array(desired) and is_array(live):
        return len(desired) == len(live) and all(map(is_subset, desired, live))
    return json_equal(desired, live)


def merge_onto(desired: Any, live: Any) -> Any:
    """Return the desired value with the fields that only the live value has, so that writing it loses nothing."""
    if is_object(desired) and is_object(live):
        merged = {**live, **desired}
        for name in ("conditions", "filters"):
            if name in desired:
                merged[name] = merge_onto(desired[name], live.get(name, []))
        return merged
    if is_array(desired) and is_array(live):
        unmatched = list(live)
        return [merge_onto(item, _match_item(item, index, unmatched, live)) for index, item in enumerate(desired)]
    return desired


def _match_item(item: Any, index: int, unmatched: list[Any], live: list[Any]) -> Any:
    """Remove and return the live item that a desired item stands for: a superset, else by name, else by index."""
    for other in unmatched:
        if is_subset(item, other):
            unmatched.remove(other)
            return other
    if not is_object(item) or "prop" in item or "subprop_key" in item:
        return None
    if "name" in item:
        matches = [other for other in unmatched if is_object(other) and other.get("name") == item["name"]]
    else:
        matches = [live[index]] if index < len(live) and live[index] in unmatched else []
    if not matches:
        return None
    unmatched.remove(matches[0])
    return matches[0]
