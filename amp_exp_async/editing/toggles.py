"""Flags and experiments with guarded edits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from amp_exp_async import resources, validation
from amp_exp_async.http import Transport
from amp_exp_async.models import Experiment, Flag, FlagConfig
from amp_exp_async.resources import Kind

from .decisions import rolled_back, rolled_out
from .guarded import Guarded
from .sections import AsyncSegments, AsyncTags

FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)


class AsyncFlagConfigs(resources.AsyncFlagConfigs[FlagConfigT_co]):
    """What `client.flags` and `client.experiments` have in common, with guarded edits.

    Attributes:
        segments: its target segments, one at a time.
        tags: its tags, one at a time.
    """

    def __init__(self, transport: Transport, kind: Kind[FlagConfigT_co]) -> None:
        super().__init__(transport, kind)
        self.segments = AsyncSegments(transport, kind)
        self.tags = AsyncTags(transport, kind)

    async def guarded_edit(
        self,
        id: str,
        change: Callable[[FlagConfigT_co], FlagConfigT_co | Awaitable[FlagConfigT_co]],
        *,
        base: FlagConfig | None = None,
        dry_run: bool = False,
    ) -> FlagConfigT_co:
        """Change it where others change it too: only what differs is sent, and nothing of theirs is overwritten.

        It is read; `change` makes a changed copy of it; it is read again; what both sides have changed is merged: tags
        as a set, target segments by their names, other fields as one piece. The fields that differ are written with
        `PATCH /{kind}/{id}`, and it is read once more, to see that they are there. That is four requests, and one where
        nothing differs. Guarded edits of one client on one flag take turns.

        The service cannot write on a condition. What somebody else writes between the second read and the write, to a
        field that is written here, is lost; the last read finds only what they write after that
        (docs/reliability.md).

        Args:
            id: the id.
            change: takes the flag or experiment as it is, and gives a changed copy (`attrs.evolve`). It may be async;
                with the blocking client it may not, and is called in the caller's own thread.
            base: the flag or experiment as you read it earlier, such as when you showed the change for confirmation.
                `change` is applied to it, and what others changed since then is merged or raises `EditConflictError`.
                By default it is read now.
            dry_run: True to validate the change and write nothing. With `base`, no request is sent.

        Returns:
            It as it was read after the write; or as it was read before, where there was nothing to write. In a dry run,
            the changed copy.

        Raises:
            InvalidInputError: the copy has a change that an edit cannot make (of the key, of variants, of target
                segments with a condition on a cohort, ...), or breaks a rule. Nothing was written.
            EditConflictError: both have changed the same place, and nothing was written; or it was written, and is not
                there now (`written`).
            NotFoundError: there is none of this id.
            MethodNotAllowedError: only the app can edit it.

        Example:
            `await client.flags.guarded_edit("123", lambda flag: attrs.evolve(flag, rollout_percentage=20))`
        """
        checked = validation.boolean("dry_run", dry_run)
        return await Guarded(self.transport, self.kind).edit(id, change, base=base, dry_run=checked)


class AsyncFlags(resources.AsyncFlags, AsyncFlagConfigs[Flag]):
    """`client.flags`."""


class AsyncExperiments(resources.AsyncExperiments, AsyncFlagConfigs[Experiment]):
    """`client.experiments`."""

    async def roll_out(
        self,
        id: str,
        variant: str,
        reason: str,
        *,
        everyone: bool = False,
        base: FlagConfig | None = None,
        dry_run: bool = False,
    ) -> Experiment:
        """End an experiment and give one variant to all whom it targets: one guarded edit.

        It sets `decision` to `rollout`, `decision_reason` and `rolled_out_variant`, turns `sticky_bucketing` off, and
        gives each target segment a percentage of 100 and all its weight to the variant. With `everyone`,
        `rollout_percentage` is 100 too. An edit cannot set the variants' own weights, which count for users whom no
        segment targets: if those users would get another variant, the call is refused and says what to set first.
        Whether the experiment is enabled does not change, nor who is included by id.

        Args:
            id: the experiment's id.
            variant: the key of the variant that has won.
            reason: why.
            everyone: whether users whom no segment targets get it too.
            base: the experiment as you read it earlier; see `guarded_edit`.
            dry_run: True to return the changed copy and write nothing; see `guarded_edit`.

        Returns:
            The experiment as it was read after the write; in a dry run, the changed copy.

        Raises:
            InvalidInputError: there is no such variant, the variants' weights give others to users whom no segment
                targets, or a segment has a condition on a cohort. Nothing was written.
            EditConflictError: somebody else has changed the same meanwhile.

        Example:
            `await client.experiments.roll_out("123", "treatment", "12 % more orders")`
        """
        key, why = validation.key("variant", variant), validation.string("reason", reason)
        all_users = validation.boolean("everyone", everyone)

        def change(experiment: Experiment) -> Experiment:
            return rolled_out(experiment, key, why, everyone=all_users)

        return await self.guarded_edit(id, change, base=base, dry_run=dry_run)

    async def roll_back(
        self, id: str, reason: str, *, base: FlagConfig | None = None, dry_run: bool = False
    ) -> Experiment:
        """End an experiment and give no variant to anybody: one guarded edit.

        It sets `decision` to `rollback`, `decision_reason`, and `rolled_out_variant` to null; `enabled` to False; and
        `rollout_percentage` and the percentage of each target segment to 0. Weights stay as they are.

        Args:
            id: the experiment's id.
            reason: why.
            base: the experiment as you read it earlier; see `guarded_edit`.
            dry_run: True to return the changed copy and write nothing; see `guarded_edit`.

        Returns:
            The experiment as it was read after the write; in a dry run, the changed copy.

        Raises:
            InvalidInputError: a segment has a condition on a cohort. Nothing was written: `edit` with `enabled=False`
                turns the experiment off.
            EditConflictError: somebody else has changed the same meanwhile.

        Example:
            `await client.experiments.roll_back("123", "slower checkout")`
        """
        why = validation.string("reason", reason)
        return await self.guarded_edit(id, lambda experiment: rolled_back(experiment, why), base=base, dry_run=dry_run)
