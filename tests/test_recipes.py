"""The recipes in docs/examples: each runs, and the page states its lines and its requests."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from amp_exp_async import APIConnectionError, BulkError
from amp_exp_async.emulator import Emulator
from tests.cli.commands import COMMANDS

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = DOCS / "examples"
PAGE = (DOCS / "recipes.md").read_text(encoding="utf-8")
ROWS = {
    name: (int(lines), int(requests))
    for name, lines, requests in re.findall(r"\(examples/(\w+\.py)\) \| (\d+) \| (\d+)", PAGE)
}
LONG_AGO = "2025-01-01T00:00:00.000Z"

RunRecipe: TypeAlias = Callable[..., str]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """An account with the objects that the recipes name, found through the environment."""
    monkeypatch.chdir(tmp_path)
    with Emulator() as emulator:
        state = emulator.state
        deployments = [state.add_deployment(projectId="1", label="web")["id"]]
        condition = {"type": "property", "prop": "gp:email", "op": "is", "values": ["ann@example.com"]}
        pilot = {"name": "Pilot", "conditions": [condition], "percentage": 100, "rolloutWeights": {"on": 1}}
        state.add_flag(
            id="10",
            key="new-checkout",
            projectId="1",
            name="Checkout, new",
            rolloutPercentage=5,
            targetSegments=[pilot],
            deployments=deployments,
            tags=["legacy"],
        )
        state.add_flag(id="11", key="old-banner", projectId="1", lastModifiedAt=LONG_AGO, createdAt=LONG_AGO)
        state.add_users("flags", "10", "on", [f"device-{number}" for number in range(10)])
        state.add_experiment(id="20", key="price", projectId="1", rolloutPercentage=50, deployments=deployments)
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        yield emulator


@pytest.fixture
def recipe(account: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunRecipe:
    """Run a recipe as a script, and check the number of requests that the page states."""

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        account.requests.clear()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        assert len(account.requests) == ROWS[name][1]
        return capsys.readouterr().out

    return run


def test_export_to_csv(recipe: RunRecipe) -> None:
    """Flags and experiments of the project are rows, also with commas in names."""
    header, *rows = recipe("export_to_csv.py", "1").splitlines()
    assert (header.startswith("kind,id,key,name"), len(rows)) == (True, 3)
    assert any(row.startswith('flag,10,new-checkout,"Checkout, new",False,5,') for row in rows)


def test_find(recipe: RunRecipe) -> None:
    """Flags with the prefix and the tag are printed."""
    assert recipe("find_by_prefix_and_tag.py", "new-", "legacy") == "10 new-checkout off\n"


def test_emails(recipe: RunRecipe, account: Emulator, tmp_path: Path) -> None:
    """Addresses are added to the segment, unless they exist in another case."""
    (tmp_path / "pilots.csv").write_text("name,email\nAnn,Ann@example.com\nBo,bo@example.com\nNobody,\n")
    assert "2 addresses" in recipe("emails_to_pilot_segment.py", "new-checkout", "pilots.csv")
    [segment] = account.state.flag("10")["targetSegments"]
    assert segment["conditions"][0]["values"] == ["ann@example.com", "bo@example.com"]


def test_nightly_allow_list(recipe: RunRecipe, account: Emulator, tmp_path: Path) -> None:
    """The list is replaced; a truncated file is not applied."""
    file = tmp_path / "devices.txt"
    file.write_text("\n".join([*(f"device-{number}" for number in range(9)), "new"]))
    assert recipe("nightly_allow_list.py", "new-checkout", file) == "2 devices added or removed.\n"
    assert sorted(account.state.users("flags", "10", "on")) == sorted(file.read_text().split())
    file.write_text("device-1\n")
    with pytest.raises(BulkError, match="9 of the 10 users of variant on would be removed"):
        recipe("nightly_allow_list.py", "new-checkout", file)


def test_promote_winner(recipe: RunRecipe, account: Emulator) -> None:
    """All users get the variant, and the decision is recorded."""
    assert "100 % get treatment" in recipe("promote_winner.py", "price", "treatment", "more orders")
    experiment = account.state.experiment("20")
    assert (experiment["rolloutWeights"], experiment["decision"]) == ({"control": 0, "treatment": 1}, "rollout")


def test_staging_to_production(recipe: RunRecipe, account: Emulator) -> None:
    """The flag exists in the other project, with the deployment of the same label there."""
    production = account.state.add_deployment(projectId="2", label="web")["id"]
    assert "create" in recipe("staging_to_production.py", "1", "2", "new-checkout")
    [copy] = [flag for flag in account.state.flags if flag["projectId"] == "2"]
    assert (copy["deployments"], copy["targetSegments"][0]["name"]) == ([production], "Pilot")


def test_ramp(recipe: RunRecipe, account: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run takes one step; an outage changes nothing."""
    assert recipe("ramp.py", "new-checkout") == "new-checkout: 5 -> 25 %\n"
    assert recipe("ramp.py", "new-checkout") == "new-checkout: 25 -> 100 %\n"
    with pytest.raises(SystemExit):
        recipe("ramp.py", "new-checkout")
    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "a-key-that-is-not-valid")
    with pytest.raises(SystemExit, match="Nothing was changed, because the flag could not be read"):
        recipe("ramp.py", "new-checkout")
    assert account.state.flag("10")["rolloutPercentage"] == 100


