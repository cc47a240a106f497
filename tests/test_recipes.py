"""The recipes in docs/examples: each runs, and the page states its lines and its requests."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import re
import runpy
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeAlias

import pytest
import yaml
from typer.testing import CliRunner

from amp_exp_async import AmpExpError, APIConnectionError, BadRequestError, BulkError
from amp_exp_async.cli.app import app
from amp_exp_async.cli.documented_objects import add_documented_objects
from amp_exp_async.emulator import Emulator, Fault

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
    """Run a recipe as a script, and check the number of requests that the page states of a first run."""

    def run(name: str, *arguments: object, is_first: bool = True) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        account.requests.clear()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        assert len(account.requests) == ROWS[name][1] or not is_first
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
    assert recipe("emails_to_pilot_segment.py", "1", "new-checkout", "pilots.csv").endswith("new-checkout: 2\n")
    [segment] = account.state.flag("10")["targetSegments"]
    assert segment["conditions"][0]["values"] == ["ann@example.com", "bo@example.com"]


def test_nightly_allow_list(recipe: RunRecipe, account: Emulator, tmp_path: Path) -> None:
    """The list is replaced; a truncated file is not applied."""
    file = tmp_path / "devices.txt"
    file.write_text("\n".join([*(f"device-{number}" for number in range(9)), "new"]))
    assert recipe("nightly_allow_list.py", "1", "new-checkout", file) == "2 devices added or removed.\n"
    assert sorted(account.state.users("flags", "10", "on")) == sorted(file.read_text().split())
    file.write_text("device-1\n")
    with pytest.raises(BulkError, match="9 of the 10 users of variant on would be removed"):
        recipe("nightly_allow_list.py", "1", "new-checkout", file)
    file.write_text("\n".join(f"device-{number}" for number in range(9)))
    assert recipe("nightly_allow_list.py", "1", "new-checkout", file, is_first=False) == "1 devices added or removed.\n"
    assert sorted(account.state.users("flags", "10", "on")) == sorted(file.read_text().split())


def test_promote_winner(recipe: RunRecipe, account: Emulator) -> None:
    """All users get the variant, and the decision is recorded."""
    assert "100 % get treatment" in recipe("promote_winner.py", "1", "price", "treatment", "more orders")
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
    assert recipe("ramp.py", "1", "new-checkout") == "new-checkout: 5 -> 25 %\n"
    assert recipe("ramp.py", "1", "new-checkout") == "new-checkout: 25 -> 100 %\n"
    with pytest.raises(SystemExit):
        recipe("ramp.py", "1", "new-checkout")
    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "a-key-that-is-not-valid")
    with pytest.raises(SystemExit, match="Nothing was changed, because the flag could not be read"):
        recipe("ramp.py", "1", "new-checkout")
    assert account.state.flag("10")["rolloutPercentage"] == 100


def test_archive_stale_flags(recipe: RunRecipe, account: Emulator) -> None:
    """Without --yes the stale flags are listed; with it they are archived."""
    with pytest.raises(SystemExit, match="Stale flags: 1"):
        recipe("archive_stale_flags.py", "1")
    assert recipe("archive_stale_flags.py", "1", "--yes").endswith("1 archived, 0 failed, 0 unknown\n")
    assert [flag["key"] for flag in account.state.flags if flag["deleted"]] == ["old-banner"]


RERUNS = {
    "nightly_allow_list.py": ("1", "new-checkout", "devices.txt"),
    "emails_to_pilot_segment.py": ("1", "new-checkout", "pilots.csv"),
    "staging_to_production.py": ("1", "2", "new-checkout", "old-banner"),
    "archive_stale_flags.py": ("1", "--yes"),
    "promote_winner.py": ("1", "price", "treatment", "more orders"),
    "ramp.py": ("1", "new-checkout"),
    "asyncio_app.py": ("1",),
}


@pytest.mark.parametrize("name", RERUNS)
def test_rerun(recipe: RunRecipe, account: Emulator, tmp_path: Path, name: str) -> None:
    """A recipe that changes something can be run after a failed run, and again, with other input each time."""
    state = account.state
    devices = [f"device-{number}" for number in range(10)]
    state.add_deployment(projectId="2", label="web")
    state.add_flag(key="old-banner-2", projectId="1", lastModifiedAt=LONG_AGO, createdAt=LONG_AGO)

    def write_input(*extra: str) -> None:
        (tmp_path / "devices.txt").write_text("\n".join([*devices, *extra]))
        (tmp_path / "pilots.csv").write_text("\n".join(["email", *(f"{id}@example.com" for id in extra)]))

    write_input("new")
    for method in ("POST", "PATCH"):
        account.inject(Fault.status(403), method=method, times=None)
    with contextlib.suppress(AmpExpError):  # one recipe prints the failures
        recipe(name, *RERUNS[name], is_first=False)
    account.clear_faults()
    assert not OUTCOMES[name](state)
    write_input("new", "newer")
    recipe(name, *RERUNS[name], is_first=False)
    write_input("newest")
    state.add_flag(key="old-banner-3", projectId="1", lastModifiedAt=LONG_AGO, createdAt=LONG_AGO)
    more = ["old-banner-3"] if name.startswith("staging") else []
    recipe(name, *RERUNS[name], *more, is_first=False)
    assert OUTCOMES[name](state)


OUTCOMES: dict[str, Callable[[Any], object]] = {
    "nightly_allow_list.py": lambda state: len(state.users("flags", "10", "on")) == 11,
    "emails_to_pilot_segment.py": lambda state: (
        len(state.flag("10")["targetSegments"][0]["conditions"][0]["values"]) == 4
    ),
    "staging_to_production.py": lambda state: sum(flag["projectId"] == "2" for flag in state.flags) == 3,
    "archive_stale_flags.py": lambda state: sum(flag["deleted"] for flag in state.flags) == 3,
    "promote_winner.py": lambda state: state.experiment("20")["rolloutWeights"] == {"control": 0, "treatment": 1},
    "ramp.py": lambda state: state.flag("10")["rolloutPercentage"] == 100,
    "asyncio_app.py": lambda state: all("reviewed" in flag["tags"] for flag in state.flags),
}


def test_who_changed_what(recipe: RunRecipe) -> None:
    """Each change has its author and its fields."""
    recipe("promote_winner.py", "1", "price", "treatment", "more orders")
    out = recipe("who_changed_what.py")
    assert "price: version 3 by emulator@example.com" in out
    assert 'decision_reason: null -> "more orders"' in out


def test_experiment_with_groups(recipe: RunRecipe, account: Emulator) -> None:
    """The experiment is in both groups, and has its exposure event."""
    id = recipe("experiment_with_groups.py", "1").split()[0]
    assert account.state.experiment(id)["exposureEvent"] == {"event_type": "Price Shown", "filters": []}
    assert len(account.state.experiment(id)["parentDependencies"]["flags"]) == 2
    with pytest.raises(BadRequestError, match="price-test"):
        recipe("experiment_with_groups.py", "1", is_first=False)


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
    # By the name of its entry point, without the plugins of other packages, which take seconds.
    command = [sys.executable, "-m", "pytest", "-q", "--disable-plugin-autoload", "-p", "amp_exp_async"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, "1 passed" in result.stdout) == (0, True), result.stdout


@pytest.mark.filterwarnings("ignore:Using `httpx`")
def test_fastapi(account: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application reads and changes flags with one client, and answers with the status of what went wrong."""
    pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    with TestClient(load_recipe("fastapi_app.py", monkeypatch).app) as app:
        assert app.get("/projects/1/flags/new-checkout").json()["rolloutPercentage"] == 5
        account.requests.clear()
        assert app.post("/projects/1/flags/new-checkout/users/ada").json() == {"included": "ada"}
        assert len(account.requests) == ROWS["fastapi_app.py"][1]
        assert app.post("/projects/1/flags/new-checkout/users/ada,bo").status_code == 422
        missing = app.get("/projects/1/flags/none")
        assert (missing.status_code, 'no flag with key "none"' in missing.json()["detail"]) == (404, True)
        account.inject(Fault.status(429, retry_after=60))
        assert app.get("/projects/1/flags/new-checkout").status_code == 503
    assert "ada" in account.state.users("flags", "10", "on")


