"""The README and the docs pages: their Python examples run, and their links and names exist."""

from __future__ import annotations

import json
import logging
import re
import shutil
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import amp_exp_async
import amp_exp_async.emulator
from amp_exp_async import (
    AsyncExperimentClient,
    BulkError,
    Edit,
    ExperimentClient,
    RateLimit,
    RedisRateLimit,
    validation,
)
from amp_exp_async.cli.documented_objects import add_documented_objects
from amp_exp_async.emulator import Emulator, Fault
from amp_exp_async.linter.values import BUILT_IN_PROPERTIES

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
REPOSITORY = "https://github.com/amp-exp-async/amp_exp_async/blob/main/"


def example(page: str, text: str) -> str:
    """Return the only Python block of a page that contains the text."""
    (code,) = [block for block in blocks(ROOT / page) if text in block]
    return code


def blocks(page: Path, language: str = "python") -> list[str]:
    """Return the blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def run(code: str, **replacements: object) -> dict[str, Any]:
    """Run a block as a script and return its names."""
    names: dict[str, Any] = {"__name__": "example", **replacements}
    exec(compile(code, "example", "exec"), names)
    return names


async def run_async(code: str, **names: object) -> None:
    """Run a block that awaits, with a client and the package's names."""
    async with AsyncExperimentClient() as client:
        public = {name: getattr(amp_exp_async, name) for name in amp_exp_async.__all__}
        body = "async def example():\n" + textwrap.indent(code, "    ")
        await run(body, **public, client=client, **names)["example"]()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """An emulator with the objects of `amp-exp emulator --demo` that the examples name, found by the environment."""
    monkeypatch.chdir(tmp_path)
    with Emulator(strictness="live") as emulator:
        add_documented_objects(emulator.state)
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        yield emulator


def test_readme_async(account: Emulator, tmp_path: Path) -> None:
    """The async example tags every flag of the project and keeps a journal."""
    run(example("README.md", "asyncio.run"))
    assert [flag["tags"] for flag in account.state.flags] == [["reviewed"]] * 3
    assert (tmp_path / "review.jsonl").exists()


def test_readme_blocking(account: Emulator) -> None:
    """The blocking example adds users and prints the flag's history."""
    run(example("README.md", "client.history"))
    assert account.state.users("flags", "1001", "on") == ["user-1", "user-2"]


def test_bulk_csv(account: Emulator, tmp_path: Path) -> None:
    """The example reads a column of CSV and includes its users."""
    (tmp_path / "users.csv").write_text("name;user_id\nAnn;user-1\n")
    run(example("docs/bulk.md", "read_ids"))
    assert account.state.users("flags", "1001", "on") == ["user-1"]


@pytest.mark.usefixtures("account")
async def test_bulk_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The example prints the operation that failed and the summary, and raises."""
    operations = [Edit("flags", "1001", {"tags": ["a"]}), Edit("flags", "9999", {"tags": ["a"]})]
    with pytest.raises(BulkError):
        await run_async(example("docs/bulk.md", "run.summary"), operations=operations)
    failed, summary = capsys.readouterr().out.splitlines()
    assert ("9999" in failed, summary.startswith("1 done, 1 failed")) == (True, True)


@pytest.mark.usefixtures("account")
async def test_bulk_file(tmp_path: Path) -> None:
    """The line is an operation of a file."""
    (line,) = blocks(DOCS / "bulk.md", "json")
    (tmp_path / "operations.jsonl").write_text(line.replace('"1"', '"1001"'))
    async with AsyncExperimentClient() as client:
        assert (await client.bulk("operations.jsonl")).done == 1


async def test_files(account: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The examples export, plan, promote and compare."""
    await run_async(example("docs/files.md", "# once"))
    assert capsys.readouterr().out == "no changes\n"
    await run_async(example("docs/files.md", 'project_id="456"') + "assert plan\nawait client.apply(plan)\n")
    promoted = [flag["key"] for flag in account.state.flags if flag["projectId"] == "456"]
    assert sorted(promoted) == ["new-checkout", "old-checkout", "pilot-checkout"]
    for name in ("staging", "production"):
        shutil.copy("flags.yaml", f"{name}.yaml")
    await run_async(example("docs/files.md", "diff("))
    assert capsys.readouterr().out == "no changes\nno changes\n"


@pytest.mark.usefixtures("account")
def test_lint(capsys: pytest.CaptureFixture[str]) -> None:
    """The example prints the finding that the page shows."""
    flags = "".join(f"  - key: {key}\n    name: {key}\n" for key in "abcd")
    Path("flags.yaml").write_text(f"project_id: '1'\nflags:\n{flags}    deployments: []\n    enabled: true\n")
    run(example("docs/lint.md", "lint("))
    assert [capsys.readouterr().out] == blocks(DOCS / "lint.md", "text")


