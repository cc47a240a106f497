"""The checks of single values, of lists of them, and of the fields of a request."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NoReturn, TypeAlias, TypeGuard, cast

from amp_exp_async.errors import InvalidInputError
from amp_exp_async.formatting import format_value, suggest
from amp_exp_async.models import UNSET

Validator: TypeAlias = Callable[[str, Any], Any]

MAX_PAGE = 1000
MAX_ADDED = 2000
MAX_REMOVED = 100

_KEY = re.compile(r"[A-Za-z0-9_-]+")
_INT64 = 2**63
_UINT64 = 2**64
_DEEPEST = 100


def reject(argument: str, rule: str, value: Any = UNSET) -> NoReturn:
    """Raise `InvalidInputError` for an argument that breaks a rule."""
    got = "" if value is UNSET else f", got {format_value(value)}"
    end = "" if rule.endswith("?") else "."
    raise InvalidInputError(f"{argument}: {rule}{got}{end} Nothing was sent.", argument=argument, rule=rule)


def is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _is_array(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple)


def _is_iterable(value: Any) -> TypeGuard[Iterable[Any]]:
    return isinstance(value, Iterable)


def string(argument: str, value: Any) -> str:
    if not isinstance(value, str):
        reject(argument, "must be a string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        reject(argument, "must be valid Unicode", value)
    return str.__str__(value)  # an enum's own str() is another text


def identifier(argument: str, value: Any) -> str:
    """An id in a path: any text but none, `.` and `..`, which would lead to another path. A number is made a string."""
    if type(value) is int:
        return str(number(argument, value))
    given = string(argument, value)
    if not given:
        reject(argument, "must not be empty")
    if given in {".", ".."}:
        reject(argument, 'must not be "." or ".."', given)
    return given


def is_key(given: str) -> bool:
    return _KEY.fullmatch(given) is not None


def key(argument: str, value: Any) -> str:
    given = string(argument, value)
    if not is_key(given):
        reject(argument, 'must consist of letters, digits, "_" and "-"', given)
    return given


def boolean(argument: str, value: Any) -> bool:
    return value if isinstance(value, bool) else reject(argument, "must be true or false", value)


def integer(argument: str, value: Any, least: int, most: float) -> int:
    if type(value) is not int or not least <= value <= most:
        span = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        reject(argument, f"must be an integer {span}", value)
    return value


def limit(argument: str, value: Any) -> int:
    return integer(argument, value, 1, MAX_PAGE)


def index(argument: str, value: Any) -> int:
    return integer(argument, value, 0, math.inf)


def number(argument: str, value: Any, most: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or value >= _UINT64:
        span = "of at least 0, of at most 64 bits" if most == math.inf else f"from 0 to {most:g}"
        reject(argument, f"must be a number {span}", value)
    return value


def percentage(argument: str, value: Any) -> float:
    return number(argument, value, 100)


def cursor(argument: str, value: Any) -> str | None:
    """Where to go on in a list; None is its beginning."""
    if value is None:
        return None
    return identifier(argument, value)


def one_of(*choices: str) -> Validator:
    quoted = [format_value(choice) for choice in choices]
    rule = f"must be {', '.join(quoted[:-1])} or {quoted[-1]}"

    def check(argument: str, value: Any) -> str:
        if value not in choices:
            reject(argument, rule, value)
        return cast("str", value)

    return check


def date_or_datetime(argument: str, value: Any) -> datetime | date:
    """A date, or a moment with its time zone, to the millisecond; also as ISO 8601 text."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == len("2023-07-29") else datetime.fromisoformat(value)
        except ValueError:
            reject(argument, "must be a date or timestamp in ISO 8601", value)
    if not isinstance(value, date):
        reject(argument, "must be a date or a datetime with a time zone", value)
    if not isinstance(value, datetime):
        return value
    if value.utcoffset() is None:
        reject(argument, "must have a time zone, as in datetime(..., tzinfo=UTC)", value)
    try:
        return value.replace(microsecond=value.microsecond // 1000 * 1000).astimezone(UTC)
    except OverflowError:
        reject(argument, "must be a time that exists in UTC", value)


def aware_datetime(argument: str, value: Any) -> datetime:
    """A moment with its time zone, to the millisecond; also as ISO 8601 text."""
    checked = date_or_datetime(argument, value)
    return checked if isinstance(checked, datetime) else reject(argument, "must have a time, not only a date", value)


def sequence(argument: str, value: Any) -> list[Any]:
    """A list of anything, where a lone string is meant to be one item and would be taken for its letters."""
    if isinstance(value, str | bytes) or is_mapping(value) or not _is_iterable(value):
        reject(argument, "must be a list", value)
    return list(value)


def strings(argument: str, value: Any) -> list[str]:
    return [string(f"{argument}[{index}]", item) for index, item in enumerate(sequence(argument, value))]


def id_set(argument: str, value: Any) -> list[str]:
    """A set of ids: each once, in the order given."""
    return list(
        dict.fromkeys(listed_id(f"{argument}[{index}]", item) for index, item in enumerate(sequence(argument, value)))
    )


def ids(argument: str, value: Any, most: float = math.inf) -> list[str]:
    """A set of ids: at least one, at most so many."""
    distinct = id_set(argument, value)
    if not distinct:
        reject(argument, "must contain at least one ID")
    if len(distinct) > most:
        reject(argument, f"must contain at most {most} IDs per request, got {len(distinct)}")
    return distinct


def listed_id(argument: str, value: Any) -> str:
    if type(value) is int:
        return str(number(argument, value))
    given = string(argument, value)
    if not given:
        reject(argument, "must not be empty")
    if "," in given:
        reject(argument, "must not contain a comma: pass each ID as its own item", given)
    if given != given.strip():
        reject(argument, "must not begin or end with white space", given)
    if not given.isprintable():
        reject(
            argument, "must not contain line breaks or other control characters: pass each ID as its own item", given
        )
    return given


def weights(argument: str, value: Any) -> dict[str, float]:
    """Variant key to weight."""
    if not is_mapping(value):
        reject(argument, "must map variant keys to weights", value)
    return {key(f"{argument} key", name): number(f"{argument}.{name}", weight) for name, weight in value.items()}


def json_value(argument: str, value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one line for each kind of JSON
    """Any JSON value, as plain dicts, lists and scalars. What JSON cannot hold is refused, not made null or text."""
    if depth > _DEEPEST:
        reject(argument[:40], f"must be JSON with at most {_DEEPEST} levels of nesting")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return string(argument, value)
    if isinstance(value, int):
        if not -_INT64 <= value < _UINT64:
            reject(argument, "must be JSON: an integer of at most 64 bits", value)
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            reject(argument, "must be JSON, which has no NaN or infinity", value)
        return float(value)
    if is_mapping(value):
        names = [json_value(f"{argument} key", string(f"{argument} key", name)) for name in value]
        pairs = zip(names, value.values(), strict=True)
        return {name: json_value(f"{argument}.{name}", item, depth + 1) for name, item in pairs}
    if _is_array(value):
        return [json_value(f"{argument}[{index}]", item, depth + 1) for index, item in enumerate(value)]
    return reject(argument, "must be JSON: an object, array, string, number, boolean or null", value)


def nullable(check: Validator) -> Validator:
    """The check of a field that may be sent as null."""
    return lambda argument, value: None if value is None else check(argument, value)


def known_names(argument: str, names: Collection[str], values: Iterable[str], *, noun: str = "field") -> None:
    """Raise `InvalidInputError` for a name that does not exist."""
    for name in values:
        if name not in names:
            reject(f"{argument}.{name}" if argument else name, f"unknown {noun}; {suggest(name, names)}")


def mapping(argument: str, value: Any) -> Mapping[str, Any]:
    return value if is_mapping(value) else reject(argument, "must be a mapping", value)


def parameters(argument: str, value: Any) -> dict[str, str | int | float | bool]:
    """The query of a raw request."""
    checked: dict[str, str | int | float | bool] = {}
    for name, item in mapping(argument, value).items():
        place = f"{argument}.{string(f'{argument} name', name)}"
        if not isinstance(item, str | bool | int | float):
            reject(place, "must be a string, a number or a boolean", item)
        checked[string(place, name)] = json_value(place, item)
    return checked


def fields(checks: Mapping[str, Validator], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request, each checked."""
    known_names("", checks, given)
    return {name: checks[name](name, value) for name, value in given.items() if value is not UNSET}


def changes(checks: Mapping[str, Validator], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an edit, each checked. One that changes nothing is a mistake of the caller."""
    checked = fields(checks, given)
    if not checked:
        reject("changes", f"must change something: pass at least one of {', '.join(checks)}")
    return checked