def test_django(account: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view answers with the flag, and with the status of what went wrong."""
    pytest.importorskip("django")
    from django.test import Client

    recipe = load_recipe("django_app.py", monkeypatch)
    app = Client()
    account.requests.clear()
    assert app.get("/projects/1/flags/new-checkout").json()["rolloutPercentage"] == 5
    assert len(account.requests) == ROWS["django_app.py"][1]
    assert app.get("/projects/1/flags/none").status_code == 404
    account.inject(Fault.status(403))
    assert app.get("/projects/1/flags/new-checkout").status_code == 502
    recipe.get_client().close()


def test_celery(account: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task includes users, may run twice, and is put off if the requests of the day are used up."""
    pytest.importorskip("celery")
    recipe = load_recipe("celery_tasks.py", monkeypatch)
    task = recipe.include_users
    arguments = ("1", "new-checkout", "on", ["ada", "device-1"])
    account.requests.clear()
    assert [task.apply(arguments).get(), task.apply(arguments).get()] == [1, 0]
    assert len(account.requests) == ROWS["celery_tasks.py"][1] + 2
    delays: list[float] = []
    from celery.exceptions import Retry

    def retry(*, exc: Exception, countdown: float) -> Exception:
        delays.append(countdown)
        return Retry(exc=exc)

    monkeypatch.setattr(task, "retry", retry)
    account.inject(Fault.status(429, retry_after=7200))
    result = task.apply(arguments)
    assert (result.state, delays) == ("RETRY", [pytest.approx(7200, abs=10)])
    recipe.close_client()


def test_airflow(account: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The task replaces the lists of a day, rejects a truncated list and accepts it corrected, and ignores old days.

    Airflow takes minutes to install, so its decorators are replaced.
    """
    connection = SimpleNamespace(password=account.api_key, host=account.base_url)
    sdk = SimpleNamespace(
        BaseHook=SimpleNamespace(get_connection={"amplitude_experiment": connection}.__getitem__),
        dag=lambda **_: lambda _function: lambda: None,
        task=lambda **_: lambda function: function,
    )
    monkeypatch.setitem(sys.modules, "airflow", SimpleNamespace(sdk=sdk))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    add_documented_objects(account.state)
    replace = load_recipe("airflow_dag.py", monkeypatch).replace_allow_lists

    def write(day: str, ids: str) -> None:
        (tmp_path / day).mkdir(exist_ok=True)
        (tmp_path / day / "new-checkout.txt").write_text("\n".join(ids.split()))

    write("2026-11-01", "a b c")
    account.requests.clear()
    assert replace(str(tmp_path), "2026-11-01") == 3
    assert len(account.requests) == ROWS["airflow_dag.py"][1]
    assert replace(str(tmp_path), "2026-11-01") == 0
    write("2026-11-02", "a")
    with pytest.raises(BulkError, match="2 of the 3 users"):
        replace(str(tmp_path), "2026-11-02")
    write("2026-11-02", "a b c d")
    assert replace(str(tmp_path), "2026-11-02") == 1
    assert replace(str(tmp_path), "2026-11-01") == 0
    with pytest.raises(FileNotFoundError):
        replace(str(tmp_path), "2026-11-03")
    assert sorted(account.state.users("flags", "1001", "on")) == ["a", "b", "c", "d"]


async def test_jupyter(account: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The cells run inside the event loop of IPython, and what they return is shown as tables."""
    pytest.importorskip("IPython")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    add_documented_objects(account.state)
    cells = (EXAMPLES / "notebook.py").read_text(encoding="utf-8").split("\n# %%")[1:]
    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}), user_module=ModuleType("notebook"))
    shown = []
    account.requests.clear()
    for cell in cells:
        result = await shell.run_cell_async(cell := f"#{cell}", transformed_cell=shell.transform_cell(cell))
        result.raise_error()
        sent = len(account.requests)  # IPython has asked for the table, too
        if hasattr(result.result, "_repr_html_"):
            shown.append(result.result._repr_html_())
        del account.requests[sent:]
    assert len(account.requests) == ROWS["notebook.py"][1]
    flags, history, plan = shown
    assert ("<td>old-checkout</td>" in flags, "emulator@example.com" in history, "50" in plan) == (True, True, True)
    assert account.state.flag("1001")["rolloutPercentage"] == 50


