"""Invalid usage, for all commands."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from amp_exp_async import APIConnectionError, ExperimentClient, RetryPolicy
from amp_exp_async.cli.errors import describe_error
from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand
from tests.cli.commands import COMMANDS
from tests.reliability.raw_server import RawConnection, RawServer, response

SECRET = "this-is-a-secret-key"


def test_help(amp_exp: RunCommand) -> None:
    """Every command has a help page under both names of the option."""
    results = {(*command, option): amp_exp(*command, option) for command in COMMANDS for option in ("--help", "-h")}
    invalid = [
        arguments
        for arguments, result in results.items()
        if (result.status, result.err) != (0, "") or "Usage: " not in result.out
    ]
    assert invalid == []


def test_no_api_key_option(account: Emulator, amp_exp: RunCommand) -> None:
    """Every command rejects a key with a pointer to the alternatives, without repeating it."""
    lines = [[*command, "--api-key", SECRET] for command in COMMANDS]
    lines += [[f"--api-key={SECRET}", *command] for command in COMMANDS]
    expected = (
        "{0}: --api-key does not exist, because the key would be visible to other users and saved in the shell "
        "history. Set AMPLITUDE_MANAGEMENT_API_KEY or pass --api-key-file PATH. (See {0} --help.)\n"
    )
    for command, line in zip([*COMMANDS, *COMMANDS], lines, strict=True):
        result = amp_exp(*line)
        assert (result.status, result.out, result.err) == (2, "", expected.format(" ".join(["amp-exp", *command])))
    assert account.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flgs"], 'Did you mean "flags"?'),
        (["flags", "list", "--verbos"], "No such option: --verbos. Did you mean --verbose? (See"),
        (["flags", "list", "--bogus"], "No such option: --bogus. (See"),
        (["--json", "flags", "list"], "No such option: --json. Options of a command come after it. (See"),
        (["flags", "--json", "list"], "No such option: --json. Options of a command come after it. (See"),
        (["--verson"], "No such option: --verson. Did you mean --version? (See"),
        (["flags", "lst"], 'Did you mean "list"?'),
        (["flags", "get"], "Missing argument FLAG"),
        (["flags", "list", "--projct-id", "1"], "--project-id"),
        (["flags", "list", "--region", "mars"], '"us", "eu"'),
        (["flags", "get", "a", "b\x1b[31m"], "unexpected extra argument"),
        (["flags", "list", "--project-id"], "requires an argument. (See amp-exp flags list --help.)"),
        (["flags", "list", "--timeout", "x"], "Invalid value for --timeout: "),
        (["emulator", "--port", "-1"], "Invalid value for --port: "),
        (["login"], "There is no login: set AMPLITUDE_MANAGEMENT_API_KEY"),
    ],
)
def test_invalid_usage(amp_exp: RunCommand, arguments: list[str], message: str) -> None:
    """Invalid usage gives one line with a suggestion and a pointer to the help; the status is 2."""
    result = amp_exp(*arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
    assert result.err.rstrip().endswith("--help.)")
    assert "\x1b" not in result.err


def test_exit_statuses(amp_exp: RunCommand) -> None:
    """The help lists the exit statuses."""
    message = " ".join(amp_exp("--help").out.split())
    for status in ("0 success", "1 failure", "2 invalid command", "3 changes found", "130 interrupted"):
        assert status in message


@pytest.mark.parametrize("place", ["amp_exp_async.cli.demo.run_demo", "typer.core.TyperGroup.parse_args"])
def test_ctrl_c_without_a_client(amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Ctrl-C gives one line in the demo, and while arguments are parsed."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, press)
    result = amp_exp("demo")
    assert (result.status, result.out, result.err) == (130, "", "Interrupted.\n")


def test_no_command(amp_exp: RunCommand) -> None:
    """Without a command, the help is shown without an error."""
    result = amp_exp("flags")
    assert (result.status, result.err) == (2, "")
    assert "enable" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flags", "list", "--base-url", "http://example.com"], "--base-url "),
        (["flags", "list", "--base-url", "https://region.example/?region=1"], "//region.example/?region=1"),
        (["flags", "list", "--base-url", "http://x", "--region", "eu"], "--region and --base-url exclude each other"),
        (["export", "--key", "serach"], "--key"),
        (["flags", "edit", "1001", "--project-id", "1", "--name", "a"], "--project-id goes with a key"),
        (
            ["experiments", "roll-out", "price", "control", "--reason", "x", "--yes"],
            "rollout_percentage is 0. Nothing was written. Pass --everyone",
        ),
        (["users", "add", "1001", "..", "--file", "-", "--yes", "--allow-empty"], "VARIANT: must not be"),
    ],
)
def test_options_instead_of_python(
    account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """Errors of the library name options and arguments of the command line."""
    account.state.add_experiment(key="price", rolloutPercentage=0)
    if "--base-url" in arguments:
        monkeypatch.delenv("AMPLITUDE_EXPERIMENT_BASE_URL")
    result = amp_exp(*arguments, stdin="a")
    assert (result.status, message in result.err) == (2, True), result.err
    assert not re.search(r"\b\w+=(True|true|'|\")|\w\(|_(id|url|key)\b", result.err), result.err


def test_status_of_an_unexpected_response(account: Emulator, amp_exp: RunCommand) -> None:
    """The JSON error of a response that differs from the API reference has its status."""
    account.inject(Fault.invalid_json())
    document = amp_exp("flags", "list", "--json").json
    assert (document["code"], document["status"]) == ("unexpected_response", 200)


def test_region_of_a_rejected_key(account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rejected key may belong to the other region, so the error names the option."""
    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "invalid-key")
    result = amp_exp("flags", "list")
    assert (result.status, "--region eu" in result.err, len(account.requests)) == (1, True, 1), result.err


