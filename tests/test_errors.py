"""The tree of errors."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import amp_exp_async
from amp_exp_async import (
    AmpExpError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    BulkError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    EditConflictError,
    FieldChange,
    Finding,
    InvalidInputError,
    InvalidManifestError,
    MethodNotAllowedError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    Problem,
    RateLimitError,
    ServerError,
    TooManyRemovalsError,
    UnexpectedResponseError,
    VersionChange,
    WebhookEvent,
    WebhookVerificationError,
)
from amp_exp_async.emulator import StateError

_REQUEST: dict[str, Any] = {"method": "GET", "path": "/flags/1", "attempts": 3}
_STATUS: dict[str, Any] = {**_REQUEST, "status": 418, "body": {"error": ["x"]}, "headers": {"Date": "today"}}
ATTRIBUTES: dict[type[AmpExpError], dict[str, Any]] = {
    AmpExpError: {},
    BulkError: {"errors": ()},
    ConfigurationError: {},
    ClientClosedError: {},
    EditConflictError: {"field": "tags", "base": ["a"], "ours": ["b"], "theirs": amp_exp_async.UNSET, "written": True},
    TooManyRemovalsError: {"removals": 9, "included": 10, "max_removals": 0.2},
    InvalidInputError: {"argument": "users[1]", "rule": "must not be empty"},
    InvalidManifestError: {"problems": [Problem("flags.yaml", 3, "flags[0].key", "is missing")]},
    APIConnectionError: {**_REQUEST, "sent": True},
    APITimeoutError: {**_REQUEST, "sent": True},
    APIStatusError: _STATUS,
    BadRequestError: _STATUS,
    AuthenticationError: _STATUS,
    PermissionDeniedError: _STATUS,
    NotFoundError: _STATUS,
    MethodNotAllowedError: _STATUS,
    ConflictError: _STATUS,
    ServerError: _STATUS,
    RateLimitError: {**_STATUS, "retry_after": 1.5, "daily": True},
    UnexpectedResponseError: {**_REQUEST, "location": "flags[1].key", "body": "{}"},
    OutcomeUnknownError: _REQUEST,
    WebhookVerificationError: {},
}


def tree(cls: type[AmpExpError]) -> Iterator[type[AmpExpError]]:
    """Yield a class and its subclasses."""
    yield cls
    for subclass in cls.__subclasses__():
        yield from tree(subclass)


def test_the_repr_of_an_error() -> None:
    """It has the message, which debuggers and lists of results show."""
    error = InvalidInputError(argument="id", rule="must not be empty")
    assert repr(error) == "InvalidInputError('id: must not be empty.')"
    assert repr(ConfigurationError("no key")) == "ConfigurationError('no key')"


def test_every_error_is_public() -> None:
    """Every class of the tree can be imported from the package, and is listed here."""
    # Those of the command line, if another test has loaded it, end a command and reach no caller.
    of_library = [cls for cls in tree(AmpExpError) if not cls.__module__.startswith("amp_exp_async.cli.")]
    classes = {cls for cls in of_library if not cls.__name__.startswith("_")}

    assert classes == set(ATTRIBUTES)
    assert all(getattr(amp_exp_async, cls.__name__) is cls for cls in classes)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", ATTRIBUTES)
def test_pickling(cls: type[AmpExpError], protocol: int) -> None:
    """A pickled error keeps its class, message and attributes."""
    error = cls("fact. Instruction.", **ATTRIBUTES[cls])

    copy = pickle.loads(pickle.dumps(error, protocol))

    assert type(copy) is cls
    assert str(copy) == str(error) == "fact. Instruction."
    assert {name: getattr(copy, name) for name in ATTRIBUTES[cls]} == ATTRIBUTES[cls]
    assert vars(copy) == vars(error)


@pytest.mark.parametrize(
    ("cls", "standard"),
    [(InvalidInputError, ValueError), (APITimeoutError, TimeoutError), (ClientClosedError, RuntimeError)],
)
def test_standard_bases(cls: type[AmpExpError], standard: type[Exception]) -> None:
    """Code that catches the standard exception catches the error."""
    assert issubclass(cls, standard)


_HOSTILE = "\x1b[2J\u202e\x9b\x07\u2028\ud800"


@pytest.mark.parametrize("cls", ATTRIBUTES)
def test_a_message_shows_escapes_as_escapes(cls: type[AmpExpError]) -> None:
    """It may quote what others wrote, which must not control the terminal."""
    lines = str(cls(f"first\n{_HOSTILE}", **ATTRIBUTES[cls])).split("\n")
    assert lines[0] == "first"
    assert lines[1].startswith(r"\u001b[2J\u202e\u009b\u0007\u2028\ud800")
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    "quoting",
    [
        Problem(f"{_HOSTILE}.yaml", 3, f"flags[0].{_HOSTILE}", f"{_HOSTILE}\n"),
        Finding(f"{_HOSTILE}.yaml", 3, _HOSTILE, _HOSTILE, rule="r", kind="flags", key=_HOSTILE, project_id=None),
        FieldChange(_HOSTILE, _HOSTILE, amp_exp_async.UNSET),
        VersionChange(version=1, created_by=_HOSTILE, created_at=None, differences={}),
        WebhookEvent(flag_id="1", flag_key=_HOSTILE, action=_HOSTILE, modified_by=_HOSTILE),
        InvalidInputError(argument=_HOSTILE, rule=_HOSTILE, subject=_HOSTILE, advice=_HOSTILE),
        StateError(_HOSTILE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_text_shows_escapes_as_escapes(quoting: object) -> None:
    """Also where it is printed by itself."""
    assert str(quoting).isprintable()
    assert r"\u001b[2J\u202e" in str(quoting)
