"""The command line, `amp-exp`. It needs the extra `cli`."""

from __future__ import annotations

import io
import os
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run `amp-exp`."""
    _open_streams()
    output: object = sys.stdout
    if isinstance(output, io.TextIOWrapper):
        # What the output cannot hold must not end the command half way.
        output.reconfigure(errors="backslashreplace")
    try:
        from typer.main import get_command  # noqa: PLC0415 - what the extra brings may be missing

        from .app import app  # noqa: PLC0415

        command = get_command(app)
    except ModuleNotFoundError as missing:
        if missing.name not in {"rich", "typer"}:
            raise
        sys.exit(f"amp-exp needs {missing.name}: install it with  pip install 'amp_exp_async[cli]'")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Nothing was changed.\n")
        sys.exit(_INTERRUPTED)
    command(prog_name="amp-exp")


def _open_streams() -> None:
    """Where the caller has closed a stream (`>&-`) there is nothing to read, and what is said goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process
