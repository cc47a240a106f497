"""Every code block of the README and the docs runs in a test, is checked here, or is marked as output."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from amp_exp_async.cli.app import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^ *```(\S*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
BLOCKS = {str(page.relative_to(ROOT)): BLOCK.findall(page.read_text(encoding="utf-8")) for page in PAGES}
PYTHON = {
    # test_docs_examples.py, test_webhooks.py, test_otel.py
    "README.md": 3,
    "docs/api.md": 5,
    "docs/bulk.md": 2,
    "docs/changes.md": 2,
    "docs/files.md": 3,
    "docs/lint.md": 1,
    "docs/observability.md": 4,
    "docs/opentelemetry.md": 1,
    "docs/quickstart.md": 5,
    "docs/rate-limiting.md": 2,
    "docs/testing.md": 1,
    # test_docs_beta.py, test_docs_tutorial.py
    "docs/beta.md": 4,
    "docs/tutorial.md": 3,
}
"""The Python blocks of each page, all of which the named tests run."""

OUTPUT = {"text"}
"""What a program prints, or a file that it reads."""

SPHINX = {"{toctree}", "{include}", "{literalinclude}", "{eval-rst}"}
"""Checked when the site is built. Included programs are run by test_recipes.py."""

SHELL = {"sh", "bash", "console"}
"""Commands, in a console with their output."""


def commands() -> list[tuple[str, list[str]]]:
    """Return the commands of all pages but docs/cli.md and the tutorial, whose own tests run them."""
    found = []
    for page, blocks in BLOCKS.items():
        for language, code in blocks:
            if language in SHELL and page not in {"docs/cli.md", "docs/tutorial.md"}:
                for line in code.splitlines():
                    words = shlex.split(line, comments=True)
                    found += [(page, shlex.split(part)) for part in shlex.join(words).split(" '&&' ")]
    return found


def test_every_block_is_checked() -> None:
    """Each block has a language, and a test for it: a new Python block is added to a test, and counted above."""
    languages = {(page, language) for page, blocks in BLOCKS.items() for language, _ in blocks}
    known = OUTPUT | SPHINX | SHELL | {"python", "json", "toml", "yaml"}
    assert {(page, language) for page, language in languages if language not in known} == set()
    counted = {page: sum(language == "python" for language, _ in blocks) for page, blocks in BLOCKS.items()}
    assert {page: count for page, count in counted.items() if count} == PYTHON


@pytest.mark.parametrize(
    ("language", "parse"), [("json", json.loads), ("toml", tomllib.loads), ("yaml", yaml.safe_load)]
)
def test_data_can_be_parsed(language: str, parse: Callable[[str], object]) -> None:
    """The blocks of data are valid; other tests apply them."""
    texts = [code for blocks in BLOCKS.values() for found, code in blocks if found == language]
    assert texts
    for text in texts:
        assert parse(text)


def test_shell_commands_are_valid() -> None:
    """A shell can parse each block of commands."""
    scripts = [code for blocks in BLOCKS.values() for language, code in blocks if language in {"sh", "bash"}]
    result = subprocess.run(["bash", "-n"], input="\n".join(scripts), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_commands_exist() -> None:
    """Each command of ours has its options, each extra that is installed exists, and no other program is used."""
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )
    tools = {"export", "python", "python3.11", "pytest", "ruff", "lint-imports", "mypy", "pyright", "sphinx-build"}
    wrong = []
    for page, words in commands():
        program = words[0].removeprefix(".venv/bin/")
        if program == "amp-exp":
            is_right = CliRunner().invoke(app, [*words[1:], "--help"]).exit_code == 0
        elif program == "pip":
            is_right = set(re.findall(r"\w+", " ".join(re.findall(r"\[(.*?)\]", shlex.join(words))))) <= extras
        else:
            is_right = program in tools
        if not is_right:
            wrong.append((page, words))
    assert len(commands()) > 20
    assert wrong == []
