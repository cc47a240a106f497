"""Inherited methods under the name of the class that users know, which Python's errors about arguments show."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

_inherited: WeakKeyDictionary[Callable[..., Any], Callable[..., Any]] = WeakKeyDictionary()


def name_inherited_methods(cls: type) -> None:
    """Give a class its own copies of the constructor and the public methods that it inherits, named after it."""
    for base in cls.__mro__[1:]:
        for name, method in list(vars(base).items()):
            is_public = name == "__init__" or not name.startswith("_")
            if isinstance(method, FunctionType) and is_public and name not in vars(cls):
                setattr(cls, name, _renamed(method, f"{cls.__qualname__}.{name}"))


def _renamed(method: FunctionType, qualname: str) -> FunctionType:
    name, defaults = method.__name__, method.__defaults__
    renamed = FunctionType(method.__code__, method.__globals__, name, defaults, method.__closure__)
    renamed.__kwdefaults__, renamed.__annotations__ = method.__kwdefaults__, method.__annotations__
    renamed.__doc__, renamed.__module__, renamed.__qualname__ = method.__doc__, method.__module__, qualname
    renamed.__dict__.update(vars(method))
    _inherited[renamed] = inherited_method(method)
    return renamed


def inherited_method(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of the base of which a method is a copy; the method itself if it is none."""
    return _inherited.get(method, method)
