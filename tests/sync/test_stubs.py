"""The stubs of the blocking clients, which editors and type checkers read instead of the modules."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import amp_exp_async.sync
from amp_exp_async.inherited_methods import inherited_method
from amp_exp_async.sync import client, resources
from amp_exp_async.sync.base import SyncResource

DOCS = Path(__file__).parents[2] / "docs"
SYNC = Path(str(amp_exp_async.sync.__file__)).parent


@pytest.fixture
def generator() -> Any:
    """Return the generator, as a module."""
    spec = importlib.util.spec_from_file_location("generate_stubs", DOCS / "generate_stubs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stub_members(module: ModuleType) -> Iterator[tuple[type, str, ast.FunctionDef]]:
    """Yield the methods of the classes of a stub, each with its class."""
    text = Path(str(module.__file__)).with_suffix(".pyi").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    yield getattr(module, node.name), member.name, member


MEMBERS = {
    f"{cls.__name__}.{name}": (cls, name, node)
    for module in (client, resources)
    for cls, name, node in stub_members(module)
}


def test_they_are_up_to_date(generator: Any) -> None:
    """After a change of a signature or docstring, `python docs/generate_stubs.py` updates them."""
    for module in generator.MODULES:
        assert generator.stub_path(module).read_text(encoding="utf-8") == generator.make_stub(module)


def is_copy(member: object) -> bool:
    """Return whether a member of a class is a copy of one that it inherits."""
    return inspect.isfunction(member) and inherited_method(member) is not member


def test_every_public_method_is_there() -> None:
    """The stubs have the public methods and properties of each class, and nothing private."""
    for module in (client, resources):
        for name, cls in vars(module).items():
            if isinstance(cls, type) and issubclass(cls, SyncResource) and cls.__module__ == module.__name__:
                members = {member: value for member, value in vars(cls).items() if not member.startswith("_")}
                own = {member for member, value in members.items() if not is_copy(value)}
                shown = {member for owner, member, _ in MEMBERS.values() if owner is cls}
                assert {member for member in shown if not member.startswith("__")} == own, name
    assert len(MEMBERS) > 100
    assert not any(re.search(r"\._[a-z]", name) for name in MEMBERS)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_method(name: str) -> None:
    """Each method has the arguments and the blocking docstring that it has at run time."""
    cls, member, node = MEMBERS[name]
    value = inspect.getattr_static(cls, member)
    shown = ast.get_docstring(node) or ""
    if member in ("__enter__", "__exit__") or (member == "__init__" and not hasattr(value, "__wrapped__")):
        assert shown == ""
        return
    assert shown == inspect.getdoc(value)
    assert not re.search(r"\b(await|async (for|with))\b|Async[A-Z]", shown)
    if not isinstance(value, property):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.kwarg]
        names = [argument.arg for argument in arguments if argument is not None]
        assert names == list(inspect.signature(value).parameters)


def test_the_docstring_of_a_constructor() -> None:
    """The constructor of a blocking client explains each argument that it takes."""
    doc = inspect.getdoc(client.ExperimentClient.__init__) or ""
    names = set(re.findall(r"^    (\w+): ", doc.partition("Raises:")[0], re.MULTILINE))
    assert names == set(inspect.signature(client.ExperimentClient).parameters) - {"session"}
    assert "ConfigurationError: If" in doc
