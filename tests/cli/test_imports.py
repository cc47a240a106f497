"""The command line is built on the public API, as any other program."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import amp_exp_async
import amp_exp_async.cli
import amp_exp_async.emulator

PUBLIC = {
    "amp_exp_async": amp_exp_async.__all__,
    "amp_exp_async.emulator": amp_exp_async.emulator.__all__,
}


def imports_of(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the modules and names that a file of the command line imports from outside of it, or uses of the package.

    The package is imported as a whole: its names are then loaded when a command runs.
    """
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name != "amp_exp_async")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "amp_exp_async":
            yield "amp_exp_async", node.attr
        elif isinstance(node, ast.ImportFrom) and node.level != 1:
            yield from ((node.module or "." * node.level, alias.name) for alias in node.names)


def test_only_public_names_are_imported() -> None:
    """Of this library, only names in `__all__` of the package and of its emulator."""
    files = sorted(Path(amp_exp_async.cli.__file__).parent.glob("*.py"))
    private = [
        f"{file.name}: {module}.{name}"
        for file in files
        for module, name in imports_of(file)
        if module.startswith(("amp_exp_async", ".")) and name not in PUBLIC.get(module, ())
    ]
    assert files
    assert any(("amp_exp_async", "ExperimentClient") in set(imports_of(file)) for file in files)
    assert private == []
