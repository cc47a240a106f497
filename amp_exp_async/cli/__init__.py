"""The command line, `amp-exp`. It needs the extra `cli`."""

from __future__ import annotations

import io
import os
import sys

from amp_exp_async import __version__

_INTERRUPTED = 130


def main() -> None:
    """Run `amp-exp`."""
    _open_closed_streams()
    if sys.argv[1:] == ["--version"]:
        # Without loading what commands need.
        sys.stdout.write(f"amp-exp {__version__}\n")
        return
    output: object = sys.stdout
    if isinstance(output, io.TextIOWrapper):
        # An exported file must be UTF-8 whatever the locale is, and half an emoji must not end a command half-way.
        output.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        import rich  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport] - the extra may be missing
        from typer.main import get_command  # noqa: PLC0415

        from .app import app  # noqa: PLC0415

        command = get_command(app)
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.exit(f"amp-exp needs {error.name}. Install it with: pip install 'amp_exp_async[cli]'")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Nothing was changed.\n")
        sys.exit(_INTERRUPTED)
    command(prog_name="amp-exp")


def _open_closed_streams() -> None:
    """Open the null device for streams that the caller closed (`>&-`)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - open until exit