def load_recipe(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a recipe as a module, as servers and workers do."""
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the workflow exist, and its comment is created once and updated after that."""
    jobs = yaml.safe_load((EXAMPLES / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert set(jobs) == {"plan", "apply", "drift"}
    scripts = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert {script.split()[1] for script in scripts if script.startswith("amp-exp ")} == {"lint", "plan", "apply"}
    [comment] = [script for script in scripts if "gh api" in script]
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\necho "$*" >> calls\ncase "$*" in *--jq*) printf "$IDS";; esac\n')
    gh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name, value in {"GITHUB_REPOSITORY": "me/app", "NUMBER": "7"}.items():
        monkeypatch.setenv(name, value)
    calls = []
    for ids in ("", "41\\n42\\n"):
        monkeypatch.setenv("IDS", ids)
        subprocess.run(["bash", "-euo", "pipefail", "-c", comment], cwd=tmp_path, check=True, timeout=30)
        calls.append((tmp_path / "calls").read_text().splitlines()[-1])
    assert calls == [
        "api repos/me/app/issues/7/comments -F body=@comment.md",
        "api -X PATCH repos/me/app/issues/comments/42 -F body=@comment.md",
    ]


def test_pre_commit(tmp_path: Path) -> None:
    """The hook has the ID that the page names, matches files of flags, and fails if one has a mistake."""
    [hook] = yaml.safe_load((DOCS.parent / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    [config] = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert config["repos"][0]["hooks"] == [{"id": hook["id"]}]
    matched = [name for name in ("flags/a.yaml", "flags/web/b.json", "src/a.yaml") if re.search(hook["files"], name)]
    assert matched == ["flags/a.yaml", "flags/web/b.json"]
    good, bad = (tmp_path / name for name in ("good.json", "bad.json"))
    for file, enabled in ((good, False), (bad, True)):
        flag = {"key": file.stem, "project_id": "1", "enabled": enabled, "deployments": []}
        file.write_text(json.dumps({"flags": [flag]}))
    arguments = hook["entry"].split()[1:]
    results = [CliRunner().invoke(app, [*arguments, *files]) for files in ([str(good)], [str(good), str(bad)])]
    assert [result.exit_code for result in results] == [0, 1]
    assert "bad.json:" in results[1].output


PACKAGES = {"IPython": "ipython", "airflow": "apache-airflow", "celery": "celery[redis]"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_what_to_install(path: Path) -> None:
    """A recipe that imports other packages than those of this one says what to install."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    others = {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, "amp_exp_async", "attrs"}
    docstring = ast.get_docstring(tree) or ""
    assert {name for name in others if f"`{PACKAGES.get(name, name)}`" not in docstring} == set()


def test_the_page_states_lines() -> None:
    """The lines of code of a recipe, without its docstring, comments and blank lines, are those of the page."""
    counted = {path.name: lines_of_code(path) for path in EXAMPLES.glob("*.py")}
    assert {name: lines for name, (lines, _) in ROWS.items()} == counted


def lines_of_code(path: Path) -> int:
    """Return the number of lines with code."""
    text = path.read_text(encoding="utf-8")
    docstring = ast.parse(text).body[0].end_lineno or 0
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines()[docstring:])
