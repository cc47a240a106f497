"""The generator of the stubs of the blocking clients, from which editors and type checkers take their methods.

At run time a blocking method is derived from the async one. Editors cannot follow that: they would show the docstring
of the async method, with `await`. Building or installing the package writes the stubs (see `stub_hook.py`).
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin

sys.path.insert(0, str(Path(__file__).parents[1]))  # the package is not installed yet while it is built

from amp_exp_async.inherited_methods import inherited_method
from amp_exp_async.sync import client as client_module
from amp_exp_async.sync import resources as resources_module
from amp_exp_async.sync.base import blocking_text

MODULES = (resources_module, client_module)
HEADER = '"""{}\n\nWritten by docs/generate_stubs.py: do not edit.\n"""\n\n'
# The decorators of `sync`, with the return type of a blocking method by that of the async one.
RETURN_TYPES: dict[str, Callable[[str], str]] = {
    "as_sync": lambda returns: returns.replace("AsyncPager[", "list[", 1),
    "as_sync_pager": lambda returns: returns.replace("AsyncPager[", "Pager[", 1),
    "as_sync_run": lambda _: "BulkRun",
    "as_sync_generator": lambda returns: returns.replace("AsyncGenerator[", "Generator[", 1).replace("]", ", None]"),
    "_as_sync_copy": lambda _: "Self",
}
SHOWN_DUNDERS = frozenset({"__init__", "__enter__", "__exit__"})


class Names:
    """The names that a stub uses, and the modules that they come from."""

    def __init__(self) -> None:
        self.origins: dict[str, tuple[str, str]] = {
            "builtins": ("", "builtins"),
            "Pager": ("amp_exp_async.sync.base", "Pager"),
            "BulkRun": ("amp_exp_async.sync.bulk", "BulkRun"),
            "Generator": ("collections.abc", "Generator"),
            "Self": ("typing", "Self"),
            "BlockingPortal": ("amp_exp_async.sync.portal", "BlockingPortal"),
        }
        self.local = set[str]()
        self._ambiguous = set[str]()

    def add(self, module: str) -> None:
        """Add the names that a module defines or imports. Names of the stub itself come first."""
        for name, origin in self._names_of(module):
            if find_object(*self.origins.setdefault(name, origin)) is not find_object(*origin):
                self._ambiguous.add(name)

    def add_class(self, cls: type) -> str:
        """Add a class, and return its name."""
        self.origins[cls.__name__] = (cls.__module__, cls.__name__)
        return cls.__name__

    def _names_of(self, module: str) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield each name of a module, with the module that it is imported from and its name there."""
        package = module.rpartition(".")[0]
        for statement in parse_module(module).body:
            match statement:
                case ast.ImportFrom():
                    level = "." * statement.level
                    origin = import_module(f"{level}{statement.module or ''}", package).__name__
                    yield from ((alias.asname or alias.name, (origin, alias.name)) for alias in statement.names)
                case ast.Import():
                    yield from ((alias.asname or alias.name, ("", alias.name)) for alias in statement.names)
                case ast.ClassDef():
                    yield statement.name, (module, statement.name)
                case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                    yield name, (module, name)
                case _:
                    pass

    def imports(self, body: str) -> str:
        """Return the import statements of the names that a stub uses."""
        used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)} - self.local
        if used & self._ambiguous:
            raise RuntimeError(f"names with two meanings: {used & self._ambiguous}. Give one of them another name")
        lines = list[str]()
        for name in sorted(used & self.origins.keys()):
            module, original = self.origins[name]
            alias = "" if name == original else f" as {name}"
            lines.append(f"from {module} import {original}{alias}" if module else f"import {original}{alias}")
        return "\n".join(lines)


