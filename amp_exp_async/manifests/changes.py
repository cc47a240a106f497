"""Changes to look at."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import get_args

from attrs import frozen

from amp_exp_async.errors import Problem

from .change import Action, ResourceChange
from .render import markdown, text


@frozen(kw_only=True)
class Changes:
    """Changes to look at. It is falsy when there are none. `print` it for a diff, in colour on a terminal.

    Attributes:
        changes: a `ResourceChange` for each flag and experiment.
    """

    changes: tuple[ResourceChange, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        return text(self.changes, self._noted, self.summary, colour=colour)

    @property
    def _noted(self) -> tuple[Problem, ...]:
        """What to look at beside them."""
        return ()

    @property
    def summary(self) -> str:
        """How many there are of which sort, in words."""
        counted = Counter(change.action for change in self.changes)
        return ", ".join(f"{counted[one]} to {one}" for one in get_args(Action) if counted[one]) or "no changes"

    def to_markdown(self) -> str:
        """The changes for a comment on a pull request."""
        return markdown(self.changes, self._noted, self.summary)
