"""The sentinel for "left out", which is not the same as null."""

from __future__ import annotations

import enum
from typing import Final, Literal, TypeAlias


class Unset(enum.Enum):
    """The type of `UNSET`. An enum of one member, because type checkers narrow it with `is` and by truth."""

    UNSET = enum.auto()

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""A field that the service did not send, or an argument that is not to be sent. It is falsy."""

UnsetType: TypeAlias = Literal[Unset.UNSET]
"""The type of `UNSET` in annotations: `str | UnsetType`."""