@pytest.mark.usefixtures("account")
def test_rate_limits() -> None:
    """The clients can be created as the page shows."""
    names = {"AsyncExperimentClient": AsyncExperimentClient, "RateLimit": RateLimit, "RedisRateLimit": RedisRateLimit}
    for block in blocks(DOCS / "rate-limiting.md"):
        run(block, **names)


@pytest.mark.parametrize("page", ["README.md", "docs/testing.md"])
def test_a_users_own_test(page: str) -> None:
    """The test that users are shown passes."""
    with Emulator(strictness="live") as emulator:
        run(example(page, "def test_rollout"))["test_rollout"](emulator)


def test_quickstart_create(account: Emulator) -> None:
    """The first example creates a flag, enables it, and includes users."""
    run(example("docs/quickstart.md", "asyncio.run"))
    (flag,) = [flag for flag in account.state.flags if flag["key"] == "dark-mode"]
    assert (flag["enabled"], flag["rolloutPercentage"]) == (True, 10)
    assert account.state.users("flags", flag["id"], "on") == ["user-1", "user-2"]


def test_quickstart_blocking(account: Emulator) -> None:
    """The blocking example edits a variant."""
    run(example("docs/quickstart.md", "client.experiments.variants.edit"))
    assert {"key": "treatment", "payload": {"price": 9}} in account.state.experiment("2001")["variants"]


def test_quickstart_bulk(account: Emulator, tmp_path: Path) -> None:
    """The bulk example edits every flag, adds a user to the flag named by key, and keeps a journal."""
    run(example("docs/quickstart.md", "client.bulk(operations"))
    flags = {flag["key"]: flag for flag in account.state.flags}
    assert {key: flag["tags"] for key, flag in flags.items()} == {key: ["reviewed"] for key in flags}
    assert account.state.users("flags", flags["new-checkout"]["id"], "on") == ["user-3"]
    assert len((tmp_path / "sync.jsonl").read_text().splitlines()) == 1 + 2 * (len(flags) + 1)


def test_quickstart_guarded_edits(account: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The example adds addresses to the pilot segment, adds a tag, sets the rollout, and prints the history."""
    run(example("docs/quickstart.md", "guarded_edit("))
    after = account.state.flag("1003")
    values = after["targetSegments"][0]["conditions"][0]["values"]
    assert values == ["kim@example.com", "ann@example.com", "bo@example.com"]
    assert (after["tags"], after["rolloutPercentage"]) == (["reviewed"], 20)
    printed = capsys.readouterr().out
    assert "bo@example.com" in printed
    assert "reviewed" in printed.splitlines()[-1]


@pytest.mark.usefixtures("account")
def test_quickstart_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The example of files exports a project, and its plan is empty."""
    run(example("docs/quickstart.md", "load("))
    assert "old-checkout" in (tmp_path / "flags.json").read_text()
    assert capsys.readouterr().out == "nothing to change\n"


async def test_reference_null(account: Emulator) -> None:
    """Sending null clears a field. Omitting it leaves it unchanged."""
    await run_async(example("docs/api.md", "end_date=None"))
    await run_async(example("docs/api.md", "datetime.max"))
    experiment = account.state.experiment("2001")
    assert (experiment["endDate"], experiment["description"]) == (None, "…")


async def test_reference_additions(account: Emulator) -> None:
    """The example sends a header with an edit, a parameter with a request, and a header with all of a guarded edit."""
    account.requests.clear()
    await run_async(example("docs/api.md", "extra_headers"))
    edit, read, *guarded = account.requests
    assert (edit.method, edit.headers["x-change"]) == ("PATCH", "OPS-12")
    assert (read.query["debug"], "x-change" in read.headers) == ("true", False)
    assert [request.method for request in guarded] == ["GET", "GET", "PATCH", "GET"]
    assert {request.headers["x-job"] for request in guarded} == {"nightly"}


async def test_reference_timeouts(account: Emulator) -> None:
    """The example lists flags with limits for each phase."""
    await run_async(example("docs/api.md", "Timeout("))
    assert [(request.method, request.path) for request in account.requests] == [("GET", "/api/1/flags")]


async def test_reference_key_function(account: Emulator, tmp_path: Path) -> None:
    """The example lists flags with the key in a file."""
    (tmp_path / "key").write_text(f"{account.api_key}\n")
    code = example("docs/api.md", "read_text()").replace("/run/secrets/amplitude", str(tmp_path / "key"))
    await run_async(code, Path=Path)
    assert account.requests[-1].authorized


@pytest.mark.usefixtures("account")
def test_changes(tmp_path: Path) -> None:
    """The example continues after the stored cursor, prints each change, and stores its cursor."""
    cursor = tmp_path / "cursor.txt"
    with ExperimentClient() as client:
        changes = client.watch(since=datetime.now(UTC) - timedelta(days=1))
        cursor.write_text(next(changes).cursor)
        expected = [next(changes), next(changes)]
    printed: list[Any] = []

    def interrupt_at_second(change: object) -> None:
        printed.append(change)
        if len(printed) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(example("docs/changes.md", "client.watch"), print=interrupt_at_second)
    assert [str(change) for change in printed] == [str(change) for change in expected]
    assert cursor.read_text() == expected[0].cursor


@pytest.mark.usefixtures("account")
def test_hooks(capsys: pytest.CaptureFixture[str]) -> None:
    """The example prints the start and the end of a call."""
    run(example("docs/observability.md", "on_call_start"))
    assert capsys.readouterr().out == "start GET /flags/1001\ndone 200 1 attempts, 0.0 s waited {}\n"


def test_structured_log(account: Emulator, tmp_path: Path) -> None:
    """The example writes a JSON object for each request."""
    logger = logging.getLogger("amp_exp_async")
    account.inject(Fault.status(503))
    try:
        handler = run(example("docs/observability.md", "JsonFormatter"))["handler"]
        logger.removeHandler(handler)
        handler.close()
    finally:
        logger.setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines if "seconds" in line] == [503, 200]
    assert {line["path"] for line in lines} == {"/flags/1001"}


