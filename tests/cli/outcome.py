"""What came of a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from amp_exp_async.emulator import Emulator


class Outcome:
    """What a command has printed, and its exit status."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON object and nothing else."""
        return json.loads(self.out)


AmpExp: TypeAlias = Callable[..., Outcome]
Users: TypeAlias = Callable[..., Outcome]


def written(emulator: Emulator) -> list[str]:
    """The methods of the requests that were no reading."""
    return [request.method for request in emulator.requests if request.method != "GET"]
