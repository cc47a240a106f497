# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What type checkers say of users' code. It is checked, never run.

Each line that must be refused bears a comment that either checker reports when it is not needed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal, assert_type

from attrs import evolve

from amp_exp_async import (
    UNSET,
    APIResponse,
    AsyncBetaClient,
    AsyncBulkRun,
    AsyncExperimentClient,
    AsyncPager,
    Attempt,
    BetaClient,
    BetaExperimentCreateParams,
    BulkRun,
    CallEnd,
    CallStart,
    Condition,
    Created,
    Deployment,
    Experiment,
    ExperimentClient,
    ExperimentEditParams,
    ExposureEvent,
    Flag,
    FlagCreateParams,
    FlagEditParams,
    FlagSpec,
    HoldoutGroup,
    Manifest,
    Maybe,
    MutexGroup,
    MutexSlot,
    Page,
    Pager,
    Plan,
    RateLimit,
    RequestOptions,
    ResourceChange,
    RestoreResult,
    RetryPolicy,
    Segment,
    Timeout,
    Unset,
    Usage,
    Variant,
    VariantSpec,
    Version,
    VersionChange,
    load,
    save,
)
from amp_exp_async.models import FlagConfig


async def flags_awaited(client: AsyncExperimentClient) -> None:
    """The results of every operation on flags."""
    assert_type(
        client.flags.list(key="k", project_id="1", include_archived=True, limit=5, cursor="c"), AsyncPager[Flag]
    )
    async for flag in client.flags.list():
        assert_type(flag, Flag)
    assert_type(client.flags.list().pages(), AsyncGenerator[Page[Flag], None])
    async for page in client.flags.list(cursor=5).pages():
        assert_type(page, Page[Flag])
        assert_type(page.items, list[Flag])
        assert_type(page.next_cursor, str | None)
    assert_type(await client.flags.list(), list[Flag])
    assert_type(await client.flags.get("1"), Flag)
    assert_type(await client.flags.find("key", project_id="1"), Flag)
    created = await client.flags.create(project_id="1", key="k")
    assert_type(created, Created)
    assert_type(created.id, str)
    assert_type(created.url, Maybe[str])
    await client.flags.edit("1", enabled=True)
    assert_type(await client.flags.guarded_edit("1", lambda flag: evolve(flag, name="n")), Flag)
    assert_type(await client.flags.segments.add("1", Segment(name="s")), Flag)
    assert_type(await client.flags.segments.remove("1", "s"), Flag)
    assert_type(await client.flags.segments.edit("1", "s", percentage=5, bucketing_key=None), Flag)
    assert_type(await client.flags.segments.add_values("1", "s", "gp:x", {"v"}, case="lower"), Flag)
    assert_type(await client.flags.tags.add("1", ["t"]), Flag)
    assert_type(await client.experiments.tags.remove("1", ["t"]), Experiment)
    assert_type(await client.experiments.roll_out("1", "on", "why", everyone=True), Experiment)
    assert_type(await client.experiments.roll_back("1", "why"), Experiment)
    assert_type(await client.history("flags", "1"), list[VersionChange])
    assert_type(await client.restore_version("flags", "1", 2, dry_run=True), RestoreResult[FlagConfig])
    await client.flags.archive("1")
    await client.flags.restore("1")
    assert_type(client.flags.versions.list("1"), AsyncPager[Version[Flag]])
    version = await client.flags.versions.get("1", 2)
    assert_type(version, Version[Flag])
    assert_type(version.config, Flag)
    assert_type(client.flags.variants.list("1"), AsyncPager[Variant])
    assert_type(await client.flags.variants.get("1", "on"), Variant)
    await client.flags.variants.create("1", key="on", name=None, payload={"a": [1]}, rollout_weight=0.5)
    await client.flags.variants.edit("1", "on", key="off", payload=None)
    await client.flags.variants.remove("1", "on")
    assert_type(client.flags.users.list("1", "on"), AsyncPager[str])
    await client.flags.users.add("1", "on", {"a", "b"})
    await client.flags.users.remove("1", "on", (name for name in ("a", "b")))
    await client.flags.users.remove_at("1", "on", 0)
    await client.flags.users.remove_all("1", "on")
    assert_type(await client.flags.cohorts.list("1", "on"), list[str])
    await client.flags.cohorts.add("1", "on", ["c"])
    await client.flags.cohorts.remove("1", "on", ["c"])
    assert_type(client.flags.deployments.list("1"), AsyncPager[Deployment])
    await client.flags.deployments.add("1", ["2"])
    await client.flags.deployments.remove("1", "2")


