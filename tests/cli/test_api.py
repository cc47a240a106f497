"""`amp-exp api`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand, writes
from tests.reliability.raw_server import RawServer, answer_all, response


def test_get(account: Emulator, amp_exp: RunCommand) -> None:
    """Fields and the query of the path are parameters, and nothing is asked."""
    account.state.add_flag(key="second")
    for arguments in (["/flags", "--field", "limit=1"], ["/flags?limit=1"]):
        assert [flag["key"] for flag in amp_exp("api", "get", *arguments).json["flags"]] == ["second"]
    assert amp_exp("api", "GET", "/flags/1001", "--json").json["key"] == "new-checkout"


def test_include(account: Emulator, amp_exp: RunCommand) -> None:
    """`--include` shows status and headers on stderr, and leaves the document on stdout as it is."""
    plain = amp_exp("api", "GET", "/flags/1001")
    included = amp_exp("api", "GET", "/flags/1001", "--include")
    assert (included.out, plain.err) == (plain.out, "")
    assert included.err.startswith("200\nContent-Type: application/json")
    assert account.api_key not in included.err
    missing = amp_exp("api", "GET", "/flags/9", "--include")
    assert (missing.status, missing.err.startswith("400\nContent-Type: application/json")) == (1, True)


def test_writes_ask(account: Emulator, amp_exp: RunCommand, tmp_path: Path) -> None:
    """A write shows its body and asks; fields are JSON if they look like it, and else text."""
    patch = ("api", "PATCH", "/flags/1001", "--field", "name=New name", "--field", 'tags=["a"]')
    refused = amp_exp(*patch)
    assert (refused.status, '{"name": "New name", "tags": ["a"]}' in refused.err, writes(account)) == (2, True, [])
    assert amp_exp(*patch, "--yes").status == 0
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"description": "1"}))
    assert amp_exp("api", "PATCH", "/flags/1001", "--json-body", body, "--yes").status == 0
    flag = account.state.flag("1001")
    assert (flag["name"], flag["tags"], flag["description"]) == ("New name", ["a"], "1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["GET", "/flags", "--json-body", "x.json"], "a GET has no body"),
        (["PATCH", "/flags/1", "--field", "x"], "--field takes NAME=VALUE"),
        (["PATCH", "/flags/1", "--json-body", "missing.json"], "--json-body missing.json: cannot be read"),
        (["PATCH", "/flags/1", "--field", "a=1", "--json-body", "x"], "exclude each other"),
        (
            ["PATCH", "/flags/1001"],
            "PATCH without a body changes nothing. Pass --field or --json-body. Nothing was sent.",
        ),
        (["PUT", "/flags/1001"], "PUT without a body changes nothing."),
        (["GET", "flags"], 'PATH: must be "/" and percent-encoded segments, such as /flags/1001?limit=10'),
        (["GET", "/a b"], 'PATH: must be "/" and'),
        (["TRACE", "/flags"], "METHOD: must be GET, HEAD, POST, PATCH, PUT or DELETE"),
        (["GET", "/flags", "--field", "limit=1", "--field", "limit=2"], '--field: "limit" is given twice'),
        (["GET", "/flags?limit=1", "--field", "limit=2"], '--field: "limit" is given twice'),
        (["GET", "/flags?limit=1&limit=2"], 'PATH: "limit" is given twice'),
    ],
)
def test_mistakes(account: Emulator, amp_exp: RunCommand, arguments: list[str], message: str) -> None:
    """The error is one line, and nothing is sent."""
    result = amp_exp("api", *arguments, "--yes")
    assert (result.status, message in result.err, result.err.count("\n")) == (2, True, 1), result.err
    assert account.requests == []


def test_text_of_digits(account: Emulator, amp_exp: RunCommand) -> None:
    """Digits are a number, which the service rejects as an ID; the message and the help say how to quote them."""
    create = ("api", "POST", "/flags", "--yes", "--field", "key=dark-mode")
    result = amp_exp(*create, "--field", "projectId=1", "--field", "description=a")
    assert result.status == 1
    assert "Sent as a number: projectId. To send text, quote it twice: --field 'projectId=\"…\"'.\n" in result.err
    assert amp_exp(*create, "--field", 'projectId="1"').status == 0
    assert account.state.flag("1002")["key"] == "dark-mode"
    assert "number" not in amp_exp(*create, "--field", 'projectId="1"').err  # refused because the key exists


def test_a_method_that_the_path_does_not_have(amp_exp: RunCommand, account: Emulator) -> None:
    """The advice names the method, because not only web experiments answer with 405; a body is not required."""
    result = amp_exp("api", "DELETE", "/flags/1001", "--yes")
    assert (result.status, writes(account)) == (1, ["DELETE"])
    assert "Check the method: the path may not have it." in result.err


@pytest.mark.usefixtures("account")
def test_a_refusal(amp_exp: RunCommand) -> None:
    """A refusal of the service ends with status 1."""
    result = amp_exp("api", "GET", "/flags/99")
    assert (result.status, "Flag or experiment not found" in result.err) == (1, True)


@pytest.mark.parametrize("options", [[], ["--json"], ["--include"]], ids=str)
@pytest.mark.parametrize(
    "form", [str, lambda key: "".join(f"%{ord(char):02x}" for char in key)], ids=["plain", "escaped"]
)
def test_a_response_that_quotes_the_key(
    account: Emulator, amp_exp: RunCommand, form: Callable[[str], str], options: list[str]
) -> None:
    """It is printed without the key, and stays JSON."""
    key = form(account.api_key)
    body = {"sent": f"Bearer {key}", "list": [{f"x-{key}": 1.5, "none": None}], "text": "a…"}
    account.inject(Fault.status(200, body=body))
    result = amp_exp("api", "GET", "/flags/1001", *options)
    assert json.loads(result.out) == {"sent": "Bearer ***", "list": [{"x-***": 1.5, "none": None}], "text": "a…"}
    assert key not in result.err


@pytest.mark.parametrize("options", [[], ["--json"]], ids=str)
def test_a_text_that_quotes_the_password_of_the_proxy(
    amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """It is printed without it."""
    with RawServer(answer_all(response(b"hello canary-password of user:canary-password"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:canary-password@"))
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", "key-of-the-test")
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", "http://service.invalid")
        result = amp_exp("api", "GET", "/flags/1001", "--allow-insecure-http", *options)
    assert result.status == 0
    assert result.out.strip().strip('"') == "hello *** of ***"
