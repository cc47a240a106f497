"""What a rule has found, and what a rule looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

import attrs
from attrs import frozen

from amp_exp_async.errors import Problem
from amp_exp_async.manifests.spec import FlagConfigSpec, KindName


@frozen(kw_only=True)
class Finding(Problem):
    """Something that is likely a mistake, or is there for nothing.

    Attributes:
        file: the file; empty where there is none.
        line: the line, from 1; 0 where there is none.
        field: the place in it: `flags[3].enabled`; where there is no file, `new-checkout.enabled`.
        message: what it is, and what to do.
        rule: the rule that found it, a name in `LINT_RULES`.
        kind: `flags` or `experiments`.
        key: the flag's or experiment's key.
        project_id: its project's id; None where it is not declared.
    """

    rule: str
    kind: KindName
    key: str
    project_id: str | None

    def __str__(self) -> str:
        return f"{super().__str__()} ({self.rule})"

    def as_json(self) -> dict[str, Any]:
        """The finding as plain JSON."""
        return attrs.asdict(self)


@frozen
class Whole:
    """What a rule looks at.

    Attributes:
        toggles: the flags and the experiments.
        now: the moment that counts as now.
        days: after how many days without a change a rollout counts as settled.
    """

    toggles: tuple[FlagConfigSpec, ...]
    now: datetime
    days: float

    @property
    def live(self) -> Iterator[FlagConfigSpec]:
        """Those that are not archived."""
        return (toggle for toggle in self.toggles if not toggle.archived)


Found: TypeAlias = Iterator[tuple[FlagConfigSpec, Problem]]
Rule: TypeAlias = Callable[[Whole], Found]
