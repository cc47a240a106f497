"""Values that are crossed with each other: a part of all combinations in the suite, the rest in its long form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

import pytest

Values: TypeAlias = Mapping[str, Any] | Sequence[Any]


def cross(*dimensions: Values) -> list[Any]:
    """Return all combinations as parameters, most of which belong to the long form only.

    The suite combines all values but those of the last dimension, which take turns. The others are marked `slow`.

    Args:
        dimensions: the values of each, by the names that they have in the IDs of tests, or values that are names.
    """
    names = [list(map(_name, values)) for values in dimensions]
    values = [list(values.values()) if isinstance(values, Mapping) else list(values) for values in dimensions]
    return [
        pytest.param(
            *(of[index] for of, index in zip(values, indexes, strict=True)),
            id="-".join(of[index] for of, index in zip(names, indexes, strict=True)),
            marks=() if sum(indexes[:-1]) % len(values[-1]) == indexes[-1] else pytest.mark.slow,
        )
        for indexes in product(*(range(len(of)) for of in values))
    ]


def slow(parameters: Iterable[Any]) -> list[Any]:
    """Return parameters, or tuples of values, of which all belong to the long form."""
    return [
        pytest.param(*getattr(of, "values", of), id=getattr(of, "id", None), marks=pytest.mark.slow)
        for of in parameters
    ]


def long_form(values: Iterable[str], *, short: Iterable[str]) -> list[Any]:
    """Return names as parameters, and mark those `slow` that are not in the short form.

    Raises:
        ValueError: If the short form has a name that is not among the values.
    """
    values, short = list(values), set(short)
    if unknown := short.difference(values):
        raise ValueError(f"no values: {sorted(unknown)}")
    return [pytest.param(value, marks=() if value in short else pytest.mark.slow) for value in values]


def _name(value: Any) -> str:
    return getattr(value, "__name__", None) or str(value)
