"""Every public name says what it is."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import amp_exp_async

NAMES = sorted(
    name
    for name, value in vars(amp_exp_async).items()
    if not name.startswith("_") and not isinstance(value, ModuleType)
)
CLASSES = [name for name in NAMES if inspect.isclass(getattr(amp_exp_async, name))]


def with_resources() -> Iterator[type]:
    """The public classes, and those that hang on a client."""
    yield from (getattr(amp_exp_async, name) for name in CLASSES)
    clients = (amp_exp_async.AsyncExperimentClient, amp_exp_async.AsyncBetaClient)
    found: list[Any] = [client("a-key-of-no-account", base_url="https://host.invalid") for client in clients]
    while found:
        holder = found.pop()
        hung = [value for name, value in vars(holder).items() if not name.startswith("_")]
        yield from map(type, hung)
        found += hung


def public_members(cls: type) -> Iterator[tuple[str, Any]]:
    """The methods and properties that a class gets from this package."""
    for owner in cls.__mro__:
        if owner.__module__.partition(".")[0] != "amp_exp_async":
            continue
        for name, member in vars(owner).items():
            if not name.startswith("_") and isinstance(member, FunctionType | property | classmethod | staticmethod):
                yield f"{cls.__name__}.{name}", member


MEMBERS = {name: member for cls in with_resources() for name, member in public_members(cls)}


def assigned_docstring(name: str) -> str:
    """The text below the assignment that makes a constant or an alias."""
    for path in Path(inspect.getfile(amp_exp_async)).parent.rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, below in pairwise(body):
            match statement, below:
                case ast.AnnAssign(target=ast.Name(id=found)), ast.Expr(value=ast.Constant(value=str(text))):
                    if found == name:
                        return text
                case _:
                    pass
    return ""


def test_the_package_has_public_names() -> None:
    """What the other tests of this file go over is not empty, and reaches the resources."""
    assert {"AsyncExperimentClient", "Flag", "AmpExpError", "UNSET", "parse"} <= set(NAMES)
    assert {
        "AsyncExperimentClient.aclose",
        "AsyncFlags.list",
        "AsyncUsers.add",
        "AsyncMutexes.edit_slot",
        "AsyncPager.pages",
    } <= set(MEMBERS)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_a_docstring(name: str) -> None:
    """Classes and functions carry a docstring of their own; constants and aliases one below their assignment."""
    value = getattr(amp_exp_async, name)
    own = value.__doc__ if inspect.isclass(value) or inspect.isfunction(value) else assigned_docstring(name)

    assert (own or "").strip()


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_does_not_borrow_its_docstring(name: str) -> None:
    """A class's docstring is not that of its base, nor one that a decorator made up."""
    cls = getattr(amp_exp_async, name)

    assert cls.__doc__ not in {base.__doc__ for base in cls.__mro__[1:]}
    assert not cls.__doc__.startswith(f"{name}(")


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_public_method_has_a_docstring(name: str) -> None:
    """Every public method and property says what it does, also those of the resources that hang on the client."""
    assert (inspect.getdoc(MEMBERS[name]) or "").strip()
