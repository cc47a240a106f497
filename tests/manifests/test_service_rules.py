"""Plans that the service would reject: they are rejected when planned, with file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    Dependencies,
    ExperimentSpec,
    FlagSpec,
    InvalidManifestError,
    Manifest,
    VariantSpec,
    dumps,
    load,
    loads,
    save,
)
from amp_exp_async.emulator import Emulator, Fault


async def problems_of(client: AsyncExperimentClient, text: str, **options: Any) -> list[str]:
    """Return the problems of the plan of a text, each with its line and field."""
    with pytest.raises(InvalidManifestError) as caught:
        await client.plan(loads(text, name="f"), **options)
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


async def test_enabling_needs_a_deployment(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The flag must have one already, or get one by the same plan."""
    emulator.state.add_deployment(id="51", label="web")
    emulator.state.add_flag(key="assigned", deployments=["51"])
    emulator.state.add_flag(key="bare")
    text = """\
project_id: "1"
flags:
  - key: assigned
    enabled: true
  - key: bare
    enabled: true
  - key: new
    deployments: []
    enabled: true
  - key: complete
    deployments: [web]
    enabled: true
  - key: archived
    archived: true
    enabled: true
"""
    reason = "cannot be true without a deployment, which it neither has nor gets: declare its deployments"
    assert await problems_of(client, text) == [
        f"6: flags[1].enabled: {reason}",
        f"9: flags[2].enabled: {reason}",
    ]
    text = text.replace("deployments: []", "deployments: [web]").replace("bare\n", "bare\n    deployments: [web]\n")
    assert (await client.apply(await client.plan(loads(text)))).ok
    assert not await client.plan(loads(text))


