"""A page of 1,000 flags, from bytes to models: time, and the memory of the models."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

import orjson

from amp_exp_async import Flag, serialization

from .figures import Figure, ratio
from .measurement import Size, alternate, timed
from .peers import PlainPage, PydanticPage, make_plain_converter
from .sample_flags import make_flags


def page(size: Size) -> Iterator[Figure]:
    """Measure the parser of pages against orjson alone, and against parsers that keep unknown fields."""
    count, rounds = size.pick(10, 1_000, 1_000), size.pick(1, 15, 31)
    body = orjson.dumps({"flags": make_flags(count), "nextCursor": "1000"})
    converter = make_plain_converter()
    with asyncio.Runner() as runner:

        def ours() -> object:
            return runner.run(serialization.parse_page(Flag, "flags", body)).items

        def pydantic() -> object:
            return PydanticPage.model_validate(orjson.loads(body)).flags

        baselines: dict[str, Callable[[], object]] = {
            "orjson.loads": lambda: orjson.loads(body),
            "pydantic of orjson.loads": pydantic,
            "pydantic's model_validate_json": lambda: PydanticPage.model_validate_json(body).flags,
            "plain cattrs": lambda: converter.structure(orjson.loads(body), PlainPage),
        }
        for name, baseline in baselines.items():
            pairs = alternate(partial(timed, ours), partial(timed, baseline), rounds)
            yield ratio(f"page of {count:,} flags", name, pairs)
        sizes = alternate(partial(_retained, ours, count), partial(_retained, pydantic, count), size.pick(1, 3, 3))
        yield Figure(
            what="memory of a flag",
            measure="bytes ÷ pydantic",
            values=[first / second for first, second in sizes],
            ours=[first for first, _ in sizes],
            baseline=[second for _, second in sizes],
            against="pydantic",
            quantity="B",
        )


def _retained(work: Callable[[], object], count: int) -> float:
    """Return the memory of the result, in bytes per flag."""
    gc.collect()
    tracemalloc.start()
    result = work()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return size / count
