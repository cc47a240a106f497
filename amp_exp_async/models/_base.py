"""What all models share: unknown fields kept, a short repr, and the types that the wire knows how to read."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from attrs import field, frozen

from ._unset import UNSET, UnsetType

T = TypeVar("T")

Maybe: TypeAlias = T | UnsetType | None
"""A field that may be null (`None`) or missing (`UNSET`): the two are kept apart."""

Id: TypeAlias = Annotated[str, "an id"]
"""An id is a string here, also where the service sends a number."""


@frozen(repr=False)
class Model:
    """The base of the models: values that compare, copy and pickle. Change one with `attrs.evolve`.

    Attributes:
        extra: the fields that the service sent and this version of the library does not know, by their names on the
            wire. They are written back as they came.
    """

    shown: ClassVar[tuple[str, ...]] = ()

    extra: dict[str, Any] = field(factory=dict[str, Any], kw_only=True)

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in self.shown)
        inside = ", ".join(f"{name}={value!r}" for name, value in values if value is not UNSET)
        return f"{type(self).__name__}({inside})"
