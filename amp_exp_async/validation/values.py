"""Validators of single values, of lists of them, and of the fields of a request."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from numbers import Integral, Rational, Real
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard, cast

from amp_exp_async.formatting import format_value, suggest
from amp_exp_async.models import UNSET

from .id_rules import form_problem, id_problem
from .iterables import sequence
from .rejection import reject
from .undecoded import reject_undecoded

Validator: TypeAlias = Callable[[str, Any], Any]
"""Takes the name of an argument and its value, and returns the value to send or raises `InvalidInputError`."""

MAX_PAGE = 1000
MAX_ADDED = 2000
MAX_REMOVED = 100

_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MAX_ID_DIGITS = 19  # every such number fits into 64 bits, the maximum of JSON integers here
_UINT64 = 2**64
_MAX_DEPTH = 200
_EMAIL = re.compile(r"(?<![^@\s,;])[^@\s,;]+@[^@\s,;]+\.[^@\s,;.]+")
_RESERVED_VARIANT = "off"
_ID_PROPERTIES = frozenset({"user_id", "device_id"})
_EQUALITY = frozenset({"is", "is not"})


def is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Return whether the value is a mapping."""
    return isinstance(value, Mapping)


def _is_array(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple)


def _plain_integer(value: Any) -> int | None:
    """Return an integer of any type, such as one of numpy, as an int; None for anything else."""
    return None if isinstance(value, bool) or not isinstance(value, Integral) else int(value)


def _plain_number(value: Any) -> int | float | None:
    """Return a number of any type, such as one of numpy, as an int or a float; None for anything else."""
    if value.__class__ is int or value.__class__ is float:
        return value  # asking for the abstract classes takes ten times as long
    if isinstance(value, Real) and not isinstance(value, Rational):
        return float(value)
    return _plain_integer(value)


def string(argument: str, value: Any) -> str:
    """Require a string. It may have half an emoji, which JSON can carry, but no bytes that were not decoded."""
    text = existing_string(argument, value)
    reject_undecoded(argument, text)
    return text


def existing_string(argument: str, value: Any) -> str:
    """Require a string that may exist: the service may have sent anything that JSON can carry."""
    if not isinstance(value, str):
        reject(argument, "must be a string", value)
    return str.__str__(value)  # the str() of an enum member is another text


def identifier(argument: str, value: Any) -> str:
    """Require an ID for a path: a number, or a string except "", "." and "..", which would select another path."""
    if value.__class__ is str and value.isascii() and value.isalnum():
        return value  # as most IDs are, and no rule rejects them
    return path_key(argument, value) if _plain_integer(value) is None else str(number(argument, value))


def project_id(argument: str, value: Any) -> str:
    """Require the ID of a project. One with outer white space would read as a project that has nothing."""
    text = identifier(argument, value)
    return text if text == text.strip() else reject(argument, "must not begin or end with white space", text)


def url_text(argument: str, value: Any) -> str:
    """Require a string that can become a part of a URL."""
    text = string(argument, value)
    try:
        text.encode()
    except UnicodeEncodeError:
        reject(argument, "must be valid Unicode, because it becomes a part of a URL", text)
    return text


def existing_key(argument: str, value: Any) -> str:
    """Require the key of an existing object, which may have characters that the key of a new object may not have."""
    return url_text(argument, value) or reject(argument, "must not be empty")


def path_key(argument: str, value: Any) -> str:
    """Require an existing key for a path: neither "." nor "..", which would select another path."""
    text = existing_key(argument, value)
    if text in {".", ".."}:
        reject(argument, 'must not be "." or ".."', text)
    return text


def is_key(text: str) -> bool:
    """Return whether a text is a valid key of a new object."""
    return _KEY.fullmatch(text) is not None


def key(argument: str, value: Any) -> str:
    """Require the key of a new object."""
    text = string(argument, value)
    if not is_key(text):
        reject(argument, 'must consist of letters, digits, "_" and "-"', text)
    return text


def new_variant_key(argument: str, value: Any) -> str:
    """Require the key of a new variant, or a variant's new key."""
    text = key(argument, value)
    if text.lower() == _RESERVED_VARIANT:
        rule = f"must not be {format_value(_RESERVED_VARIANT)}, which the service reserves for users without a variant"
        reject(argument, rule, text)
    return text


