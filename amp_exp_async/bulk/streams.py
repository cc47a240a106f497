"""Inclusions of any number, and the sections of the API that have them."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Iterable
from typing import TypeAlias, TypeVar, cast

from amp_exp_async import resources, validation
from amp_exp_async.models import Experiment, Flag, FlagConfig
from amp_exp_async.resources import KindResource, flag_resources

from .operations import (
    AddCohorts,
    AddUsers,
    InclusionOperation,
    KindName,
    RemoveCohorts,
    RemoveUsers,
    ReplaceCohorts,
    ReplaceUsers,
)
from .run import AsyncBulkRun, OnError
from .source import File, Operations, is_file, read_ids

FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)

Ids: TypeAlias = Iterable[str] | AsyncIterable[str] | File
"""Ids; or a file (its path, or open) with one on each line. Blank lines and those that begin with `#` do not count."""
Path: TypeAlias = str | os.PathLike[str]

_REMOVED_AT_A_TIME = 2000  # as many as a variant can have: one reading, and 20 requests at the most


class AsyncUsers(resources.AsyncUsers):
    """`client.flags.users` and `client.experiments.users`: the users and devices included in a variant, by id."""

    def add_many(
        self, id: str, variant: str, users: Ids, *, journal: Path | None = None, on_error: OnError = "continue"
    ) -> AsyncBulkRun:
        """Include users or devices: reads the list, and sends those that are not included yet in one request.

        If the variant would have more than 2,000, none is added.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            users: user or device ids, 1 to 2,000 different ones.
            journal: a file to go on from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of one `AddUsers` operation.

        Raises:
            InvalidInputError: an argument breaks a rule. Nothing was sent.

        Example:
            `summary = await client.flags.users.add_many("123", "on", pathlib.Path("ids.txt"))`
        """
        operations = _operations(AddUsers, _at(self, id, variant), users)
        return AsyncBulkRun(self.transport, operations, resources=flag_resources, journal=journal, on_error=on_error)

    def remove_many(
        self, id: str, variant: str, users: Ids, *, journal: Path | None = None, on_error: OnError = "continue"
    ) -> AsyncBulkRun:
        """Remove users or devices by id: reads the list, and removes those that are included, 100 a request.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            users: user or device ids, of any number.
            journal: a file to go on from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of a `RemoveUsers` operation for every 2,000 ids.

        Raises:
            InvalidInputError: an argument breaks a rule. Nothing was sent.
        """
        operations = _operations(RemoveUsers, _at(self, id, variant), users, _REMOVED_AT_A_TIME)
        return AsyncBulkRun(self.transport, operations, resources=flag_resources, journal=journal, on_error=on_error)

    def replace(
        self, id: str, variant: str, users: Ids, *, journal: Path | None = None, on_error: OnError = "continue"
    ) -> AsyncBulkRun:
        """Make the variant include these users and devices and no others: reads the list, and sends the difference.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            users: user or device ids, at most 2,000 different ones. With none, all are removed.
            journal: a file to go on from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of one `ReplaceUsers` operation.

        Raises:
            InvalidInputError: an argument breaks a rule. Nothing was sent.
        """
        operations = _operations(ReplaceUsers, _at(self, id, variant), users)
        return AsyncBulkRun(self.transport, operations, resources=flag_resources, journal=journal, on_error=on_error)


class AsyncCohorts(resources.AsyncCohorts):
    """`client.flags.cohorts` and `client.experiments.cohorts`: the cohorts included in a variant, by id."""

    def add_many(
        self, id: str, variant: str, cohorts: Ids, *, journal: Path | None = None, on_error: OnError = "continue"
    ) -> AsyncBulkRun:
        """Include cohorts: reads the list, and sends those that are not included yet.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            cohorts: cohort ids, at least one.
            journal: a file to go on from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of one `AddCohorts` operation.

        Raises:
            InvalidInputError: an argument breaks a rule. Nothing was sent.
        """
        operations = _operations(AddCohorts, _at(self, id, variant), cohorts)
        return AsyncBulkRun(self.transport, operations, resources=flag_resources, journal=journal, on_error=on_error)

    def remove_many(
        self, id: str, variant: str, cohorts: Ids, *, journal: Path | None = None, on_error: OnError = "continue"
    ) -> AsyncBulkRun:
        """Remove cohorts by id: reads the list, and removes those that are included, 100 a request.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            cohorts: cohort ids, of any number.
            journal: a file to go on from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of a `RemoveCohorts` operation for every 2,000 ids.

        Raises:
            InvalidInputError: an argument breaks a rule. Nothing was sent.
        """
        operations = _operations(RemoveCohorts, _at(self, id, variant), cohorts, _REMOVED_AT_A_TIME)
        return AsyncBulkRun(self.transport, operations, resources=flag_resources, journal=journal, on_error=on_error)

    def replace(
        self, id: str, variant: str, cohorts: Ids, *, journal: Path | None = None, on_error: OnError = "continue"
    ) -> AsyncBulkRun:
        """Make the variant include these cohorts and no others: reads the list, and sends the difference.

        Args:
            id: the flag's or experiment's id.
            variant: the variant's key.
            cohorts: cohort ids. With none, all are removed.
            journal: a file to go on from; see `client.bulk`.
            on_error: see `client.bulk`.

        Returns:
            A run of one `ReplaceCohorts` operation.

        Raises:
            InvalidInputError: an argument breaks a rule. Nothing was sent.
        """
        operations = _operations(ReplaceCohorts, _at(self, id, variant), cohorts)
        return AsyncBulkRun(self.transport, operations, resources=flag_resources, journal=journal, on_error=on_error)


class AsyncFlagConfigs(resources.AsyncFlagConfigs[FlagConfigT_co]):
    """What `client.flags` and `client.experiments` have in common, with inclusions of any number."""

    users_class = AsyncUsers
    cohorts_class = AsyncCohorts

    # Narrower than in the base: both are made by the classes above.
    users: AsyncUsers  # pyright: ignore[reportIncompatibleVariableOverride]
    cohorts: AsyncCohorts  # pyright: ignore[reportIncompatibleVariableOverride]


class AsyncFlags(AsyncFlagConfigs[Flag], resources.AsyncFlags):
    """The flags of an account: `client.flags`."""


class AsyncExperiments(AsyncFlagConfigs[Experiment], resources.AsyncExperiments):
    """The experiments of an account: `client.experiments`."""


def _at(section: KindResource[FlagConfig], id: str, variant: str) -> tuple[KindName, str, str]:
    return cast("KindName", section.kind.name), id, variant


def _operations(
    cls: type[InclusionOperation], at: tuple[KindName, str, str], ids: Ids, size: int | None = None
) -> Operations:
    """The operations on ids of any number, `size` of them each, or all in one."""
    make = cast("Callable[..., InclusionOperation]", cls)
    given: Iterable[str] | AsyncIterable[str] = list(read_ids(ids)) if is_file(ids) else cast("Iterable[str]", ids)
    if isinstance(given, AsyncIterable) or not isinstance(given, Collection):
        most = validation.MAX_ADDED + 1 if size is None and cls.member == "users" else math.inf
        return (make(*at, chunk) async for chunk in _chunks(_each(cls.member, given), size or math.inf, most))
    listed = validation.sequence(cls.member, given)
    step = size or len(listed) or 1
    return [make(*at, listed[start : start + step]) for start in range(0, len(listed) or 1, step)]


async def _chunks(ids: AsyncIterable[str], size: float, most: float) -> AsyncGenerator[list[str], None]:
    """Different ids, so many at a time, and no more of them than `most`: an operation refuses too many."""
    chunk: dict[str, None] = {}
    count = 0
    async for id in ids:
        chunk[id] = None
        if len(chunk) >= min(size, most):
            count += len(chunk)
            yield list(chunk)
            chunk = {}
            if count >= most:
                return
    if chunk or not count:
        yield list(chunk)


async def _each(what: str, ids: Iterable[str] | AsyncIterable[str]) -> AsyncGenerator[str, None]:
    if isinstance(ids, AsyncIterable):
        async for id in ids:
            yield validation.listed_id(what, id)
    else:
        for id in ids:
            yield validation.listed_id(what, id)