async def files(client: AsyncExperimentClient) -> None:
    """States and plans."""
    state = load("flags.yaml")
    assert_type(state, Manifest)
    assert_type(await client.export(project_id="1", keys=["k"], users=True), Manifest)
    plan = await client.plan(state, prune=True)
    assert_type(plan, Plan)
    assert_type(plan.changes, tuple[ResourceChange, ...])
    assert_type(client.apply(plan, journal="journal.jsonl"), AsyncBulkRun)
    Manifest(flags=[FlagSpec(key="k", variants=[VariantSpec(key="on", payload=1)], tags=["t"])])


def files_blocking(client: ExperimentClient) -> None:
    """The same, blocking."""
    save(client.export(), "flags.yaml", format="json")
    plan = client.plan(load("flags.yaml"))
    assert_type(plan, Plan)
    assert_type(client.apply(plan), BulkRun)


def flags_blocking(client: ExperimentClient) -> None:
    """The same, blocking."""
    pager = client.flags.list(key="k", project_id="1", include_archived=True, limit=5, cursor="c")
    assert_type(pager, Pager[Flag])
    assert_type(iter(pager), Iterator[Flag])
    for flag in client.flags.list():
        assert_type(flag, Flag)
    assert_type(client.flags.list().pages(), Iterator[Page[Flag]])
    for page in client.flags.list(cursor=5).pages():
        assert_type(page.items, list[Flag])
        assert_type(page.next_cursor, str | None)
    assert_type(client.flags.get("1"), Flag)
    assert_type(client.flags.find("key", project_id="1"), Flag)
    created = client.flags.create(project_id="1", key="k")
    assert_type(created, Created)
    client.flags.edit("1", enabled=True)
    assert_type(client.flags.guarded_edit("1", lambda flag: evolve(flag, name="n")), Flag)
    assert_type(client.flags.guarded_edit(id="1", change=lambda flag: evolve(flag, name="n")), Flag)
    assert_type(client.flags.segments.add("1", Segment(name="s")), Flag)
    assert_type(client.flags.segments.add_values("1", "s", "gp:x", {"v"}, case="lower"), Flag)
    assert_type(client.experiments.tags.remove("1", ["t"]), Experiment)
    assert_type(client.experiments.roll_out("1", "on", "why", everyone=True), Experiment)
    assert_type(client.history("flags", "1"), list[VersionChange])
    assert_type(client.restore_version("flags", "1", 2, dry_run=True), RestoreResult[FlagConfig])
    client.flags.archive("1")
    client.flags.restore("1")
    assert_type(client.flags.versions.list("1"), list[Version[Flag]])
    version = client.flags.versions.get("1", 2)
    assert_type(version, Version[Flag])
    assert_type(version.config, Flag)
    assert_type(client.flags.variants.list("1"), list[Variant])
    assert_type(client.flags.variants.get("1", "on"), Variant)
    client.flags.variants.create("1", key="on", name=None, payload={"a": [1]}, rollout_weight=0.5)
    client.flags.variants.edit("1", "on", key="off", payload=None)
    client.flags.variants.remove("1", "on")
    assert_type(client.flags.users.list("1", "on"), list[str])
    client.flags.users.add("1", "on", {"a", "b"})
    client.flags.users.remove("1", "on", (name for name in ("a", "b")))
    client.flags.users.remove_at("1", "on", 0)
    client.flags.users.remove_all("1", "on")
    assert_type(client.flags.cohorts.list("1", "on"), list[str])
    client.flags.cohorts.add("1", "on", ["c"])
    client.flags.cohorts.remove("1", "on", ["c"])
    assert_type(client.flags.deployments.list("1"), list[Deployment])
    client.flags.deployments.add("1", ["2"])
    client.flags.deployments.remove("1", "2")


