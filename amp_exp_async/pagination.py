"""Following cursors: what every list operation returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from .errors import UnexpectedResponseError
from .models import Page
from .serialization import NEXT_CURSOR

T = TypeVar("T")

FetchPage = Callable[[str | None], Coroutine[Any, Any, Page[T]]]
Spawn = Callable[[Coroutine[Any, Any, Page[T]]], "asyncio.Task[Page[T]]"]


class AsyncPager(Generic[T]):
    """A list that has not been read yet. Every way of reading it sends its own requests.

    - `async for item in pager`: all items. The next page is requested while you work through the second half of the
      present one; at most two pages are in memory.
    - `async for page in pager.pages()`: whole pages, one request each, with the cursor to go on from.
    - `await pager`: all items at once, as a list.

    Leaving a loop early sends nothing more. Where the moment matters, close the iterator yourself
    (`async with contextlib.aclosing(aiter(pager)) as items`).

    Raises, while it is read:
        UnexpectedResponseError: a page is not what the API documents, or a cursor comes a second time.
        APIStatusError, APIConnectionError: as every call. A page is retried, never the list from its beginning.
    """

    def __init__(self, fetch: FetchPage[T], spawn: Spawn[T], cursor: str | None = None) -> None:
        self._fetch = fetch
        self._spawn = spawn
        self._start = cursor

    def __aiter__(self) -> AsyncGenerator[T, None]:  # noqa: PYI058 - it can be closed, and callers may want to
        return self._items()

    def __repr__(self) -> str:
        return "<AsyncPager: not read yet; iterate it with `async for`, or await it for a list>"

    def __await__(self) -> Generator[Any, None, list[T]]:
        return self._collect().__await__()

    def pages(self) -> AsyncGenerator[Page[T], None]:
        """The pages, one request each."""
        return self._pages()

    async def _collect(self) -> list[T]:
        async with aclosing(self._items()) as items:
            return [item async for item in items]

    async def _pages(self) -> AsyncGenerator[Page[T], None]:
        trail = _Trail(self._start)
        page = await self._fetch(self._start)
        while True:
            cursor = page.next_cursor
            yield page
            if cursor is None:
                return
            trail.follow(cursor)
            page = await self._fetch(cursor)

    async def _items(self) -> AsyncGenerator[T, None]:
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for item in batch:
                    yield item

    async def batches(self) -> AsyncGenerator[list[T], None]:
        """The items by half pages, each as soon as it is wanted, with the next page requested before a second half."""
        trail = _Trail(self._start)
        page = await self._fetch(self._start)
        while True:
            cursor, items, ahead = page.next_cursor, page.items, None
            del page
            try:
                half = len(items) // 2
                if half:
                    yield items[:half]
                if cursor is not None and not trail.repeats(cursor):
                    ahead = self._spawn(self._fetch(cursor))
                    # One turn of the loop sends the request, also for a consumer that never awaits.
                    await asyncio.sleep(0)
                yield items[half:]
                if cursor is None:
                    return
                trail.follow(cursor)
                page = await (ahead or self._fetch(cursor))
                del items
            finally:
                if ahead is not None and not ahead.done():
                    ahead.cancel()
                    await asyncio.wait([ahead])


class _Trail:
    """The cursors followed so far: one that comes again would lead in a circle."""

    def __init__(self, start: str | None) -> None:
        self._seen = {start}

    def repeats(self, cursor: str) -> bool:
        return cursor in self._seen

    def follow(self, cursor: str) -> None:
        if cursor in self._seen:
            raise UnexpectedResponseError(
                f"the list's cursor {cursor!r} came a second time and would repeat pages without end. What came before "
                "it is complete; resume with cursor= from a page you trust.",
                location=NEXT_CURSOR,
            )
        self._seen.add(cursor)


def single(fetch: Callable[[], Coroutine[Any, Any, list[T]]], spawn: Spawn[T]) -> AsyncPager[T]:
    """A pager over a list that the service sends whole."""

    async def only(_: str | None) -> Page[T]:
        return Page(await fetch())

    return AsyncPager(only, spawn)
