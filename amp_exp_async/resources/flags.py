"""Flags and experiments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from amp_exp_async import validation
from amp_exp_async.http import Transport
from amp_exp_async.models import Experiment, Flag, FlagConfig

from . import toggles
from ._base import Kind
from .optimistic import OptimisticEdit
from .rollout import with_rollback, with_rollout
from .segments import AsyncSegments, AsyncTags

FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)


class AsyncFlagConfigs(toggles.AsyncFlagConfigs[FlagConfigT_co]):
    """The operations that `client.flags` and `client.experiments` share.

    Attributes:
        segments: single target segments.
        tags: single tags.
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
        """Change a flag that others change too, without overwriting their changes.

        The flag is read, `change` returns a changed copy, and the flag is read again. The changes of both sides are
        merged: tags as a set, target segments by name, every other field as one value. The fields that differ are
        written with `PATCH /{kind}/{id}`, and a last read verifies them. These are four requests, or one if nothing
        differs. Guarded edits that one client makes to one flag run one after another.

        The service has no conditional writes. If someone else writes a field of this edit between the second read and
        the write, their value is lost; the last read detects only later writes (see docs/reliability.md).

        Args:
            id: the flag's or experiment's ID.
            change: takes the flag or experiment and returns a changed copy (`attrs.evolve`). It may be async, except
                with the blocking client, which calls it in the caller's thread.
            base: an earlier reading of the flag or experiment, for example the one whose change the user confirmed.
                `change` is applied to it, and changes that others made since then are merged or raise
                `EditConflictError`. By default it is read now.
            dry_run: whether to validate the change without writing it. With `base`, no request is sent.

        Returns:
            The flag or experiment as read after the write, or as first read if there was nothing to write. In a dry
            run, the changed copy.

        Raises:
            InvalidInputError: If the copy breaks a rule or has a change that an edit cannot make (of the key, of
                variants, of segments with a cohort condition). Nothing was written.
            EditConflictError: If both sides changed the same value: nothing was written. Or if the value was written
                and then overwritten (`written` is true).
            NotFoundError: If no flag or experiment has this ID.
            MethodNotAllowedError: If it can only be edited in the Amplitude app.

        Example:
            `await client.flags.guarded_edit("123", lambda flag: attrs.evolve(flag, rollout_percentage=20))`
        """
        checked = validation.boolean("dry_run", dry_run)
        return await OptimisticEdit(self.transport, self.kind).edit(id, change, base=base, dry_run=checked)


class AsyncFlags(toggles.AsyncFlags, AsyncFlagConfigs[Flag]):
    """The flags of an account: `client.flags`."""


class AsyncExperiments(toggles.AsyncExperiments, AsyncFlagConfigs[Experiment]):
    """The experiments of an account: `client.experiments`."""

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
        """End an experiment and serve one variant to all targeted users, by one guarded edit.

        It sets `decision` to `rollout`, `decision_reason` and `rolled_out_variant`, and turns `sticky_bucketing` off.
        Each target segment gets a percentage of 100 and serves only this variant. With `everyone`,
        `rollout_percentage` becomes 100 too. An edit cannot set the variants' own weights, which apply to users whom no
        segment targets: if these users would get another variant, the call is rejected with the edits to make first.
        `enabled` and the included users stay unchanged.

        Args:
            id: the experiment's ID.
            variant: the key of the winning variant.
            reason: the reason for the decision.
            everyone: whether users whom no segment targets get the variant too.
            base: an earlier reading of the experiment; see `guarded_edit`.
            dry_run: whether to return the changed copy without writing it; see `guarded_edit`.

        Returns:
            The experiment as read after the write. In a dry run, the changed copy.

        Raises:
            InvalidInputError: If the variant does not exist, the variants' weights would serve others to users whom no
                segment targets, or a segment has a cohort condition. Nothing was written.
            EditConflictError: If someone else changed the same values.

        Example:
            `await client.experiments.roll_out("123", "treatment", "12 % more orders")`
        """
        key, text = validation.key("variant", variant), validation.string("reason", reason)
        all_users = validation.boolean("everyone", everyone)

        def change(experiment: Experiment) -> Experiment:
            return with_rollout(experiment, key, text, everyone=all_users)

        return await self.guarded_edit(id, change, base=base, dry_run=dry_run)

    async def roll_back(
        self, id: str, reason: str, *, base: FlagConfig | None = None, dry_run: bool = False
    ) -> Experiment:
        """End an experiment and serve no variant to anyone, by one guarded edit.

        It sets `decision` to `rollback`, `decision_reason`, `rolled_out_variant` to null, `enabled` to false, and
        `rollout_percentage` and the percentage of each target segment to 0. Weights stay unchanged.

        Args:
            id: the experiment's ID.
            reason: the reason for the decision.
            base: an earlier reading of the experiment; see `guarded_edit`.
            dry_run: whether to return the changed copy without writing it; see `guarded_edit`.

        Returns:
            The experiment as read after the write. In a dry run, the changed copy.

        Raises:
            InvalidInputError: If a segment has a cohort condition. Nothing was written: `edit` with `enabled=False`
                turns the experiment off.
            EditConflictError: If someone else changed the same values.

        Example:
            `await client.experiments.roll_back("123", "slower checkout")`
        """
        text = validation.string("reason", reason)
        return await self.guarded_edit(
            id, lambda experiment: with_rollback(experiment, text), base=base, dry_run=dry_run
        )
