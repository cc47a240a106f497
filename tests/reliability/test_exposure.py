"""What looks for secrets in errors and logs finds them."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest
from multidict import CIMultiDict
from rich.console import Console
from rich.traceback import Traceback

from tests.reliability.exposure import RENDERERS, LogWatch, find_secrets

SECRET = "s3cret-of-this-test"
# Code of no test: a frame of a test may know the secret.
CODE: CodeType = compile(
    """
def with_local(secret):
    text = secret
    raise ValueError("no")

def with_message(secret):
    raise ValueError(f"bad key {secret}")

def with_headers(headers):
    raise ValueError("no")

def with_context(secret):
    try:
        with_local(secret)
    except ValueError:
        del secret
        raise RuntimeError("other") from None

def with_cause(secret):
    try:
        with_local(secret)
    except ValueError as error:
        raise RuntimeError("other") from error
""",
    "library.py",
    "exec",
)
LIBRARY: dict[str, Any] = {}
exec(CODE, LIBRARY)


def caught(call: Callable[[Any], object], argument: object) -> BaseException:
    """Return the error that a function raises."""
    with pytest.raises((ValueError, RuntimeError)) as raised:
        call(argument)
    return raised.value


@pytest.mark.parametrize(
    ("function", "argument", "renderers"),
    [
        ("with_local", SECRET, list(RENDERERS)),
        ("with_message", SECRET, list(RENDERERS)),
        ("with_headers", CIMultiDict(Authorization=f"Bearer {SECRET}"), list(RENDERERS)),
        ("with_headers", {"deep": [{"in": (SECRET,)}]}, list(RENDERERS)),
        ("with_cause", SECRET, list(RENDERERS)),
        ("with_context", SECRET, ["an error tracker"]),
        ("with_local", "harmless", []),
    ],
)
def test_an_error(function: str, argument: object, renderers: list[str]) -> None:
    """A secret is found in messages, local variables, containers, causes and hidden contexts."""
    found = find_secrets(caught(LIBRARY[function], argument), [SECRET])
    assert [line.partition(" shows ")[0] for line in found] == renderers


def test_notes_attributes_and_groups() -> None:
    """They are looked through too."""
    noted = ValueError("no")
    noted.add_note(f"with {SECRET}")
    assert len(find_secrets(noted, [SECRET])) == len(RENDERERS)
    attributed = ValueError("no")
    attributed.headers = {"Authorization": SECRET}  # type: ignore[attr-defined] - any error may have attributes
    assert find_secrets(attributed, [SECRET]) == [f"an error tracker shows {SECRET}"]
    group = ExceptionGroup("several", [caught(LIBRARY["with_local"], SECRET)])
    assert f"an error tracker shows {SECRET}" in find_secrets(group, [SECRET])


def test_the_frames_of_tests() -> None:
    """They are left out, since they know the secret."""
    known = SECRET
    assert find_secrets(caught(LIBRARY["with_local"], "harmless"), [known]) == []


def test_what_rich_prints() -> None:
    """It prints the variables that are looked through."""
    error = caught(LIBRARY["with_headers"], {"key": SECRET})
    console = Console(file=io.StringIO(), width=200)
    console.print(Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True))
    assert SECRET in console.file.getvalue()  # type: ignore[attr-defined] - the file above


async def test_logs(log_watch: LogWatch) -> None:
    """A secret is found in messages, arguments and tracebacks of every logger at every level."""
    log_watch.secrets.append(SECRET)
    logging.getLogger("some.library").debug("with %s", SECRET)
    logging.getLogger("asyncio").error("failed", exc_info=caught(LIBRARY["with_message"], SECRET))
    asyncio.get_running_loop().call_exception_handler({"message": "odd", "exception": ValueError(SECRET)})
    logging.getLogger("some.library").debug("harmless")
    assert (len(log_watch.found), log_watch.records >= 4) == (3, True)
