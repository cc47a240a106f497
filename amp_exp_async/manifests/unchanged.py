"""A quick look for the fields of a live flag that are as declared: most are, and need no comparison in detail."""

from __future__ import annotations

from typing import Any

from amp_exp_async.models import UNSET, Variant
from amp_exp_async.models.nested import read_once

from .document import is_array, json_equal
from .live import INCLUSIONS, InclusionLists, LiveFlag
from .spec import VariantSpec

_COMPARED_IN_DETAIL = frozenset({"archived", "dependencies", "deployments"})


def is_unchanged(name: str, desired: Any, live: LiveFlag) -> bool:
    """Return whether a live flag certainly has the declared value of a field; False if only a comparison can tell.

    Args:
        name: the field.
        desired: the declared value.
        live: the live flag.
    """
    if name in _COMPARED_IN_DETAIL:
        return False
    if name == "variants":
        return _has_variants(live, desired)
    value = read_once(live.flag, name)
    if name == "tags":
        return is_array(value) and set(value) == set(desired)
    if name == "rollout_weights" and not desired.keys() <= {variant.key for variant in live.variants}:
        return False  # a weight of no variant must be written
    return bool((list(desired) if is_array(desired) else desired) == value)


def _has_variants(live: LiveFlag, desired: tuple[VariantSpec, ...]) -> bool:
    variants = {variant.key: variant for variant in live.variants}
    return len(desired) == len(variants) and all(
        spec.key in variants and _is_as_declared(variants[spec.key], spec, live.inclusions) for spec in desired
    )


def _is_as_declared(variant: Variant, spec: VariantSpec, inclusions: InclusionLists) -> bool:
    for name in ("name", "description", "payload"):
        value = getattr(spec, name)
        if value is not UNSET and not json_equal(value, getattr(variant, name)):
            return False
    for name in INCLUSIONS:
        ids = getattr(spec, name)
        if ids is not UNSET and set(ids) != set(inclusions.get((spec.key, name), ())):
            return False
    return True
