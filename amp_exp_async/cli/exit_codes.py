"""Exit statuses."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit statuses of all commands."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CHANGES = 3


FIRST_SIGNAL_STATUS = 128
"""A shell reports the end by a signal as this number plus that of the signal."""

EXIT_STATUSES = (
    "Exit status: 0 success; 1 failure; 2 invalid command, option or file; "
    "3 changes found (with --detailed-exitcode); 130 interrupted with Ctrl-C (129 by SIGHUP, 143 by SIGTERM)."
)
