"""Pagers: the results of list operations, read page by page."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Hashable
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import attrs

from .errors import UnexpectedResponseError
from .formatting import format_value
from .models import Page, ResultList
from .serialization import NEXT_CURSOR

T = TypeVar("T")

FetchPage = Callable[[str | None], Coroutine[Any, Any, Page[T]]]
Spawn = Callable[[Coroutine[Any, Any, Page[T]]], "asyncio.Task[Page[T]]"]
Identify = Callable[[T], Hashable]

# Ten of the largest pages: objects that move while the list is read come again on the next page, not much later.
_MAX_REMEMBERED = 10_000
# A filter can leave pages empty, but a hundred in a row with a next page each are a list without end.
_MAX_PAGES_WITHOUT_NEWS = 100
# The service allows as many requests in a day, so a longer list is one without end.
_MAX_PAGES = 100_000


class AsyncPager(Generic[T]):
    """A list that is read on demand. Each way of reading it sends its own requests.

    - `async for item in pager` yields all items. The next page is requested when you reach the second half of the
      current one, so at most two pages are in memory.
    - `async for page in pager.pages()` yields pages, one request each, with the cursor to continue from.
    - `await pager` returns all items as a list.

    A cursor is an offset, so an object that is created while the list is read moves others to the next page. An object
    that was among the last 10,000 is not yielded again. An object that moves to the front can be missing.

    Leaving a loop early sends nothing more. To close the iterator at a definite moment, use
    `async with contextlib.aclosing(aiter(pager)) as items`.

    Raises while it is read:
        UnexpectedResponseError: If a page differs from the API reference, if a cursor repeats, or if the list still
            goes on after 100 pages in a row without a new item, or after 100,000 pages.
        APIStatusError, APIConnectionError: As in every call. A page is retried, never the list from its beginning.
    """

    def __init__(
        self,
        fetch: FetchPage[T],
        spawn: Spawn[T],
        cursor: str | None = None,
        identify: Identify[T] | None = None,
    ) -> None:
        self._fetch = fetch
        self._spawn = spawn
        self._start = cursor
        self._identify = identify

    def __aiter__(self) -> AsyncGenerator[T, None]:  # noqa: PYI058 - a generator can be closed
        return self._items()

    def __repr__(self) -> str:
        return "<AsyncPager: not read yet; iterate it with `async for`, or await it for a list>"

    def __await__(self) -> Generator[Any, None, list[T]]:
        return self._collect().__await__()

    def pages(self) -> AsyncGenerator[Page[T], None]:
        """Yield the pages, one request each."""
        return self._pages()

    async def _collect(self) -> list[T]:
        async with aclosing(self._items()) as items:
            return ResultList([item async for item in items])

    async def _pages(self) -> AsyncGenerator[Page[T], None]:
        seen, distinct = _SeenCursors(self._start), _DistinctItems(self._identify)
        page = await self._fetch(self._start)
        while True:
            cursor = page.next_cursor
            yield attrs.evolve(page, items=distinct.select(page))
            if cursor is None:
                return
            seen.add(cursor)
            page = await self._fetch(cursor)

    async def _items(self) -> AsyncGenerator[T, None]:
        async with aclosing(self.half_pages()) as halves:
            async for half in halves:
                for item in half:
                    yield item

    async def half_pages(self) -> AsyncGenerator[list[T], None]:
        """Yield the items by half pages. The next page is requested before the second half is yielded."""
        seen, distinct = _SeenCursors(self._start), _DistinctItems(self._identify)
        page = await self._fetch(self._start)
        while True:
            cursor, items, prefetch = page.next_cursor, distinct.select(page), None
            del page
            try:
                half = len(items) // 2
                if half:
                    yield items[:half]
                if cursor is not None and cursor not in seen:
                    prefetch = self._spawn(self._fetch(cursor))
                    # Let the task send its request, even if the consumer never awaits.
                    await asyncio.sleep(0)
                yield items[half:]
                if cursor is None:
                    return
                seen.add(cursor)
                page = await (prefetch or self._fetch(cursor))
                del items
            finally:
                if prefetch is not None and not prefetch.done():
                    prefetch.cancel()
                    await asyncio.wait([prefetch])


class _SeenCursors:
    """The cursors followed so far, by their hashes. One that repeats would lead in a circle."""

    def __init__(self, start: str | None) -> None:
        self._hashes = {hash(start)}

    def __contains__(self, cursor: str) -> bool:
        return hash(cursor) in self._hashes

    def add(self, cursor: str) -> None:
        """Remember the cursor of the next page.

        Raises:
            UnexpectedResponseError: If the list does not end.
        """
        if len(self._hashes) >= _MAX_PAGES:
            raise UnexpectedResponseError(
                f"the list has more than {_MAX_PAGES:,} pages. Pass a larger limit, or the cursor "
                f"{format_value(cursor)} to continue from there.",
                location=NEXT_CURSOR,
            )
        if cursor in self:
            raise UnexpectedResponseError(
                f"the cursor {format_value(cursor)} was returned a second time, which would repeat pages without end. "
                "Pass the cursor of a page that you trust to continue from there.",
                location=NEXT_CURSOR,
            )
        self._hashes.add(hash(cursor))


class _DistinctItems(Generic[T]):
    """The items that were read last, by their identity. Memory is bounded: the oldest are forgotten."""

    def __init__(self, identify: Identify[T] | None) -> None:
        self._identify = identify
        self._known: set[Hashable] = set()
        self._order: deque[Hashable] = deque()
        self._pages_without_news = 0

    def select(self, page: Page[T]) -> list[T]:
        """Return the items of the next page that are not known yet, and remember them.

        Raises:
            UnexpectedResponseError: If the list does not end, although it brings no new items.
        """
        new = page.items if self._identify is None else self._remember(page.items, self._identify)
        self._pages_without_news = 0 if new else self._pages_without_news + 1
        if page.next_cursor is not None and self._pages_without_news >= _MAX_PAGES_WITHOUT_NEWS:
            raise UnexpectedResponseError(
                f"{_MAX_PAGES_WITHOUT_NEWS} pages in a row had no new item, and the list does not end. Pass the cursor "
                f"{format_value(page.next_cursor)} if you want to continue from there.",
                location=NEXT_CURSOR,
            )
        return new

    def _remember(self, items: list[T], identify: Identify[T]) -> list[T]:
        new: list[T] = []
        for item in items:
            identity = identify(item)
            if identity not in self._known:
                self._known.add(identity)
                self._order.append(identity)
                new.append(item)
        while len(self._order) > _MAX_REMEMBERED:
            self._known.discard(self._order.popleft())
        return new


def single_page(fetch: Callable[[], Coroutine[Any, Any, list[T]]], spawn: Spawn[T]) -> AsyncPager[T]:
    """Return a pager for a list that the service sends as a whole."""

    async def fetch_page(_: str | None) -> Page[T]:
        return Page(await fetch())

    return AsyncPager(fetch_page, spawn)
