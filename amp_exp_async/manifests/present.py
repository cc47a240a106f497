"""What there is: flags and experiments as the service lists them, and what they are as plain values. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeAlias

import attrs
from attrs import field, frozen

from amp_exp_async import serialization, validation
from amp_exp_async.models import UNSET, FlagConfig, Model, Variant

from .document import is_array, locate
from .dump import unstructure
from .names import Labels, Project
from .parse import Parser
from .schema import READ_ONLY, SCHEMAS, VARIANT_SCHEMA, Schema
from .spec import ExperimentSpec, FlagConfigSpec, FlagSpec, KindName, VariantSpec

What: TypeAlias = Literal["users", "cohorts"]
WHATS: tuple[What, ...] = ("users", "cohorts")

Included: TypeAlias = Mapping[tuple[str, What], tuple[str, ...]]
"""The ids that variants include, by the variant's key."""

_APART = frozenset({"archived", "deployments", "dependencies", "variants"})
_SERVER_MADE = frozenset({*READ_ONLY, "bucketing_salt"})


@frozen
class Present:
    """A flag or experiment that is there, with what was read of it besides the list.

    Attributes:
        toggle: it, as listed or in its details.
        variants: its variants in full, if they were read; else as listed.
        included: what its variants include, as far as it was read.
    """

    toggle: FlagConfig
    variants: tuple[Variant, ...]
    included: Included = field(factory=dict[tuple[str, What], tuple[str, ...]])


def present(toggle: FlagConfig) -> Present:
    """What a list shows."""
    return Present(toggle, tuple(toggle.variants or ()))


def project_of(declared: FlagConfigSpec, there: Present | None) -> Project:
    """The project of one that is declared."""
    return (there.toggle.project_id if there else UNSET) or declared.project_id


def full(value: Any) -> Any:
    """A model as plain values by our names; what the service sent besides is under `extra`."""
    if isinstance(value, Model):
        names = (one.name for one in attrs.fields(type(value)))
        given = {name: getattr(value, name) for name in names}
        if not given["extra"]:
            del given["extra"]
        return {name: full(item) for name, item in given.items() if item is not UNSET}
    if is_array(value):
        return [full(item) for item in value]
    return serialization.to_json(value)


def _readable(shape: Schema, value: Any) -> Any:
    """A value as a file would hold it; `UNSET` for one that the format cannot hold."""
    if value is UNSET:
        return UNSET
    try:
        given = unstructure(shape, value)
    except (AttributeError, TypeError):
        return UNSET
    parser = Parser("")
    read = parser.parse(shape, locate(given), "")
    return UNSET if parser.problems else read


def declared(kind: KindName, there: Present, labels: Labels, *, server_fields: bool) -> FlagConfigSpec:
    """A flag or experiment that is there, as a file declares it."""
    toggle = there.toggle
    given: dict[str, Any] = {}
    for name, shape in SCHEMAS[kind].fields.items():
        if name in _APART or (name in _SERVER_MADE and not server_fields):
            continue
        value = _readable(shape, getattr(toggle, name))
        given[name] = sorted(set(value)) if name == "tags" and value is not UNSET else value
    if toggle.deleted:
        given["archived"] = True
    if toggle.deployments is not UNSET:
        given["deployments"] = sorted(labels.name(id, toggle.project_id) for id in toggle.deployments or ())
    if toggle.variants is not UNSET:
        given["variants"] = [_variant(variant, there.included) for variant in there.variants]
        keys = {variant.key for variant in there.variants}
        given["rollout_weights"] = _of_variants(given["rollout_weights"], keys)
        given["target_segments"] = given["target_segments"] and [
            attrs.evolve(segment, rollout_weights=_of_variants(segment.rollout_weights, keys))
            for segment in given["target_segments"]
        ]
    make = FlagSpec if kind == "flags" else ExperimentSpec
    return make(**given)


def _of_variants(weights: Any, keys: set[str]) -> Any:
    """The weights of variants that are there."""
    return weights and {key: weight for key, weight in weights.items() if key in keys}


def _variant(variant: Variant, included: Included) -> VariantSpec:
    ids: dict[str, Any] = {
        what: _ids(what, included[variant.key, what]) for what in WHATS if (variant.key, what) in included
    }
    return VariantSpec(
        key=variant.key, name=variant.name, description=variant.description, payload=variant.payload, **ids
    )


def _ids(what: What, included: Collection[str]) -> Any:
    """The ids that a variant includes; `UNSET` where a file cannot hold them: they may be joined by commas, or many."""
    ids = sorted(set(included))
    is_too_long = what == "users" and len(ids) > validation.MAX_ADDED
    return UNSET if is_too_long else _readable(VARIANT_SCHEMA.fields[what], ids)
