"""Hypothesis, as these tests use it."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "declarative", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("declarative")
