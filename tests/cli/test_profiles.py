"""The configuration file: profiles, where a setting comes from, and mistakes in the file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import amp_exp_async.cli.keys
from amp_exp_async.cli.app import app
from amp_exp_async.cli.profiles import complete_profile
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand
from tests.cli.terminal import environment_of, run_on_terminal
from tests.cli.test_startup import complete

WriteConfig = Callable[[str], Path]

KEY = "emulator-management-key"


@pytest.fixture
def write_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteConfig:
    """Write a configuration file that commands find."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("AMP_EXP_CONFIG_FILE", str(path))

    def write(text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def unset(account: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The account, which no variable names."""
    for name in ("AMPLITUDE_MANAGEMENT_API_KEY", "AMPLITUDE_EXPERIMENT_BASE_URL"):
        monkeypatch.delenv(name)
    return account


@pytest.mark.parametrize(
    "key",
    [
        f'api_key = "{KEY}"',
        'api_key_file = "key.txt"',  # relative to the configuration file
        f"api_key_command = 'printf \"%s\" {KEY}'",
        f'api_key_command = ["printf", "%s", "{KEY}"]',
    ],
)
def test_a_profile(unset: Emulator, amp_exp: RunCommand, write_config: WriteConfig, key: str) -> None:
    """A profile names the service, the project, and the key itself, its file, or a command that prints it."""
    unset.state.add_flag(key="elsewhere", projectId="2")
    path = write_config(f'[profile.prod]\nbase_url = "{unset.base_url}"\nproject_id = 2\n{key}\n')
    (path.parent / "key.txt").write_text(f"{KEY}\n")
    result = amp_exp("flags", "list", "--profile", "prod")
    assert ("elsewhere" in result.out, "new-checkout" in result.out, result.err) == (True, False, "")


def test_precedence(
    account: Emulator, amp_exp: RunCommand, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option comes before the environment, the environment before the profile, the profile before the default."""
    write_config(
        'default_profile = "one"\n[profile.one]\nproject_id = "1"\nregion = "eu"\ntimeout = 7\n'
        'proxy = "http://u:secret@p:1"\napi_key = "key-of-profile-one"\n[profile.two]\nproject_id = "2"\n'
    )

    def sources(*options: str) -> dict[str, tuple[object, str]]:
        result = amp_exp("config", "list", "--json", *options)
        assert "secret" not in result.out
        assert "key-of" not in result.out
        return {name: (row["value"], row["source"]) for name, row in result.json["settings"].items()}

    from_environment = sources()
    assert from_environment["base_url"] == (account.base_url, "AMPLITUDE_EXPERIMENT_BASE_URL")
    assert from_environment["region"] == (None, "default")  # of the URL: they exclude each other
    assert from_environment["api_key"] == ("(hidden)", "AMPLITUDE_MANAGEMENT_API_KEY")
    assert from_environment["timeout"] == (7, "timeout of profile one")
    assert from_environment["proxy"] == ("http://***@p:1", "proxy of profile one")
    assert from_environment["deadline"] == (120, "default")
    assert sources("--region", "us", "--timeout", "3")["base_url"] == (None, "region")
    assert sources("--timeout", "3")["timeout"] == (3, "--timeout")
    for name in ("AMPLITUDE_MANAGEMENT_API_KEY", "AMPLITUDE_EXPERIMENT_BASE_URL"):
        monkeypatch.delenv(name)
    assert sources()["region"] == ("eu", "region of profile one")
    assert sources()["api_key"] == ("(hidden)", "api_key of profile one")
    monkeypatch.setenv("AMP_EXP_PROFILE", "two")
    assert sources()["project_id"] == ("2", "project_id of profile two")
    assert sources("--profile", "one")["project_id"] == ("1", "project_id of profile one")
    monkeypatch.setenv("AMPLITUDE_PROJECT_ID", "3")
    assert sources()["project_id"] == ("3", "AMPLITUDE_PROJECT_ID")


def test_a_variable_beside_the_option(account: Emulator, amp_exp: RunCommand, write_config: WriteConfig) -> None:
    """If a variable overrides a setting of the profile that `--profile` names, a note says so."""
    write_config('[profile.prod]\nregion = "eu"\napi_key = "another"\n')
    result = amp_exp("flags", "list", "--profile", "prod")
    assert result.err.splitlines() == [
        "Note: AMPLITUDE_EXPERIMENT_BASE_URL takes precedence over region of profile prod.",
        "Note: AMPLITUDE_MANAGEMENT_API_KEY takes precedence over api_key of profile prod.",
    ]
    assert len(account.requests) == 1


def test_the_file(amp_exp: RunCommand, write_config: WriteConfig, tmp_path: Path) -> None:
    """`config` shows the file, its profiles, and which one is active and why."""
    write_config('default_profile = "prod"\n[profile.prod]\n[profile.staging]\n')
    lines = amp_exp("config", "list").out.splitlines()
    assert lines[:3] == [
        f"File: {tmp_path / 'config.toml'}",
        "Profiles: prod, staging",
        "Active profile: prod (default_profile)",
    ]
    assert amp_exp("config", "path").out == f"{tmp_path / 'config.toml'}\n"
    assert "api_key\t\tmissing" in amp_exp("config", "list").out


def test_the_platforms_place(amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a variable, the file is where the platform keeps such files. It need not exist."""
    monkeypatch.delenv("AMP_EXP_CONFIG_FILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert amp_exp("config", "path").out == f"{tmp_path / 'amp-exp' / 'config.toml'}\n"
    assert "(does not exist)" in amp_exp("config", "list").out
    missing = amp_exp("config", "list", "--profile", "prod")
    assert (missing.status, "does not exist. Create the file." in missing.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[profile.prod]\nregin = "eu"', '[profile.prod] has an unknown setting "regin"; did you mean "region"?'),
        ('[profiles.prod]\nregion = "eu"', 'profiles is unknown; did you mean "profile"?'),
        ('[profile.prod]\ntimeout = "3"', "[profile.prod] timeout must be a number of seconds."),
        ("[profile.prod]\ntimeout = true", "[profile.prod] timeout must be a number of seconds."),
        ("[profile.prod]\napi_key = 12345", "[profile.prod] api_key must be a string that is not empty."),
        ("[profile.prod]\napi_key_command = [1]", "[profile.prod] api_key_command must be a command"),
        (
            '[profile.prod]\napi_key_file = "a"\napi_key_command = "b"',
            "[profile.prod] has api_key_file and api_key_command, which exclude each other: keep one of them.",
        ),
        ('[profile.prod]\nregion = "eu"\nbase_url = "https://a"', "has region and base_url, which exclude each other"),
        ("profile = 3", "profile must be a table for each profile"),
        ('profile.prod = "x"', "[profile.prod] must be a table of settings."),
        ('default_profile = "prd"\n[profile.prod]', "default_profile must be the name of a profile in the file."),
        ("[profile.prod\n", "is not TOML."),
        ("[profile.other]", '--profile: there is no profile "prod" in'),
        ('[profile.prod]\napi_key_file = "none"', "none: cannot be read (No such file or directory)."),
        ('[profile.prod]\napi_key_file = "empty"', "file is empty. It must contain the management API key only."),
        ('[profile.prod]\napi_key_command = "none"', "api_key_command of profile prod: cannot be run (No such file"),
        ('[profile.prod]\napi_key_command = "\'"', "cannot be split into words (No closing quotation)."),
        ('[profile.prod]\napi_key_command = "true"', "output is empty. It must contain the management API key only."),
        ('[profile.prod]\napi_key_command = "echo a b"', "output contains more than one word."),
        ('[profile.prod]\napi_key_command = "false"', "api_key_command of profile prod: failed with exit status 1."),
        ("[profile.prod]\napi_key_command = \"sh -c 'exit 3'; echo key\"", "failed with exit status 3."),  # no shell
        ('[profile.prod]\napi_key_command = "yes"', "api_key_command of profile prod: printed no key within"),
        ('[profile.prod]\napi_key = "k"\ntimeout = 0', "timeout of profile prod must be a number of seconds above 0"),
        ('[profile.prod]\napi_key = "k"\nregion = "de"', 'region of profile prod must be "us" or "eu"'),
    ],
)
def test_mistakes(unset: Emulator, amp_exp: RunCommand, write_config: WriteConfig, text: str, message: str) -> None:
    """A mistake in the file ends a command before anything is sent, with one line that names the place."""
    (write_config(text).parent / "empty").touch()
    result = amp_exp("flags", "list", "--profile", "prod")
    assert message in result.err
    assert (result.status, result.out, len(result.err.splitlines()), unset.requests) == (2, "", 1, [])
    assert "12345" not in result.err


@pytest.mark.usefixtures("unset")
def test_a_command_that_hangs(
    amp_exp: RunCommand, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command is ended after a time, also if its child keeps the output open."""
    monkeypatch.setattr(amp_exp_async.cli.keys, "_COMMAND_SECONDS", 0.2)
    pid = tmp_path / "pid"
    write_config(f'[profile.prod]\napi_key_command = ["sh", "-c", "echo $$ > {pid}; sleep 20 & exec sleep 20"]\n')
    result = amp_exp("flags", "list", "--profile", "prod")
    assert (result.status, "printed no key within" in result.err) == (2, True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.skipif(os.name == "nt", reason="has no such mode")
@pytest.mark.usefixtures("unset")
def test_a_key_in_a_public_file(amp_exp: RunCommand, write_config: WriteConfig) -> None:
    """A key may stand in the file only if others cannot read it. The error says what to run."""
    path = write_config(f'[profile.prod]\napi_key = "{KEY}"\n')
    path.chmod(0o640)
    result = amp_exp("flags", "list", "--profile", "prod")
    assert (result.status, f"(mode 640). Run: chmod 600 {path}" in result.err) == (2, True)
    assert KEY not in result.err
    write_config('[profile.prod]\nregion = "eu"\n').chmod(0o644)
    assert amp_exp("config", "list", "--profile", "prod").status == 0


def test_the_default_project(account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """`AMPLITUDE_PROJECT_ID` stands for `--project-id`, but plans keep the projects of their files."""
    account.state.add_flag(key="other", projectId="2")
    monkeypatch.setenv("AMPLITUDE_PROJECT_ID", "2")
    assert [flag["key"] for flag in amp_exp("flags", "list", "--json").json] == ["other"]
    assert [flag["key"] for flag in amp_exp("flags", "list", "--json", "--project-id", "1").json] == ["new-checkout"]
    assert amp_exp("flags", "get", "1001").status == 0  # an ID needs no project
    missing = amp_exp("flags", "get", "new-checkout")
    assert 'no flag with key "new-checkout" in project 2 (AMPLITUDE_PROJECT_ID).' in missing.err
    id = amp_exp("flags", "create", "made").out.strip()
    assert account.state.flag(id)["projectId"] == "2"
    export = amp_exp("export", "--project-id", "1").out
    assert amp_exp("plan", "-", stdin=export).out.startswith("Nothing to change")
    monkeypatch.delenv("AMPLITUDE_PROJECT_ID")
    missing = amp_exp("flags", "create", "made")
    assert (missing.status, missing.err[:24]) == (2, "--project-id is missing.")


def test_completion(write_config: WriteConfig) -> None:
    """A TAB after `--profile` proposes the profiles of the file, and nothing if it has a mistake."""
    write_config("[profile.prod]\n[profile.preview]\n[profile.staging]\n")
    assert complete("amp-exp flags list --profile pr")[0] == ["prod", "preview"]
    write_config("[profile.prod\n")
    assert complete_profile("pr") == []


def test_commands_without_a_profile_read_no_file(write_config: WriteConfig, tmp_path: Path) -> None:
    """A command that needs no account does not read the file, so a mistake in it is no obstacle."""
    write_config("[profile.prod\n")
    file = tmp_path / "flags.json"
    file.write_text('{"flags": []}')
    assert CliRunner().invoke(app, ["lint", str(file)]).exit_code == 0


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_list_breaks_no_name(account: Emulator, columns: str) -> None:
    """On a terminal, the names of variables are in one piece, and whole numbers have no fraction."""
    result = run_on_terminal(["config", "list"], environment_of(account, COLUMNS=columns))
    assert "AMPLITUDE_MANAGEMENT_API_KEY" in result.out
    assert re.search(r"timeout +30 +default", result.out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profile", "de"], "region of profile de must be"),
        (["--timeout", "-1"], "--timeout must be a number of seconds above 0, got -1."),
        (["--proxy", "ftp://x"], "--proxy "),
    ],
)
def test_the_list_checks_settings(
    unset: Emulator, amp_exp: RunCommand, write_config: WriteConfig, options: list[str], message: str
) -> None:
    """The settings are shown, and an invalid one is an error, as for commands that use them."""
    write_config("[profile.de]\nregion = 'de'\n")
    result = amp_exp("config", "list", *options)
    assert (result.status, "deadline\t120\t" in result.out, message in result.err) == (2, True, True), result.err
    assert unset.requests == []


def test_the_list_checks_variables(unset: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid variable is an error, too."""
    monkeypatch.setenv("AMPLITUDE_EXPERIMENT_REGION", "xx")
    result = amp_exp("config", "list")
    assert (result.status, "AMPLITUDE_EXPERIMENT_REGION must be" in result.err) == (2, True), result.err
    assert unset.requests == []


def test_a_missing_key_with_profiles(unset: Emulator, amp_exp: RunCommand, write_config: WriteConfig) -> None:
    """The error for a missing key names the profiles that are not active."""
    write_config("[profile.a]\n[profile.b]\n")
    assert "or choose a profile with --profile (a, b)." in amp_exp("flags", "list").err
    assert "--profile" not in amp_exp("flags", "list", "--profile", "a").err
    assert unset.requests == []


def test_a_proxy_without_a_scheme(account: Emulator, amp_exp: RunCommand) -> None:
    """A proxy without a scheme is one for HTTP, as in the environment."""
    proxy = account.base_url.removeprefix("http://")
    amp_exp("flags", "list", "--proxy", proxy, "--base-url", "http://127.0.0.1:1")
    assert account.requests[0].headers["host"] == "127.0.0.1:1"
