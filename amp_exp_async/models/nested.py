"""Nested models that are built when they are first read: most users of a list read few of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Unbuilt:
    """A decoded object, already checked, that a model can be built from."""

    __slots__ = ()

    def build(self) -> Any:
        """Return the model."""
        raise NotImplementedError  # structs implement it, and their metaclass excludes that of abstract classes


class NestedField:
    """The attribute of a model whose slot may hold an `Unbuilt` object, or a list of them.

    Attributes:
        slot: the descriptor of the slot.
    """

    def __init__(self, slot: Any) -> None:
        self.slot = slot
        self._get = slot.__get__

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = self._get(instance)
        if value.__class__ is list:
            if value and isinstance(value[0], Unbuilt):
                # Another thread may be building the same list.
                value[:] = [item.build() if isinstance(item, Unbuilt) else item for item in value]
        elif isinstance(value, Unbuilt):
            value = value.build()
            self.slot.__set__(instance, value)
        return value

    def __set__(self, instance: object, value: Any) -> None:
        self.slot.__set__(instance, value)

    def read_once(self, instance: object) -> Any:
        """Return the value, without keeping the models that are built for it."""
        value = self._get(instance)
        if value.__class__ is list:
            return [item.build() if isinstance(item, Unbuilt) else item for item in value]
        return value.build() if isinstance(value, Unbuilt) else value


def read_once(model: object, name: str) -> Any:
    """Return the value of a field, for one use: nested models are built for the caller, and the model keeps none."""
    descriptor = getattr(type(model), name)
    return descriptor.read_once(model) if isinstance(descriptor, NestedField) else getattr(model, name)


def build_on_access(*names: str) -> Callable[[type[T]], type[T]]:
    """Declare the fields of a model whose nested models are built when they are first read."""

    def decorate(cls: type[T]) -> type[T]:
        for name in names:
            setattr(cls, name, NestedField(vars(cls)[name]))
        return cls

    return decorate
