"""Every public name has a docstring, and `Raises:` entries have one form."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import Any

import amp_exp_async

NAMES = sorted(name for name in amp_exp_async.__all__ if not name.startswith("_"))
CLASSES = [name for name in NAMES if inspect.isclass(getattr(amp_exp_async, name))]


def classes_and_resources() -> Iterator[type]:
    """Yield the public classes, and those of the clients' attributes."""
    yield from (getattr(amp_exp_async, name) for name in CLASSES)
    clients = (amp_exp_async.AsyncExperimentClient, amp_exp_async.AsyncBetaClient)
    remaining: list[Any] = [client("a-key-of-no-account", base_url="https://host.invalid") for client in clients]
    while remaining:
        attributes = [value for name, value in vars(remaining.pop()).items() if not name.startswith("_")]
        yield from map(type, attributes)
        remaining += attributes


def public_members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that this package defines for a class."""
    for owner in cls.__mro__:
        if owner.__module__.partition(".")[0] != "amp_exp_async":
            continue
        for name, member in vars(owner).items():
            if not name.startswith("_") and isinstance(member, FunctionType | property | classmethod | staticmethod):
                yield f"{cls.__name__}.{name}", member


MEMBERS = {name: member for cls in classes_and_resources() for name, member in public_members(cls)}


def assigned_docstring(name: str) -> str:
    """Return the string below the assignment of a constant or type alias."""
    for path in Path(inspect.getfile(amp_exp_async)).parent.rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, below in pairwise(body):
            match statement, below:
                case ast.AnnAssign(target=ast.Name(id=target)), ast.Expr(value=ast.Constant(value=str(text))):
                    if target == name:
                        return text
                case _:
                    pass
    return ""


def test_every_public_name_has_a_docstring() -> None:
    """This holds for classes, functions, constants and type aliases."""
    assert {"AsyncExperimentClient", "Flag", "AmpExpError", "UNSET", "parse"} <= set(NAMES)
    without: list[str] = []
    for name in NAMES:
        value = getattr(amp_exp_async, name)
        own = value.__doc__ if inspect.isclass(value) or inspect.isfunction(value) else assigned_docstring(name)
        if not (own or "").strip():
            without.append(name)
    assert without == []


def test_no_class_inherits_its_docstring() -> None:
    """A class has neither the docstring of its base nor a generated one."""
    inherited: list[str] = []
    for name in CLASSES:
        cls = getattr(amp_exp_async, name)
        if cls.__doc__ in {base.__doc__ for base in cls.__mro__[1:]} or cls.__doc__.startswith(f"{name}("):
            inherited.append(name)
    assert inherited == []


def test_every_public_method_has_a_docstring() -> None:
    """This holds for methods and properties, those of the resources included."""
    assert {
        "AsyncExperimentClient.aclose",
        "AsyncFlags.list",
        "AsyncUsers.add",
        "AsyncMutexes.edit_slot",
        "AsyncPager.pages",
    } <= set(MEMBERS)
    assert [name for name, member in MEMBERS.items() if not (inspect.getdoc(member) or "").strip()] == []


def test_raises_entries_begin_with_if() -> None:
    """Each entry of `Raises:` names the condition first."""
    others: list[str] = []
    for path in Path(inspect.getfile(amp_exp_async)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                _, _, section = (ast.get_docstring(node) or "").partition("\nRaises:\n")
                entries = re.findall(r"^ {4}\w+: .*", section.partition("\n\n")[0], re.MULTILINE)
                others += [entry for entry in entries if ": If " not in entry]
    assert others == []
