"""Conditions that no user can meet together: only what is certain, whatever a property may hold. Pure.

A property that is not set is `(none)` among the values. A property is taken to have one value, but with the
comparisons of sets.
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
_SHOWN = 3

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "less": operator.lt,
    "less or equal": operator.le,
    "greater": operator.gt,
    "greater or equal": operator.ge,
}
_VERSIONS = (
    "version less than",
    "version less than or equal to",
    "version greater than",
    "version greater than or equal to",
)
_NEVER_WITHOUT_PROPERTY = frozenset({"is", "contains", *_COMPARED, *_VERSIONS})
_NEVER_WITHOUT_VALUES = _NEVER_WITHOUT_PROPERTY | {"glob match"}
_OTHERWISE_WITHOUT_PROPERTY = frozenset({"is not", "does not contain"})


@frozen
class _Test:
    """A condition on a property, with everything in it declared."""

    prop: str
    op: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.values) - _SHOWN} more" if len(self.values) > _SHOWN else ""
        return f"`{' '.join([self.prop, self.op, ', '.join(self.values[:_SHOWN])])}{more}`"


def contradiction(conditions: Iterable[Condition]) -> str | None:
    """Why no user meets all of these conditions; None where one might."""
    tests = [
        _Test(one.prop, one.op, tuple(one.values))
        for one in conditions
        if one.type == "property" and one.prop and one.op and isinstance(one.values, list)
    ]
    for test in tests:
        if not test.values and test.op in _NEVER_WITHOUT_VALUES:
            return f"`{test.prop} {test.op}` has no values, so nobody meets it"
    for test in tests:
        others = [other for other in tests if other is not test and other.prop == test.prop]
        for other in others:
            if _exclude_each_other(test, other):
                return f"nobody meets both {test} and {other}"
        if test.op == "is" and all(any(_refuses(other, value) for other in others) for value in test.values):
            return f"nobody meets {test} and all the other conditions on it"
    return None


def _refuses(test: _Test, value: str) -> bool:
    """Whether a property of this value is sure not to meet a condition."""
    if value == _NONE:
        has_none = _NONE in test.values
        return test.op in (_OTHERWISE_WITHOUT_PROPERTY if has_none else _NEVER_WITHOUT_PROPERTY)
    if test.op in _COMPARED:
        mine, bounds = _numbers([value]), _numbers(test.values)
        return bool(mine and bounds) and not any(_COMPARED[test.op](mine[0], bound) for bound in bounds)
    refused = _REFUSED.get(test.op)
    return refused is not None and refused(value, test.values)


_REFUSED: dict[str, Callable[[str, Sequence[str]], bool]] = {
    "is": lambda value, values: _as_boolean(value) not in map(_as_boolean, values),
    "is not": lambda value, values: value in values,
    "contains": lambda value, values: not any(part.lower() in value.lower() for part in values),
    "does not contain": lambda value, values: any(part in value for part in values),
}


def _exclude_each_other(one: _Test, other: _Test) -> bool:
    """Whether no user meets both. It is asked of each pair in both orders."""
    mine, theirs = frozenset(one.values), frozenset(other.values)
    match one.op, other.op:
        case ("is", _) | ("contains", "does not contain"):
            return all(_refuses(other, value) for value in one.values)
        case "glob match", "glob does not match":
            return mine <= theirs
        case ("set contains", "set does not contain") | ("set is", "set is not"):
            return mine == theirs and bool(mine) and _NONE not in mine
        case "set is", "set is":
            return mine != theirs and _NONE not in mine | theirs
        case (("less" | "less or equal"), ("greater" | "greater or equal")):
            above, below = _numbers(one.values), _numbers(other.values)
            return bool(above and below) and not _between(min(below), max(above), strict={one.op, other.op})
        case _:
            return False


def _between(lower: Decimal, upper: Decimal, *, strict: set[str]) -> bool:
    """Whether there are numbers between two bounds."""
    return lower < upper or (lower == upper and not strict & {"less", "greater"})


def _as_boolean(value: str) -> str:
    """A boolean in lower case, since `True` is as good as `true`."""
    return lower if (lower := value.lower()) in {"true", "false"} else value


def _numbers(values: Sequence[str]) -> list[Decimal]:
    """The values as numbers; none if any of them is no number."""
    return [Decimal(value) for value in values] if all(map(_NUMBER.fullmatch, values)) else []
