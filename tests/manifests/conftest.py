"""The settings of Hypothesis for these tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "manifests", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("manifests")
