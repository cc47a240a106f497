"""The command line, `amp-exp`. It needs the extra `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `amp-exp`."""
    try:
        from .app import app  # noqa: PLC0415 - what the extra brings may be missing
    except ModuleNotFoundError as missing:
        if missing.name not in {"rich", "typer"}:
            raise
        sys.exit(f"amp-exp needs {missing.name}: install it with  pip install 'amp_exp_async[cli]'")
    app()
