"""Pages of lists."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from amp_exp_async.emulator.documents import Document
from amp_exp_async.emulator.routes import EmulatorResponse, RequestContext, json_response
from amp_exp_async.emulator.validation import HTTPError

T = TypeVar("T")

_MAX_LIMIT: Final = 1000
_STRING_CURSOR: Final = re.compile(r"before-([0-9]+)")
_NUMBER_CURSOR: Final = re.compile(r"([0-9]+)")


def page_response(
    request: RequestContext,
    name: str,
    items: Sequence[T],
    document_of: Callable[[T], Document | None],
    *,
    cursor_type: str | None = None,
) -> EmulatorResponse:
    """Return one page of a list, newest items first.

    A cursor is the index of the last item that was sent. Items are never removed, so an item that is created between
    two pages neither shifts the second page nor repeats an item of the first.

    Args:
        request: The request, with `limit` and `cursor` in its query.
        name: The field of the response that contains the documents.
        items: All items, oldest first.
        document_of: Returns an item's document, or `None` to omit the item.
        cursor_type: The type of the cursors, if it is not the emulator's setting.
    """
    limit = _limit(request)
    is_number = (cursor_type or request.page_settings.cursor_type) == "number"
    index = _end_index(request, len(items), _NUMBER_CURSOR if is_number else _STRING_CURSOR)
    documents: list[Document] = []
    next_index = index
    while index > 0 and len(documents) <= limit:
        index -= 1
        document = document_of(items[index])
        if document is not None:
            documents.append(document)
            if len(documents) == limit:
                next_index = index
    body: dict[str, Any] = {name: documents[:limit]}
    if len(documents) > limit:
        body["nextCursor"] = next_index if is_number else f"before-{next_index}"
    elif request.page_settings.last_cursor != "absent":
        body["nextCursor"] = None if request.page_settings.last_cursor == "null" else ""
    return json_response(body)


def _limit(request: RequestContext) -> int:
    text = request.query.get("limit")
    if text is None:
        return request.page_settings.default_limit
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_LIMIT):
        raise HTTPError(400, f'"limit" must be an integer from 1 to {_MAX_LIMIT}, not {text}')
    return int(text)


def _end_index(request: RequestContext, count: int, pattern: re.Pattern[str]) -> int:
    text = request.query.get("cursor")
    if text is None:
        return count
    match = pattern.fullmatch(text)
    if match is None or int(match[1]) > count:
        raise HTTPError(400, f'"cursor" is not a cursor of this list: {text}')
    return int(match[1])