def word(*known: str) -> Validator:
    """Return a validator that accepts any string except a known word in the wrong case."""
    by_lower_case = {text.lower(): text for text in known}

    def validator(argument: str, value: Any) -> str:
        text = string(argument, value)
        right = by_lower_case.get(text.lower(), text)
        return text if text == right else reject(argument, f"must be {format_value(right)}, in this case", text)

    return validator


def boolean(argument: str, value: Any) -> bool:
    """Require True or False."""
    return value if isinstance(value, bool) else reject(argument, "must be true or false", value)


def integer(argument: str, value: Any, min_value: int, max_value: float) -> int:
    """Require an integer in a range that includes both bounds."""
    plain = _plain_integer(value)
    if plain is None or not min_value <= plain <= max_value:
        span = f"of at least {min_value}" if max_value == math.inf else f"from {min_value} to {max_value}"
        reject(argument, f"must be an integer {span}", value)
    return plain


def limit(argument: str, value: Any) -> int:
    """Require a page size."""
    return integer(argument, value, 1, MAX_PAGE)


def index(argument: str, value: Any) -> int:
    """Require an index from 0."""
    return integer(argument, value, 0, math.inf)


def number(argument: str, value: Any, max_value: float = math.inf) -> float:
    """Require a number from 0 to a maximum, or of at most 64 bits."""
    plain = _plain_number(value)
    if plain is None or not 0 <= plain <= max_value or plain >= _UINT64:
        span = "of at least 0, of at most 64 bits" if max_value == math.inf else f"from 0 to {max_value:g}"
        reject(argument, f"must be a number {span}", value)
    return plain


def percentage(argument: str, value: Any) -> float:
    """Require a number from 0 to 100."""
    return number(argument, value, 100)


def max_removals(argument: str, value: Any) -> int | float:
    """Require a number of IDs, or a share of the included IDs from 0.0 to 1.0."""
    plain = _plain_number(value)
    is_valid = plain is not None and plain >= 0 and (isinstance(plain, int) or plain <= 1)
    if plain is None or not is_valid:
        reject(argument, "must be a number of IDs such as 50, or a share from 0.0 to 1.0 such as 0.2", value)
    return plain


def holdout_percentage(argument: str, value: Any) -> int:
    """Require an integer from 1 to 99."""
    return integer(argument, value, 1, 99)


def cursor(argument: str, value: Any) -> str | None:
    """Require the cursor of a page, or None for the first page."""
    if value is None:
        return None
    return identifier(argument, value)


def one_of(*choices: str) -> Validator:
    """Return a validator that accepts these strings."""
    quoted = [format_value(choice) for choice in choices]
    rule = f"must be {', '.join(quoted[:-1])} or {quoted[-1]}"

    def validator(argument: str, value: Any) -> str:
        if not isinstance(value, str) or value not in choices:  # an array of numpy cannot be compared
            reject(argument, rule, value)
        return value

    return validator


