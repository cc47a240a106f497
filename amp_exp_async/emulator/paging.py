"""Cut a list into pages."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from amp_exp_async.emulator.call import Call, Reply, json_reply
from amp_exp_async.emulator.documents import Document
from amp_exp_async.emulator.refusal import Refusal

T = TypeVar("T")

_MAX_LIMIT: Final = 1000
_STRING_CURSOR: Final = re.compile(r"before-([0-9]+)")
_NUMBER_CURSOR: Final = re.compile(r"([0-9]+)")


def page(
    call: Call,
    envelope: str,
    items: Sequence[T],
    shown: Callable[[T], Document | None],
    *,
    cursor_type: str | None = None,
) -> Reply:
    """One page of what is shown of the items, which come in order of creation and are listed the newest first.

    `shown` leaves an item out with `None`. The type of the cursor is the emulator's setting unless it is given.

    A cursor names the place of the last object that was sent in the order of creation. Nothing is ever taken out of
    that order, so what is created between two pages neither shifts the second nor repeats any of the first.
    """
    limit = _limit(call)
    numbered = (cursor_type or call.paging.cursor_type) == "number"
    place = _start(call, len(items), _NUMBER_CURSOR if numbered else _STRING_CURSOR)
    found: list[Document] = []
    last = place
    while place > 0 and len(found) <= limit:
        place -= 1
        document = shown(items[place])
        if document is not None:
            found.append(document)
            if len(found) == limit:
                last = place
    body: dict[str, Any] = {envelope: found[:limit]}
    if len(found) > limit:
        body["nextCursor"] = last if numbered else f"before-{last}"
    elif call.paging.last_cursor != "absent":
        body["nextCursor"] = None if call.paging.last_cursor == "null" else ""
    return json_reply(body)


def _limit(call: Call) -> int:
    text = call.query.get("limit")
    if text is None:
        return call.paging.default_limit
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_LIMIT):
        raise Refusal(400, f'"limit" must be a whole number from 1 to {_MAX_LIMIT}, not {text!r}')
    return int(text)


def _start(call: Call, end: int, cursor: re.Pattern[str]) -> int:
    """The place before which the page begins."""
    text = call.query.get("cursor")
    if text is None:
        return end
    match = cursor.fullmatch(text)
    if match is None or int(match[1]) > end:
        raise Refusal(400, f'"cursor" is not one that this list gave: {text!r}')
    return int(match[1])