def test_nothing_was_written(account: Emulator, amp_exp: RunCommand) -> None:
    """After a request, an error does not claim that nothing was sent."""
    account.state.add_users("flags", "1001", "on", map(str, range(1999)))
    result = amp_exp("users", "add", "1001", "on", "--file", "-", "--yes", stdin="a\nb")
    assert (result.status, result.err.count("Nothing was written."), result.err.count("sent")) == (2, 1, 0)


OPTION_MESSAGES = [
    (
        "flags list --base-url http://127.0.0.1:1",
        1,
        "(Connection refused). Nothing was sent. Check the network, --base-url, and the proxy",
    ),
    ("flags list --base-url https://u:p@h", 2, "--base-url contains a user name or password. Remove it: the key is "),
    ("flags list --region xx", 2, 'Invalid value for --region: "xx" is not one of "us", "eu".'),
    ("lint --project-id 1 --disable nope", 2, "--disable nope: unknown rule; expected one of: "),
    ("lint --project-id 1 --days -1", 2, "--days: must be a number "),
    ("flags edit 12 --rollout-percentage 150", 2, "--rollout-percentage: must be a number from 0 to 100, got 150."),
    (
        "flags edit 12 --set rollout_percentage=150",
        2,
        "--set rollout_percentage: must be a number from 0 to 100",
    ),
    (
        "experiments edit 1 --start-date 2026-01-01T00:00:00",
        2,
        '--start-date: must have a time zone, got "2026-01-01T00:00:00". Nothing was sent. Add one, as in 2026-01-01T0',
    ),
    ("flags list --api-key-file /nope", 2, "--api-key-file /nope: cannot be read (No such file or directory)."),
    ("emulator --latency 0.5-0.1", 2, '"0.5-0.1" must be a number of seconds, or a range from a lower to a higher'),
]


def test_words_of_the_command_line(amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors name options, and show no Python and no numbers of the operating system."""
    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "a-management-key")
    without_backoff = functools.partial(ExperimentClient, retry=RetryPolicy(backoff_base=0.0))
    monkeypatch.setattr("amp_exp_async.ExperimentClient", without_backoff)
    results = [(amp_exp(*line.split()), line, status, message) for line, status, message in OPTION_MESSAGES]
    wrong = [
        (line, result.status, result.err)
        for result, line, status, message in results
        if result.status != status or message not in result.err or "tzinfo" in result.err or "Errno" in result.err
    ]
    assert wrong == []


def test_the_request_id(amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error ends with the ID that the service gave the request, which JSON has as a field too."""
    refusal = response('{"error": "no"}', status="403 Forbidden", headers=[("X-Request-Id", "8f2c")])

    async def serve(connection: RawConnection) -> None:
        while await connection.read_request() is not None:
            await connection.send(refusal)

    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "a-management-key")
    with RawServer(serve) as server:
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", server.url)
        text, document = amp_exp("flags", "get", "1"), amp_exp("flags", "get", "1", "--json")
    assert text.err.endswith(" Request ID: 8f2c.\n")
    assert (document.json["request_id"], document.json["status"]) == ("8f2c", 403)


@pytest.mark.parametrize("from_file", [False, True])
def test_a_key_with_a_line_break(
    amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, from_file: bool
) -> None:
    """The message does not confuse words with arguments, and names where the key comes from."""
    monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "key\nx")
    file = tmp_path / "key"
    file.write_text("k\u00e9y", encoding="utf-8")
    result = amp_exp("flags", "list", *(["--api-key-file", str(file)] if from_file else []))
    source = "--api-key-file" if from_file else "AMPLITUDE_MANAGEMENT_API_KEY"
    message = f"{source} contains white space or a character that is not allowed in a key. Copy the key again.\n"
    assert (result.status, result.err) == (2, message)


def test_a_port_in_use(amp_exp: RunCommand) -> None:
    """The message has the address and the reason."""
    with Emulator() as other:
        host, _, port = other.base_url.removeprefix("http://").rpartition(":")
        result = amp_exp("emulator", "--host", host, "--port", port)
    assert (result.status, result.err) == (1, f"The emulator cannot start: {host}:{port}: Address already in use.\n")


def test_advice_of_a_failed_connection() -> None:
    """If the setting to correct is not known, the advice names all that it may be."""
    message = describe_error(APIConnectionError("GET /flags failed.", method="GET", path="/flags"), sent=False)
    assert message.endswith("Check the network, --base-url, and the proxy if there is one (--proxy, HTTPS_PROXY).")
