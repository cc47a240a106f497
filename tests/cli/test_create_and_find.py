"""`create` and `find` of `amp-exp flags` and `experiments`, and assignments to deployments."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand, writes

KINDS = ["flags", "experiments"]


@pytest.mark.parametrize("kind", KINDS)
def test_create(account: Emulator, amp_exp: RunCommand, kind: Any) -> None:
    """The ID is printed, and the fields are sent; what is not given is left to the service."""
    deployment = account.state.add_deployment(label="web")["id"]
    create = (kind, "create", "banner", "--project-id", "1", "--variant", "control=1", "--variant", "blue=3")
    own = ["--experiment-type", "no-harm"] if kind == "experiments" else []
    id = amp_exp(*create, "--name", "Banner", "--deployment", deployment, *own).out.strip()
    sent = account.requests[-1].body
    assert sent == {
        "projectId": "1",
        "key": "banner",
        "name": "Banner",
        "variants": [{"key": "control"}, {"key": "blue"}],
        "rolloutWeights": {"control": 1, "blue": 3},
        "deployments": [deployment],
        **({"experimentType": "no-harm"} if own else {}),
    }
    assert account.state.stored_flag(kind, id).document["key"] == "banner"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a b", "--project-id", "1"], "KEY: must consist of letters"),
        (["a", "--project-id", "1", "--variant", "on=x"], "--variant takes KEY or KEY=WEIGHT"),
        (["a", "--project-id", "1", "--variant", "off"], "must not be"),
        (["a", "--project-id", "1", "--variant", "on=1", "--variant", "on=5"], '--variant: "on" is given twice'),
        (["a", "--project-id", "1", "--variant", "on", "--variant", "on"], '--variant: "on" is given twice'),
        (["a"], "--project-id"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_mistakes(account: Emulator, amp_exp: RunCommand, kind: str, arguments: list[str], message: str) -> None:
    """A mistake is rejected before anything is sent."""
    result = amp_exp(kind, "create", *arguments)
    assert (result.status, message in result.err, account.requests) == (2, True, []), result.err


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ([], ["checkout-a", "checkout-b", "new-checkout"]),
        (["--prefix", "checkout-"], ["checkout-a", "checkout-b"]),
        (["--prefix", "*-checkout"], ["new-checkout"]),
        (["--prefix", "checkout-?", "--tag", "old"], ["checkout-b"]),
        (["--sort", "rollout"], ["checkout-a", "checkout-b", "new-checkout"]),
        (["--sort", "modified", "--unchanged-for", "90d"], ["checkout-b", "checkout-a"]),
        (["--unchanged-for", "90d", "--enabled"], []),
        (["--project-id", "2"], []),
    ],
)
def test_find(account: Emulator, amp_exp: RunCommand, options: list[str], keys: list[str]) -> None:
    """Flags are found by the beginning of the key or a pattern, by tags and by age, in the order asked for."""
    old = {"lastModifiedAt": "2026-01-02T00:00:00.000Z", "rolloutPercentage": 5}
    account.state.add_flag(key="checkout-a", **old)
    account.state.add_flag(key="checkout-b", tags=["old"], **old | {"lastModifiedAt": "2026-01-01T00:00:00.000Z"})
    assert [flag["key"] for flag in amp_exp("flags", "find", *options, "--json").json] == keys
    assert writes(account) == []


def test_assignments(account: Emulator, amp_exp: RunCommand) -> None:
    """A flag is assigned by label or ID, once; a removal asks."""
    web, ios = (account.state.add_deployment(label=label)["id"] for label in ("web", "ios"))
    account.state.add_deployment(label="other", projectId="2")
    assert f'deployments: +"{web}", +"{ios}"' in amp_exp("deployments", "add", "new-checkout", "web", ios).out
    assert amp_exp("deployments", "add", "new-checkout", "ios").out.endswith("nothing to change\n")
    assert amp_exp("deployments", "remove", "new-checkout", "ios").status == 2
    assert amp_exp("deployments", "remove", "new-checkout", "ios", "--yes").status == 0
    assert account.state.flag("1001")["deployments"] == [web]
    result = amp_exp("deployments", "add", "new-checkout", "other")
    assert (result.status, 'no deployment "other" in the project. Its deployments: ios, web.' in result.err) == (
        2,
        True,
    )


def test_archive_a_deployment(account: Emulator, amp_exp: RunCommand) -> None:
    """`archive` asks, and `restore` does not."""
    id = account.state.add_deployment(label="web")["id"]
    assert amp_exp("deployments", "archive", id).status == 2
    assert "archived: false -> true" in amp_exp("deployments", "archive", id, "--yes").out
    assert "archived: true -> false" in amp_exp("deployments", "restore", id).out
