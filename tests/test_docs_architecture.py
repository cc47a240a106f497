"""docs/architecture.md names code that exists, the layers that are checked, and the whole interface of the limiter."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from amp_exp_async.ratelimit import RateLimiter

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "amp_exp_async"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def defined_names(module: Path) -> set[str]:
    """Return the classes, functions and methods of a module, methods with their class."""
    names: set[str] = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{member.name}" for member in node.body if isinstance(member, FUNCTION)}
        if isinstance(node, (ast.ClassDef, *FUNCTION)):
            names.add(node.name)
    return names


FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_named_code_exists() -> None:
    """Every module and every name beside it exists."""
    missing: list[str] = []
    named = re.findall(r"`([\w/]+\.py)(?:: ([\w.]+))?`", PAGE)
    for file, name in named:
        module = PACKAGE / file
        if not module.exists() or (name and name not in defined_names(module)):
            missing.append(f"{file}: {name}")
    assert len(named) > 20
    assert missing == []


def test_the_layers_are_those_that_are_checked() -> None:
    """The table of layers is the import contract, from the top down."""
    table = PAGE.split("## Layers")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert [set(re.findall(r"\w+", row)) for row in rows] == [set(re.findall(r"\w+", layer)) for layer in layers]


def test_the_interface_of_the_rate_limiter_is_complete() -> None:
    """The table lists the members of the protocol, and no others."""
    table = PAGE.split("## The interface of the rate limiter")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    members = {name for name in vars(RateLimiter) if not name.startswith("_")}
    assert {name for row in rows for name in re.findall(r"\w+", row)} == members
