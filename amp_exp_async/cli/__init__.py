"""The command line, `amp-exp`. It needs the extra `cli`."""

from __future__ import annotations

import io
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run `amp-exp`."""
    output: object = sys.stdout
    if isinstance(output, io.TextIOWrapper):
        # What the output cannot hold must not end the command half way.
        output.reconfigure(errors="backslashreplace")
    try:
        from .app import app  # noqa: PLC0415 - what the extra brings may be missing
    except ModuleNotFoundError as missing:
        if missing.name not in {"rich", "typer"}:
            raise
        sys.exit(f"amp-exp needs {missing.name}: install it with  pip install 'amp_exp_async[cli]'")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Nothing was changed.\n")
        sys.exit(_INTERRUPTED)
    app(prog_name="amp-exp")
