"""Regular expressions take a time in proportion to the length of a text, which may come from anyone."""

from __future__ import annotations

import ast
import gc
import importlib
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import amp_exp_async
from amp_exp_async.config import Secret
from amp_exp_async.formatting import redact_userinfo
from amp_exp_async.serialization.nesting import is_text_too_deep

PACKAGE = Path(amp_exp_async.__file__).parent
METHODS = frozenset({"findall", "finditer", "fullmatch", "match", "search", "split", "sub"})
# Texts that make a pattern try again and again: one piece very often, and an end that does not fit.
PIECES = [*"a0 \n-./@\"'\\#`[<", "://", "a@", "a.", '\\"', '{"', "%0"]
ENDS = ["", "\x00", "@", '"']
TEXTS = [piece * (40_000 // len(piece)) + end for piece, end in product(PIECES, ENDS)]
KEY = "canary-of-the-linear-patterns"


class TooMuchWorkError(Exception):
    pass


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise `TooMuchWorkError` if a block takes much more time of the CPU than work in proportion does.

    What is linear takes a few milliseconds here, and what is quadratic hundreds of times as long.
    """

    def stop(_: int, __: FrameType | None) -> None:
        raise TooMuchWorkError

    previous = signal.signal(signal.SIGVTALRM, stop)
    gc.disable()  # with the objects of all tests, a collection takes as long
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        gc.enable()
        signal.signal(signal.SIGVTALRM, previous)


def _use(name: str, pattern: re.Pattern[Any]) -> Callable[[Any], Any]:
    method = getattr(pattern, name)
    if name == "sub":
        return lambda text: method(text[:0], text)
    return (lambda text: sum(1 for _ in method(text))) if name == "finditer" else method


def _held(value: object) -> Iterator[re.Pattern[Any]]:
    """Yield the patterns that a constant of a module consists of."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _held(item)


def _method_calls(file: Path) -> list[tuple[str, str, ast.Call]]:
    """Return the calls of methods with the names of those of a pattern: the object, the method, and the call."""
    return [
        (ast.unparse(node.func.value), node.func.attr, node)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS
    ]


def _patterns() -> Iterator[Any]:
    """Yield each pattern that modules of the package have once they are loaded, with each method called on it."""
    for file in sorted(PACKAGE.rglob("*.py")):
        calls = _method_calls(file)
        if not calls:
            continue
        module = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        found = {
            (name, method, pattern)
            for name, value in vars(importlib.import_module(module)).items()
            for pattern in _held(value)
            for owner, method, _ in calls
            # A pattern in a tuple gets the name of a variable where it is used.
            if owner == name or (not isinstance(value, re.Pattern) and owner.islower() and owner != "re")
        }
        found |= {
            ("re", method, re.compile(call.args[0].value))
            for owner, method, call in calls
            if owner == "re" and isinstance(call.args[0], ast.Constant)
        }
        for name, method, pattern in sorted(found, key=str):
            yield pytest.param(_use(method, pattern), pattern, id=f"{module}.{name}.{method}")


@pytest.mark.parametrize(("use", "pattern"), list(_patterns()))
def test_every_pattern(use: Callable[[Any], Any], pattern: re.Pattern[Any]) -> None:
    """No pattern of the package takes more than linear time, in the way in which it is used."""
    is_text = isinstance(pattern.pattern, str)
    for text in TEXTS:
        with cpu_limit(0.5):
            use(text if is_text else text.encode())


def test_the_search_for_patterns() -> None:
    """It finds those that texts of a server meet first."""
    names = {param.id for param in _patterns()}
    assert {
        "amp_exp_async.formatting._USERINFO_RE.sub",
        "amp_exp_async.http.refusals._PATTERNS.search",
        "amp_exp_async.serialization.nesting._STRINGS_RE.sub",
        "amp_exp_async.formatting.re.sub",
    } <= names


def test_the_limit() -> None:
    """It ends a pattern that is quadratic."""
    with pytest.raises(TooMuchWorkError), cpu_limit(0.5):
        re.search("a+b", "a" * 200_000)


REDACTED = Secret(KEY, "a" * 40, "%41" * 20, '\\"' * 20)


@pytest.mark.parametrize(
    "function",
    [redact_userinfo, REDACTED.redact, lambda text: is_text_too_deep(text.encode())],
    ids=["redact_userinfo", "redact", "is_text_too_deep"],
)
def test_functions_of_foreign_texts(function: Callable[[str], object]) -> None:
    """The same holds for what removes secrets from texts, and for what looks for the reason of an error in them."""
    parts = ["%41", KEY[:-1], f"{KEY[:6]}…", "\\u0061", f"{'a' * 39}%"]  # that begin as a secret does
    for text in [*TEXTS, *(part * 2000 for part in parts)]:
        with cpu_limit(0.5):
            function(text)
