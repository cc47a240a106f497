"""Decorators that derive a blocking class from an async one, so that nothing is written twice."""

# The decorators below are part of `SyncResource`.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import functools
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from amp_exp_async import validation
from amp_exp_async.http import hide_headers
from amp_exp_async.inherited_methods import name_inherited_methods
from amp_exp_async.models import Page
from amp_exp_async.pagination import AsyncPager

from .portal import BlockingPortal

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


# The methods that return a run, which is waited for instead of awaited.
_RUNS = frozenset({"add_many", "remove_many", "replace", "bulk", "apply"})
_AWAITED_RUN = re.compile(r"await (.+?)(`|$)", re.MULTILINE)
_ASYNC_WORD = re.compile(r"\b(?:await|async(?= (?:for|with)\b)) ")
_ASYNC_NAME = re.compile(r"\bAsync(?=[A-Z][a-z])")


def blocking_text(text: str, *, returns_run: bool = False) -> str:
    """Return the docstring of an async method as that of its blocking form.

    Args:
        text: the docstring.
        returns_run: whether the method returns a run.
    """
    if returns_run:
        text = _AWAITED_RUN.sub(r"\1.wait()\2", text).replace("iterated or awaited", "iterated or waited for")
    return _ASYNC_NAME.sub("", _ASYNC_WORD.sub("", text))


class SyncResource(Generic[A_co]):
    """An async resource, and the portal to the event loop in which it lives."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, member in vars(cls).items():
            if callable(member) and hasattr(member, "__wrapped__"):  # derived from an async method
                member.__module__, member.__qualname__ = cls.__module__, f"{cls.__qualname__}.{name}"
                member.__doc__ = blocking_text(member.__doc__ or "", returns_run=name in _RUNS)
        name_inherited_methods(cls)

    def __init__(self, resource: A_co, portal: BlockingPortal) -> None:
        self._resource = resource
        self._portal = portal

    def __repr__(self) -> str:
        return repr(self._resource).replace("<Async", "<", 1)


def as_sync(method: Callable[Concatenate[A, P], Awaitable[R]]) -> Callable[Concatenate[SyncResource[A], P], R]:
    """Return the blocking form of an async method, with its signature and docstring."""

    @functools.wraps(method)
    def call(self: SyncResource[A], /, *args: P.args, **kwargs: P.kwargs) -> R:
        work = _bind(method, self._resource, args, kwargs)
        # Headers may hold secrets, and a traceback could show them.
        del args, kwargs
        try:
            return self._portal.call(work)
        except TypeError as error:
            name_class(error, method, self)
            raise

    return call


def _bind(
    method: Callable[..., Awaitable[R]], resource: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Callable[[], Awaitable[R]]:
    """Return a function without arguments that calls a method."""
    values = [_read_iterator(value) for value in args]
    named = {name: _read_iterator(value) for name, value in kwargs.items()}
    if "extra_headers" in named:
        named["extra_headers"] = hide_headers(named["extra_headers"])  # a traceback could show this function
    return lambda: method(resource, *values, **named)


def name_class(error: TypeError, method: Callable[..., object], owner: object) -> None:
    """If the arguments do not fit a method, let the message name the class of the owner, not that of the method."""
    resource: object = vars(owner).get("_resource", owner)  # a client whose creation failed has none
    for qualname in (method.__qualname__, f"{type(resource).__qualname__}.{method.__name__}"):
        if str(error).startswith(f"{qualname}()"):
            error.args = (f"{type(owner).__name__}.{method.__name__}{str(error).removeprefix(qualname)}",)
            return


def _read_iterator(value: object) -> object:
    # A generator of the caller may depend on the caller's thread.
    if validation.is_file(value) or not isinstance(value, Iterator):
        return value
    return list(cast("Iterator[object]", value))


def copy_signature(method: Any) -> Callable[[F], F]:
    """Return a decorator that gives a hand-written blocking method the async method's signature and docstring."""

    def decorate(function: F) -> F:
        @functools.wraps(method)
        def call(self: object, /, *args: Any, **kwargs: Any) -> Any:
            try:
                return function(self, *args, **kwargs)
            except TypeError as error:
                name_class(error, function, self)
                raise

        return cast("F", call)

    return decorate


def as_sync_pager(
    method: Callable[Concatenate[A, P], AsyncPager[T]],
) -> Callable[Concatenate[SyncResource[A], P], Pager[T]]:
    """Return the blocking form of a method that returns an `AsyncPager`."""

    @functools.wraps(method)
    def call(self: SyncResource[A], /, *args: P.args, **kwargs: P.kwargs) -> Pager[T]:
        try:
            return Pager(method(self._resource, *args, **kwargs), self._portal)
        except TypeError as error:
            name_class(error, method, self)
            raise
        finally:
            # Headers may hold secrets, and a traceback could show them.
            del args, kwargs

    return call


def as_sync_generator(
    method: Callable[Concatenate[A, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[SyncResource[A], P], Generator[T, None, None]]:
    """Return the blocking form of a method that returns an async generator."""

    @functools.wraps(method)
    def call(self: SyncResource[A], /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        try:
            source = method(self._resource, *args, **kwargs)
        except TypeError as error:
            name_class(error, method, self)
            raise
        return iter_over_async(self._portal, lambda: source)

    return call


class Pager(Generic[T]):
    """A list that has not been read yet. Each way of reading it sends its own requests.

    - `for item in pager` yields all items. The next page is requested while you work through the second
      half of the current one, so at most two pages are in memory.
    - `for page in pager.pages()` yields whole pages, one request each, with the cursor to continue from.

    Leaving a loop early sends no further request. A notebook shows the first page as a table, which is one request.
    """

    def __init__(self, pager: AsyncPager[T], portal: BlockingPortal) -> None:
        self._pager = pager
        self._portal = portal

    def __repr__(self) -> str:
        return "<Pager: not read yet; iterate it, or call list() on it>"

    def _repr_html_(self) -> str:
        with closing(iter_over_async(self._portal, self._pager.pages)) as pages:
            page = next(pages)
        rest = "" if page.next_cursor is None else "<p>This is the first page. Iterate the list to read all of it.</p>"
        return f"{page._repr_html_()}{rest}"  # pyright: ignore[reportPrivateUsage] - of our own model

    def __iter__(self) -> Iterator[T]:
        return (item for batch in iter_over_async(self._portal, self._pager.half_pages) for item in batch)

    def pages(self) -> Iterator[Page[T]]:
        """Yield the pages, one request each."""
        return iter_over_async(self._portal, self._pager.pages)


def iter_over_async(portal: BlockingPortal, start: Callable[[], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
    """Yield the items of an async generator that runs in the portal's event loop."""
    source = start()
    pid = portal.pid
    try:
        while True:
            portal.check_not_forked(pid)
            try:
                item = portal.call(source.__anext__)
            except StopAsyncIteration:
                return
            yield item
    finally:
        # If this thread cannot wait (the client is closed, or the loop's own thread collects garbage), the loop
        # closes the generator by itself.
        if not portal.closed and not portal.in_loop_thread() and pid == portal.pid:
            portal.call(source.aclose)
