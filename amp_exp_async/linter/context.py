"""The input and the output of lint rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

import attrs
from attrs import field, frozen

from amp_exp_async.errors import Problem
from amp_exp_async.escaping import escape
from amp_exp_async.manifests.spec import FlagConfigSpec, KindName


@frozen
class Finding(Problem):
    """A likely mistake or leftover in a manifest.

    Attributes:
        file: the file; empty if the manifest was made in code.
        line: the line, from 1; 0 if it is unknown.
        field: the path in the file: `flags[3].enabled`. Without a file it starts with the key: `new-checkout.enabled`.
        message: the fact, and what to do.
        rule: the name of the rule, a key of `LINT_RULES`.
        kind: `flags` or `experiments`.
        key: the key of the flag or experiment.
        project_id: the project's ID; None if it is not declared.
    """

    rule: str = field(kw_only=True)
    kind: KindName = field(kw_only=True)
    key: str = field(kw_only=True)
    project_id: str | None = field(kw_only=True)

    def __str__(self) -> str:
        return escape(f"{super().__str__()} ({self.rule})")

    def as_json(self) -> dict[str, Any]:
        """Return the finding as plain JSON."""
        return attrs.asdict(self)


@frozen
class LintContext:
    """The input of a rule.

    Attributes:
        specs: all flags and experiments.
        now: the current time.
        days: the number of days without a change after which a rollout counts as settled.
    """

    specs: tuple[FlagConfigSpec, ...]
    now: datetime
    days: float

    @property
    def active(self) -> Iterator[FlagConfigSpec]:
        """The flags and experiments that are not archived."""
        return (spec for spec in self.specs if not spec.archived)


Matches: TypeAlias = Iterator[tuple[FlagConfigSpec, Problem]]
Rule: TypeAlias = Callable[[LintContext], Matches]
