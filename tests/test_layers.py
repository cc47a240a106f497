"""The floors of the design, and what stays out of the package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "amp_exp_async"


def test_imports_run_one_way() -> None:
    """No module imports from a floor above its own, and the emulator and the client share nothing."""
    # In a process of its own: it would turn this one's loggers off.
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


# JSON Schema has words of its own.
SCHEMA = {Path("manifests/schema.py"), Path("manifests/shapes.py")}


def test_camel_case_of_the_wire_appears_in_one_package_only() -> None:
    """Outside `wire`, the client's code has no camelCase string: a name of the wire has one home."""
    camel = re.compile(r"[\"'][a-z]+(?:[A-Z][a-z]+)+[\"']")
    found = {
        f"{file.relative_to(PACKAGE)}: {match}"
        for file in PACKAGE.rglob("*.py")
        if file.relative_to(PACKAGE).parts[0] not in {"serialization", "emulator", "cli"}
        if file.relative_to(PACKAGE) not in SCHEMA
        for match in camel.findall(file.read_text())
    }
    assert found == set()


def test_no_module_is_too_long() -> None:
    """A file of more than 300 lines is asking to be two."""
    lengths = {str(file): len(file.read_text().splitlines()) for file in PACKAGE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 300} == {}
