"""Web experiments, which the API cannot edit: they are shown with their delivery method, and never changed."""

from __future__ import annotations

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand, writes


@pytest.fixture
def web(account: Emulator) -> Emulator:
    """Experiment 1002 `price` and the web experiment 1003 `hero`."""
    account.state.add_experiment(key="price", deliveryMethod="feature")
    account.state.add_experiment(key="hero", deliveryMethod="web", enabled=True)
    return account


def test_delivery_method(web: Emulator, amp_exp: RunCommand) -> None:
    """Experiments are listed with their delivery method, and filtered by it; flags have none."""
    rows = [line.split("\t") for line in amp_exp("experiments", "list").out.splitlines()]
    assert [row[: rows[0].index("delivery") + 1] for row in rows] == [
        ["id", "project", "key", "enabled", "delivery"],
        ["1003", "1", "hero", "yes", "web"],
        ["1002", "1", "price", "no", "feature"],
    ]
    assert "delivery" not in amp_exp("flags", "list").out
    assert "    delivery_method: web" in amp_exp("experiments", "get", "hero").out.splitlines()
    web.requests.clear()
    amp_exp("experiments", "list", "--delivery-method", "web")
    assert [request.query["deliveryMethod"] for request in web.requests] == ["web"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["disable", "hero"],
        ["disable", "price", "hero", "--dry-run"],
        ["enable", "price", "hero", "1003"],
        ["archive", "hero", "--yes"],
        ["archive", "hero"],
        ["edit", "hero", "--name", "new"],
        ["edit", "hero", "--name", "new", "--dry-run"],
        ["roll-out", "hero", "treatment", "--reason", "better", "--yes"],
        ["roll-back", "hero", "--reason", "worse"],
    ],
    ids=" ".join,
)
def test_web_experiments_are_not_edited(web: Emulator, amp_exp: RunCommand, arguments: list[str]) -> None:
    """No command offers to edit one: the error says why, and nothing else is changed either."""
    if arguments[0] == "enable":
        web.state.stored_flag("experiments", "1003").document["enabled"] = False
        web.state.stored_flag("experiments", "1002").document["deployments"] = [web.state.add_deployment()["id"]]
    result = amp_exp("experiments", *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert "experiment 1003 (hero) is a web experiment, which the API cannot edit" in result.err
    assert writes(web) == []


def test_nothing_to_edit(web: Emulator, amp_exp: RunCommand) -> None:
    """A web experiment that is as requested already does not cause an error."""
    result = amp_exp("experiments", "enable", "hero")
    assert (result.status, result.out) == (0, "experiment 1003 (hero): already enabled\n")
    assert writes(web) == []
