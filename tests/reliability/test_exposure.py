"""What looks for secrets in errors and logs finds them."""

from __future__ import annotations

import asyncio
import io
import logging
from collections import OrderedDict
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest
from multidict import CIMultiDict
from rich.console import Console
from rich.traceback import Traceback

from tests.reliability.exposure import LogWatch, find_secrets

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


class Opaque(dict[str, str]):
    """Headers that hide what they contain, but not from those who look inside."""

    def __repr__(self) -> str:
        return "<hidden>"


def caught(call: Callable[[Any], object], argument: object) -> BaseException:
    """Return the error that a function raises."""
    with pytest.raises((ValueError, RuntimeError)) as raised:
        call(argument)
    return raised.value


PRINTED = {"traceback", "rich"}


@pytest.mark.parametrize(
    ("function", "argument", "is_found", "printed"),
    [
        ("with_local", SECRET, True, PRINTED),
        ("with_message", SECRET, True, PRINTED),
        ("with_headers", CIMultiDict(Authorization=f"Bearer {SECRET}"), True, PRINTED),
        ("with_headers", {"deep": [{"in": (SECRET,)}]}, True, PRINTED),
        ("with_headers", OrderedDict(a=Opaque({"in": SECRET})), True, set()),
        ("with_cause", SECRET, True, PRINTED),
        ("with_context", SECRET, True, set()),
        ("with_local", "harmless", False, set()),
    ],
)
def test_an_error(function: str, argument: object, is_found: bool, printed: set[str]) -> None:
    """A secret is found in messages, local variables, containers, causes and hidden contexts."""
    found = find_secrets(caught(LIBRARY[function], argument), [SECRET])
    assert bool(found) == is_found
    assert PRINTED & set(found) == printed


def test_notes_attributes_and_groups() -> None:
    """They are looked through too."""
    noted = ValueError("no")
    noted.add_note(f"with {SECRET}")
    assert set(find_secrets(noted, [SECRET])) > {"traceback"}  # rich prints notes since its release 14
    attributed = ValueError("no")
    attributed.headers = {"Authorization": SECRET}  # type: ignore[attr-defined] - any error may have attributes
    assert find_secrets(attributed, [SECRET]) == ["vars of ValueError"]
    group = ExceptionGroup("several", [caught(LIBRARY["with_local"], SECRET)])
    assert "text in with_local:4 of ValueError" in find_secrets(group, [SECRET])


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