async def experiments_awaited(client: AsyncExperimentClient) -> None:
    """An experiment is not a flag."""
    assert_type(client.experiments.list(delivery_method="web"), AsyncPager[Experiment])
    async for experiment in client.experiments.list():
        assert_type(experiment, Experiment)
    experiment = await client.experiments.get("1")
    assert_type(experiment, Experiment)
    assert_type(experiment.state, Maybe[str])
    assert_type(experiment.start_date, Maybe[datetime | date])
    assert_type(await client.experiments.find("k"), Experiment)
    assert_type(await client.experiments.versions.list("1"), list[Version[Experiment]])
    assert_type((await client.experiments.versions.get("1", "2")).config, Experiment)
    assert_type(await client.experiments.create(project_id="1", key="k", experiment_type="no-harm"), Created)
    await client.experiments.edit("1", end_date=None, exposure_event=ExposureEvent(event_type="e"), decision="rollout")
    not_a_flag: Flag = experiment  # type: ignore[assignment]
    assert_type(not_a_flag, Flag)


def experiments_blocking(client: ExperimentClient) -> None:
    """The same, blocking."""
    assert_type(client.experiments.list(delivery_method="web"), Pager[Experiment])
    for experiment in client.experiments.list():
        assert_type(experiment.state, Maybe[str])
    assert_type(client.experiments.get("1"), Experiment)
    assert_type(client.experiments.find("k"), Experiment)
    assert_type(client.experiments.versions.list("1"), list[Version[Experiment]])
    assert_type(client.experiments.versions.get("1", "2").config, Experiment)
    assert_type(client.experiments.create(project_id="1", key="k", experiment_type="no-harm"), Created)
    client.experiments.edit("1", end_date=date(2027, 1, 1), exposure_event={"event_type": "e"}, decision=None)


async def deployments(client: AsyncExperimentClient, blocking: ExperimentClient) -> None:
    """The deployments of the projects."""
    assert_type(client.deployments.list(limit=5), AsyncPager[Deployment])
    assert_type(blocking.deployments.list(limit=5), Pager[Deployment])
    assert_type(await client.deployments.create(project_id="1", label="l", type="client"), Created)
    assert_type(blocking.deployments.create(project_id="1", label="l", type="server"), Created)
    await client.deployments.edit("1", archive=True)
    blocking.deployments.edit("1", label="l")
    blocking.deployments.create(project_id="1", label="l", type="web")  # type: ignore[arg-type]
    await client.deployments.archive("1")
    blocking.deployments.restore("1")


async def versions(client: AsyncExperimentClient, blocking: ExperimentClient) -> None:
    """The versions of all projects, of flags and experiments alike."""
    start, end = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    async for version in client.versions.list(start=start, end=end, limit=5, cursor=12):
        assert_type(version.version, int)
        assert_type(version.config.key, str)
        if isinstance(version.config, Experiment):
            assert_type(version.config.state, Maybe[str])
    for version in blocking.versions.list(start=start):
        assert_type(version.created_at, Maybe[datetime])
        if isinstance(version.config, Flag):
            assert_type(version.config, Flag)
    async for page in client.versions.list().pages():
        assert_type(page.next_cursor, str | None)
    client.versions.list(start=date(2026, 10, 1))  # type: ignore[arg-type]
    blocking.versions.list(end="2026-10-01T00:00:00Z")  # type: ignore[arg-type]
    blocking.versions.list(key="k")  # type: ignore[call-arg]


async def mutexes(client: AsyncExperimentClient, blocking: ExperimentClient) -> None:
    """Groups of experiments that exclude each other."""
    assert_type(client.mutexes.list(limit=5, cursor="c"), AsyncPager[MutexGroup])
    assert_type(blocking.mutexes.list(limit=5, cursor=5), Pager[MutexGroup])
    group = await client.mutexes.get("1")
    assert_type(group, MutexGroup)
    assert_type(group.id, str)
    assert_type(group.slots, Maybe[list[MutexSlot]])
    for slot in group.slots or []:
        assert_type(slot.percentage, Maybe[float])
        assert_type(slot.experiments, Maybe[list[str]])
    assert_type(blocking.mutexes.get("1"), MutexGroup)
    slots = (MutexSlot(percentage=40, experiments=["1"]), {"percentage": 60})
    assert_type(await client.mutexes.create(project_id="1", name="n", slots=slots, description=None), Created)
    assert_type(blocking.mutexes.create(project_id="1", name="n", slots=slots, key="k", bucketing_salt="s"), Created)
    await client.mutexes.edit("1", name="n", description=None)
    blocking.mutexes.edit("1", archive=True)
    await client.mutexes.edit_slot("1", 1, experiments={"1"}, individuals=())
    blocking.mutexes.edit_slot("1", index=2, holdouts=["1"])
    await client.mutexes.archive("1")
    blocking.mutexes.restore("1")
    blocking.mutexes.create(project_id="1", name="n")  # type: ignore[call-arg]
    await client.mutexes.edit("1", name=None)  # type: ignore[arg-type]
    blocking.mutexes.edit_slot("1", "1", experiments=[])  # type: ignore[arg-type]
    MutexSlot(percent=5)  # type: ignore[call-arg]


