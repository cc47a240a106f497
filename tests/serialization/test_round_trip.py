"""Any document to a model and back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings

from amp_exp_async import UNSET, parse, serialization, to_json
from tests.serialization.strategies import ALL_MODELS, SEARCHES, documents


@SEARCHES
@pytest.mark.parametrize("model", ALL_MODELS, ids=str)
def test_any_document_is_written_back_unchanged(model: Any, examples: int) -> None:
    """Null, missing and unknown fields are not lost, invented or reordered at any level."""

    @settings(deadline=None, max_examples=examples)
    @given(documents(model))
    def check(document: dict[str, Any]) -> None:
        before = copy.deepcopy(document)
        parsed = parse(model, document)
        assert to_json(parsed) == before
        assert document == before
        assert parse(model, to_json(parsed)) == parsed
        assert json.loads(serialization.encode({"the_model": [parsed], "name": UNSET})) == {"theModel": [before]}

    check()
