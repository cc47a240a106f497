"""What a command says while it waits: the line on a terminal, and the log."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from amp_exp_async import ExperimentClient, PendingCall, RateLimit, RetryPolicy
from amp_exp_async.cli import status_line
from amp_exp_async.cli.status_line import STATUS_LINE, describe_wait, showing_waits
from amp_exp_async.cli.stderr_log import logging_to_stderr
from amp_exp_async.emulator import Emulator, Fault
from tests.cli.cli_result import RunCommand
from tests.polling import TIMEOUT, wait_until


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def make_call(**fields: object) -> PendingCall:
    """Return a call that has waited for four seconds."""
    defaults: dict[str, object] = {
        "host": "experiment.amplitude.com",
        "method": "GET",
        "path": "/flags",
        "attempt": 2,
        "max_attempts": 5,
        "last_failure": "503",
        "waits_for": "response",
        "seconds": 4.2,
    }
    return PendingCall(**{**defaults, **fields})  # type: ignore[arg-type]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal as stderr, whose line is refreshed at once."""
    stream = Terminal()
    # Not `sys.stderr`, which pytest sets again for the test itself.
    monkeypatch.setattr(status_line, "sys", SimpleNamespace(stderr=stream))
    monkeypatch.setattr(status_line, "_INTERVAL", 0.001)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return stream


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (make_call(), "waiting for experiment.amplitude.com: attempt 2 of 5 after 503; 4 s"),
        (make_call(attempt=1, last_failure=None), "waiting for experiment.amplitude.com: attempt 1 of 5; 4 s"),
        (make_call(waits_for="retry"), "waiting for experiment.amplitude.com: attempt 2 of 5 after 503; 4 s"),
        (make_call(waits_for="rate limit", last_failure="429"), "waiting for the rate limit after 429; 4 s"),
        (make_call(waits_for="turn", last_failure=None), "waiting for earlier requests; 4 s"),
    ],
)
def test_the_text(call: PendingCall, text: str) -> None:
    """The line says what is waited for, which attempt it is, why, and for how long."""
    assert describe_wait(call, 79) == text


@pytest.mark.parametrize("failure", ["503", "no complete response within 30 s", "could not connect (refused)", None])
@pytest.mark.parametrize("waits_for", ["response", "retry", "rate limit", "turn"])
@pytest.mark.parametrize("width", [39, 59, 79, 119])
def test_the_seconds_are_never_cut(width: int, waits_for: str, failure: str | None) -> None:
    """A narrow terminal leaves out the reason, and then the host, but never the seconds that show that it lives."""
    text = describe_wait(make_call(waits_for=waits_for, last_failure=failure, seconds=104.0), width)
    assert len(text) <= width
    assert text.endswith("; 104 s")


def test_a_timeout_in_short() -> None:
    """At 80 columns, a timeout is named without its length."""
    call = make_call(last_failure="no complete response within 30 s")
    assert describe_wait(call, 79) == ("waiting for experiment.amplitude.com: attempt 2 of 5 after a timeout; 4 s")


def test_the_line(terminal: Terminal) -> None:
    """It comes after two seconds, is rewritten in place, gives way to a progress bar, and is removed at the end."""
    calls = [make_call(seconds=1.9)]
    polls: list[int] = []

    def read() -> list[PendingCall]:
        polls.append(1)
        return calls

    def wait_for_polls() -> None:
        seen = len(polls)
        wait_until(lambda: len(polls) > seen + 1)

    with showing_waits(read):
        wait_for_polls()
        assert terminal.getvalue() == ""
        calls[:] = [make_call(seconds=2), make_call(seconds=1)]
        wait_until(lambda: "2 s" in terminal.getvalue())
        calls[:] = [make_call(seconds=3)]
        wait_until(lambda: "3 s" in terminal.getvalue())
        with STATUS_LINE.suspended():
            calls[:] = [make_call(seconds=9)]
            wait_for_polls()
            assert "9 s" not in terminal.getvalue()
            assert terminal.getvalue().endswith(" \r")
        wait_until(lambda: "9 s" in terminal.getvalue())
    assert terminal.getvalue().endswith(" \r")
    assert "\n" not in terminal.getvalue()
    shown = [line.rstrip() for line in terminal.getvalue().split("\r") if line.strip()]
    assert shown == [describe_wait(make_call(seconds=seconds), 79) for seconds in (2, 3, 9)]


def test_not_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, and a terminal that cannot rewrite a line, get no status line."""
    for stream, name in ((io.StringIO(), "xterm"), (Terminal(), "dumb")):
        monkeypatch.setattr(status_line, "sys", SimpleNamespace(stderr=stream))
        monkeypatch.setenv("TERM", name)
        with showing_waits(lambda: pytest.fail("was asked for")):
            pass
        assert stream.getvalue() == ""


def test_log_lines_do_not_mix_with_it(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log line removes the line first."""
    monkeypatch.setattr(sys, "stderr", terminal)
    with logging_to_stderr(verbose=True):
        STATUS_LINE.show("waiting")
        logging.getLogger("amp_exp_async").debug("GET /flags: attempt 1: 200")
    assert terminal.getvalue() == "\rwaiting\r       \rGET /flags: attempt 1: 200\n"


