"""The rejection of an argument."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NoReturn

from amp_exp_async.errors import NOTHING_SENT, InvalidInputError
from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET


def reject(argument: str, rule: str, value: Any = UNSET, *, advice: str = "", code_advice: str = "") -> NoReturn:
    """Raise `InvalidInputError` for an argument that breaks a rule."""
    raise InvalidInputError(
        argument=argument,
        rule=rule,
        got="" if value is UNSET else format_value(value),
        consequence=NOTHING_SENT,
        advice=advice,
        code_advice=code_advice,
    )


@contextmanager
def nothing_written() -> Generator[None, None, None]:
    """Correct the messages of validation errors: requests were sent, but no write."""
    try:
        yield
    except InvalidInputError as error:
        error.mark_requests_sent()
        raise
