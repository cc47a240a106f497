"""What differs between releases of typer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    UsageFailure = typer.TyperException
else:  # before typer 0.28, the errors of usage had another base
    UsageFailure = getattr(typer, "TyperException", typer.BadParameter.__mro__[2])


class _UnconvertedValue:
    """A parser of values that returns them as they are."""

    def coerce(self, value: Any, **_: Any) -> Any:
        """Return the value."""
        return value


def keep_values(parameters: Iterable[Any]) -> None:
    """Let a command take the values of its parameters as they were typed.

    Releases of typer that convert values with pydantic import it for this, which takes an eighth of a second. What a
    TAB proposes does not depend on converted values.
    """
    for parameter in parameters:
        parameter.get_runtime_param = _UnconvertedValue
