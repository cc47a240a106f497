"""The result of a command, and the types of the fixtures that run commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from amp_exp_async.emulator import Emulator


class CommandResult:
    """The exit status and the output of a command."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document."""
        return json.loads(self.out)


RunCommand: TypeAlias = Callable[..., CommandResult]


def writes(emulator: Emulator) -> list[str]:
    """Return the methods of the requests that may write."""
    return [request.method for request in emulator.requests if request.method != "GET"]
