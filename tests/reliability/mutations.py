"""Hypothesis strategies for damaged input: JSON values, bytes and text that were right before a few random changes."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

MAX_CHANGES = 3

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["", "id", "on", "2026-01-02T03:04:05Z", "-1", "OK", "flags", "\ud800", "\x00"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged_values(draw: st.DrawFn, value: Any) -> Any:
    """Draw a JSON value in which a few places have another value, are missing, or are there twice."""
    root = [copy.deepcopy(value)]
    for _ in range(draw(st.integers(1, MAX_CHANGES))):
        container, key = draw(st.sampled_from(_places(root)))
        action = draw(st.sampled_from(["replace", "replace", "delete", "repeat", "wrap"]))
        if action == "replace":
            container[key] = draw(values)
        elif action == "wrap":
            container[key] = draw(st.sampled_from([[container[key]], {"a": container[key]}]))
        elif action == "repeat" and isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        elif container is not root:
            del container[key]
    return root[0]


def _places(root: list[Any]) -> list[tuple[Any, Any]]:
    """Return the containers of a value, each with each of its keys or indexes."""
    places: list[tuple[Any, Any]] = []
    left: list[Any] = [root]
    while left:
        container = left.pop()
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for key, item in items:
            places.append((container, key))
            if isinstance(item, dict | list):
                left.append(item)
    return places


@st.composite
def damaged_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw bytes in which a few places were replaced, removed, repeated or cut off."""
    damaged = bytearray(data)
    for _ in range(draw(st.integers(1, MAX_CHANGES))):
        start = draw(st.integers(0, len(damaged)))
        end = min(len(damaged), start + draw(st.integers(0, 40)))
        action = draw(st.sampled_from(["replace", "insert", "delete", "repeat", "cut"]))
        if action == "replace":
            damaged[start:end] = draw(st.binary(max_size=8))
        elif action == "insert":
            damaged[start:start] = draw(st.binary(max_size=8) | st.sampled_from(TOKENS))
        elif action == "delete":
            del damaged[start:end]
        elif action == "repeat":
            damaged[start:start] = damaged[start:end] * draw(st.integers(1, 3))
        else:
            del damaged[start:]
    return bytes(damaged)


TOKENS = (
    b"\r\n",
    b"\n",
    b"\x00",
    b"\xff",
    b": ",
    b"HTTP/1.1 200 OK\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Location: http://127.0.0.1/\r\n",
    b"Connection: close\r\n",
    b"0\r\n\r\n",
    b"{",
    b"}",
    b"[",
    b'"',
    b"null",
    b"- ",
    b"&a ",
    b"*a",
    b"!!python/object:os.system ",
)
"""What matters to some parser."""
