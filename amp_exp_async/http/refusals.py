"""The refusals that the service explains in words: their meaning, class of error and advice.

All texts are matched as substrings of the body's message, in any case.
"""

from __future__ import annotations

import enum
import re
from typing import cast

import attrs
import orjson
from attrs import frozen

from amp_exp_async.errors import APIStatusError, BadRequestError, MethodNotAllowedError, NotFoundError

_MESSAGE_FIELDS = ("error", "errors", "message", "messages", "detail", "details", "reason")
_WORDED_STATUSES = frozenset({400, 403, 404, 405})
# Searching many MiB takes seconds: characters of one text, and of all texts of a message together.
_MAX_TEXT, _MAX_MESSAGE = 1 << 14, 1 << 16


class RefusalKind(enum.Enum):
    """The statement of a refusal about the object. It decides the outcome of a repeat after an ambiguous attempt."""

    NOT_FOUND = "the object does not exist"
    NOT_INCLUDED = "none of the ids to remove is included"
    ARCHIVED = "the object is archived"


@frozen
class KnownRefusal:
    """A refusal that is recognised by its text.

    Attributes:
        advice: what to do. `{}` stands for the group of the pattern.
        method: the call of an `ExperimentClient` that helps, such as `restore(id)`; empty if none does.
        code_advice: further advice for Python.
        error: the class of the error if the status is 400; other statuses have a class of their own.
        kind: what it says about the object; None if that does not matter for a repeat.
        path_end: the end of the paths to which it applies.
    """

    advice: str
    error: type[APIStatusError] = BadRequestError
    kind: RefusalKind | None = None
    path_end: str = ""
    method: str = ""
    code_advice: str = ""


FLAG_NOT_FOUND = "flag or experiment not found"

_REFUSALS: dict[str, KnownRefusal] = {
    FLAG_NOT_FOUND: KnownRefusal(
        "Check the ID (not the key), the region, and whether the object was deleted.",
        NotFoundError,
        RefusalKind.NOT_FOUND,
    ),
    r"variant key does not exist": KnownRefusal(
        "Check the variant's key, and whether the variant was removed or renamed.",
        NotFoundError,
        RefusalKind.NOT_FOUND,
    ),
    r"there are no users for this key": KnownRefusal(
        "None of the IDs is included in the variant.", kind=RefusalKind.NOT_INCLUDED
    ),
    r"cannot edit archived flag": KnownRefusal(
        "If the object is archived, restore it first.",
        kind=RefusalKind.ARCHIVED,
        method="restore(id)",
        code_advice="Otherwise send archive without other fields.",
    ),
    r"cannot activate without deployments": KnownRefusal(
        "Add a deployment to it first.", method="deployments.add(id, [deployment_id])"
    ),
    r"web experiments are not supported": KnownRefusal("Edit web experiments in the app.", MethodNotAllowedError),
    r"internal server error": KnownRefusal(
        "The service answers this if a cohort does not exist. Check the cohort IDs.", path_end="cohorts"
    ),
    r'"([^"]{1,200})" is not allowed': KnownRefusal(
        'The service does not accept the field "{}" here: leave it out.',
        code_advice="If an object that was read had it in its extra, write the object without it: "
        "attrs.evolve(segment, extra={}).",
    ),
    r"invalid bucketing unit": KnownRefusal("Use a group type that is configured in the project as bucketing unit."),
    r"unarchived flags or experiments or templates using this deployment": KnownRefusal(
        "First remove the deployment from all flags and experiments that use it, or archive them.",
        method="flags.deployments.remove(id, deployment_id)",
    ),
    r"does not have permission \(([^)]{1,200})\)": KnownRefusal(
        'The permission "{}" is missing. It is the permission of the user who created the key: '
        "give it to this user, or use a key of a user who has it."
    ),
}
_PATTERNS = [(re.compile(text, re.IGNORECASE), refusal) for text, refusal in _REFUSALS.items()]


def find_refusal(status: int, body_text: str, path: str = "") -> KnownRefusal | None:
    """Return the refusal whose text a response contains, or None.

    Args:
        status: the HTTP status.
        body_text: the response body.
        path: the path of the request.
    """
    return _find_in_message(body_message(body_text), path) if status in _WORDED_STATUSES else None


def is_refusal(document: object) -> bool:
    """Return whether the JSON value, or the text, of a successful response contains the text of a refusal."""
    return _find_in_message(_message_of(document)) is not None


def _find_in_message(message: str, path: str = "") -> KnownRefusal | None:
    for pattern, refusal in _PATTERNS:
        match = pattern.search(message)
        if match is not None and path.endswith(refusal.path_end):
            return attrs.evolve(refusal, advice=refusal.advice.format(*match.groups()))
    return None


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
    return _message_of(document)


def _message_of(document: object) -> str:
    """Return the texts of the error fields of a JSON value, or all its texts if it has no error fields."""
    texts = list[str]()
    length = 0
    pending: list[object] = [document]
    while pending and length < _MAX_MESSAGE:
        value = pending.pop()
        if isinstance(value, str):
            texts.append(value[:_MAX_TEXT])
            length += len(texts[-1])
        elif isinstance(value, list):
            pending.extend(reversed(cast("list[object]", value)))
        elif isinstance(value, dict):
            fields = cast("dict[str, object]", value)
            messages = [fields[name] for name in _MESSAGE_FIELDS if name in fields]
            pending.extend(reversed(messages or list(fields.values())))
    return " ".join(texts)
