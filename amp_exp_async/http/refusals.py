"""The refusals that the service explains in words: what they mean, their class of error, and the advice.

All texts are matched as substrings of the body's message, in any case.
"""

from __future__ import annotations

import enum
import re
from typing import Any

import orjson
from attrs import frozen

from amp_exp_async.errors import APIStatusError, BadRequestError, MethodNotAllowedError, NotFoundError

_MESSAGE_FIELDS = ("error", "errors", "message", "messages", "detail", "details", "reason")
_WORDED_STATUSES = frozenset({400, 403, 404, 405})


class RefusalKind(enum.Enum):
    """What a refusal says about the object. It decides the outcome of a repeat after an ambiguous attempt."""

    NOT_FOUND = "the object does not exist"
    NOT_INCLUDED = "none of the ids to remove is included"
    ARCHIVED = "the object is archived"


@frozen
class Refusal:
    """A refusal that is recognised by its text.

    Attributes:
        error: the class of the error.
        advice: what to do.
        kind: what it says about the object; None if that does not matter for a repeat.
    """

    error: type[APIStatusError]
    advice: str
    kind: RefusalKind | None = None


_REFUSALS: dict[str, Refusal] = {
    r"flag or experiment not found": Refusal(
        NotFoundError,
        "Check the ID (not the key), the region, and whether the object was deleted.",
        RefusalKind.NOT_FOUND,
    ),
    r"variant key does not exist": Refusal(
        NotFoundError, "Check the variant's key, and whether it was removed or renamed.", RefusalKind.NOT_FOUND
    ),
    r"there are no users for this key": Refusal(
        BadRequestError, "None of the IDs is included in the variant.", RefusalKind.NOT_INCLUDED
    ),
    r"cannot edit archived flag": Refusal(
        BadRequestError,
        "If it is archived, un-archive it first, in a call of its own. Otherwise change archive in a call of its own.",
        RefusalKind.ARCHIVED,
    ),
    r"web experiments are not supported": Refusal(MethodNotAllowedError, "Edit web experiments in the app."),
}
_PATTERNS = [(re.compile(text, re.IGNORECASE), refusal) for text, refusal in _REFUSALS.items()]


def find_refusal(status: int, body_text: str) -> Refusal | None:
    """Return the refusal whose text a response contains, or None."""
    if status not in _WORDED_STATUSES:
        return None
    message = body_message(body_text)
    return next((refusal for pattern, refusal in _PATTERNS if pattern.search(message)), None)


def refusal_kind(status: int, body_text: str) -> RefusalKind | None:
    """Return what a 400 or a 404 says about the object, or None."""
    if status == 404:
        return RefusalKind.NOT_FOUND
    refusal = find_refusal(status, body_text) if status == 400 else None
    return None if refusal is None else refusal.kind


def is_not_found(status: int, body_text: str) -> bool:
    """Return whether a response says that the object does not exist: with 404, or with 400 and a known text."""
    return refusal_kind(status, body_text) is RefusalKind.NOT_FOUND


def body_message(body_text: str) -> str:
    """Return the message of a body: the texts of its error fields if it is JSON, else the whole body."""
    try:
        document = orjson.loads(body_text)
    except orjson.JSONDecodeError:
        return body_text
    texts, pending = list[str](), [document]
    while pending:
        value: Any = pending.pop()
        match value:
            case str():
                texts.append(value)
            case list():
                pending.extend(reversed(value))
            case dict():
                fields = [value[name] for name in _MESSAGE_FIELDS if name in value] or list(value.values())
                pending.extend(reversed(fields))
    return " ".join(texts)
