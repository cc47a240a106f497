"""Fields that the service does not show: null is as good as not there; a value is written, since nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import Deployment, Flag, FlagSpec, Variant, VariantSpec
from amp_exp_async.manifests.compare import Comparison
from amp_exp_async.manifests.names import Labels
from amp_exp_async.manifests.present import present

NOTHING: list[Deployment] = []


@pytest.mark.parametrize(
    ("declared", "changed"),
    [
        ({"bucketing_unit": None}, []),
        ({"bucketing_unit": "User"}, ["bucketing_unit"]),
        ({"variants": [VariantSpec(key="on", payload=None, name=None)]}, []),
        ({"variants": [VariantSpec(key="on", payload={}, name=None)]}, ["variants.on.payload"]),
    ],
)
def test_null_is_not_there(declared: dict[str, Any], changed: list[str]) -> None:
    """So that a plan becomes empty where the service leaves nulls out."""
    there = present(Flag(id="1", key="a", project_id="1", variants=[Variant(key="on")]))
    change = Comparison("flags", FlagSpec(key="a", project_id="1", **declared), there, Labels(NOTHING)).change()
    assert list(change.fields if change else []) == changed
