"""The build hook that writes the stubs of the blocking clients, so that wheels and editable installations have them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StubHook(BuildHookInterface[Any]):
    """Runs the generator, which imports the package, in a process of its own."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the stubs before files are collected."""
        del version, build_data
        subprocess.run([sys.executable, str(Path(self.root, "docs", "generate_stubs.py"))], check=True)  # noqa: S603 - our own script
