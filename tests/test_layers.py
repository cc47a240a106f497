"""The layers of the package, and what must stay inside one of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "amp_exp_async"

# JSON Schema has its own camelCase keywords.
JSON_SCHEMA = {Path("manifests/schema.py"), Path("manifests/json_schema.py")}


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
        if file.relative_to(PACKAGE).parts[0] not in {"serialization", "serialization.py", "emulator", "cli"}
        if file.relative_to(PACKAGE) not in JSON_SCHEMA
        for match in camel_case.findall(file.read_text())
    }
    assert names == set()
