"""Time and memory of parsing a page of 1,000 flags, compared with pydantic, plain cattrs and bare JSON."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from functools import partial

import orjson
from measuring import Comparison, alternate, arguments, show, timed
from peers import PlainPage, PydanticPage, plain_converter
from sample import flags

from amp_exp_async import Flag, serialization

_COUNT = 1_000


def _retained(work: Callable[[], object]) -> float:
    """Return the memory of the result per flag, in bytes."""
    gc.collect()
    tracemalloc.start()
    result = work()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return size / _COUNT


def main() -> None:
    """Compare time and retained memory."""
    options = arguments(__doc__, rounds=31).parse_args()
    body = orjson.dumps({"flags": flags(_COUNT), "nextCursor": "1000"})
    converter = plain_converter()
    with asyncio.Runner() as runner:

        def ours() -> object:
            return runner.run(serialization.parse_page(Flag, "flags", body)).items

        def pydantic() -> object:
            return PydanticPage.model_validate(orjson.loads(body)).flags

        def pydantic_json() -> object:
            return PydanticPage.model_validate_json(body).flags

        baselines: dict[str, Callable[[], object]] = {
            "pydantic, of orjson.loads": pydantic,
            "pydantic, model_validate_json": pydantic_json,
            "plain cattrs": lambda: converter.structure(orjson.loads(body), PlainPage),
            "orjson.loads alone": lambda: orjson.loads(body),
        }
        for name, baseline in baselines.items():
            pairs = alternate(partial(timed, ours), partial(timed, baseline), options.rounds)
            cpu = [(first.cpu, second.cpu) for first, second in pairs]
            show(Comparison(f"structuring against {name}", cpu), as_json=options.json)
        for name, baseline in (
            ("pydantic, of orjson.loads", pydantic),
            ("pydantic, model_validate_json", pydantic_json),
        ):
            sizes = alternate(partial(_retained, ours), partial(_retained, baseline), 3)
            show(Comparison(f"retained memory of a flag against {name}", sizes, "B"), as_json=options.json)


if __name__ == "__main__":
    main()
