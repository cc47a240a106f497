"""The encoding of an edit with three target segments."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from amp_exp_async import Condition, Segment, serialization

from .figures import Figure, ratio
from .measurement import Size, alternate, timed


def encoding(size: Size) -> Iterator[Figure]:
    """Measure what the body of an edit costs, against orjson of dicts that have the JSON field names already."""
    count, rounds = size.pick(10, 2_000, 5_000), size.pick(1, 9, 21)
    segments = [
        Segment(
            name=f"Segment {number}",
            conditions=[Condition(prop="country", op="is", values=["US", "DE"])],
            percentage=50,
            rollout_weights={"control": 1, "treatment": 3},
        )
        for number in range(3)
    ]
    document = {"targetSegments": serialization.to_json(segments)}

    def ours() -> None:
        for _ in range(count):
            serialization.encode({"target_segments": segments})

    def baseline() -> None:
        for _ in range(count):
            orjson.dumps(document)

    pairs = alternate(lambda: timed(ours, count), lambda: timed(baseline, count), rounds)
    yield ratio("body of an edit with three segments", "orjson.dumps of dicts", pairs)
    yield Figure(
        what="body of an edit with three segments",
        measure="CPU over ready bytes",
        values=[ours.cpu for ours, _ in pairs],
        unit="s",
    )
