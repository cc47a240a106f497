"""Time of `import amp_exp_async` compared with `import aiohttp`, each in a new interpreter."""

from __future__ import annotations

import subprocess
import sys

from measuring import Comparison, alternate, arguments, show

_PROGRAM = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def _seconds(module: str) -> float:
    program = [sys.executable, "-c", _PROGRAM.format(module)]
    return float(subprocess.run(program, capture_output=True, check=True, text=True, timeout=60).stdout)


def main() -> None:
    """Compare the import times."""
    options = arguments(__doc__, rounds=21).parse_args()
    pairs = alternate(lambda: _seconds("amp_exp_async"), lambda: _seconds("aiohttp"), options.rounds)
    show(Comparison("import amp_exp_async against import aiohttp", pairs), as_json=options.json)


if __name__ == "__main__":
    main()