async def holdouts(client: AsyncExperimentClient, blocking: ExperimentClient) -> None:
    """Groups of users who are held out."""
    assert_type(client.holdouts.list(limit=5), AsyncPager[HoldoutGroup])
    assert_type(blocking.holdouts.list(cursor=5), Pager[HoldoutGroup])
    group = await client.holdouts.get("1")
    assert_type(group, HoldoutGroup)
    assert_type(group.experiments, Maybe[list[str]])
    assert_type(group.created_at, Maybe[datetime])
    assert_type(blocking.holdouts.get("1"), HoldoutGroup)
    created = await client.holdouts.create(project_id="1", name="n", holdout_percentage=5, experiments=("1", "2"))
    assert_type(created, Created)
    assert_type(blocking.holdouts.create(project_id="1", name="n", holdout_percentage=5, key="k"), Created)
    await client.holdouts.edit("1", experiments=["1"], individual_inclusion=["u"], individual_exclusion=[])
    blocking.holdouts.edit("1", name="n", archive=False)
    await client.holdouts.archive("1")
    blocking.holdouts.restore("1")
    blocking.holdouts.create(project_id="1", name="n", holdout_percentage="5")  # type: ignore[arg-type]
    await client.holdouts.edit("1", holdout_percentage=5)  # type: ignore[call-arg]


async def beta_awaited(client: AsyncBetaClient) -> None:
    """The Beta API has the models of version 1."""
    assert_type(client.flags.list(limit=5, cursor="c"), AsyncPager[Flag])
    assert_type(await client.flags.get("1"), Flag)
    assert_type(client.flags.versions.list("1"), AsyncPager[Version[Flag]])
    assert_type(await client.flags.versions.get("1", 2), Version[Flag])
    assert_type(client.experiments.list(), AsyncPager[Experiment])
    assert_type(await client.experiments.get("1"), Experiment)
    assert_type(await client.experiments.versions.list("1"), list[Version[Experiment]])
    assert_type(client.deployments.list(), AsyncPager[Deployment])
    new: BetaExperimentCreateParams = {
        "variants": (Variant(key="on"), {"key": "off"}),
        "deployments": {"1"},
        "description": None,
    }
    assert_type(await client.experiments.create(project_id="1", key="k", sticky_bucketing=True), Experiment)
    assert_type(await client.experiments.create(project_id="1", key="k", **new), Experiment)
    await client.experiments.activate("1")
    await client.experiments.deactivate("1")
    await client.experiments.set_rollout_weights("1", {"on": 1})
    assert_type(client.with_options(timeout=Timeout(5, connect=1)), AsyncBetaClient)
    client.experiments.edit("1")  # type: ignore[attr-defined]
    await client.experiments.create(project_id="1", key="k", enabled=True)  # type: ignore[call-arg]
    client.flags.list(key="k")  # type: ignore[call-arg]


def beta_blocking(client: BetaClient) -> None:
    """The same, blocking."""
    assert_type(client.flags.list(limit=5, cursor="c"), Pager[Flag])
    assert_type(client.flags.get("1"), Flag)
    assert_type(client.flags.versions.list("1"), list[Version[Flag]])
    assert_type(client.experiments.list(), Pager[Experiment])
    assert_type(client.experiments.get("1"), Experiment)
    assert_type(client.experiments.versions.get("1", 2), Version[Experiment])
    assert_type(client.deployments.list(), Pager[Deployment])
    assert_type(client.experiments.create(project_id="1", key="k", rollout_weights={"on": 1}), Experiment)
    client.experiments.activate("1")
    client.experiments.deactivate("1")
    client.experiments.set_rollout_weights("1", {"on": 1})
    assert_type(client.with_options(timeout=5), BetaClient)
    client.flags.create(project_id="1", key="k")  # type: ignore[attr-defined]
    client.experiments.set_rollout_weights("1", [1])  # type: ignore[arg-type]


