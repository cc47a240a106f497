"""What we ship is valid on the live service: it is run against the emulator that refuses what the service refuses.

The Python examples of the README and the docs pages run in `test_docs_examples` and `test_docs_beta`, on the same
emulator.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from amp_exp_async import AsyncExperimentClient, loads
from amp_exp_async.cli import demo
from amp_exp_async.cli.demo_account import make_account
from amp_exp_async.emulator import Emulator

DOCS = Path(__file__).parents[1] / "docs"
CREATED = (
    "projectId",
    "key",
    "name",
    "description",
    "variants",
    "bucketingKey",
    "rolloutWeights",
    "targetSegments",
    "deployments",
    "evaluationMode",
)
EDITED = ("bucketingSalt", "bucketingUnit", "rolloutPercentage", "tags")
EDITED_OF_EXPERIMENTS = (
    "experimentType",
    "stickyBucketing",
    "startDate",
    "endDate",
    "exposureEvent",
    "decision",
    "decisionReason",
    "rolledOutVariant",
)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """An empty emulator that refuses what the live service refuses, without limits."""
    async with Emulator(strictness="live", per_second=None, per_day=None) as emulator:
        yield emulator


async def make(emulator: Emulator, kind: str, documents: Iterable[dict[str, Any]]) -> list[str]:
    """Make flags or experiments through the API as they are in their documents, and return what was refused."""
    refused: list[str] = []
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def send(method: str, path: str, body: dict[str, Any]) -> Any:
            async with session.request(method, f"{emulator.base_url}/api/1/{path}", json=body) as response:
                text = await response.text()
                if response.status != 200:
                    refused.append(f"{method} {path} {body}: {response.status} {text}")
                return await response.json() if method == "POST" else None

        for document in documents:
            fields = {name: document[name] for name in CREATED if name in document}
            id = (await send("POST", kind, fields)).get("id")
            names = EDITED + (EDITED_OF_EXPERIMENTS if kind == "experiments" else ())
            path = f"{kind}/{id}"
            await send("PATCH", path, {name: document[name] for name in names if name in document})
            await send("PATCH", path, {"targetSegments": document["targetSegments"], "enabled": document["enabled"]})
            if document["deleted"]:
                await send("PATCH", path, {"archive": True})
    return refused


async def test_the_account_of_the_demo(emulator: Emulator) -> None:
    """Its flags and experiments can be made and edited through the API."""
    account = make_account()
    for deployment in account["deployments"]:
        emulator.state.add_deployment(**deployment)
    refused = [text for kind in ("flags", "experiments") for text in await make(emulator, kind, account[kind][::4])]
    assert refused == []


def test_the_demo_runs_on_the_strict_emulator() -> None:
    """The test that runs the demo runs it against what the live service refuses."""
    assert 'strictness="live"' in inspect.getsource(demo.run_demo)


async def test_what_would_be_refused_is_noticed(emulator: Emulator) -> None:
    """The check of accounts finds a flag that is enabled without a deployment, and a variant `off`."""
    documents = [emulator.state.add_flag(enabled=True), emulator.state.add_flag(variants=[{"key": "off"}])]
    refused = await make(emulator, "flags", [{**document, "projectId": "2"} for document in documents])
    assert len(refused) == 4
    assert "Cannot activate without deployments" in refused[0]
    assert "variants[0].key contains an invalid value" in refused[1]


async def test_the_file_of_the_docs(emulator: Emulator) -> None:
    """The manifest on the page can be applied to the account that it describes, and nothing is left to change."""
    (text,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "files.md").read_text(encoding="utf-8"), re.DOTALL)
    for label in ("web", "ios"):
        emulator.state.add_deployment(label=label, projectId="123")
    parent = emulator.state.add_flag(key="checkout-redesign", projectId="123")["id"]
    dependencies = {"flags": {parent: ["on"]}, "operator": "all"}
    emulator.state.add_flag(key="new-checkout", projectId="123", parentDependencies=dependencies)
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        summary = await client.apply(await client.plan(loads(text)))
        assert (summary.failed, summary.unknown, summary.skipped) == (0, 0, 0)
        remaining = await client.plan(loads(text))
    assert [change.action for change in remaining.changes] == []
    assert {flag["key"]: flag["enabled"] for flag in emulator.state.flags}["new-checkout"] is True


async def test_examples_in_docstrings(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The examples of the client's methods run one after the other."""
    monkeypatch.chdir(tmp_path)
    deployment = emulator.state.add_deployment(projectId="123", label="web")["id"]
    emulator.state.add_deployment(projectId="456", label="web")
    emulator.state.add_flag(id="123", projectId="123", key="a", deployments=[deployment])
    examples = [
        textwrap.dedent(example)
        for method in (
            AsyncExperimentClient.bulk,
            AsyncExperimentClient.history,
            AsyncExperimentClient.plan,
            AsyncExperimentClient.apply,
        )
        for example in re.findall(r"Example::\n\n(.*)", inspect.getdoc(method) or "", re.DOTALL)
    ]
    assert len(examples) == 4
    source = "from amp_exp_async import Edit, load, save\n\nasync def run(client):\n"
    source += "    flags = [flag async for flag in client.flags.list()]\n"
    source += "    save(await client.export(project_id='123'), 'flags.yaml')\n"
    source += textwrap.indent("\n".join(examples), "    ")
    names: dict[str, Any] = {}
    exec(compile(source, "docstrings", "exec"), names)
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        await names["run"](client)
    bodies = [request.body for request in emulator.requests if request.method == "PATCH"]
    assert bodies == [{"tags": ["reviewed"]}, {"tags": []}]  # the plan is of a file from before the bulk run
    assert {request.status for request in emulator.requests} == {200}
