"""The async client of the API."""

from __future__ import annotations

import os
from collections.abc import Iterable

from amp_exp_async import manifests, validation
from amp_exp_async.bulk import AsyncBulkRun, KindName, OnError, Operations
from amp_exp_async.config import V1
from amp_exp_async.http import Transport
from amp_exp_async.manifests import Manifest, Plan
from amp_exp_async.models import FlagConfig
from amp_exp_async.resources import (
    AsyncDeployments,
    AsyncExperiments,
    AsyncFlags,
    AsyncHoldouts,
    AsyncMutexes,
    AsyncProjectVersions,
    RestoreResult,
    VersionChange,
    flag_resources,
    restore_version,
    version_changes,
)

from .base import AsyncClient


class AsyncExperimentClient(AsyncClient):
    """The client of Amplitude's Experiment Management API, for asyncio.

    It opens on first use and belongs to the event loop of that moment. Close it with `async with` or `aclose()`.

    Args:
        api_key: a management API key; else the environment's `AMPLITUDE_MANAGEMENT_API_KEY`.
        region: `us` or `eu`; else the environment's `AMPLITUDE_EXPERIMENT_REGION`; else `us`.
        base_url: scheme, host and an optional path prefix, in place of a region; else the environment's
            `AMPLITUDE_EXPERIMENT_BASE_URL`.
        timeout: seconds for one attempt.
        deadline: seconds for one call, waits and retries included; None for no end.
        retry: how often and after which waits an attempt is repeated.
        rate_limit: the limits to keep to, together with the other clients of this process that use the same key on the
            same host; if theirs differ, the strictest hold for all. A `RedisRateLimit` for those that several processes
            share. None for none, and to take no part.
        max_concurrency: how many requests may be under way at once.
        session: an aiohttp session to use; it is never closed, and its settings stay as they are.
        proxy: the URL of an HTTP proxy.
        trust_env: whether to take a proxy from the environment (`HTTPS_PROXY`, `NO_PROXY`).
        ssl: as in aiohttp: True for the default checks, False for none, an `SSLContext` or a `Fingerprint`.
        trace_configs: aiohttp's trace configurations.
        on_attempt: called after each request with an `Attempt`; it must not block.
        allow_insecure_http: allows plain http to a host that is not loopback.

    Attributes:
        flags: flags.
        experiments: experiments.
        deployments: deployments.
        versions: the versions of all flags and experiments.
        mutexes: groups of experiments that exclude each other.
        holdouts: groups of users who are in none of some experiments.

    Raises:
        ConfigurationError: it cannot work as configured; the message says what to set.

    Example::

        async with AsyncExperimentClient() as client:
            async for flag in client.flags.list(project_id="123"):
                print(flag.key, flag.enabled)
    """

    flags: AsyncFlags
    experiments: AsyncExperiments
    deployments: AsyncDeployments
    versions: AsyncProjectVersions
    mutexes: AsyncMutexes
    holdouts: AsyncHoldouts

    api = V1

    def _hang(self, transport: Transport) -> None:
        """Make the sections of the API."""
        self.flags = AsyncFlags(transport)
        self.experiments = AsyncExperiments(transport)
        self.deployments = AsyncDeployments(transport)
        self.versions = AsyncProjectVersions(transport)
        self.mutexes = AsyncMutexes(transport)
        self.holdouts = AsyncHoldouts(transport)

    def bulk(
        self,
        operations: Operations,
        *,
        journal: str | os.PathLike[str] | None = None,
        on_error: OnError = "continue",
    ) -> AsyncBulkRun:
        """Carry out many operations, and hand out what became of each, as they finish.

        Operations on one flag keep their order and never overlap; those on different flags go at once, within the rate
        limit. A flag that is named by key is looked up once. What makes no difference is not sent.

        Args:
            operations: a list, a generator or an async generator of operations, of any length (it is read as it is
                needed); or the path of a file that has one on each line, as JSON: `{"operation": "AddUsers", "kind":
                "flags", "id": "1", "variant": "on", "users": ["a"]}`.
            journal: the path of a file that the outcomes are added to, as JSON lines. A rerun with the same operations
                in the same order and the same journal skips what is done, settles by reading back what was under way or
                unknown, and repeats the rest.
            on_error: `continue`; `stop` to begin nothing more after the first failure; or `leave` to begin nothing more
                on a flag or experiment, as the operations name it, after the first failure on it.

        Returns:
            A run. Nothing is sent before it is iterated or awaited.

        Raises:
            InvalidInputError: an argument breaks a rule. Nothing was sent.

        Example::

            run = client.bulk(Edit("flags", flag.id, {"tags": ["reviewed"]}) for flag in flags)
            async for outcome in run:
                if not outcome.ok:
                    print(outcome.operation, outcome.error)
            print(run.summary)
        """
        return AsyncBulkRun(self._transport, operations, resources=flag_resources, journal=journal, on_error=on_error)

    async def history(self, kind: KindName, id: str) -> list[VersionChange]:
        """Who changed what and when, in one flag or experiment: `GET /{kind}/{id}/versions`, one request.

        Args:
            kind: `flags` or `experiments`.
            id: its id.

        Returns:
            What each version has changed, field by field, newest first.

        Raises:
            NotFoundError: there is none of this id.

        Example::

            for change in await client.history("flags", "123"):
                print(change)  # version 5 by jane at 2026-11-03 09:12:44 UTC: enabled: false -> true
        """
        return version_changes(await self._section(kind).versions.list(id))

    async def restore_version(
        self, kind: KindName, id: str, version: int | str, *, dry_run: bool = False
    ) -> RestoreResult[FlagConfig]:
        """Make a flag or experiment what it was in a version: a guarded edit of all that an edit can set.

        What an edit cannot set, such as variants, their weights and deployments, stays as it is, and the result names
        what of it differs. What the version does not show stays as it is, too.

        Args:
            kind: `flags` or `experiments`.
            id: its id.
            version: the version's number.
            dry_run: whether to show only what would be changed. It is two requests, and five with the edit.

        Returns:
            The differences, those that are left, and the flag or experiment as it was read last.

        Raises:
            InvalidInputError: target segments differ, and one has a condition on a cohort. Nothing was written.
            EditConflictError: somebody else has changed the same meanwhile.
            NotFoundError: there is no such flag or version.

        Example::

            print(await client.restore_version("flags", "123", 4, dry_run=True))
            restored = await client.restore_version("flags", "123", 4)
        """
        section = self._section(kind)
        return await restore_version(section, id, version, dry_run=validation.boolean("dry_run", dry_run))

    def _section(self, kind: KindName) -> AsyncFlags | AsyncExperiments:
        validation.one_of("flags", "experiments")("kind", kind)
        return self.flags if kind == "flags" else self.experiments

    async def export(
        self,
        *,
        project_id: str | None = None,
        keys: Iterable[str] | None = None,
        include_archived: bool = False,
        users: bool = False,
        cohorts: bool = False,
        variants: bool = False,
        server_fields: bool = False,
    ) -> Manifest:
        """The flags and experiments that there are, as a file declares them; `save` writes it.

        It reads the lists, and that of the deployments if any is assigned. Where something depends on what these lists
        do not show, it reads those of mutex and holdout groups, and gets the rest by id.

        Args:
            project_id: only those of this project.
            keys: only those of these keys.
            include_archived: True for archived ones too.
            users: True for the users and devices included in variants: a request for each variant.
            cohorts: True for the cohorts included in variants: a request for each variant.
            variants: True for variants in full: a request for each flag and experiment. Without it a variant has what
                the lists show.
            server_fields: True for ids, salts, and who changed it when.

        Raises:
            InvalidInputError: there is none with one of the keys.

        Example:
            `save(await client.export(project_id="123"), "flags.yaml")`
        """
        options = manifests.ExportOptions(users=users, cohorts=cohorts, variants=variants, server_fields=server_fields)
        return await manifests.export(
            self._transport, project_id=project_id, keys=keys, include_archived=include_archived, options=options
        )

    async def plan(self, manifest: Manifest, *, prune: bool = False, project_id: str | None = None) -> Plan:
        """What would change for everything to be as a manifest declares it. It only reads.

        What the manifest does not mention is left alone. It reads one list for each project, that of the deployments if
        any are declared, and what is declared and the lists do not show: users and cohorts of variants, and fields of
        a flag, a request each. Where dependencies are declared on what these lists do not show, it reads the lists of
        mutex and holdout groups, and asks for the rest by key.

        No request sets dependencies. Where they are not as declared, the plan is refused if it would put the flag into
        service without them, and has a warning otherwise.

        Args:
            manifest: what is declared: from `load`, `export`, or made in code.
            prune: True to archive flags, and experiments, that are in the projects of those declared, and are not
                declared themselves.
            project_id: the project to plan for, whichever the manifest names: a promotion. Deployments are found there
                by label, and dependencies by key.

        Raises:
            InvalidInputError: `prune` is True for an export of some keys, which has not looked at the others.
            InvalidManifestError: it cannot be as declared, or names several projects although `project_id` is given;
                the error has all the problems, with file, line and field.

        Example::

            plan = await client.plan(load("flags.yaml"))
            print(plan)

            promotion = await client.plan(await client.export(project_id="123"), project_id="456")
        """
        return await manifests.make_plan(self._transport, manifest, prune=prune, project_id=project_id)

    def apply(self, plan: Plan, *, journal: str | os.PathLike[str] | None = None) -> AsyncBulkRun:
        """Carry out a plan, and hand out what became of each step, as they finish.

        First it reads again. If anything that the plan concerns has changed in between, nothing is written. Steps on
        one flag keep their order: it is created, gets deployments, variants, segments and weights, and is enabled at
        last; what takes it out of service comes first. After a failure the rest of its steps is left out; other flags
        go on.

        Args:
            plan: from `plan`, or `Plan.load`.
            journal: the path of a file that the outcomes are added to. A rerun with the same plan and journal goes on
                from there.

        Returns:
            A run. Nothing is sent before it is iterated or awaited.

        Raises:
            InvalidInputError: the plan is of another service, or the journal of another plan.

        Raises, while it is read:
            EditConflictError: something changed in between, or what the journal has as done was undone; the message
                has all of it. Make a new plan.
            InvalidManifestError: it can no longer be as declared: a deployment is gone.

        Example::

            run = client.apply(plan, journal="apply.jsonl")
            async for outcome in run:
                print(outcome.operation.target, outcome.status)
            run.raise_for_failures()
        """
        return manifests.apply(self._transport, plan, journal=journal)