async def clients() -> None:
    """Constructors, copies, usage and what has no method."""
    limit, policy = RateLimit(per_second=50, per_day=None), RetryPolicy(max_attempts=2)
    async with AsyncExperimentClient("key", region="eu", rate_limit=limit, retry=policy) as client:
        assert_type(client, AsyncExperimentClient)
        assert_type(client.with_options(deadline=None, on_attempt=observe), AsyncExperimentClient)
        assert_type(client.usage, Usage)
        with client.capture_responses() as responses:
            flag = await client.flags.get("1")
        assert_type(flag, Flag)
        assert_type(responses, list[APIResponse])
        assert_type(responses[-1].headers, Mapping[str, str])
        assert_type(client.with_options(on_call_start=on_call_start, on_call_end=on_call_end), AsyncExperimentClient)
        assert_type(await client.request("GET", "/segments", params={"limit": 5}), Any)
        assert_type(client.shutdown_timeout, float | None)
        await client.bulk([]).aclose(shutdown_timeout=2)
        await client.aclose(shutdown_timeout=None)
    with ExperimentClient("key", base_url="https://host", rate_limit=None, on_attempt=observe) as blocking:
        assert_type(blocking, ExperimentClient)
        assert_type(blocking.with_options(timeout=5, retry=policy), ExperimentClient)
        assert_type(blocking.with_options(timeout=Timeout(read=2.5)), ExperimentClient)
        blocking.with_options(timeout=(1, 2))  # type: ignore[arg-type]
        assert_type(blocking.usage, Usage)
        with blocking.capture_responses() as responses:
            assert_type(blocking.flags.get("1"), Flag)
        assert_type(responses, list[APIResponse])
        assert_type(blocking.with_options(on_call_start=None, on_call_end=on_call_end), ExperimentClient)
        assert_type(blocking.request("POST", "/segments", json={"a": None}), Any)
        blocking.bulk([]).close(shutdown_timeout=0)
        blocking.close(shutdown_timeout=1.5)
    async with AsyncBetaClient("key", region="eu", rate_limit=limit) as beta:
        assert_type(beta, AsyncBetaClient)
    with BetaClient(base_url="https://host") as blocking_beta:
        assert_type(blocking_beta, BetaClient)
        assert_type(blocking_beta.usage, Usage)
    async with AsyncExperimentClient(read_key) as client, AsyncBetaClient(lambda: "key"):
        assert_type(client, AsyncExperimentClient)
    with ExperimentClient(api_key=await_key) as blocking, BetaClient(await_key):
        assert_type(blocking, ExperimentClient)
    ExperimentClient(lambda name: name)  # type: ignore[arg-type, misc]
    ExperimentClient(lambda: 5)  # type: ignore[arg-type, return-value]
    timeout = Timeout(60, 3, None)
    assert_type((timeout.total, timeout.connect, timeout.read), tuple[float, float | None, float | None])
    ExperimentClient(timeout=timeout)
    BetaClient("key", prefix="/api/1")  # type: ignore[call-arg]
    ExperimentClient(retries=3)  # type: ignore[call-arg]
    ExperimentClient("key", region=1)  # type: ignore[arg-type]
    blocking.with_options(region="eu")  # type: ignore[call-arg]


def read_key() -> str:
    """Return a key."""
    return "key"


async def await_key() -> str:
    """Return a key in the event loop."""
    return "key"


def observe(attempt: Attempt) -> None:
    """A callback for `on_attempt`."""
    assert_type(attempt.status, int | None)
    assert_type(attempt.request_id, str | None)


def on_call_start(start: CallStart) -> None:
    """A callback for `on_call_start`."""
    assert_type(start.path, str)


async def on_call_end(end: CallEnd) -> None:
    """An async callback for `on_call_end`."""
    assert_type(end.seconds_waited, float)
    assert_type(end.error, BaseException | None)


def narrowing(flag: Flag, segment: Segment) -> None:
    """`UNSET` and `None` are taken off a field's type by the usual tests."""
    assert_type(flag.enabled, Maybe[bool])
    assert_type(flag.id, str)
    name: Maybe[str] = flag.name
    assert_type(name, Maybe[str])
    if name is UNSET:
        assert_type(name, Literal[Unset.UNSET])
    elif name is None:
        assert_type(name, None)
    else:
        assert_type(name, str)
    if name:
        assert_type(name, str)
    if flag.target_segments:
        assert_type(flag.target_segments, list[Segment])
    assert_type(segment.rollout_weights or {}, dict[str, float])
    assert_type([variant.key for variant in flag.variants or []], list[str])
    len(flag.tags)  # type: ignore[arg-type]


