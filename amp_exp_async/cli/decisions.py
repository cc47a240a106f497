"""`amp-exp experiments roll-out` and `roll-back`: ending an experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import typer

from amp_exp_async import Experiment, validation
from amp_exp_async.resources.rollout import with_rollback, with_rollout

from .command import command
from .naming import Name, Named, Naming, read
from .options import DryRun, Yes
from .section import EXPERIMENTS
from .session import Session
from .writing import carry_out, edit_of

Reason: TypeAlias = Annotated[str, typer.Option(metavar="TEXT", help="Why.")]


def add_decisions(app: typer.Typer) -> None:
    """Add the commands that end an experiment."""

    @command(app, "roll-out")
    def roll_out(
        session: Session,
        *,
        flag: Name,
        variant: Annotated[str, typer.Argument(metavar="VARIANT", help="The key of the variant that has won.")],
        reason: Reason,
        everyone: Annotated[bool, typer.Option("--everyone", help="To users whom no segment targets, too.")] = False,
        naming: Naming,
        dry_run: DryRun = False,
        yes: Yes = False,
    ) -> None:
        """End an experiment, and give one variant to all whom it targets. It asks first."""
        key, why = validation.key("variant", variant), validation.string("--reason", reason)

        def change(experiment: Any) -> Experiment:
            return with_rollout(experiment, key, why, everyone=everyone)

        _decide(session, naming.of(flag), change, dry_run=dry_run, yes=yes)

    @command(app, "roll-back")
    def roll_back(
        session: Session, *, flag: Name, reason: Reason, naming: Naming, dry_run: DryRun = False, yes: Yes = False
    ) -> None:
        """End an experiment, and give no variant to anybody. It asks first."""
        why = validation.string("--reason", reason)
        _decide(session, naming.of(flag), lambda experiment: with_rollback(experiment, why), dry_run=dry_run, yes=yes)


def _decide(session: Session, name: Named, change: Callable[[Any], Experiment], *, dry_run: bool, yes: bool) -> None:
    before = read(session.client.experiments, name)
    write = edit_of(session, EXPERIMENTS, before, change(before))
    carry_out(session, [write], dry_run=dry_run, question="End this experiment?", yes=yes)