class ClassStub:
    """The stub of a class.

    Args:
        node: the class in its module.
        cls: the class.
        names: the names that the stub uses.
    """

    def __init__(self, node: ast.ClassDef, cls: type, names: Names) -> None:
        self._node = node
        self._cls = cls
        self._names = names
        self._docs = dict(attribute_docs(cls.__doc__ or ""))

    def text(self) -> str:
        """Return the stub."""
        resources = [base for base in self._node.bases if ast.unparse(base).startswith("SyncResource[")]
        bases = ", ".join(ast.unparse(base) for base in self._node.bases if base not in resources)
        lines = [f"class {self._node.name}{f'({bases})' if bases else ''}:"]
        members = [line for statement in self._node.body for line in self._member(statement)]
        if resources and not any(line.startswith("def __init__") for line in members):
            (resource,) = resources
            argument = ast.unparse(resource).removeprefix("SyncResource[").removesuffix("]")
            members.insert(0, f"def __init__(self, resource: {argument}, portal: BlockingPortal) -> None: ...")
        members.insert(0, docstring(inspect.getdoc(self._cls) or ""))
        return "\n".join(lines + [textwrap.indent(member, "    ") for member in members])

    def _member(self, statement: ast.stmt) -> Iterator[str]:
        """Yield what a stub shows of a statement of the class."""
        match statement:
            case ast.AnnAssign(target=ast.Name(name)) if not name.startswith("_"):
                yield self._attribute(name, ast.unparse(statement.annotation))
            case ast.Assign(
                targets=[ast.Name(name)], value=ast.Call(func=ast.Name(decorator), args=[ast.Attribute(owner, method)])
            ):
                yield self._derived(name, decorator, self._evaluate(owner), method)
            case ast.FunctionDef(name=name) if name in SHOWN_DUNDERS or not name.startswith("_"):
                if name == "__init__":
                    yield from self._instance_attributes(statement)
                yield self._written(statement)
            case _:
                pass

    def _attribute(self, name: str, annotation: str) -> str:
        doc = self._docs.get(name)
        return f"{name}: {annotation}" + (f"\n{docstring(doc)}" if doc else "")

    def _instance_attributes(self, constructor: ast.FunctionDef) -> Iterator[str]:
        """Yield the public attributes that a constructor sets."""
        for statement in constructor.body:
            match statement:
                case ast.Assign(targets=[ast.Attribute(attr=name)], value=ast.Call(func=ast.Name(cls))):
                    yield self._attribute(name, cls)
                case ast.AnnAssign(target=ast.Attribute(attr=name)):
                    yield self._attribute(name, ast.unparse(statement.annotation))
                case _:
                    pass

    def _derived(self, name: str, decorator: str, owner: Any, method_name: str) -> str:
        """Return the stub of a method that a decorator derives from an async one."""
        method = getattr(owner, method_name)
        node = self._signature_of(method, owner)
        node.name = name
        returns = RETURN_TYPES[decorator](ast.unparse(node.returns or ast.Constant(None)))
        node.returns = ast.parse(returns, mode="eval").body
        return self._function(node, blocking_text(inspect.getdoc(method) or "", returns_run=returns == "BulkRun"))

    def _written(self, node: ast.FunctionDef) -> str:
        """Return the stub of a method that is written in the class."""
        doc = ast.get_docstring(node) or ""
        decorators = list[ast.expr]()
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(func=ast.Name("copy_signature"), args=[method]):
                    doc = blocking_text(inspect.getdoc(self._evaluate(method)) or "")
                case ast.Call(func=ast.Name("_as_sync_init"), args=[method]):
                    doc = inspect.getdoc(getattr(self._cls, node.name)) or ""
                    node = self._signature_of(self._evaluate(method).__init__)
                case _:
                    decorators.append(decorator)
        node.decorator_list = decorators
        return self._function(node, doc)

    def _signature_of(self, method: Any, owner: type | None = None) -> ast.FunctionDef:
        """Return the definition of a method, as that of a function which is not async.

        Args:
            method: the async method.
            owner: the class that has it, or inherits it; None if that does not matter.
        """
        self._names.add(method.__module__)
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(method))).body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            raise TypeError(f"{method} is no method")
        arguments = type_arguments(owner, method)
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in arguments:
                part.id = self._names.add_class(arguments[part.id])
        return ast.FunctionDef(node.name, node.args, node.body, [], node.returns, lineno=0)

    def _function(self, node: ast.FunctionDef, doc: str) -> str:
        """Return the stub of a function."""
        members = {name for cls in self._cls.__mro__[:-1] for name in vars(cls)}
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in members and hasattr(builtins, part.id):
                part.id = f"builtins.{part.id}"  # the class has a method of this name
        node.body = [ast.Expr(ast.Constant(...))]
        signature = ast.unparse(node)
        body = textwrap.indent(docstring(doc), "    ").lstrip()
        return f"{signature.removesuffix('...')}{body}" if doc else signature

    def _evaluate(self, expression: ast.expr) -> Any:
        module = import_module(self._cls.__module__)
        return eval(ast.unparse(expression), vars(module))  # noqa: S307 - of our own code


def type_arguments(owner: Any, method: Any) -> dict[str, type]:
    """Return what a class puts in the place of the type variables of the base that has a method."""
    for base in getattr(owner, "__orig_bases__", ()):
        origin = get_origin(base)
        known = {} if origin is None else vars(origin)
        if isinstance(owner, type) and origin is not None and known.get(method.__name__) is inherited_method(method):
            return dict(zip([variable.__name__ for variable in origin.__parameters__], get_args(base), strict=True))
    return {}


def docstring(text: str) -> str:
    """Return a docstring, which is indented later."""
    escaped = text.replace("\\", r"\\").replace('"""', r"\"\"\"")
    lines = [f'    """{escaped}', '"""'] if "\n" in text else [f'    """{escaped}"""']
    return "\n".join(lines).lstrip()


def attribute_docs(text: str) -> Iterator[tuple[str, str]]:
    """Yield each attribute that the docstring of a class names, and what it says of it."""
    _, _, section = inspect.cleandoc(text).partition("Attributes:\n")
    for name, doc in re.findall(r"^    (\w+): (.+)", section.partition("\n\n")[0], re.MULTILINE):
        yield name, f"{doc[0].upper()}{doc[1:]}"


def find_object(module: str, name: str) -> object:
    """Return what a name of a module means; without a module, it is a module itself."""
    return getattr(import_module(module), name, None) if module else import_module(name)


def parse_module(name: str) -> ast.Module:
    """Return the source of a module, parsed."""
    return ast.parse(inspect.getsource(import_module(name)))


def stub_path(module: ModuleType) -> Path:
    """Return the path of a module's stub."""
    return Path(str(module.__file__)).with_suffix(".pyi")


def make_stub(module: ModuleType) -> str:
    """Return the stub of a module."""
    names, tree = Names(), parse_module(module.__name__)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    statements = [ast.unparse(node) for node in tree.body]
    type_variables = [line for line in statements if " = TypeVar(" in line]
    names.local = {node.name for node in classes} | {line.partition(" = ")[0] for line in type_variables}
    names.add(module.__name__)
    stubs = [ClassStub(node, getattr(module, node.name), names).text() for node in classes]
    body = "\n".join([*type_variables, *stubs])
    return HEADER.format(inspect.getdoc(module)) + names.imports(body) + "\n\n" + body + "\n"


def main() -> None:
    """Write the stubs."""
    for module in MODULES:
        stub_path(module).write_text(make_stub(module), encoding="utf-8")


if __name__ == "__main__":
    main()