def test_archive_stale_flags(recipe: RunRecipe, account: Emulator) -> None:
    """Without --yes the stale flags are listed; with it they are archived."""
    with pytest.raises(SystemExit, match="1 flags would be archived"):
        recipe("archive_stale_flags.py", "1")
    assert recipe("archive_stale_flags.py", "1", "--yes").endswith("1 archived, 0 failed, 0 unknown\n")
    assert [flag["key"] for flag in account.state.flags if flag["deleted"]] == ["old-banner"]


def test_who_changed_what(recipe: RunRecipe) -> None:
    """Each change has its author and its fields."""
    recipe("promote_winner.py", "price", "treatment", "more orders")
    out = recipe("who_changed_what.py")
    assert "price: version 3 by emulator@example.com" in out
    assert 'decision_reason: null -> "more orders"' in out


def test_experiment_with_groups(recipe: RunRecipe, account: Emulator) -> None:
    """The experiment is in both groups, and has its exposure event."""
    id = recipe("experiment_with_groups.py", "1").split()[0]
    assert account.state.experiment(id)["exposureEvent"] == {"event_type": "Price Shown", "filters": []}
    assert len(account.state.experiment(id)["parentDependencies"]["flags"]) == 2


def test_asyncio_app(recipe: RunRecipe, account: Emulator) -> None:
    """Every flag of the project has the tag."""
    assert recipe("asyncio_app.py", "1") == "2 flags tagged\n"
    assert all("reviewed" in flag["tags"] for flag in account.state.flags)


def test_logging(account: Emulator, tmp_path: Path) -> None:
    """The file has each request, and not the key."""
    account.requests.clear()
    command = [sys.executable, str(EXAMPLES / "log_to_file.py"), "requests.log"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    log = (tmp_path / "requests.log").read_text()
    assert log.count("INFO GET /flags -> 200 in ") == len(account.requests) == ROWS["log_to_file.py"][1]
    assert account.api_key not in log


def test_typing(recipe: RunRecipe) -> None:
    """The values are described."""
    assert "new-checkout 5 % " in recipe("typing_of_fields.py")


def test_uvloop(recipe: RunRecipe) -> None:
    """The client runs on uvloop."""
    pytest.importorskip("uvloop")
    assert recipe("with_uvloop.py") == "2 flags\n"


def test_proxy_and_private_ca(recipe: RunRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requests go to the proxy, with the certificates of the file."""
    loaded: list[Any] = []

    def create(cafile: str) -> ssl.SSLContext:
        loaded.append(cafile)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(ssl, "create_default_context", create)
    with pytest.raises(APIConnectionError, match="could not connect"):
        recipe("proxy_and_private_ca.py", "http://127.0.0.1:9", "ca.pem")
    assert loaded == ["ca.pem"]


def test_pytest(tmp_path: Path) -> None:
    """The example of a test passes in a project of its own, with the fixture of the installed plugin."""
    shutil.copy(EXAMPLES / "test_rollout.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, "1 passed" in result.stdout) == (0, True), result.stdout


def test_ci() -> None:
    """The workflow is YAML, and its commands exist."""
    text = (EXAMPLES / "ci.yml").read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)["jobs"]) == {"plan", "apply", "drift"}
    used = {command.split()[1] for command in re.findall(r"run: (amp-exp .*)", text)}
    assert used <= {command[0] for command in COMMANDS}
    [hook] = yaml.safe_load((DOCS.parent / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["entry"].split()[1] in {command[0] for command in COMMANDS}


def test_the_page_states_lines() -> None:
    """The lines of code of a recipe, without its docstring, comments and blank lines, are those of the page."""
    counted = {path.name: lines_of_code(path) for path in EXAMPLES.glob("*.py")}
    assert {name: lines for name, (lines, _) in ROWS.items()} == counted


def lines_of_code(path: Path) -> int:
    """Return the number of lines with code."""
    text = path.read_text(encoding="utf-8")
    docstring = ast.parse(text).body[0].end_lineno or 0
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines()[docstring:])
