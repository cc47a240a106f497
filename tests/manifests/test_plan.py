"""Plans: the changes they contain, the requests they need, and their text forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    Condition,
    EditConflictError,
    ExperimentClient,
    ExperimentSpec,
    ExposureEvent,
    FieldChange,
    FlagSpec,
    InvalidInputError,
    InvalidManifestError,
    Manifest,
    Plan,
    Problem,
    ResourceChange,
    RetryPolicy,
    Segment,
    VariantSpec,
    load,
    save,
)
from amp_exp_async.emulator import Emulator
from tests.manifests.test_export import fill

COHORT = {"type": "cohort", "prop": "userdata_cohort", "op": "set contains", "values": ["c9"], "more": {"x": 1}}


def fields(plan: Plan) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Return the changes of a plan by key and field."""
    return {
        change.key: {name: (field.before, field.after) for name, field in change.fields.items()}
        for change in plan.changes
    }


def paths(emulator: Emulator) -> list[str]:
    """Return the requested paths."""
    return [request.path.removeprefix("/api/1") for request in emulator.requests]


@pytest.mark.parametrize("name", ["flags.yaml", "flags.json", "folder"])
async def test_plan_of_export_is_empty(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, name: str
) -> None:
    """This holds through a file, and with everything that can be exported."""
    fill(emulator)
    emulator.state.add_flag(key="c", targetSegments=[{"name": "", "conditions": [COHORT], "percentage": 1}])
    emulator.state.add_flag(key="d", name=None, tags=None, rolloutWeights=None, enabled=None, targetSegments=None)
    for options in ({}, {"users": True, "cohorts": True, "variants": True, "server_fields": True}):
        save(await client.export(include_archived=True, **options), tmp_path / name)
        plan = await client.plan(load(tmp_path / name))
        assert (bool(plan), plan.changes, str(plan)) == (False, (), "no changes")


