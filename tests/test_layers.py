"""The layers of the package, and what must stay inside one of them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "amp_exp_async"

# The keywords of JSON Schema are camelCase.
JSON_SCHEMA = Path("manifests/schema.py")


def test_imports_run_one_way() -> None:
    """No module imports from a layer above its own, and the emulator and the client share nothing."""
    # In its own process: the linter disables the loggers of its process.
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_json_field_names_appear_in_one_package_only() -> None:
    """Outside `serialization`, the client's code has no camelCase string."""
    camel_case = re.compile(r"[\"'][a-z]+(?:[A-Z][a-z]+)+[\"']")
    names = {
        f"{file.relative_to(PACKAGE)}: {match}"
        for file in PACKAGE.rglob("*.py")
        if file.relative_to(PACKAGE).parts[0] not in {"serialization", "emulator", "cli"}
        if file.relative_to(PACKAGE) != JSON_SCHEMA
        for match in camel_case.findall(file.read_text())
    }
    assert names == set()


def test_class_names_are_unique() -> None:
    """No class name occurs twice in the package."""
    names = Counter(
        node.name
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []
