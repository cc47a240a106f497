"""Fields that the service does not show: null counts as absent, and any other value is written."""

from __future__ import annotations

from typing import Any

import pytest

from amp_exp_async import Deployment, Flag, FlagSpec, Variant, VariantSpec
from amp_exp_async.manifests.compare import FlagDiffer, to_spec_document
from amp_exp_async.manifests.live import LiveFlag, to_live_document
from amp_exp_async.manifests.references import DeploymentResolver

NO_DEPLOYMENTS: list[Deployment] = []


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"bucketing_unit": None}, []),
        ({"bucketing_unit": "User"}, ["bucketing_unit"]),
        ({"variants": [VariantSpec(key="on", payload=None, name=None)]}, []),
        ({"variants": [VariantSpec(key="on", payload={}, name=None)]}, ["variants.on.payload"]),
    ],
)
def test_null_equals_a_field_that_the_service_omits(fields: dict[str, Any], changed: list[str]) -> None:
    """A plan becomes empty although the service omits nulls."""
    live = LiveFlag.from_listing(Flag(id="1", key="a", project_id="1", variants=[Variant(key="on")]))
    desired = to_spec_document("flags", FlagSpec(key="a", project_id="1", **fields))
    before = to_live_document(live, desired, DeploymentResolver(NO_DEPLOYMENTS))
    assert list(FlagDiffer("flags", before, desired, before_is_live=True).changes()) == changed
