"""`amp-exp segments`: requests, output and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand, writes


@pytest.fixture
def pilot(account: Emulator) -> str:
    """The ID of an experiment with the segment `Pilot` of one address."""
    condition = {"type": "property", "prop": "gp:email", "op": "is", "values": ["Ann@example.com"]}
    segment = {"name": "Pilot", "conditions": [condition], "percentage": 10, "rolloutWeights": {"control": 1}}
    return str(account.state.add_experiment(key="price", targetSegments=[segment])["id"])


def addresses(account: Emulator, id: str) -> list[str]:
    """Return the addresses of the segment."""
    values: list[str] = account.state.experiment(id)["targetSegments"][0]["conditions"][0]["values"]
    return values


def test_list(amp_exp: RunCommand, pilot: str) -> None:
    """The conditions are shown in words."""
    assert amp_exp("segments", "list", "price").out.splitlines()[1] == (
        "Pilot\t10\tcontrol:1\tgp:email is Ann@example.com"
    )
    assert amp_exp("segments", "list", pilot, "--json").json[0]["name"] == "Pilot"


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("id,email\n1,ann@example.com\n2, bo@example.com \n3,\n", ["--column", "email"]),
        ('"mail";"x"\n', None),
        ('"email";"x"\r\n"bo@example.com";1\r\nann@example.com;2', ["--column", "1"]),
        ("# pilots\nann@example.com\n\nbo@example.com\nbo@example.com\n", []),
        ("ann@example.com\n  # of the crew\nbo@example.com\n", []),
    ],
)
def test_add_values(
    *, account: Emulator, amp_exp: RunCommand, pilot: str, tmp_path: Path, content: str, options: list[str] | None
) -> None:
    """The values of lines, or of a column of CSV, are added; a value that exists in another case is skipped."""
    file = tmp_path / "emails.csv"
    file.write_text(content)
    command = ("segments", "add-values", "price", "Pilot", "gp:email", "--file", file)
    if options is None:
        result = amp_exp(*command, "--column", "email")
        assert (result.status, 'has no column "email". Its columns: "mail", "x".' in result.err) == (2, True)
        file.write_text("Email\nann@example.com")
        assert "the name of the property. Nothing was sent. Remove the line" in amp_exp(*command).err
        return
    dry = amp_exp(*command, *options, "--dry-run")
    assert ('+"bo@example.com"' in dry.out, writes(account)) == (True, [])
    assert amp_exp(*command, *options).status == 0
    assert addresses(account, pilot) == ["Ann@example.com", "bo@example.com"]
    assert amp_exp(*command, *options).out.endswith("nothing to change\n")


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["price", "Crew", "gp:email"], "a@x.com", "no segment"),
        (["price", "Pilot", "country"], "US", "no condition"),
        (["price", "Pilot", "gp:email"], "", "contains no values"),
        (["price", "Pilot", "gp:email"], "a@x.com,b@x.com", "joins several addresses"),
    ],
)
@pytest.mark.usefixtures("pilot")
def test_mistakes(account: Emulator, amp_exp: RunCommand, arguments: list[str], stdin: str, message: str) -> None:
    """The error is one line, and nothing is written."""
    result = amp_exp("segments", "add-values", *arguments, "--file", "-", stdin=stdin)
    assert (result.status, message in result.err, result.err.count("\n")) == (2, True, 1), result.err
    assert writes(account) == []


def test_remove(account: Emulator, amp_exp: RunCommand, pilot: str) -> None:
    """A removal asks; one of a segment that does not exist changes nothing."""
    assert amp_exp("segments", "remove", "price", "Pilot").status == 2
    assert 'has no segment "Crew"' in amp_exp("segments", "remove", "price", "Crew", "--yes").out
    assert amp_exp("segments", "remove", "price", "Pilot", "--yes").status == 0
    assert account.state.experiment(pilot)["targetSegments"] == []