def date_or_datetime(argument: str, value: Any) -> datetime | date:
    """Require a date, or a time with a time zone, also as ISO 8601 text; return a time in UTC with milliseconds."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == len("2023-07-29") else datetime.fromisoformat(value)
        except ValueError:
            reject(argument, "must be a date or timestamp in ISO 8601", value)
    if not isinstance(value, date):
        reject(argument, "must be a date or a datetime with a time zone", value)
    if not isinstance(value, datetime):
        return value
    try:
        time = datetime.combine(value.date(), value.timetz())  # plain, also from a subclass such as that of pandas
    except ValueError:
        reject(argument, "must be a time", value)
    if time.utcoffset() is None:
        reject(
            argument,
            "must have a time zone",
            time.isoformat(),
            advice="Add one, as in 2026-01-01T00:00:00Z.",
            code_advice="For a datetime, pass tzinfo=UTC.",
        )
    try:
        return time.replace(microsecond=time.microsecond // 1000 * 1000).astimezone(UTC)
    except OverflowError:
        reject(argument, "must be a time that exists in UTC", value)


def aware_datetime(argument: str, value: Any) -> datetime:
    """Require a time with a time zone, also as ISO 8601 text; return it in UTC with milliseconds."""
    time = date_or_datetime(argument, value)
    return time if isinstance(time, datetime) else reject(argument, "must have a time, not only a date", value)


def list_of(validator: Validator) -> Validator:
    """Return a validator of lists with valid items."""
    return lambda argument, value: [
        validator(f"{argument}[{index}]", item) for index, item in enumerate(sequence(argument, value))
    ]


def function(argument: str, value: Any) -> Callable[..., Any]:
    """Require a function."""
    return cast("Callable[..., Any]", value) if callable(value) else reject(argument, "must be a function", value)


def path(argument: str, value: Any) -> Path:
    """Require the path of a file, as text or as a path."""
    if not isinstance(value, str | os.PathLike):
        reject(argument, "must be a path", value)
    path = Path(cast("str | os.PathLike[str]", value))
    try:
        is_valid = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_valid = False
    return path if is_valid else reject(argument, "must have no NUL and no half surrogate pair", str(path))


def strings(argument: str, value: Any) -> list[str]:
    """Require a list of strings."""
    return cast("list[str]", list_of(string)(argument, value))


def new_tags(argument: str, value: Any) -> list[str]:
    """Require a list of tags that can be seen."""
    tags = strings(argument, value)
    for index, tag in enumerate(tags):
        if not tag.strip():
            reject(f"{argument}[{index}]", "must not be blank", tag)
    return tags


def existing_strings(argument: str, value: Any) -> list[str]:
    """Require a list of strings that may exist."""
    return cast("list[str]", list_of(existing_string)(argument, value))


def value_problem(value: str) -> str | None:
    """Return why no user can have a value of a condition; None if a user may have it."""
    if not value.strip():
        return "is blank, so no user has it: remove it"
    if value != value.strip():
        return "begins or ends with white space, so no user has it: remove the white space"
    if len(_EMAIL.findall(value)) > 1:
        return "joins several addresses, so no user has it: write each as its own item"
    return None


def condition_values(prop: str, op: str, argument: str, value: Any) -> list[str]:
    """Require new values of a condition that a user can have, at least one; IDs for a comparison with an ID."""
    if prop in _ID_PROPERTIES and op in _EQUALITY:
        return ids(argument, value)
    valid = strings(argument, value)
    if not valid:
        reject(argument, "must contain at least one value")
    for index, item in enumerate(valid):
        if problem := value_problem(item) or _line_problem(item) or form_problem(item):
            reject(f"{argument}[{index}]", problem, item)
    return valid


def _line_problem(value: str) -> str | None:
    return None if value.isprintable() else "has a line break or another control character: write each as its own item"


def existing_id(argument: str, value: Any) -> str:
    """Require an ID that may exist: any string, because the rules for new IDs do not hold for existing ones."""
    if _plain_integer(value) is not None:
        return str(number(argument, value))
    return existing_string(argument, value)


def listed_id(argument: str, value: Any) -> str:
    """Require the ID of a user, device, cohort or deployment that is to be added."""
    if _plain_integer(value) is not None:
        return str(number(argument, value))
    text = string(argument, value)
    if not text:
        reject(argument, "must not be empty")
    if text != text.strip():
        reject(argument, "must not begin or end with white space", text)
    if not text.isprintable():
        reject(argument, "must not contain line breaks or other control characters: pass each ID as its own item", text)
    if problem := id_problem(text):
        reject(argument, problem, text)
    return text


def id_set(argument: str, value: Any) -> list[str]:
    """Require a list of IDs to add; return them without duplicates."""
    return list(dict.fromkeys(list_of(listed_id)(argument, value)))


def existing_id_set(argument: str, value: Any, max_count: float = math.inf) -> list[str]:
    """Require a list of IDs that may exist; return them without duplicates."""
    return _limited(argument, list(dict.fromkeys(list_of(existing_id)(argument, value))), max_count)


def ids(argument: str, value: Any, max_count: float = math.inf) -> list[str]:
    """Require a non-empty list of IDs to add; return them without duplicates."""
    return _limited(argument, _non_empty(argument, id_set(argument, value)), max_count)


def existing_ids(argument: str, value: Any, max_count: float = math.inf) -> list[str]:
    """Require a non-empty list of IDs that may exist; return them without duplicates."""
    return _non_empty(argument, existing_id_set(argument, value, max_count))


def _non_empty(argument: str, distinct: list[str]) -> list[str]:
    if not distinct:
        reject(argument, "must contain at least one ID")
    return distinct


def _limited(argument: str, distinct: list[str], max_count: float) -> list[str]:
    if len(distinct) > max_count:
        reason = "a variant includes" if (argument, max_count) == ("users", MAX_ADDED) else "a request takes"
        reject(argument, f"must contain at most {max_count} IDs, as many as {reason}", len(distinct))
    return distinct


def number_id(argument: str, value: Any) -> int:
    """Require an ID that is sent as a number."""
    if _plain_integer(value) is not None:
        return int(number(argument, value))
    text = string(argument, value)
    digits = text.lstrip("0")
    if not (text.isascii() and text.isdigit()) or len(digits) > _MAX_ID_DIGITS:
        reject(argument, f"must be a numeric ID of at most {_MAX_ID_DIGITS} digits", text)
    return int(digits or "0")


def number_ids(argument: str, value: Any) -> list[int]:
    """Require a list of IDs that are sent as numbers; return them without duplicates."""
    return list(dict.fromkeys(list_of(number_id)(argument, value)))


def weights(argument: str, value: Any) -> dict[str, float]:
    """Require a mapping of variant keys to weights."""
    if not is_mapping(value):
        reject(argument, "must map variant keys to weights", value)
    return {
        existing_key(f"{argument} key", name): number(f"{argument}.{name}", weight) for name, weight in value.items()
    }


def json_value(argument: str, value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one return for each type of JSON
    """Require a JSON value, and return it as plain dicts, lists and scalars."""
    if depth > _MAX_DEPTH:
        reject(argument[:40], f"must be JSON with at most {_MAX_DEPTH} levels of nesting")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return string(argument, value)
    number = _plain_number(value)
    if isinstance(number, int):
        return number
    if number is not None:
        if not math.isfinite(number):
            reject(argument, "must be JSON, which has no NaN or infinity", value)
        return number
    if is_mapping(value):
        names = [json_value(f"{argument} key", string(f"{argument} key", name)) for name in value]
        pairs = zip(names, value.values(), strict=True)
        return {name: json_value(f"{argument}.{name}", item, depth + 1) for name, item in pairs}
    if _is_array(value):
        return [json_value(f"{argument}[{index}]", item, depth + 1) for index, item in enumerate(value)]
    return reject(argument, "must be JSON: an object, array, string, number, boolean or null", value)


def texts(value: Any) -> Iterator[str]:
    """Yield the strings of a JSON value, and the names in its objects."""
    if isinstance(value, str):
        yield value
    elif is_mapping(value) or _is_array(value):
        for part in (*value, *value.values()) if is_mapping(value) else value:
            yield from texts(part)


def nullable(validator: Validator) -> Validator:
    """Return a validator that also accepts None, which is sent as null."""
    return lambda argument, value: None if value is None else validator(argument, value)


def known_names(argument: str, names: Collection[str], values: Iterable[str], *, noun: str = "field") -> None:
    """Raise `InvalidInputError` for the first of the values that is not one of the names."""
    for name in values:
        if name not in names:
            reject(f"{argument}.{name}" if argument else name, f"unknown {noun}; {suggest(name, names)}")


def mapping(argument: str, value: Any) -> Mapping[str, Any]:
    """Require a mapping."""
    return value if is_mapping(value) else reject(argument, "must be a mapping", value)


def parameters(argument: str, value: Any) -> dict[str, list[str | int | float | bool]]:
    """Require the query parameters of a raw request. Each may be there several times."""
    valid: dict[str, list[str | int | float | bool]] = {}
    for name, item in mapping(argument, value).items():
        location = f"{argument}.{url_text(f'{argument} name', name)}"
        if _is_array(item):
            values = [_parameter(f"{location}[{index}]", element) for index, element in enumerate(item)]
        else:
            values = [_parameter(location, item)]
        valid.setdefault(url_text(location, name), []).extend(values)  # a mapping of aiohttp may have a name twice
    return valid


def _parameter(location: str, value: Any) -> Any:
    if not isinstance(value, str | bool | int | float):
        reject(location, "must be a string, a number or a boolean", value)
    return url_text(location, value) if isinstance(value, str) else json_value(location, value)


def fields(validators: Mapping[str, Validator], values: Mapping[str, Any]) -> dict[str, Any]:
    """Require the fields of a request; return them without those that are `UNSET`."""
    known_names("", validators, values)
    return {name: validators[name](name, value) for name, value in values.items() if value is not UNSET}


def changes(validators: Mapping[str, Validator], values: Mapping[str, Any]) -> dict[str, Any]:
    """Require the fields of an edit, at least one of which must change."""
    valid = fields(validators, values)
    if not valid:
        reject("changes", f"must change something: pass at least one of {', '.join(validators)}")
    return valid