async def changes(client: AsyncExperimentClient, blocking: ExperimentClient) -> None:
    """Which keyword arguments are taken, by their names and types; models and mappings alike."""
    segment = Segment(name="s", conditions=[Condition(prop="p", op="is", values=["v"])], percentage=5)
    edit: FlagEditParams = {"name": None, "tags": ("a",), "target_segments": [segment, {"name": "t"}], "archive": False}
    await client.flags.edit("1", **edit)
    blocking.flags.edit("1", **edit)
    more: ExperimentEditParams = {"start_date": date(2027, 1, 1), "end_date": "2027-01-02", "sticky_bucketing": UNSET}
    await client.experiments.edit("1", **more)
    blocking.experiments.edit("1", **more)
    new: FlagCreateParams = {
        "variants": [Variant(key="on"), {"key": "off"}],
        "rollout_weights": {"on": 1},
        "deployments": ["1"],
    }
    await client.flags.create(project_id="1", key="k", **new)
    blocking.experiments.create(project_id="1", key="k", **new)


async def options_of_one_call(client: AsyncExperimentClient, blocking: ExperimentClient) -> None:
    """Each method that calls an endpoint takes headers and a query."""
    options: RequestOptions = {"extra_headers": {"X-Change": "OPS-12"}, "extra_query": {"debug": True, "n": 1}}
    assert_type(await client.flags.get("1", **options), Flag)
    assert_type(blocking.flags.get("1", extra_headers={"X": "1"}, extra_query=None), Flag)
    assert_type(client.experiments.list(limit=5, extra_query=UNSET), AsyncPager[Experiment])
    assert_type(blocking.experiments.list(limit=5, **options), Pager[Experiment])
    await client.flags.edit("1", enabled=True, **options)
    blocking.experiments.edit("1", decision="rollout", extra_headers=None)
    await client.flags.create(project_id="1", key="k", name="n", **options)
    blocking.flags.users.add("1", "on", ["u"], **options)
    blocking.flags.get("1", extra_headers={"X": 1})  # type: ignore[dict-item]
    blocking.flags.edit("1", extra_query=[])  # type: ignore[arg-type]
    blocking.flags.get("1", headers={})  # type: ignore[call-arg]
    await client.flags.users.add("1", "on", ["u"], query={})  # type: ignore[call-arg]
    client.flags.users.add_many("1", "on", ["u"], extra_query={})  # type: ignore[call-arg]


async def mistakes(client: AsyncExperimentClient, blocking: ExperimentClient) -> None:
    """What is refused before it runs."""
    await client.flags.edit("1", enable=True)  # type: ignore[call-arg]
    blocking.flags.edit("1", enable=True)  # type: ignore[call-arg]
    await client.flags.edit("1", enabled="yes")  # type: ignore[arg-type]
    blocking.flags.edit("1", enabled="yes")  # type: ignore[arg-type]
    await client.flags.edit("1", enabled=None)  # type: ignore[arg-type]
    blocking.flags.edit("1", decision="rollout")  # type: ignore[call-arg]
    blocking.flags.create(project_id="1", key="k", experiment_type="t")  # type: ignore[call-arg]
    await client.flags.create(key="k")  # type: ignore[call-arg]
    blocking.flags.create(key="k")  # type: ignore[call-arg]
    await client.flags.get(1)  # type: ignore[arg-type]
    blocking.flags.get(1)  # type: ignore[arg-type]
    client.flags.list(delivery_method="web")  # type: ignore[call-arg]
    client.flags.list("key")  # type: ignore[call-arg]
    blocking.flags.list("key")  # type: ignore[call-arg]
    client.flags.list(limit="5")  # type: ignore[arg-type]
    blocking.flags.users.add("1", "on", 5)  # type: ignore[arg-type]
    blocking.flags.variants.create("1", name="n")  # type: ignore[call-arg]
    await blocking.flags.get("1")  # type: ignore[misc]
    async for _ in blocking.flags.list():  # type: ignore[attr-defined]
        pass
    for _ in client.flags.list():  # type: ignore[attr-defined]
        pass
    client.flags.get("1")  # type: ignore[unused-coroutine]
    Segment(nmae="s")  # type: ignore[call-arg]
    Flag(id="1", key="k").name = "n"  # type: ignore[misc]
    await client.flags.segments.add_values("1", "s", "gp:x", ["v"])  # type: ignore[call-arg]
