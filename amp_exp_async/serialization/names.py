"""JSON field names. In the code of the client, only this package contains camelCase."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, get_origin

import attrs

from amp_exp_async.models import ExposureEvent, ExposureFilter, Model, Version, WebhookEvent

NEXT_CURSOR = "nextCursor"

# The API uses snake_case in these two models.
_SNAKE_CASE: frozenset[type[Model]] = frozenset({ExposureEvent, ExposureFilter})
_IRREGULAR: dict[type[Model], dict[str, str]] = {
    Version: {"config": "flagConfig"},
    WebhookEvent: {"flag_key": "flagName"},
}


@cache
def camel_case(name: str) -> str:
    """Return a snake_case name in camelCase."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@cache
def field_names(model: Hashable) -> dict[str, str]:
    """Return the JSON field name of each field of a model."""
    cls: Any = get_origin(model) or model
    irregular = _IRREGULAR.get(cls, {})
    names = (field.name for field in attrs.fields(cls) if field.name != "extra")
    if cls in _SNAKE_CASE:
        return {name: name for name in names}
    return {name: irregular.get(name) or camel_case(name) for name in names}
