"""Fixtures that the tests of settings share."""

from __future__ import annotations

import pytest

from tests.unit.settings import BASE_URL_VARIABLE, BETA_BASE_URL_VARIABLE, KEY_VARIABLE, REGION_VARIABLE


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those that a test makes."""
    for variable in (KEY_VARIABLE, REGION_VARIABLE, BASE_URL_VARIABLE, BETA_BASE_URL_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
