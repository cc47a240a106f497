"""The table of operations in the docs is what the code does, and has every operation of the contract."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"

_ONE, _ON = "/{kind}/{}", "/{kind}/{}/variants/{}"
# The contract's operations, by method and path below `/api/1`; where the contract has two words for one request, once.
OF_BOTH_KINDS = (
    "GET /{kind}",
    f"GET {_ONE}",
    f"GET {_ONE}/versions",
    f"GET {_ONE}/versions/{{}}",
    f"GET {_ONE}/variants",
    f"GET {_ON}",
    f"POST {_ONE}/variants",
    f"PATCH {_ON}",
    f"DELETE {_ON}",
    f"GET {_ON}/users",
    f"POST {_ON}/users",
    f"DELETE {_ON}/users/{{}}",
    f"DELETE {_ON}/users",
    f"DELETE {_ON}/bulk-delete-users",
    f"GET {_ON}/cohorts",
    f"POST {_ON}/cohorts",
    f"DELETE {_ON}/bulk-delete-cohorts",
    f"GET {_ONE}/deployments",
    f"POST {_ONE}/deployments",
    f"DELETE {_ONE}/deployments/{{}}",
    f"PATCH {_ONE}",
    "POST /{kind}",
)
OF_THE_REST = (
    "GET /deployments",
    "POST /deployments",
    "PATCH /deployments/{}",
    "GET /versions",
    "GET /mutexes",
    "GET /mutexes/{}",
    "POST /mutexes",
    "PATCH /mutexes/{}",
    "PATCH /mutexes/{}/slots/{}",
    "GET /holdouts",
    "GET /holdouts/{}",
    "POST /holdouts",
    "PATCH /holdouts/{}",
)
CONTRACT = {line.replace("{kind}", kind) for line in OF_BOTH_KINDS for kind in ("flags", "experiments")} | {
    *OF_THE_REST
}
BETA = {
    "GET /experiments/list",
    "GET /flags/list",
    "GET /deployments/list",
    "GET /experiments/{}",
    "GET /flags/{}",
    "GET /experiments/{}/versions",
    "GET /experiments/{}/versions/{}",
    "GET /flags/{}/versions",
    "GET /flags/{}/versions/{}",
    "POST /experiments/new",
    "POST /experiments/{}/activate",
    "POST /experiments/{}/deactivate",
    "POST /experiments/{}/rollout-weights",
}
# What is not simply repeated, by the contract.
NOT_YES = {
    "never: read back": {
        *("flags.create", "experiments.create", "flags.variants.create", "experiments.variants.create"),
        *("deployments.create", "mutexes.create", "holdouts.create"),
    },
    "never": {"flags.users.remove_at", "experiments.users.remove_at"},
    "yes; 404 then means done": {
        *("flags.variants.remove", "experiments.variants.remove"),
        *("flags.deployments.remove", "experiments.deployments.remove"),
    },
    "yes; 404 then: read back": {"flags.variants.edit", "experiments.variants.edit"},
}


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(generate: ModuleType) -> list[list[Any]]:
    """The rows of version 1, and those of the Beta API."""
    return [found.rows for found in asyncio.run(generate.all_operations())]


def anonymous(endpoint: str) -> str:
    """An endpoint without the names of its parameters."""
    return re.sub(r"\{\w+\}", "{}", endpoint)


def lines(page: str) -> set[str]:
    """The endpoints that begin a line of a table."""
    return {anonymous(endpoint) for endpoint in re.findall(r"^\| `(\w+ /[^`]*)` \|", page, re.MULTILINE)}


def test_the_page_is_what_the_code_says(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes an operation runs `python docs/generate.py`."""
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0


def test_a_page_that_differs_is_noticed(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check fails, says so and writes nothing; without it the page is written."""
    page = tmp_path / "operations.md"
    page.write_text(generate.PAGE.read_text(encoding="utf-8").replace("/slots/", "/places/"), encoding="utf-8")
    before = page.read_text(encoding="utf-8")
    monkeypatch.setattr(generate, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    assert "is not what the code says" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == before
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    assert page.read_text(encoding="utf-8") == (DOCS / "operations.md").read_text(encoding="utf-8")


def test_every_operation_of_the_contract_has_a_row(rows: list[list[Any]]) -> None:
    """All 57 of version 1 and 13 of the Beta API, and no request that the contract does not know."""
    assert (len(CONTRACT), len(BETA)) == (57, 13)
    v1, beta = ({anonymous(row.endpoint) for row in found} for found in rows)
    assert v1 == CONTRACT
    assert beta == BETA


def test_every_operation_stands_on_the_page() -> None:
    """The page itself has a line for each."""
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    v1, beta = page.split("## The Beta API")
    assert lines(v1.replace("{kind}", ":")) == {line.replace("{kind}", ":") for line in OF_BOTH_KINDS} | {*OF_THE_REST}
    assert lines(beta) == BETA


def test_what_is_repeated(rows: list[list[Any]]) -> None:
    """As the contract's table has it: whatever is not named here may be sent again, and every read may."""
    v1, beta = rows
    for repeat, names in NOT_YES.items():
        assert {row.name for row in v1 if row.repeat == repeat} == names
    assert {row.name for row in beta if row.repeat != "yes"} == {"experiments.create"}
    assert {row.repeat for row in (*v1, *beta) if row.endpoint.startswith("GET ")} == {"yes"}
    assert {row.repeat for row in (*v1, *beta)} == {"yes", *NOT_YES}


def test_only_a_rename_has_a_row_more(rows: list[list[Any]]) -> None:
    """Every other method makes one request, whatever its arguments are."""
    twice = [name for found in rows for name, count in Counter(row.name for row in found).items() if count > 1]
    assert twice == ["flags.variants.edit", "experiments.variants.edit"]
    renames = [row.arguments for row in rows[0] if row.repeat == "yes; 404 then: read back"]
    assert renames == ["id, variant, key=…, …"] * 2


def test_a_docstring_names_the_request(rows: list[list[Any]]) -> None:
    """What an editor shows of a method is what the method sends."""
    for row in (*rows[0], *rows[1]):
        section = row.section
        shown = row.docstring.replace("{kind}", section).replace("{groups}", section)
        assert f"`{row.endpoint}`" in shown, row.name
