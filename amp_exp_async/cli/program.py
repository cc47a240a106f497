"""What happens before a command runs: the process is prepared, and the commands are loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import cast

from amp_exp_async import __version__

from .arguments import ensure_utf8
from .collector import collect_rarely
from .signals import interrupt_on_termination
from .streams import discard_stdout, prepare_streams

COMPLETION_VARIABLE = "_AMP_EXP_COMPLETE"
"""The environment variable by which a shell asks what a TAB proposes."""


def load_command() -> Callable[..., object] | None:
    """Prepare the process, and return the program; None if nothing is left to do."""
    ensure_utf8()
    collect_rarely()
    prepare_streams()
    interrupt_on_termination()
    if sys.argv[1:2] == ["--version"]:  # whatever follows
        _show_version()
        return None
    try:
        if COMPLETION_VARIABLE in os.environ:
            _hide_rich()
        else:
            import rich  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport] - the extra may be missing
        from typer.main import get_command  # noqa: PLC0415

        from .app import app  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.exit(f"amp-exp needs {error.name}. Install it with: pip install 'amp_exp_async[cli]'")
    return get_command(app)


def _hide_rich() -> None:
    """Keep typer from loading rich, for a tenth of a second, to remove markup from help texts that have none."""
    cast("dict[str, ModuleType | None]", sys.modules)["rich"] = None


def _show_version() -> None:
    """Print the version, without loading what commands need."""
    try:
        sys.stdout.write(f"amp-exp {__version__}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
    except OSError as error:
        discard_stdout()
        sys.exit(f"standard output: {error.strerror}.")
