"""aioresponses 0.7.9 for aiohttp 3.14 and later, whose responses have another argument.

Delete this module when aioresponses passes `stream_writer` (its issue 289, pull request 288).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partialmethod
from unittest.mock import Mock, patch

import aiohttp
from aioresponses import aioresponses

_NEEDS_WRITER = "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters


class _Response(aiohttp.ClientResponse):
    __init__ = partialmethod(aiohttp.ClientResponse.__init__, stream_writer=Mock(output_size=0))  # type: ignore[assignment]  # a method made by a descriptor


@contextmanager
def mocked() -> Iterator[aioresponses]:
    """Replace the responses of aiohttp's client by registered ones."""
    replaced = patch("aioresponses.core.ClientResponse", _Response) if _NEEDS_WRITER else nullcontext()
    with replaced, aioresponses() as mock:
        yield mock
