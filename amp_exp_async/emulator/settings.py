"""Checks of the emulator's settings."""

import math


def require_from_zero(name: str, value: float) -> None:
    """Refuse what is no finite number from 0."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a number from 0, not {value!r}")


def require_one_of(name: str, value: str, members: tuple[str, ...]) -> None:
    """Refuse what is none of these words."""
    if value not in members:
        raise ValueError(f"{name} must be one of {', '.join(members)}, not {value!r}")
