"""Detection of conditions whose property, operator or values no user can have."""

from __future__ import annotations

from collections.abc import Iterator

from amp_exp_async import validation
from amp_exp_async.formatting import format_value, suggest
from amp_exp_async.models import Condition

_CUSTOM_PREFIX = "gp:"
# The properties that Amplitude's SDKs and Experiment's evaluation set. Custom ones have a prefix.
BUILT_IN_PROPERTIES = frozenset(
    {
        *("user_id", "device_id", "amplitude_id", "cohort", "userdata_cohort"),
        *("country", "region", "city", "dma", "language", "ip_address"),
        *("platform", "os", "version", "start_version", "library", "carrier", "paying"),
        *("device", "device_type", "device_family", "device_brand", "device_manufacturer", "device_model"),
    }
)


def doubts(condition: Condition) -> Iterator[tuple[str, str]]:
    """Yield each field of a condition that keeps it from matching, and a message."""
    if condition.type != "property":
        return
    if condition.prop and ":" not in condition.prop and condition.prop not in BUILT_IN_PROPERTIES:
        yield (
            "prop",
            f"{format_value(condition.prop)} is not a built-in property, so no user has it: {_advice(condition.prop)}",
        )
    if condition.op and condition.op not in validation.OPERATORS:
        yield (
            "op",
            f"{format_value(condition.op)} is not a documented operator; {suggest(condition.op, validation.OPERATORS)}",
        )
    for index, value in enumerate(condition.values or ()):
        if problem := validation.value_problem(value):
            yield f"values[{index}]", f"{format_value(value)} {problem}"
        elif "," in value and ", " not in value:
            yield (
                f"values[{index}]",
                f"{format_value(value)} has a comma: if it is a list, write each value as its own item",
            )


def _advice(prop: str) -> str:
    snake_case = prop.strip().lower().replace(" ", "_")
    if snake_case in BUILT_IN_PROPERTIES:
        return f"did you mean {format_value(snake_case)}?"
    return f"write a custom property as {format_value(_CUSTOM_PREFIX + prop)}"
