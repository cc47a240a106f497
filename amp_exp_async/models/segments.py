"""Target segments and their conditions."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from .base import UNSET, Maybe, Model
from .nested import build_on_access


@frozen(repr=False)
class Condition(Model):
    """A condition of a segment: the property `prop` compares by `op` to at least one of `values`.

    Attributes:
        prop: the property; custom properties have the prefix `gp:`.
        op: the comparison, such as `is`, `is not`, `contains`, `less`, `set contains`, `glob match` or
            `version greater than`. Unknown ones are kept.
        values: the values to compare with, at least one; `["(none)"]` for a property that is not set.
        type: `property`. The service also has conditions on cohorts, which its API returns but does not accept.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("prop", "op", "values")

    prop: Maybe[str] = UNSET
    op: Maybe[str] = UNSET
    values: Maybe[list[str]] = UNSET
    type: Maybe[str] = "property"


@build_on_access("conditions")
@frozen(repr=False)
class Segment(Model):
    """A target segment: users who meet all conditions, with their own percentage and rollout weights.

    Attributes:
        name: the name in the app.
        conditions: the conditions, which must all be met.
        percentage: 0 to 100, the percentage of these users who get a variant.
        rollout_weights: variant key to integer weight.
        bucketing_key: the property that users are bucketed by, such as `amplitude_id`.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("name", "percentage", "rollout_weights")

    name: Maybe[str] = UNSET
    conditions: Maybe[list[Condition]] = UNSET
    percentage: Maybe[float] = UNSET
    rollout_weights: Maybe[dict[str, float]] = UNSET
    bucketing_key: Maybe[str] = UNSET
