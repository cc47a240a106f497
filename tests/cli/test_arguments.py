"""Arguments with letters beyond ASCII, in any locale."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import CommandResult, RunCommand
from tests.cli.terminal import AMP_EXP, environment_of
from tests.polling import TIMEOUT

# Python takes arguments in the C locale for ASCII if its UTF-8 mode is off.
ASCII_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0"}


def run(account: Emulator, folder: Path, *arguments: str | bytes, **others: str) -> CommandResult:
    """Run `amp-exp` in a folder, in the C locale."""
    environment = environment_of(account, **ASCII_LOCALE | others)
    result = subprocess.run(
        [*AMP_EXP, *arguments], env=environment, cwd=folder, capture_output=True, check=False, timeout=TIMEOUT
    )
    return CommandResult(result.returncode, result.stdout.decode(), result.stderr.decode())


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["flags", "edit", "1001", "--name", "Grün 🎉", "--add-tag", "ü"], {"name": "Grün 🎉", "tags": ["ü"]}),
        (["flags", "edit", "1001", "--set", 'description="Ö"'], {"description": "Ö"}),
        (["api", "PATCH", "/flags/1001", "--field", "description=Grün", "--yes"], {"description": "Grün"}),
    ],
)
def test_what_is_written(account: Emulator, tmp_path: Path, arguments: list[str], fields: dict[str, object]) -> None:
    """Text is written as it was typed."""
    result = run(account, tmp_path, *arguments)
    assert result.status == 0, result.err
    written = account.state.flag("1001")
    assert {field: written[field] for field in fields} == fields


def test_what_is_read(account: Emulator, tmp_path: Path) -> None:
    """Paths, columns and prefixes select what they name."""
    (tmp_path / "bücher.csv").write_text("ü\nu-1\n", encoding="utf-8")
    arguments = ["users", "add", "1001", "on", "--file", "bücher.csv", "--column", "ü", "--yes"]
    result = run(account, tmp_path, *arguments)
    assert result.status == 0, result.err
    assert account.state.users("flags", "1001", "on") == ["u-1"]
    missing = run(account, tmp_path, "plan", "größe.yaml")
    assert missing.status == 2
    assert "größe.yaml" in missing.err


def test_keys_beyond_ascii(account: Emulator, tmp_path: Path) -> None:
    """A key is compared with the text of the argument."""
    account.state.stored_flag("flags", "1001").document["key"] = "grün"
    found = run(account, tmp_path, "flags", "find", "--prefix", "grü", "--json")
    assert [flag["key"] for flag in json.loads(found.out)] == ["grün"]


def test_bytes_that_are_not_utf8(account: Emulator, tmp_path: Path) -> None:
    """An argument in another encoding is rejected in any locale, before anything is sent."""
    for others in ({}, {"PYTHONUTF8": "1"}):
        result = run(account, tmp_path, "flags", "edit", "1001", "--name", "Gr\xfcn".encode("latin-1"), **others)
        assert (result.status, result.out) == (2, "")
        assert r'"Gr\udcfcn" is not text in UTF-8' in result.err
    assert account.requests == []


def test_half_a_surrogate_pair(amp_exp: RunCommand, account: Emulator) -> None:
    """Half a surrogate pair, which other systems allow in arguments, is rejected."""
    assert amp_exp("flags", "edit", "1001", "--name", "\ud83c").status == 2
    assert account.requests == []
