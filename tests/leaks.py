"""A search for secrets in everything that an exception leads to, as error reporters and debuggers show it."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType

from rich.traceback import Traceback


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, its causes and its contexts, including those that a traceback does not show."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = (current.__cause__, current.__context__, getattr(current, "os_error", None))
        waiting += [other for other in linked if other is not None]
        waiting += getattr(current, "exceptions", ())


def leaks(error: BaseException, *secrets: str) -> list[str]:
    """Return where one of the secrets shows.

    Args:
        error: the exception.
        secrets: the secrets. The frames of the test are searched too, so its local variables must not hold them.
    """
    places = []
    for linked in chain(error):
        name = type(linked).__name__
        texts = {"str": str(linked), "repr": repr(linked), "args": repr(linked.args), "vars": repr(vars(linked))}
        texts["notes"] = repr(getattr(linked, "__notes__", ()))
        places += [f"{source} of {name}" for source, text in texts.items() if _shows(text, secrets)]
        for frame, line in traceback.walk_tb(linked.__traceback__):
            variables = _variables(frame, secrets)
            places += [f"{variable} in {frame.f_code.co_qualname}:{line} of {name}" for variable in variables]
    return places + [renderer for renderer, text in _renderings(error) if _shows(text, secrets)]


def _variables(frame: FrameType, secrets: Iterable[str]) -> list[str]:
    return [name for name, value in frame.f_locals.items() if any(_shows(text, secrets) for text in _texts(value))]


def _texts(value: object, depth: int = 4) -> Iterator[str]:
    """Yield the repr of a value and, as error reporters do, those of its items."""
    try:
        yield repr(value)
    except Exception as error:  # noqa: BLE001 - such tools show the exception
        yield repr(error)
    if not depth:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key, depth - 1)
            yield from _texts(item, depth - 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item, depth - 1)


def _renderings(error: BaseException) -> Iterator[tuple[str, str]]:
    yield "traceback", "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    # What rich prints, without the colours and frames, which take long.
    trace = Traceback.extract(
        type(error),
        error,
        error.__traceback__,
        show_locals=True,
        locals_max_length=None,  # type: ignore[arg-type] # no limit
        locals_max_string=None,  # type: ignore[arg-type] # no limit
    )
    for stack in trace.stacks:
        variables = [node.render() for frame in stack.frames for node in (frame.locals or {}).values()]
        yield "rich", "\n".join([stack.exc_value, *map(str, getattr(stack, "notes", ())), *variables])


def _shows(text: str, secrets: Iterable[str]) -> bool:
    return any(secret in text for secret in secrets)
