"""What differs between releases of typer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    UsageFailure = typer.TyperException
else:  # before typer 0.28, the errors of usage had another base
    UsageFailure = getattr(typer, "TyperException", typer.BadParameter.__mro__[2])
