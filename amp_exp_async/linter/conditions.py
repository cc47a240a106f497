"""Detection of conditions that no user can match together.

Only certain contradictions are reported, whatever values a property may have. The value `(none)` stands for a property
that is not set. A property is assumed to have a single value, except in set comparisons.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from amp_exp_async.models import Condition

_NONE = "(none)"
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_MAX_VALUES = 3

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "less": operator.lt,
    "less or equal": operator.le,
    "greater": operator.gt,
    "greater or equal": operator.ge,
}
_VERSION_COMPARISONS = (
    "version less than",
    "version less than or equal to",
    "version greater than",
    "version greater than or equal to",
)
_NEVER_MATCH_UNSET = frozenset({"is", "contains", *_COMPARISONS, *_VERSION_COMPARISONS})
_NEVER_MATCH_WITHOUT_VALUES = _NEVER_MATCH_UNSET | {"glob match"}
_NEVER_MATCH_UNSET_IF_LISTED = frozenset({"is not", "does not contain"})


@frozen
class _PropertyTest:
    """A condition on a property whose fields are all declared."""

    prop: str
    op: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        omitted = len(self.values) - _MAX_VALUES
        more = f" and {omitted} more" if omitted > 0 else ""
        return f"`{' '.join([self.prop, self.op, ', '.join(self.values[:_MAX_VALUES])])}{more}`"


def contradiction(conditions: Iterable[Condition]) -> str | None:
    """Return why no user matches all conditions; None if a user may match them."""
    tests = [
        _PropertyTest(condition.prop, condition.op, tuple(condition.values))
        for condition in conditions
        if condition.type == "property" and condition.prop and condition.op and isinstance(condition.values, list)
    ]
    for test in tests:
        if not test.values and test.op in _NEVER_MATCH_WITHOUT_VALUES:
            return f"`{test.prop} {test.op}` has no values, so no user matches it"
    for test in tests:
        others = [other for other in tests if other is not test and other.prop == test.prop]
        for other in others:
            if _are_exclusive(test, other):
                return f"no user matches both {test} and {other}"
        if test.op == "is" and all(any(_excludes(other, value) for other in others) for value in test.values):
            return f"no user matches {test} and all other conditions on `{test.prop}`"
    return None


def _excludes(test: _PropertyTest, value: str) -> bool:
    """Return whether a property with this value certainly fails a test."""
    if value == _NONE:
        return test.op in (_NEVER_MATCH_UNSET_IF_LISTED if _NONE in test.values else _NEVER_MATCH_UNSET)
    if test.op in _COMPARISONS:
        number, bounds = _numbers([value]), _numbers(test.values)
        return bool(number and bounds) and not any(_COMPARISONS[test.op](number[0], bound) for bound in bounds)
    excludes = _EXCLUSIONS.get(test.op)
    return excludes is not None and excludes(value, test.values)


_EXCLUSIONS: dict[str, Callable[[str, Sequence[str]], bool]] = {
    "is": lambda value, values: _fold_boolean(value) not in map(_fold_boolean, values),
    "is not": lambda value, values: value in values,
    "contains": lambda value, values: not any(part.lower() in value.lower() for part in values),
    "does not contain": lambda value, values: any(part in value for part in values),
}


def _are_exclusive(test: _PropertyTest, other: _PropertyTest) -> bool:
    """Return whether no user matches both tests. The caller tries each pair in both orders."""
    values, other_values = frozenset(test.values), frozenset(other.values)
    match test.op, other.op:
        case ("is", _) | ("contains", "does not contain"):
            return all(_excludes(other, value) for value in test.values)
        case "glob match", "glob does not match":
            return values <= other_values
        case ("set contains", "set does not contain") | ("set is", "set is not"):
            return values == other_values and bool(values) and _NONE not in values
        case "set is", "set is":
            return values != other_values and _NONE not in values | other_values
        case (("less" | "less or equal"), ("greater" | "greater or equal")):
            upper, lower = _numbers(test.values), _numbers(other.values)
            return bool(upper and lower) and not _has_numbers(min(lower), max(upper), ops={test.op, other.op})
        case _:
            return False


def _has_numbers(lower: Decimal, upper: Decimal, *, ops: set[str]) -> bool:
    """Return whether any number is between two bounds."""
    return lower < upper or (lower == upper and not ops & {"less", "greater"})


def _fold_boolean(value: str) -> str:
    """Return a boolean in lower case, because `True` matches `true`."""
    return folded if (folded := value.lower()) in {"true", "false"} else value


def _numbers(values: Sequence[str]) -> list[Decimal]:
    """Return the values as numbers; an empty list if any value is not a number."""
    return [Decimal(value) for value in values] if all(map(_NUMBER.fullmatch, values)) else []