def test_verbose(account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--verbose` prints a line for each attempt, `AMP_EXP_LOG` the log with times, to stderr and without the key."""
    account.inject(Fault.status(503))
    result = amp_exp("flags", "list", "--verbose", "--json")
    assert [line.partition(" in ")[0] for line in result.err.splitlines()] == [
        "GET /flags: attempt 1: 503",
        "GET /flags: attempt 1 failed with 503; retrying",
        "GET /flags: attempt 2: 200",
    ]
    assert len(result.json) == 1
    assert amp_exp("flags", "list").err == ""
    monkeypatch.setenv("AMP_EXP_LOG", "debug")
    log = amp_exp("flags", "get", "1001").err
    assert "DEBUG amp_exp_async: GET /flags/1001: attempt 1: 200 in" in log
    assert account.api_key not in log + result.err
    monkeypatch.setenv("AMP_EXP_LOG", "all")
    unknown = amp_exp("flags", "list", "--json")
    assert (unknown.status, unknown.json) == (0, result.json)
    assert 'AMP_EXP_LOG must be one of debug, info, warning, error, critical, got "all"' in unknown.err


@pytest.mark.parametrize("waits_for", ["response", "retry", "rate limit", "turn"])
def test_pending_calls(account: Emulator, waits_for: str) -> None:
    """A client shows what its oldest call waits for, to another thread, and nothing when it has ended."""
    policy = RetryPolicy(max_attempts=2, backoff_base=0)
    limit = RateLimit(per_second=1) if waits_for == "rate limit" else None
    concurrency = 1 if waits_for == "turn" else 2
    with (
        ExperimentClient(account.api_key, retry=policy, rate_limit=limit, max_concurrency=concurrency) as client,
        ThreadPoolExecutor() as pool,
    ):
        count = {"rate limit": 2, "turn": 2}.get(waits_for, 1)
        if waits_for == "retry":
            account.inject(Fault.status(503, retry_after=0.5), times=1)
        elif waits_for != "rate limit":
            account.inject(Fault.delay(0.3), times=count)
        results = [pool.submit(client.flags.get, "1001") for _ in range(count)]
        wait_until(lambda: waits_for in {call.waits_for for call in client.pending_calls})
        (call,) = [call for call in client.pending_calls if call.waits_for == waits_for]
        assert f"http://{call.host}" == account.base_url
        is_retry = waits_for == "retry"
        expected = ("GET", "/flags/1001", 2 if is_retry else 1, 2, "503" if is_retry else None)
        assert (call.method, call.path, call.attempt, call.max_attempts, call.last_failure) == expected
        assert [result.result().id for result in results] == ["1001"] * count
        assert client.pending_calls == []


_PROGRAM = """\
import logging
from amp_exp_async import ExperimentClient
logger = logging.getLogger("amp_exp_async")
assert not logger.handlers
for _ in range(2):
    ExperimentClient("some-key", base_url="http://127.0.0.1:9").close()
logger.debug("shown")
logging.getLogger("other").debug("not shown")
assert not logging.getLogger().handlers
"""


def test_the_log_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first client sets the log up, once, and only on the package's own logger."""
    monkeypatch.setenv("AMP_EXP_LOG", "DEBUG")
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=TIMEOUT
    )
    (line,) = result.stderr.splitlines()
    assert line.endswith(" DEBUG amp_exp_async: shown")


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("debug", logging.DEBUG),
        ("Info", logging.INFO),
        ("warning", logging.WARNING),
        ("ERROR", logging.ERROR),
        ("critical", logging.CRITICAL),
        ("loud", logging.NOTSET),
    ],
)
def test_the_levels_of_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, level: int
) -> None:
    """Each standard level is accepted, in any case. Another word is a warning in the log, and stops no program."""
    logger = logging.getLogger("amp_exp_async")
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    monkeypatch.setenv("AMP_EXP_LOG", name)
    ExperimentClient("some-key", base_url="http://127.0.0.1:9").close()
    assert logger.level == level
    assert [record.levelno for record in caplog.records] == ([] if level else [logging.WARNING])
    logger.setLevel(logging.NOTSET)  # also forgets which levels are enabled


@pytest.mark.parametrize("level", [logging.NOTSET, logging.WARNING])
def test_the_log_of_an_application(monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    """A level that the application has set stays. A handler is added only if the application has added none."""
    logger = logging.getLogger("amp_exp_async")
    monkeypatch.setattr(logger, "level", level)
    monkeypatch.setenv("AMP_EXP_LOG", "info")
    ExperimentClient("some-key", base_url="http://127.0.0.1:9").close()
    assert (logger.level, logger.handlers) == (level or logging.INFO, [])
    logger.setLevel(logging.NOTSET)  # also forgets which levels are enabled
