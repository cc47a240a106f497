"""The checks of mutex groups and holdout groups."""

from __future__ import annotations

from typing import Any

import attrs

from amp_exp_async.models import UNSET, MutexSlot

from .models import model
from .values import Validator, id_set, integer, known_names, number, reject, sequence, string

_MOST_SLOTS = 20
_MOST_DIGITS = 19  # any such number has 64 bits, and JSON of the wire has no larger ones


def number_id(argument: str, value: Any) -> int:
    """An id that the wire takes as a number."""
    if type(value) is int:
        return int(number(argument, value))
    given = string(argument, value)
    if not (given.isascii() and given.isdigit()) or len(digits := given.lstrip("0")) > _MOST_DIGITS:
        reject(argument, f"must be a numeric ID of at most {_MOST_DIGITS} digits", given)
    return int(digits or "0")


def number_ids(argument: str, value: Any) -> list[int]:
    """A set of such ids: each once, in the order given."""
    return list(
        dict.fromkeys(number_id(f"{argument}[{index}]", item) for index, item in enumerate(sequence(argument, value)))
    )


def holdout_percentage(argument: str, value: Any) -> int:
    return integer(argument, value, 1, 99)


def _share(argument: str, value: Any) -> int:
    return integer(argument, value, 1, 100)


_WRITTEN: dict[str, Validator] = {
    "percentage": _share,
    "experiments": number_ids,
    "holdouts": number_ids,
    "individuals": id_set,
}


def slots(argument: str, value: Any) -> list[dict[str, Any]]:
    """The slots of a new mutex group: 1 to 20, whose whole percentages add up to 100."""
    checked = [_slot(f"{argument}[{index}]", item) for index, item in enumerate(sequence(argument, value))]
    if not 1 <= len(checked) <= _MOST_SLOTS:
        reject(argument, f"must contain 1 to {_MOST_SLOTS} slots, got {len(checked)}")
    total = sum(slot["percentage"] for slot in checked)
    if total != 100:
        reject(argument, f"must have percentages that add up to 100, got {total}")
    return checked


def _slot(argument: str, value: Any) -> dict[str, Any]:
    given = model(MutexSlot, argument, value)
    names = [name for name in attrs.fields_dict(MutexSlot) if name != "extra"]
    fields = {name: item for name in names if (item := getattr(given, name)) is not UNSET}
    known_names(argument, _WRITTEN, fields)
    if "percentage" not in fields:
        reject(argument, "must have a percentage")
    return {name: _WRITTEN[name](f"{argument}.{name}", item) for name, item in fields.items()}