async def test_keys_that_nothing_can_be_created_with(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """Existing flags and variants may have them."""
    emulator.state.add_flag(key="old key", variants=[{"key": "Off"}, {"key": "a.name"}])
    text = """\
project_id: "1"
flags:
  - key: old key
    variants:
      - key: "Off"
      - key: a.name
      - key: "oFF"
  - key: new.key
    variants:
      - key: new.variant
      - key: "off"
"""
    reserved = "is reserved for users who get no variant: use another key for the new variant"
    alphabet = 'must consist of letters, digits, "_" and "-" to be created, got'
    assert await problems_of(client, text) == [
        f'7: flags[0].variants[2].key: "oFF" {reserved}',
        f'8: flags[1].key: {alphabet} "new.key"',
        f'10: flags[1].variants[0].key: {alphabet} "new.variant"',
        f'11: flags[1].variants[1].key: "off" {reserved}',
    ]


KEYS = ("checkout.v2", "trailing ", "with/slash", ".hidden", "a%20b", "ключ", "id", "1", "null")


@pytest.mark.parametrize("name", ["flags.yaml", "flags.json", "folder"])
async def test_existing_objects_may_break_rules_for_new_ones(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, name: str
) -> None:
    """Their export can be saved and loaded, its plan is empty, and a changed one can be applied."""
    for key in KEYS:
        variants = [{"key": "off"}, {"key": f"{key}.name", "payload": 1}, {"key": key}]
        emulator.state.add_flag(
            id=f"flag {key}", key=key, enabled=True, variants=variants, rolloutWeights={"off": 1, key: 2}
        )
        emulator.state.add_flag(
            key=f"child of {key}", parentDependencies={"flags": {f"flag {key}": ["off"]}, "operator": "all"}
        )
        emulator.state.add_users("flags", f"flag {key}", key, ["ada"])
    exported = await client.export(users=True, variants=True)
    assert {spec.key for spec in exported.of("flags")} == {*KEYS, *(f"child of {key}" for key in KEYS)}
    save(exported, tmp_path / name)
    loaded = load(tmp_path / name)
    assert loaded.of("flags") == exported.of("flags") or name == "folder"
    plan = await client.plan(loaded)
    assert (plan.changes, plan.warnings) == ((), ())
    for key in KEYS:
        child = next(spec for spec in loaded.of("flags") if spec.key == f"child of {key}")
        assert child.dependencies
        assert child.dependencies.flags == {key: ["off"]}

    changed = [
        FlagSpec(
            key=key,
            rollout_weights={key: 5},
            variants=[
                VariantSpec(key="off"),
                VariantSpec(key=f"{key}.name", payload=2),
                VariantSpec(key=key, users=["bob"], name="n"),
            ],
        )
        for key in KEYS
    ]
    plan = await client.plan(Manifest(flags=changed))
    assert (await client.apply(plan)).ok
    assert not await client.plan(Manifest(flags=changed))


WEB = {"deliveryMethod": "web", "variants": [{"key": "hero", "payload": [{"action": "mutate"}]}]}


async def test_web_experiments_are_neither_promoted_nor_pruned(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """A warning names each of them. A file keeps what tells them from others."""
    for project in ("1", "2"):
        emulator.state.add_experiment(key=f"web-{project}", projectId=project, **WEB)
        emulator.state.add_experiment(key="both", projectId=project)
    save(await client.export(project_id="1"), tmp_path / "flags.yaml")
    exported = load(tmp_path / "flags.yaml")
    assert [spec.key for spec in exported.experiments or () if spec.delivery_method == "web"] == ["web-1"]
    plan = await client.plan(exported)
    assert (plan.changes, plan.warnings) == ((), ())

    plan = await client.plan(exported, project_id="2", prune=True)
    assert plan.changes == ()
    assert [warning.message for warning in plan.warnings] == [
        f"is a web experiment, which the API cannot {action}: it was left out of the plan; change it in the app"
        for action in ("archive", "create or edit")
    ]
    assert [(warning.field, warning.line > 0) for warning in plan.warnings] == [
        ("web-2", False),
        ("experiments[1]", True),
    ]


async def test_web_experiment_is_not_edited(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is rejected, also if it would be restored."""
    emulator.state.add_experiment(key="web", **WEB)
    emulator.state.add_experiment(key="old", deleted=True, **WEB)
    text = "experiments:\n  - key: web\n    name: n\n    tags: [t]\n  - key: old\n"
    fact = "is a web experiment, which the API cannot edit: change"
    assert await problems_of(client, text) == [
        f"2: experiments[0]: {fact} name, tags in the app, or leave the fields out",
        f"5: experiments[1]: {fact} archived in the app, or leave the fields out",
    ]


async def test_what_others_depend_on_is_kept(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The problem names the dependents. Archived dependents, and those on other variants, do not count."""
    store = emulator.state
    store.add_flag(id="1", key="parent", variants=[{"key": "on"}, {"key": "old"}, {"key": "unused"}])
    on_old = {"flags": {"1": ["old"]}, "operator": "all"}
    store.add_flag(key="child", parentDependencies=on_old)
    store.add_experiment(key="child-too", parentDependencies={"flags": {"1": ["on"]}, "operator": "all"})
    store.add_flag(key="archived-child", deleted=True, parentDependencies=on_old)
    remedy = "first archive them, or remove the dependency in the app"
    both = f"cannot archive it, because experiments/child-too, flags/child depend on it: {remedy}"
    assert await problems_of(client, "flags:\n  - key: parent\n    archived: true\n") == [
        f"3: flags[0].archived: {both}"
    ]
    text = "flags:\n  - key: parent\n    variants:\n      - key: 'on'\n      - key: unused\n"
    assert await problems_of(client, text) == [
        f'3: flags[0].variants: cannot remove the variant "old", because flags/child depends on it: {remedy}'
    ]
    keep = "project_id: '1'\nflags:\n  - key: child\nexperiments:\n  - key: child-too\n"
    assert await problems_of(client, keep, prune=True) == [f"parent.archived: {both}"]
    plan = await client.plan(loads(text.replace("unused", "old")))
    assert list(plan.changes[0].fields) == ["variants.unused"]
    assert (await client.apply(plan)).ok


async def test_parts_that_cannot_be_written(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """An incomplete segment or an empty condition is kept as it is, but not written."""
    empty = [{"type": "property", "prop": "p", "op": "is", "values": []}]
    complete = {"name": "s", "percentage": 5, "rolloutWeights": {}}
    for key, segment in (("a", {"conditions": empty}), ("b", {"conditions": [], "rolloutWeights": None})):
        emulator.state.add("flags", {"key": key, "targetSegments": [complete | segment]})
    exported = await client.export()
    assert not await client.plan(loads(dumps(exported)))
    text = """\
flags:
  - key: a
    target_segments:
      - name: s
        percentage: 6
  - key: b
    target_segments:
      - percentage: 6
"""
    assert await problems_of(client, text) == [
        "4: flags[0].target_segments[0].conditions[0].values: must contain at least one value",
        "8: flags[1].target_segments[0].rollout_weights: is required when creating a new segment",
    ]


async def test_experiment_with_an_inactive_parent_is_enabled_with_a_warning(
    emulator: Emulator, client: AsyncExperimentClient
) -> None:
    """The service may reject it."""
    emulator.state.add_deployment(id="51", label="web")
    emulator.state.add_flag(id="1", key="parent")
    parents = {"flags": {"1": ["on"]}, "operator": "all"}
    emulator.state.add_experiment(key="e", deployments=["51"], parentDependencies=parents)
    manifest = loads("experiments:\n  - key: e\n    enabled: true\n")
    [warning] = (await client.plan(manifest)).warnings
    assert (warning.line, warning.field) == (3, "experiments[0].enabled")
    assert warning.message.startswith("depends on parent, not active, so the service may not enable it")
    await client.flags.deployments.add("1", ["51"])
    await client.flags.edit("1", enabled=True)
    assert (await client.plan(manifest)).warnings == ()


def test_one_key_of_a_flag_and_an_experiment_is_rejected() -> None:
    """In one project they share one set of keys; other projects and archived ones do not count."""
    text = "flags:\n  - {key: a, project_id: '1'}\n  - {key: a, project_id: '2'}\nexperiments:\n"
    for fields in ("project_id: '1'", "project_id: '2'", "name: n"):
        with pytest.raises(
            InvalidManifestError, match=r'f:5: experiments\[0\].key: the key "a" is also the key of a flag'
        ):
            loads(f"{text}  - {{key: a, {fields}}}\n", name="f")
    for fields in ("project_id: '3'", "project_id: '1', archived: true"):
        loads(f"{text}  - {{key: a, {fields}}}\n")


async def test_key_of_the_other_kind_is_taken(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """An archived object and a group count too; one of another project does not."""
    emulator.state.add_flag(id="1", key="taken")
    emulator.state.add_flag(id="3", key="archived", deleted=True)
    emulator.state.add_mutex(id="5", key="group", name="Group")
    emulator.state.add_flag(key="elsewhere", projectId="2")
    text = "project_id: '1'\nflags:\n  - key: archived\n    archived: true\nexperiments:\n"
    keys = "".join(f"  - key: {key}\n" for key in ("taken", "archived", "elsewhere", "group"))
    assert await problems_of(client, text + keys) == [
        f"{line}: experiments[{line - 6}].key: is the key of the {other}, and a project can have it only once: "
        "use another key"
        for line, other in (
            (6, 'flag with ID "1"'),
            (7, 'archived flag with ID "3"'),
            (9, 'mutex group with ID "5"'),
        )
    ]


async def test_one_key_for_two_new_objects(client: AsyncExperimentClient) -> None:
    """A flag and an experiment with one key cannot both be created, even if one of them is archived."""
    text = "project_id: '1'\nflags: [{key: new}]\nexperiments:\n  - {key: new, archived: true}\n"
    assert await problems_of(client, text) == [
        (
            "4: experiments[0].key: is the key of one of the flags of this plan too, and a project can have it only "
            "once: use another key"
        )
    ]


async def test_a_parent_in_groups_that_cannot_be_read(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """The plan has a warning instead of saying that the group does not exist."""
    emulator.state.add_flag(id="1", key="child", parentDependencies={"flags": {"7": ["on"]}, "operator": "all"})
    emulator.inject(Fault.status(403), path="/holdouts", times=None)
    text = "flags:\n  - key: child\n    dependencies: {flags: {group: ['on']}}\n"
    plan = await client.plan(loads(text))
    [warning] = plan.warnings
    assert (plan.changes, warning.line, "may not read the mutex and holdout groups" in warning.message) == ((), 3, True)


async def test_an_archived_twin_is_left_out_of_the_export(
    emulator: Emulator, client: AsyncExperimentClient, caplog: pytest.LogCaptureFixture
) -> None:
    """An active and an archived flag with one key exist; the export has the active one, and can be loaded."""
    emulator.state.add("flags", {"id": "1", "key": "twin", "deleted": True})
    emulator.state.add("flags", {"id": "2", "key": "twin", "name": "active"})
    exported = loads(dumps(await client.export(include_archived=True)))
    assert [spec.name for spec in exported.of("flags")] == ["active"]
    assert "twin (ID 1): the export leaves out this archived one" in caplog.text
    assert not await client.plan(exported)


async def test_what_an_export_left_out_is_not_created_without_it(
    emulator: Emulator, client: AsyncExperimentClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the field, the flag's own project has no change, and another project needs a value."""
    segment = {"name": "s", "conditions": [], "percentage": 100.5, "rolloutWeights": {"on": 1}}
    flag = emulator.state.add_flag(key="a", tags=["t"])
    body = json.dumps({"flags": [{**flag, "targetSegments": [segment]}]})
    emulator.inject(Fault.status(200, body=body), method="GET", path="/flags")
    exported = await client.export()
    assert "a (ID 1001): the export leaves out target_segments" in caplog.text
    assert not await client.plan(exported)
    with pytest.raises(InvalidManifestError, match="the export left out target_segments, because"):
        await client.plan(exported, project_id="2")
    [spec] = exported.of("flags")
    declared = attrs.evolve(exported, flags=[attrs.evolve(spec, target_segments=[])])
    assert [change.action for change in (await client.plan(declared, project_id="2")).changes] == ["create"]


@pytest.mark.parametrize("shown", ["treatment", "Treatment B"])
async def test_the_rolled_out_variant_is_a_key_or_a_name(
    emulator: Emulator, client: AsyncExperimentClient, shown: str
) -> None:
    """A declared key equals the name that the service shows."""
    variants = [{"key": "control"}, {"key": "treatment", "name": "Treatment B"}]
    emulator.state.add_experiment(key="a", variants=variants, rolledOutVariant=shown)
    manifest = Manifest(experiments=[ExperimentSpec(key="a", rolled_out_variant="treatment")])
    assert not await client.plan(manifest)
    other = Manifest(experiments=[ExperimentSpec(key="a", rolled_out_variant="control")])
    assert (await client.plan(other)).changes[0].fields.keys() == {"rolled_out_variant"}


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("groups", [False, True])
async def test_unreadable_parent_is_left_out_of_the_export(
    emulator: Emulator, client: AsyncExperimentClient, caplog: pytest.LogCaptureFixture, status: int, *, groups: bool
) -> None:
    """The export has all else, the log names the parent, and the plan of the export has no warning."""
    emulator.state.add_flag(id="2", key="readable")
    parents = {"flags": {"2": ["on"], "99": ["on"]}, "operator": "all"}
    emulator.state.add_flag(id="1", key="child", parentDependencies=parents)
    for path in ("/flags/99", "/experiments/99", *(("/mutexes", "/holdouts") if groups else ())):
        emulator.inject(Fault.status(status), path=path, times=None)
    exported = await client.export()
    assert [spec.dependencies for spec in exported.of("flags") if spec.key == "child"] == [
        Dependencies(flags={"readable": ["on"]}, operator="all")
    ]
    assert "child (ID 1): the export leaves out its dependency on the parent with ID 99" in caplog.text
    plan = await client.plan(exported)
    assert (plan.changes, plan.warnings) == ((), ())


async def test_object_on_two_pages_is_one(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """A list that shifts while it is read has an object twice, which exports, plans and prune have once."""
    for number in range(3):
        emulator.state.add_flag(id=str(number), key=f"k{number}", projectId="1")
    first, second, third = reversed(emulator.state.flags)
    pages: list[dict[str, Any]] = [{"flags": [first, second], "nextCursor": 2}, {"flags": [second, third]}]

    def shift_pages() -> None:
        for number, page in enumerate(pages, 1):
            emulator.inject(Fault.status(200, body=page), method="GET", path="/flags", nth=number, times=1)

    shift_pages()
    exported = await client.export()
    assert [spec.key for spec in loads(dumps(exported)).of("flags")] == ["k0", "k1", "k2"]
    shift_pages()
    assert not await client.plan(exported)
    shift_pages()
    plan = await client.plan(loads("flags: [{key: k0}]"), prune=True)
    assert [change.key for change in plan.changes] == ["k1", "k2"]


async def test_values_that_no_file_can_hold(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """An export keeps half an emoji and huge integers, and leaves out a key that no URL can carry."""
    half, huge = "Launch \ud83c", 2**80
    flag: dict[str, Any] = {
        **emulator.state.add_flag(id="1", key="a"),
        "name": half,
        "variants": [{"key": "on", "name": half, "payload": {"n": huge}}],
    }
    nameless = {**flag, "id": "2", "key": half}
    odd = {**flag, "id": "3", "key": "odd", "variants": [{"key": half}], "rolloutWeights": {half: 1}}
    body = json.dumps({"flags": [flag, nameless, odd]}).encode()
    emulator.inject(Fault.status(200, body=body), method="GET", path="/flags", times=None)
    exported = loads(dumps(await client.export()))
    assert [(spec.key, spec.name, spec.rollout_weights) for spec in exported.of("flags")] == [
        ("a", half, {"on": 1}),
        ("odd", half, UNSET),
    ]
    assert exported.of("flags")[0].variants == (VariantSpec(key="on", name=half, payload={"n": huge}),)
    assert not await client.plan(exported)

    plan = await client.plan(loads("flags:\n  - key: a\n    name: n\n    variants: [{key: 'on', payload: 1}]\n"))
    assert "\\ud83c" in str(plan)
    assert json.loads(plan.to_json())["changes"][0]["fields"]["variants.on.payload"] == {
        "before": {"n": huge},
        "after": 1,
    }


async def test_value_that_an_operation_rejects(emulator: Emulator, client: AsyncExperimentClient) -> None:
    """It is rejected when planned, even if it is an existing one."""
    emulator.state.add_flag(key="a", variants=[{"key": ".."}, {"key": "on"}])
    text = "flags:\n  - key: a\n    variants: [{key: 'on'}]\n"
    assert await problems_of(client, text) == ['2: flags[0].variant: must not be "." or ".."']