async def test_empty_plan_reads_only_list_pages(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """1,500 flags take two pages."""
    for index in range(1500):
        emulator.state.add_flag(key=f"f{index}", variants=[{"key": "on", "payload": {"n": index}}])
    manifest = await client.export()
    emulator.requests.clear()

    assert not await client.plan(manifest)
    assert paths(emulator) == ["/flags", "/flags", "/deployments"]


async def test_single_flag_is_requested_by_key(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The list of its project is not read."""
    fill(emulator)
    assert not await client.plan(Manifest(flags=[FlagSpec(key="b", project_id="1", enabled=False)]))
    assert [request.query for request in emulator.requests] == [
        {"key": "b", "projectId": "1", "includeArchived": "true"}
    ]


async def test_changes_have_values_before_and_after(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Only declared fields change, and undeclared parts of a segment are kept."""
    fill(emulator)
    segment = Segment(
        name="s", conditions=[Condition("gp:plan", "is", ["pro"])], percentage=7, rollout_weights={"on": 1}
    )
    flag = FlagSpec(
        key="b",
        project_id="1",
        enabled=True,
        tags=["x", "y"],
        deployments=["web", "id:52"],
        variants=[VariantSpec(key="on", payload=1, users=["u1", "u3"], cohorts=["c1"]), VariantSpec(key="new")],
        rollout_weights={"on": 2, "new": 0.5},
        target_segments=[segment],
    )
    plan = await client.plan(Manifest(flags=[flag], experiments=[ExperimentSpec(key="a", exposure_event=None)]))

    unchanged = {"name": "s", "conditions": [CONDITION], "rollout_weights": {"on": 1}, "extra": {"new": 1}}
    changed = fields(plan)
    _, after = changed["b"].pop("target_segments")
    assert after == [unchanged | {"percentage": 7}]
    assert changed == {
        "b": {
            "enabled": (False, True),
            "deployments": (["id:53", "id:99", "web"], ["id:52", "web"]),
            "variants.on.payload": ({"a": None}, 1),
            "variants.on.users": (["u1", "u2"], ["u1", "u3"]),
            "variants.new": (UNSET, {"key": "new"}),
            "rollout_weights.new": (UNSET, 0.5),
        },
        "a": {"exposure_event": ({"event_type": "e", "filters": []}, None)},
    }
    assert [(change.kind, change.action, change.id) for change in plan.changes] == [
        ("flags", "edit", "11"),
        ("experiments", "edit", "12"),
    ]


CONDITION = {"prop": "gp:plan", "op": "is", "values": ["pro"], "type": "property", "extra": {"unknown": 1}}


async def test_fields_missing_from_lists_are_read(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A flag takes an extra request only if it declares a field that lists do not show."""
    fill(emulator)
    manifest = Manifest(
        flags=[
            FlagSpec(key="b", project_id="1", variants=[VariantSpec(key="on", name="")]),
            FlagSpec(key="b", project_id="2", variants=[VariantSpec(key="on")]),
        ]
    )
    assert not await client.plan(manifest)
    assert sorted(paths(emulator)) == ["/flags", "/flags", "/flags/11/variants"]


async def test_actions(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A missing flag is created, an archived one restored; `prune` archives undeclared flags of declared projects."""
    fill(emulator)
    emulator.state.add_flag(key="extra")
    manifest = Manifest(
        flags=[
            FlagSpec(key="new", project_id="1", enabled=True, deployments=["web"]),
            FlagSpec(key="old", project_id="1"),
        ]
    )
    plan = await client.plan(manifest)
    assert [(change.key, change.action) for change in plan.changes] == [("new", "create"), ("old", "restore")]

    plan = await client.plan(manifest, prune=True)
    assert [(change.key, change.project_id, change.action) for change in plan.changes] == [
        ("b", "1", "archive"),
        ("extra", "1", "archive"),
        ("new", "1", "create"),
        ("old", "1", "restore"),
    ]
    assert plan.summary == "1 to create, 2 to archive, 1 to restore"
    assert not await client.plan(Manifest(flags=[]), prune=True)


async def test_prune_infers_an_undeclared_project(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is the project of the live flag, even if another project has an archived flag with the key."""
    for id, key, project in (("1", "ours", "1"), ("2", "extra", "1"), ("3", "theirs", "2")):
        emulator.state.add_flag(id=id, key=key, projectId=project)
    emulator.state.add_flag(id="4", key="ours", projectId="2", deleted=True)
    plan = await client.plan(Manifest(flags=[FlagSpec(key="ours")]), prune=True)
    assert [(change.id, change.action) for change in plan.changes] == [("2", "archive")]
    await client.apply(plan)
    assert not await client.plan(Manifest(flags=[FlagSpec(key="ours")]), prune=True)


async def test_prune_rejects_an_export_of_some_keys(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Such an export has not read the other flags, also if it is promoted to another project."""
    for index in range(4):
        emulator.state.add_flag(key=f"f{index // 2}", projectId=str(1 + index % 2))
    partial = await client.export(keys=["f0"], project_id="1")
    for project in (None, "2"):
        with pytest.raises(InvalidInputError, match="prune: must be false for an export of some keys"):
            await client.plan(partial, prune=True, project_id=project)
    plan = await client.plan(attrs.evolve(partial, scope=None), prune=True)
    assert [change.key for change in plan.changes] == ["f1"]


UNWRITABLE = "has a condition on a cohort, which the API cannot write: change the segments in the app"


async def test_all_problems_are_reported_before_any_write(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """Each has its file, line and field."""
    fill(emulator)
    emulator.state.add_flag(
        key="c", targetSegments=[{"name": "s", "conditions": [COHORT], "percentage": 1, "rolloutWeights": {}}]
    )
    path = tmp_path / "flags.yaml"
    path.write_text("""\
flags:
  - key: b
  - key: new
  - key: c
    target_segments:
      - name: s
        percentage: 2
  - key: old
    deployments:
      - web
      - wbe
      - twin
      - id:77
    rollout_weights:
      of: 1
""")
    with pytest.raises(InvalidManifestError) as caught:
        await client.plan(load(path))
    assert [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems] == [
        '2: flags[0].project_id: is required, because 2 flags have the key "b": in 2 (ID 14), 1 (ID 11)',
        "3: flags[1].project_id: is required to create it, because no live flag or experiment has this key",
        f"6: flags[2].target_segments[0]: {UNWRITABLE}",
        '11: flags[3].deployments[1]: no deployment with label "wbe" in project 1; did you mean "web"?',
        '12: flags[3].deployments[2]: 2 deployments in project 1 have the label "twin": use id:52 or id:53',
        '13: flags[3].deployments[3]: no deployment with ID "77"',
        "15: flags[3].rollout_weights.of: unknown variant; expected one of: on",
    ]
    assert {request.method for request in emulator.requests} == {"GET"}


async def test_incomplete_objects_are_rejected(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """A new segment, condition or exposure event must be complete; a live one keeps its undeclared parts."""
    segment = {"name": "s", "conditions": [], "percentage": 1, "rolloutWeights": {"on": 1}}
    emulator.state.add_experiment(key="e", targetSegments=[segment])
    path = tmp_path / "flags.yaml"
    path.write_text("""\
experiments:
  - key: e
    exposure_event:
      event_type: seen
    target_segments:
      - name: s
        percentage: 2
      - name: t
        conditions:
          - prop: gp:plan
            op: is
        percentage: 3
""")
    with pytest.raises(InvalidManifestError) as caught:
        await client.plan(load(path))
    reason = "is required when creating a new"
    assert [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems] == [
        f"3: experiments[0].exposure_event.filters: {reason} exposure event",
        f"8: experiments[0].target_segments[1].rollout_weights: {reason} segment",
        f"10: experiments[0].target_segments[1].conditions[0].values: {reason} condition",
    ]


async def test_deployment_of_another_project_is_rejected(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is rejected by ID too, unless it is assigned already."""
    emulator.state.add_deployment(id="61", label="web", projectId="2")
    for key, assigned in (("new", []), ("odd", ["61"])):
        emulator.state.add_flag(key=key, deployments=assigned)
    with pytest.raises(InvalidManifestError, match='"61" belongs to project 2, not to project 1: use the label of'):
        await client.plan(Manifest(flags=[FlagSpec(key="new", project_id="1", deployments=["id:61"])]))
    assert not await client.plan(Manifest(flags=[FlagSpec(key="odd", project_id="1", deployments=["id:61"])]))


@pytest.mark.parametrize("reference", ["web", "id:61"])
async def test_archived_deployment_is_rejected(
    emulator: Emulator, client: AsyncExperimentClient, reference: str
) -> None:
    """It is rejected by label and by ID, also if archived after planning, unless it is assigned already."""
    emulator.state.add_deployment(id="61", label="web")
    emulator.state.add_flag(key="new")
    plan = await client.plan(Manifest(flags=[FlagSpec(key="new", deployments=[reference])]))
    await client.deployments.edit("61", archive=True)
    emulator.state.add_flag(key="old", deployments=["61"])
    archived = f'the deployment "{reference}" is archived: restore it or use another'
    with pytest.raises(EditConflictError, match=archived):
        await client.apply(plan)
    with pytest.raises(InvalidManifestError, match=archived):
        await client.plan(plan.manifest)
    exported = await client.export(keys=["old"])
    assert exported.of("flags")[0].deployments == ("web",)
    assert not await client.plan(exported)
    assert not await client.plan(Manifest(flags=[FlagSpec(key="old", deployments=[reference])]))


async def test_manifest_made_in_code_is_validated(client: AsyncExperimentClient) -> None:
    """The checks are those of a file."""
    with pytest.raises(InvalidManifestError, match=r"flags\[0\]\.rollout_percentage: must be a number from 0 to 100"):
        await client.plan(Manifest(flags=[FlagSpec(key="a", rollout_percentage=101)]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tags": "abc"}, r"flags\[0\]\.tags: must be a list"),
        ({"variants": None}, r"flags\[0\]\.variants: must be a list"),
        ({"variants": [{"kee": "on"}]}, r"variants\[0\]\.kee: unknown field; did you mean \"key\""),
        ({"variants": [5]}, r"variants\[0\]: must be an object"),
        ({"rollout_weights": {"on": "1"}}, r"rollout_weights\.on: must be a number"),
        ({"created_at": 5}, r"created_at: must be"),
    ],
)
async def test_invalid_values_in_code_are_reported(
    client: AsyncExperimentClient, fields: dict[str, Any], message: str
) -> None:
    """The message names the field."""
    with pytest.raises(InvalidManifestError, match=message):
        await client.plan(Manifest(flags=[FlagSpec(key="a", **fields)]))


async def test_path_is_not_a_manifest(client: AsyncExperimentClient) -> None:
    """The message says how to make one."""
    with pytest.raises(InvalidInputError, match=r"must be a Manifest, as load\(path\) returns"):
        await client.plan("flags.yaml")


async def test_mappings_replace_segments_and_variants(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A plan accepts them as all operations do."""
    emulator.state.add_flag(key="a", targetSegments=[{"name": "s", "conditions": [], "percentage": 5}])
    segments: Any = [{"name": "s", "percentage": 5}]
    variants: Any = [{"key": "on"}]
    assert not await client.plan(Manifest(flags=[FlagSpec(key="a", target_segments=segments, variants=variants)]))


@pytest.mark.parametrize(("values", "differs"), [(["DE", "US"], False), (["US"], True), (["US", "FR"], True)])
async def test_the_order_of_values_is_no_difference(
    emulator: Emulator, client: AsyncExperimentClient, values: list[str], differs: bool
) -> None:
    """Any value of a condition or filter matches, so their order has no meaning."""

    def filters(values: list[str]) -> list[Any]:
        return [{"subprop_key": "c", "subprop_op": "is", "subprop_type": "event", "subprop_value": values}]

    def segments(values: list[str], weights: str) -> list[Any]:
        return [
            {"name": "s", "percentage": 5, "conditions": [{"prop": "c", "op": "is", "values": values}], weights: {}}
        ]

    live = {"event_type": "seen", "filters": filters(["US", "DE"])}
    emulator.state.add_experiment(key="a", targetSegments=segments(["US", "DE"], "rolloutWeights"), exposureEvent=live)
    event: Any = {"event_type": "seen", "filters": filters(values)}
    spec = ExperimentSpec(key="a", target_segments=segments(values, "rollout_weights"), exposure_event=event)
    plan = await client.plan(Manifest(experiments=[spec]))
    changed = [name for change in plan.changes for name in change.fields]
    assert sorted(changed) == (["exposure_event", "target_segments"] if differs else [])


async def make_sample_plan(emulator: Emulator, client: AsyncExperimentClient) -> Plan:
    """Return a plan with several kinds of changes."""
    emulator.state.add_deployment(id="51")
    variants = [{"key": "on", "payload": {"text": "```", "n": list(range(20))}}]
    emulator.state.add_flag(key="a", id="1", deployments=["51"], variants=variants)
    manifest = Manifest(
        flags=[
            FlagSpec(key="a", project_id="1", enabled=True, variants=[VariantSpec(key="on", payload={"text": "```"})]),
            FlagSpec(key="b", project_id="1", name="B", archived=True),
        ],
        experiments=[ExperimentSpec(key="e", project_id="1", exposure_event=ExposureEvent("x", []))],
    )
    return await client.plan(manifest)


async def test_text_is_a_diff(
    emulator: Emulator, client: AsyncExperimentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is coloured only on a terminal."""
    plan = await make_sample_plan(emulator, client)
    assert str(plan).splitlines()[:4] == [
        "~ edit flags/a in project 1",
        "  - enabled: false",
        "  + enabled: true",
        "    variants.on.payload:",
    ]
    assert str(plan).splitlines()[-6:] == [
        "+ create flags/b in project 1",
        '  + name: "B"',
        "  + archived: true",
        "+ create experiments/e in project 1",
        '  + exposure_event: {"event_type":"x","filters":[]}',
        "2 to create, 1 to edit",
    ]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m  + enabled: true\x1b[0m" in str(plan)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in str(plan)


async def test_text_of_long_lists_shows_only_changes(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A single change among 2,000 IDs is shown with context, and 2,000 changes are shown in full."""
    emulator.state.add_flag(key="a", id="1", variants=[{"key": "on"}])
    emulator.state.add_users("flags", "1", "on", [f"user-{number:04}" for number in range(2000)])
    desired = [f"user-{number:04}" for number in range(2000) if number != 1000]
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", variants=[VariantSpec(key="on", users=desired)])]))
    lines = str(plan).splitlines()
    assert [line for line in lines if line.startswith("  -")] == ['  -     "user-1000",']
    assert lines.count("      ...") == 1
    assert len(lines) < 30

    others = [f"usr-{number:04}x" for number in range(2000)]
    plan = await client.plan(Manifest(flags=[FlagSpec(key="a", variants=[VariantSpec(key="on", users=others)])]))
    assert str(plan).count("\n") > 4000


async def test_markdown(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A payload cannot end its code fence."""
    lines = (await make_sample_plan(emulator, client)).to_markdown().splitlines()
    assert lines[1] == "### Flags: 2 to create, 1 to edit"
    assert lines[3:7] == ["**edit** `flags/a` in project 1", "", "````diff", "- enabled: false"]
    assert lines.count("````") == 1


HOSTILE = "\x1b[31mred\x07\x7f\x9b1m\u202eevil\u2028\nnew line`"
ESCAPED = r"\u001b[31mred\u0007\u007f\u009b1m\u202eevil\u2028\nnew line`"


def test_control_characters_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, projects, field names, values and warnings cannot control a terminal, nor start a line of their own."""
    change = ResourceChange(
        kind="flags",
        key=HOSTILE,
        project_id=HOSTILE,
        id="1",
        action="edit",
        fields={HOSTILE: FieldChange(HOSTILE, HOSTILE, [HOSTILE] * 9)},
    )
    warning = Problem(HOSTILE, 1, HOSTILE, HOSTILE)
    plan = Plan(service="s", changes=(change,), manifest=Manifest(), warnings=(warning,))
    value = f'"{ESCAPED}"'
    body = [f"-   {value}", "+   [", *[f"+     {value},"] * 8, f"+     {value}", "+   ]"]
    assert str(plan).splitlines() == [
        f"~ edit flags/{ESCAPED} in project {ESCAPED}",
        f"    {ESCAPED}:",
        *(f"  {line}" for line in body),
        f"! {ESCAPED}:1: {ESCAPED}: {ESCAPED}",
        "1 to edit",
    ]
    assert plan.to_markdown().splitlines() == [
        "<!-- amp-exp plan -->",
        "### Flags: 1 to edit",
        "",
        f"**edit** `` flags/{ESCAPED} `` in project {ESCAPED}",
        "",
        "```diff",
        f"  {ESCAPED}:",
        *body,
        "```",
        "",
        "**Warnings**",
        "",
        "```diff",
        f"! {ESCAPED}:1: {ESCAPED}: {ESCAPED}",
        "```",
    ]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert str(plan).splitlines()[0] == f"\x1b[33m~ edit flags/{ESCAPED} in project {ESCAPED}\x1b[0m"


async def test_date_equals_midnight(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The service may show a date as a date and time."""
    emulator.state.add_experiment(key="e", startDate="2023-07-29T00:00:00.000Z", endDate="2023-07-30T10:00:00.000Z")
    manifest = Manifest(experiments=[ExperimentSpec(key="e", start_date="2023-07-29", end_date="2023-07-30")])
    plan = await client.plan(manifest)
    assert plan.changes[0].fields == {"end_date": FieldChange("end_date", "2023-07-30T10:00:00.000Z", "2023-07-30")}


def test_sync_plan(experiment_emulator: Emulator, no_backoff: RetryPolicy) -> None:
    """The synchronous client plans as the asynchronous one does."""
    experiment_emulator.state.add_flag(key="a")
    with ExperimentClient(
        experiment_emulator.api_key, base_url=experiment_emulator.base_url, retry=no_backoff
    ) as client:
        manifest = client.export()
        assert not client.plan(manifest)
        [flag] = manifest.of("flags")
        assert client.plan(Manifest(flags=[attrs.evolve(flag, name="b")]))
