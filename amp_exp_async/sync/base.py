"""How a blocking class is made from an async one without writing anything twice."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from amp_exp_async.models import Page
from amp_exp_async.pagination import AsyncPager

from .portal import BlockingPortal

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


class SyncResource(Generic[A_co]):
    """An async resource, and the portal to the event loop in which it lives."""

    def __init__(self, resource: A_co, portal: BlockingPortal) -> None:
        self._resource = resource
        self._portal = portal


def as_sync(method: Callable[Concatenate[A, P], Awaitable[R]]) -> Callable[Concatenate[SyncResource[A], P], R]:
    """The blocking method for an async one: the same signature and docstring, and the result itself."""

    @functools.wraps(method)
    def call(self: SyncResource[A], /, *args: P.args, **kwargs: P.kwargs) -> R:
        # A generator of the caller's may belong to the caller's thread.
        work: Callable[..., Awaitable[R]] = method
        given = [_read(value) for value in args]
        named = {name: _read(value) for name, value in kwargs.items()}
        return self._portal.call(lambda: work(self._resource, *given, **named))

    return call


def _read(value: object) -> object:
    return list(cast("Iterator[object]", value)) if isinstance(value, Iterator) else value


def copy_signature(method: Any) -> Callable[[F], F]:
    """Give a blocking method that has to be written out the signature and docstring of the async one."""

    def decorate(ours: F) -> F:
        functools.update_wrapper(ours, method)
        return ours

    return decorate


def as_sync_pager(
    method: Callable[Concatenate[A, P], AsyncPager[T]],
) -> Callable[Concatenate[SyncResource[A], P], Pager[T]]:
    """The blocking method for one that returns a pager."""

    @functools.wraps(method)
    def call(self: SyncResource[A], /, *args: P.args, **kwargs: P.kwargs) -> Pager[T]:
        return Pager(method(self._resource, *args, **kwargs), self._portal)

    return call


class Pager(Generic[T]):
    """A list that has not been read yet. Every way of reading it sends its own requests.

    - `for item in pager`: all items. The next page is requested while you work through the second half of the present
      one; at most two pages are in memory.
    - `for page in pager.pages()`: whole pages, one request each, with the cursor to go on from.

    Leaving a loop early sends nothing more.
    """

    def __init__(self, pager: AsyncPager[T], portal: BlockingPortal) -> None:
        self._pager = pager
        self._portal = portal

    def __repr__(self) -> str:
        return "<Pager: not read yet; iterate it, or make a list of it>"

    def __iter__(self) -> Iterator[T]:
        return (item for batch in iter_over_async(self._portal, self._pager.batches) for item in batch)

    def pages(self) -> Iterator[Page[T]]:
        """The pages, one request each."""
        return iter_over_async(self._portal, self._pager.pages)


def iter_over_async(portal: BlockingPortal, start: Callable[[], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
    source = start()
    generation = portal.generation
    try:
        while True:
            portal.check_not_forked(generation)
            try:
                item = portal.call(source.__anext__)
            except StopAsyncIteration:
                return
            yield item
    finally:
        # Where nobody can wait (the client is closed, or this is its own thread collecting garbage), the loop ends the
        # generator by itself.
        if not portal.closed and not portal.in_loop_thread() and generation == portal.generation:
            portal.call(source.aclose)
