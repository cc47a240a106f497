"""The command line, `amp-exp`. It needs the extra `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `amp-exp`."""
    try:
        # Imported here, because Ctrl-C may come meanwhile.
        from .program import load_command  # noqa: PLC0415

        command = load_command()
    except KeyboardInterrupt:
        from .signals import interrupt_status  # noqa: PLC0415

        sys.stderr.write("Interrupted. Nothing was changed.\n")
        sys.exit(interrupt_status())
    if command is not None:
        command(prog_name="amp-exp")
