"""Fixtures of the tests of serialization."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amp_exp_async.serialization import decoding


@pytest.fixture(autouse=True)
def nothing_learned() -> Iterator[None]:
    """Start each test without extra fields that other tests have shown."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_decoders", decoding._Decoders(decoding._Known()))
        yield
