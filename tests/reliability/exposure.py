"""A search for secrets in errors and logs, while tests that know the secrets are running."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.leaks import chain, leaks

_TESTS = Path(__file__).parents[1]


def find_secrets(error: BaseException, secrets: Sequence[str]) -> list[str]:
    """Return where a secret shows in an error, apart from the frames of tests, which know the secrets.

    The error's traceback is of no use afterwards.
    """
    for exception in chain(error):
        exception.__traceback__ = _without_tests(exception.__traceback__)
    return leaks(error, *secrets)


def _without_tests(frame: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of tests."""
    while frame is not None and Path(frame.tb_frame.f_code.co_filename).is_relative_to(_TESTS):
        frame = frame.tb_next
    if frame is not None:
        frame.tb_next = _without_tests(frame.tb_next)
    return frame


class LogWatch(logging.Handler):
    """A handler that reads every log record of the process at every level.

    Args:
        secrets: what must not be in them. More may be added at any time.

    Attributes:
        found: the records that show a secret.
        records: how many records there were.
    """

    def __init__(self, secrets: list[str]) -> None:
        super().__init__(logging.NOTSET)
        self.secrets = secrets
        self.found: list[str] = []
        self.records = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Read a record as a formatter does, with its exception."""
        self.records += 1
        text = self.format(record)
        if any(secret in text for secret in self.secrets):
            self.found.append(text)