@pytest.mark.usefixtures("account")
def test_responses(capsys: pytest.CaptureFixture[str]) -> None:
    """The example prints a line for each call, pages included."""
    run(example("docs/observability.md", "capture_responses"))
    assert capsys.readouterr().out.splitlines()[:-1] == [
        f"GET {path} 200 application/json; charset=utf-8" for path in ("/flags/1001", "/flags", "/flags")
    ]


@pytest.mark.usefixtures("account")
def test_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    """The example prints the ID, which the emulator does not give."""
    run(example("docs/observability.md", "error.request_id"))
    assert capsys.readouterr().out == "400 None\n"


def test_the_error_table_is_complete() -> None:
    """The table of errors names every public error, and no other."""
    table = (DOCS / "api.md").read_text(encoding="utf-8").split("## Errors")[1]
    named = set(re.findall(r"`(\w+Error)`", table)) - {"ValueError", "TimeoutError"}
    assert named == {name for name in amp_exp_async.__all__ if name.endswith("Error")}


def test_the_reference_is_complete() -> None:
    """The pages of the API reference have every public name of the package and of the emulator once."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    listed = re.findall(r"^\.\. auto(?:class|exception|function|data):: (\w+)$", text, re.MULTILINE)
    public = [*amp_exp_async.__all__, *amp_exp_async.emulator.__all__]
    missing = set(public) - {"__version__"} - set(listed)
    assert (missing, [name for name in listed if listed.count(name) > 1]) == (set(), [])


def test_the_reference_lists_operators_and_properties() -> None:
    """The section on conditions names every operator and every built-in property that is known, and no other."""
    page = (DOCS / "reference" / "models.md").read_text(encoding="utf-8")
    table, properties = page.split("## Conditions")[1].split("## Other")[0].split("A property of your own")
    operators = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)
    }
    built_in = set(re.findall(r"`(\w+)`", properties))
    assert (operators, built_in) == (set(validation.OPERATORS), set(BUILT_IN_PROPERTIES))


def test_the_site_has_every_page() -> None:
    """The table of contents and the table of pages name every page."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    assert {page for page in pages if f"\n{page}\n" not in index or f"({page}.md)" not in index} == set()


def test_links_lead_somewhere() -> None:
    """Links of the README are absolute, those between pages relative, and the files and headings exist."""
    broken: list[str] = []
    for page in (README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[\w-]+\]: (\S+)", text, re.MULTILINE)
        for link in links:
            target, _, anchor = link.partition("#")
            if target.startswith(REPOSITORY):
                file = ROOT / target.removeprefix(REPOSITORY)
            elif target.startswith("https://"):
                continue
            else:
                file = page.parent / target if target else page
                if page == README:
                    broken.append(f"{page.name}: {link} is relative")
            if not file.exists() or (anchor and anchor not in headings(file)):
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_prose_is_wrapped() -> None:
    """No line is longer than 100 columns, except in tables, code and the targets of links."""
    long: list[str] = []
    for page in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")):
        prose = re.sub(r"```.*?```", lambda code: "\n" * code[0].count("\n"), page.read_text("utf-8"), flags=re.DOTALL)
        for number, line in enumerate(prose.splitlines(), 1):
            if len(line) > 100 and not line.startswith(("|", "    ")) and not re.match(r"\[[\w-]+\]: ", line):
                long.append(f"{page.name}:{number}")
    assert long == []


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
