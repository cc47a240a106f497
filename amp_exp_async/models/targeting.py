"""Variants, and the segments and conditions that say who gets which."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import frozen

from ._base import Maybe, Model
from ._unset import UNSET


@frozen(repr=False)
class Variant(Model):
    """A variant of a flag or experiment.

    Attributes:
        key: letters, digits, `_` and `-`.
        name: the name shown in the app.
        payload: any JSON value, untouched; `None` is a payload of null, `UNSET` is no payload.
        description: what it is for.
        rollout_weight: its share of the users whom no segment targets, relative to the other variants' weights.
    """

    shown: ClassVar[tuple[str, ...]] = ("key", "name", "rollout_weight")

    key: str
    name: Maybe[str] = UNSET
    payload: Any = UNSET
    description: Maybe[str] = UNSET
    rollout_weight: Maybe[float] = UNSET


@frozen(repr=False)
class Condition(Model):
    """One condition of a segment: the property `prop` compares by `op` to any of `values`.

    Attributes:
        prop: the property; custom properties carry the prefix `gp:`.
        op: the comparison, such as `is`, `is not`, `contains`, `less`, `set contains`, `glob match` or
            `version greater than`. Others that the service sends are kept.
        values: what the property is compared to; `["(none)"]` for a property that is not set.
        type: `property`. The service also has conditions on cohorts, which its API shows and cannot write.
    """

    shown: ClassVar[tuple[str, ...]] = ("prop", "op", "values")

    prop: Maybe[str] = UNSET
    op: Maybe[str] = UNSET
    values: Maybe[list[str]] = UNSET
    type: Maybe[str] = "property"


@frozen(repr=False)
class Segment(Model):
    """A target segment: users who meet all `conditions` are rolled out to at its own percentage and weights.

    Attributes:
        name: the name shown in the app.
        conditions: all of them must hold.
        percentage: 0 to 100, the share of the matching users who get a variant.
        rollout_weights: variant key to integer weight.
        bucketing_key: the property that decides who falls into which bucket, such as `amplitude_id`.
    """

    shown: ClassVar[tuple[str, ...]] = ("name", "percentage", "rollout_weights")

    name: Maybe[str] = UNSET
    conditions: Maybe[list[Condition]] = UNSET
    percentage: Maybe[float] = UNSET
    rollout_weights: Maybe[dict[str, float]] = UNSET
    bucketing_key: Maybe[str] = UNSET
