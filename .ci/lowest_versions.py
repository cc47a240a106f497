"""Print pip constraints that hold the package's dependencies at their lower bounds."""

import sys
import tomllib
from pathlib import Path

_OUR_EXTRAS = ("cli", "files", "otel", "redis")  # the others are for those who work on the package

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [requirement for name in _OUR_EXTRAS for requirement in project["optional-dependencies"][name]]
for requirement in dict.fromkeys([*project["dependencies"], *extras]):
    if not requirement.startswith(project["name"]):
        sys.stdout.write(requirement.replace(">=", "==") + "\n")
