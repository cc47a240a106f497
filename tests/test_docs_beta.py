"""The page about the Beta API: its code runs, and each call has a version 1 call that does the same."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AsyncBetaClient, AsyncExperimentClient
from amp_exp_async.config import BETA
from amp_exp_async.emulator import Emulator
from amp_exp_async.resources import list_operations

PAGE = (Path(__file__).parent.parent / "docs" / "beta.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SUCCESSORS: list[tuple[str, str]] = re.findall(
    r"^\| `beta\.([\w.]+)\([^`]*\)` \| `client\.([\w.]+)\(", PAGE, re.MULTILINE
)
ID = "7890"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An emulator with the experiment of the page; the clients find it through the environment."""
    with Emulator(strictness="live") as emulator:
        emulator.state.add_experiment(id=ID, key="pricing", deployments=[emulator.state.add_deployment()["id"]])
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BETA_BASE_URL", emulator.beta_base_url)
        monkeypatch.delenv("AMPLITUDE_EXPERIMENT_REGION", raising=False)
        yield emulator


@pytest.fixture
async def clients(
    account: Emulator,  # noqa: ARG001 - the clients find it through the environment
) -> AsyncIterator[tuple[AsyncBetaClient, AsyncExperimentClient]]:
    """A client of each API."""
    async with AsyncBetaClient() as beta, AsyncExperimentClient() as client:
        yield beta, client


def run(code: str) -> dict[str, Any]:
    """Run a block of the page, and return its names."""
    names: dict[str, Any] = {"__name__": "docs"}
    exec(compile(code, "beta.md", "exec"), names)
    return names


def test_the_blocking_example(account: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    """It lists, sets the weights and activates."""
    run(BLOCKS[0])
    assert capsys.readouterr().out == f"{ID} pricing False\n"
    experiment = account.state.experiment(ID)
    assert (experiment["rolloutWeights"], experiment["enabled"]) == ({"control": 1, "treatment": 3}, True)


@pytest.mark.parametrize("block", [1, 2])
async def test_before_and_after(account: Emulator, clients: tuple[Any, Any], block: int) -> None:
    """The code before and after the migration does the same."""
    await run(BLOCKS[block])["launch"](clients[block - 1], ID, {"control": 2, "treatment": 5})
    experiment = account.state.experiment(ID)
    assert (experiment["rolloutWeights"], experiment["enabled"]) == ({"control": 2, "treatment": 5}, True)


def test_the_example_of_a_users_test() -> None:
    """The test on the page passes."""
    with Emulator(strictness="live") as emulator:
        run(BLOCKS[3])["test_my_launch"](emulator)


def test_every_example_is_run_here() -> None:
    """A block that is added to the page is added to these tests."""
    assert len(BLOCKS) == 4


async def test_every_call_has_a_successor(clients: tuple[AsyncBetaClient, AsyncExperimentClient]) -> None:
    """Each operation of the Beta API is in the table, next to a method of version 1."""
    beta, client = clients
    assert sorted(name for name, _ in SUCCESSORS) == sorted(list_operations(beta))
    assert {successor for _, successor in SUCCESSORS} <= list_operations(client).keys()


async def test_the_successors_do_the_same(
    account: Emulator, clients: tuple[AsyncBetaClient, AsyncExperimentClient]
) -> None:
    """Reads return the same, and the replacements of the writes have the same effect."""
    beta, client = clients
    account.state.add_flag(id="1")
    arguments: dict[str, tuple[str, ...]] = {"list": (), "get": ("{id}",), "versions.list": ("{id}",)}
    arguments["versions.get"] = ("{id}", "1")
    reads = [(old, new) for old, new in SUCCESSORS if old.partition(".")[2] in arguments]
    assert len(reads) == 9
    for old, new in reads:
        kind, _, method = old.partition(".")
        values = [value.format(id=ID if kind == "experiments" else "1") for value in arguments[method]]
        before, after = await attrgetter(old)(beta)(*values), await attrgetter(new)(client)(*values)
        assert before
        assert before == after
    made = await beta.experiments.create(project_id="1", key="a", description="d", sticky_bucketing=True)
    created = await client.experiments.create(project_id="1", key="b", description="d")
    await client.experiments.edit(created.id, sticky_bucketing=True)
    other = await client.experiments.get(created.id)
    assert (made.description, made.sticky_bucketing) == (other.description, other.sticky_bucketing) == ("d", True)
    await client.experiments.deployments.add(created.id, account.state.experiment(ID)["deployments"])
    for enabled, switch in ((True, beta.experiments.activate), (False, beta.experiments.deactivate)):
        await switch(ID)
        await client.experiments.edit(created.id, enabled=enabled)
        assert account.state.experiment(ID)["enabled"] is account.state.experiment(created.id)["enabled"] is enabled


def test_the_hosts() -> None:
    """The table has the hosts that the client uses, and the page names the environment variable."""
    assert dict(re.findall(r"^\| `(\w+)` \| `(https://[^`]+)` \|", PAGE, re.MULTILINE)) == dict(BETA.hosts)
    assert BETA.base_url_variable in PAGE
