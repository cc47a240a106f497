"""aioresponses 0.7.9 on aiohttp 3.14 and later, which gives responses an argument more.

It can go once aioresponses passes `stream_writer` by itself (its issue 289, pull request 288).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from unittest.mock import Mock, patch

import aiohttp
from aioresponses import aioresponses


class _Response(aiohttp.ClientResponse):
    __init__ = partialmethod(aiohttp.ClientResponse.__init__, stream_writer=Mock(output_size=0))  # type: ignore[assignment]  # a method made by a descriptor


@contextmanager
def mocked() -> Iterator[aioresponses]:
    """aiohttp's client answers by what is registered, and by nothing else."""
    with patch("aioresponses.core.ClientResponse", _Response), aioresponses() as mock:
        yield mock
