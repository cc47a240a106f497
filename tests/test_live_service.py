"""What the live service refuses, through the public client: what is sent, and the error or the result."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs
import pytest

from amp_exp_async import (
    UNSET,
    AsyncBulkRun,
    AsyncExperimentClient,
    BadRequestError,
    BulkRun,
    CreateVariant,
    Edit,
    EditVariant,
    ExperimentClient,
    InvalidInputError,
    InvalidManifestError,
    MethodNotAllowedError,
    NotFoundError,
    Pager,
    PermissionDeniedError,
    RemoveVariant,
    RetryPolicy,
    Variant,
    load,
)
from amp_exp_async.emulator import ApiKey, Emulator, Fault

Mode: TypeAlias = Literal["awaited", "blocking"]
Call: TypeAlias = Callable[[Any], Any]

SEGMENT: dict[str, Any] = {
    "name": "Beta",
    "conditions": [{"type": "property", "prop": "country", "op": "is", "values": ["JP"]}],
    "percentage": 100,
    "rollout_weights": {"on": 1},
}
KINDS = pytest.mark.parametrize("kind", ["flags", "experiments"])


class LiveService:
    """An emulator that refuses what the live service refuses, and calls of one of the clients.

    Attributes:
        emulator: the emulator.
        path: a folder for files.
    """

    def __init__(self, emulator: Emulator, mode: Mode, path: Path) -> None:
        self.emulator = emulator
        self.path = path
        self._mode = mode
        self.deployment = emulator.state.add_deployment(label="web")["id"]

    def call(self, function: Call, *, api_key: str | None = None) -> Any:
        """Return the result of a call; the outcomes if it is a bulk run."""
        key, url, retry = api_key or self.emulator.api_key, self.emulator.base_url, RetryPolicy(backoff_base=0.0)
        if self._mode == "blocking":
            with ExperimentClient(key, base_url=url, rate_limit=None, retry=retry) as client:
                result = function(client)
                return list(result) if isinstance(result, BulkRun | Pager) else result

        async def run() -> Any:
            async with AsyncExperimentClient(key, base_url=url, rate_limit=None, retry=retry) as client:
                result = function(client)
                if isinstance(result, AsyncBulkRun):
                    return [outcome async for outcome in result]
                return await result if inspect.isawaitable(result) else result

        return asyncio.run(run())

    def add(self, kind: str, key: str = "k", **fields: Any) -> str:
        """Add a flag or experiment with the variant `on`, and return its ID."""
        add = self.emulator.state.add_flag if kind == "flags" else self.emulator.state.add_experiment
        id: str = add(key=key, **{"variants": [{"key": "on"}], **fields})["id"]
        return id

    def write_file(self, text: str) -> Path:
        """Write a manifest for project 1, and return its path."""
        path = self.path / "flags.yaml"
        path.write_text(f'project_id: "1"\n{text}')
        return path

    def apply(self, text: str) -> list[Any]:
        """Plan and apply a manifest, check that nothing is left to do, and return the outcomes."""
        manifest = load(self.write_file(text))
        plan = self.call(lambda client: client.plan(manifest))
        outcomes: list[Any] = self.call(lambda client: client.apply(plan))
        assert not self.call(lambda client: client.plan(manifest))
        return outcomes

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        """The method, path and body of each request that may write."""
        return [
            (request.method, request.path.removeprefix("/api/1"), request.body)
            for request in self.emulator.requests
            if request.method != "GET"
        ]

    @property
    def edits(self) -> list[Any]:
        """The bodies of the edits."""
        return [body for method, _, body in self.writes if method == "PATCH"]


@pytest.fixture(params=["awaited", "blocking"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveService]:
    """The emulator of the live service, with the cohorts `c1` and `c2`, the group type `company` and a deployment."""
    with Emulator(
        strictness="live", cohorts=["c1", "c2"], group_types=["company"], per_second=None, per_day=None
    ) as emulator:
        yield LiveService(emulator, request.param, tmp_path)


NOT_FOUND: dict[str, tuple[Call, str]] = {
    "a flag": (lambda client: client.flags.get("99"), "Flag or experiment not found"),
    "an experiment": (lambda client: client.experiments.get("99"), "Flag or experiment not found"),
    "an edited flag": (lambda client: client.flags.edit("99", name="n"), "Flag or experiment not found"),
    "a variant": (lambda client: client.flags.variants.get("1", "x"), "Variant key does not exist"),
    "an edited variant": (lambda client: client.flags.variants.edit("1", "x", name="n"), "Variant key does not exist"),
    "a removed variant": (lambda client: client.flags.variants.remove("1", "x"), "Variant key does not exist"),
}


@pytest.mark.parametrize("case", NOT_FOUND)
@pytest.mark.parametrize("form", [400, 404])
def test_not_found(service: LiveService, case: str, form: int) -> None:
    """The answers of the live service and a 404 raise `NotFoundError`, whose status tells which it was."""
    call, text = NOT_FOUND[case]
    service.add("flags", id="1")
    if form == 404:
        service.emulator.inject(Fault.status(404))
    with pytest.raises(NotFoundError) as caught:
        service.call(call)
    assert caught.value.status == form
    assert form == 404 or text in str(caught.value)


REPEATED: dict[str, tuple[Call, str]] = {
    "a removal": (lambda client: client.flags.variants.remove("1", "on"), "DELETE"),
    "a renaming": (lambda client: client.flags.variants.edit("1", "on", key="renamed"), "PATCH"),
    "a removal in bulk": (lambda client: client.bulk([RemoveVariant("flags", "1", "on")]), "DELETE"),
    "a renaming in bulk": (lambda client: client.bulk([EditVariant("flags", "1", "on", {"key": "renamed"})]), "PATCH"),
}


@pytest.mark.parametrize("case", REPEATED)
@pytest.mark.parametrize("form", [400, 404])
def test_not_found_on_a_repeat(service: LiveService, case: str, form: int) -> None:
    """If the first response was lost, "not found" on the repeat means done."""
    call, method = REPEATED[case]
    service.add("flags", id="1")
    service.emulator.inject(Fault.close(applied=True), method=method)
    if form == 404:
        service.emulator.inject(Fault.status(404), method=method, nth=2)
    outcomes = service.call(call) or []
    assert [outcome.status for outcome in outcomes] == ["done"] * len(outcomes)
    assert [write[0] for write in service.writes] == [method] * 2
    assert service.emulator.state.flag("1")["variants"] == ([] if method == "DELETE" else [{"key": "renamed"}])


def test_not_found_in_a_rerun(service: LiveService) -> None:
    """A removal whose outcome is unknown is done for a rerun with the journal that does not find the variant."""
    service.add("flags", id="1")
    journal = service.path / "journal.jsonl"
    service.emulator.inject(Fault.close(applied=True), method="DELETE")
    service.emulator.inject(Fault.status(503), method="DELETE", nth=2, times=None)

    def run(client: Any) -> Any:
        return client.bulk([RemoveVariant("flags", "1", "on")], journal=journal)

    assert [outcome.status for outcome in service.call(run)] == ["unknown"]
    service.emulator.clear_faults()
    assert [outcome.status for outcome in service.call(run)] == ["done"]
    assert [outcome.status for outcome in service.call(run)] == ["skipped"]


@KINDS
def test_archive_with_other_fields(service: LiveService, kind: Any) -> None:
    """`archive` is sent alone: a call with other fields is rejected before it is sent."""
    id = service.add(kind)
    for archive in (True, False):
        with pytest.raises(InvalidInputError, match="archive") as caught:
            service.call(lambda client, archive=archive: getattr(client, kind).edit(id, archive=archive, name="new"))
        assert caught.value.argument == "archive"
        with pytest.raises(InvalidInputError, match="archive"):
            Edit(kind, id, {"archive": archive, "enabled": False})
    assert service.writes == []
    service.call(lambda client: getattr(client, kind).edit(id, archive=True))
    assert [outcome.status for outcome in service.call(lambda c: c.bulk([Edit(kind, id, {"archive": False})]))] == [
        "done"
    ]
    assert service.edits == [{"archive": True}, {"archive": False}]


@KINDS
def test_guarded_edits_that_archive(service: LiveService, kind: str) -> None:
    """A guarded edit un-archives first and alone, and archives last and alone."""
    id = service.add(kind, name="old")
    for deleted, name in ((True, "archived"), (False, "restored")):
        service.call(
            lambda client, deleted=deleted, name=name: getattr(client, kind).guarded_edit(
                id, lambda flag: attrs.evolve(flag, deleted=deleted, name=name)
            )
        )
    assert service.edits == [{"name": "archived"}, {"archive": True}, {"archive": False}, {"name": "restored"}]


@KINDS
def test_restoring_a_version_of_what_is_archived(service: LiveService, kind: str) -> None:
    """It is rejected before anything is written: what is un-archived for the edit would serve users."""
    id = service.add(kind, name="old")
    service.call(lambda client: getattr(client, kind).edit(id, name="new"))
    service.call(lambda client: getattr(client, kind).archive(id))
    service.emulator.requests.clear()
    with pytest.raises(InvalidInputError, match="is archived"):
        service.call(lambda client: client.restore_version(kind, id, 1))
    assert service.edits == []


@KINDS
def test_archiving_twice(service: LiveService, kind: str) -> None:
    """If the first response was lost, the refusal of the repeat is reconciled by reading: archived means done."""
    id = service.add(kind)
    service.emulator.inject(Fault.close(applied=True), method="PATCH")
    service.call(lambda client: getattr(client, kind).archive(id))
    assert service.edits == [{"archive": True}] * 2


@KINDS
def test_editing_what_is_archived(service: LiveService, kind: str) -> None:
    """The service refuses the edit, and the error says to restore first."""
    id = service.add(kind, deleted=True)
    with pytest.raises(BadRequestError, match="Cannot edit archived flag") as caught:
        service.call(lambda client: getattr(client, kind).edit(id, name="new"))
    assert "restore" in str(caught.value)


@KINDS
def test_a_plan_that_restores(service: LiveService, kind: str) -> None:
    """A plan un-archives first and alone, then sets deployments and variants, and enables last."""
    id = service.add(kind, deleted=True, name="old")
    service.apply(
        f"{kind}:\n- key: k\n  name: new\n  enabled: true\n  deployments: [web]\n"
        "  variants: [{key: on}, {key: b}]\n"
    )
    assert service.edits == [{"archive": False}, {"name": "new", "enabled": True}]
    assert (service.writes[0][2], service.writes[-1][2]) == (service.edits[0], service.edits[-1])
    assert service.emulator.state.stored_flag(kind, id).document.items() >= {"name": "new", "enabled": True}.items()


@KINDS
def test_a_plan_that_archives(service: LiveService, kind: str) -> None:
    """A plan archives last and alone."""
    id = service.add(kind, name="old")
    service.apply(f"{kind}:\n- key: k\n  name: new\n  archived: true\n")
    assert service.edits == [{"name": "new"}, {"archive": True}]
    assert service.emulator.state.stored_flag(kind, id).document["deleted"]


@KINDS
def test_enabling_without_a_deployment(service: LiveService, kind: str) -> None:
    """The service refuses it, and a plan rejects it with file and line before anything is sent."""
    id = service.add(kind)
    with pytest.raises(BadRequestError, match="Cannot activate without deployments") as caught:
        service.call(lambda client: getattr(client, kind).edit(id, enabled=True))
    assert "deployments.add" in str(caught.value)
    service.emulator.requests.clear()
    file = service.write_file(f"{kind}:\n- key: k\n  enabled: true\n")
    with pytest.raises(InvalidManifestError, match="deployment") as rejected:
        service.call(lambda client: client.plan(load(file)))
    assert [(problem.file, problem.line) for problem in rejected.value.problems] == [(str(file), 4)]
    assert service.writes == []


RESERVED: dict[str, Call] = {
    "a variant": lambda client: client.flags.variants.create("1", key="off"),
    "upper case": lambda client: client.flags.variants.create("1", key="OFF"),
    "a renamed variant": lambda client: client.flags.variants.edit("1", "on", key="Off"),
    "a flag": lambda client: client.flags.create(project_id="1", key="new", variants=[{"key": "on"}, {"key": "off"}]),
    "an experiment": lambda client: client.experiments.create(project_id="1", key="new", variants=[{"key": "off"}]),
    "an operation": lambda client: client.bulk([CreateVariant("flags", "1", "off")]),
    "a renaming operation": lambda client: client.bulk([EditVariant("flags", "1", "on", {"key": "off"})]),
}


@pytest.mark.parametrize("case", RESERVED)
def test_the_reserved_variant_key(service: LiveService, case: str) -> None:
    """`off` is rejected before it is sent, in any case, if a variant is created or renamed."""
    service.add("flags", id="1")
    with pytest.raises(InvalidInputError, match="reserves"):
        service.call(RESERVED[case])
    assert service.emulator.requests == []


def test_an_existing_variant_off(service: LiveService) -> None:
    """An existing variant `off` can be read, edited and kept by a plan."""
    id = service.add("flags", variants=[{"key": "off"}])
    service.call(lambda client: client.flags.variants.edit(id, "off", name="Off"))
    assert service.call(lambda client: client.flags.variants.get(id, "off")).name == "Off"
    exported = service.call(lambda client: client.export(project_id="1"))
    assert not service.call(lambda client: client.plan(exported))


@KINDS
@pytest.mark.parametrize("missing", SEGMENT)
def test_an_incomplete_segment(service: LiveService, kind: str, missing: str) -> None:
    """A segment that lacks a required field is rejected before it is sent, and its place is named."""
    id = service.add(kind)
    segment = {name: value for name, value in SEGMENT.items() if name != missing}
    for call in (
        lambda client: getattr(client, kind).edit(id, target_segments=[segment]),
        lambda client: getattr(client, kind).create(project_id="1", key="new", target_segments=[segment]),
    ):
        with pytest.raises(InvalidInputError) as caught:
            service.call(call)
        assert caught.value.argument.startswith("target_segments[0]")
        assert missing in str(caught.value)
    assert service.emulator.requests == []


@KINDS
def test_a_condition_without_values(service: LiveService, kind: str) -> None:
    """A condition without values is rejected before it is sent, and its place is named."""
    id = service.add(kind)
    segment = {**SEGMENT, "conditions": [{"type": "property", "prop": "country", "op": "is", "values": []}]}
    with pytest.raises(InvalidInputError) as caught:
        service.call(lambda client: getattr(client, kind).edit(id, target_segments=[segment]))
    assert caught.value.argument == "target_segments[0].conditions[0].values"
    assert service.emulator.requests == []


def test_an_exposure_event_without_filters(service: LiveService) -> None:
    """Filters that were left out are sent as an empty list."""
    id = service.add("experiments")
    service.call(lambda client: client.experiments.edit(id, exposure_event={"event_type": "Seen"}))
    assert service.edits == [{"exposureEvent": {"event_type": "Seen", "filters": []}}]


WRONG_CASE: dict[str, tuple[Call, str]] = {
    "evaluation_mode": (lambda client: client.flags.edit("1", evaluation_mode="Remote"), "remote"),
    "experiment_type": (lambda client: client.experiments.edit("2", experiment_type="No-Harm"), "no-harm"),
    "decision": (lambda client: client.experiments.edit("2", decision="Rollout"), "rollout"),
    "op": (
        lambda client: client.flags.edit(
            "1", target_segments=[{**SEGMENT, "conditions": [{**SEGMENT["conditions"][0], "op": "Is Not"}]}]
        ),
        "is not",
    ),
}


@pytest.mark.parametrize("case", WRONG_CASE)
def test_a_known_value_in_the_wrong_case(service: LiveService, case: str) -> None:
    """It is rejected before it is sent, and the right value is named."""
    call, right = WRONG_CASE[case]
    service.add("flags", id="1")
    service.add("experiments", "e", id="2")
    with pytest.raises(InvalidInputError, match=f'"{right}"') as caught:
        service.call(call)
    assert caught.value.argument.endswith(case)
    assert service.emulator.requests == []


@KINDS
def test_a_field_that_the_service_does_not_know(service: LiveService, kind: str) -> None:
    """The error names a field that came from an earlier reading, and says how to leave it out; edits do not send it."""
    variant = Variant(key="on", extra={"parentDependencies": {}})
    with pytest.raises(BadRequestError, match=r"parentDependencies.* is not allowed") as caught:
        service.call(lambda client: getattr(client, kind).create(project_id="1", key="new", variants=[variant]))
    assert "extra" in str(caught.value)
    id = service.add(kind, parentDependencies={"flags": {}, "operator": "all"}, testInstrumentation={})
    service.call(lambda client: getattr(client, kind).guarded_edit(id, lambda flag: attrs.evolve(flag, name="new")))
    assert service.edits == [{"name": "new"}]


WEB: dict[str, Call] = {
    "edit": lambda client: client.experiments.edit("1", name="new"),
    "archive": lambda client: client.experiments.archive("1"),
    "deployments": lambda client: client.experiments.deployments.add("1", ["2"]),
}


@pytest.mark.parametrize("case", WEB)
@pytest.mark.parametrize("form", [400, 405])
def test_a_web_experiment(service: LiveService, case: str, form: int) -> None:
    """Editing or deploying a web experiment raises `MethodNotAllowedError`, with the answers of page and service."""
    service.add("experiments", id="1", deliveryMethod="web")
    if form == 405:
        service.emulator.inject(Fault.status(405), method="PATCH")
        service.emulator.inject(Fault.status(405), method="POST")
    with pytest.raises(MethodNotAllowedError) as caught:
        service.call(WEB[case])
    assert caught.value.status == form


SCOPES: dict[str, tuple[list[str], Call]] = {
    "experimentation": ([], lambda client: client.flags.get("1")),
    "experiment_groups": (["experimentation"], lambda client: client.mutexes.get("1")),
    "experiment_multi_armed_bandit": (
        ["experimentation"],
        lambda client: client.experiments.create(project_id="1", key="new", experiment_type="multi-arm-bandit"),
    ),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_missing_permission(tmp_path: Path, scope: str) -> None:
    """The error names the permission, and says that the user who created the key lacks it; lists may work."""
    scopes, call = SCOPES[scope]
    keys = {"restricted": ApiKey(projects=["1"], scopes=scopes)}
    for mode in ("awaited", "blocking"):
        with Emulator(strictness="live", keys=keys, per_second=None, per_day=None) as emulator:
            service = LiveService(emulator, mode, tmp_path)
            service.add("flags", id="1")
            with pytest.raises(PermissionDeniedError, match=scope) as caught:
                service.call(call, api_key="restricted")
            assert "created the key" in str(caught.value)
            listed = service.call(lambda client: client.flags.list(), api_key="restricted")
            assert [flag.id for flag in listed] == ["1"]


def test_removing_cohorts_that_are_not_included(service: LiveService) -> None:
    """The refusal is an error, but after a lost response it means done."""
    id = service.add("flags")
    remove: Call = lambda client: client.flags.cohorts.remove(id, "on", ["c1"])  # noqa: E731 - called twice
    with pytest.raises(BadRequestError, match="There are no users for this key"):
        service.call(remove)
    service.emulator.state.add_cohorts("flags", id, "on", ["c1"])
    service.emulator.inject(Fault.close(applied=True), method="DELETE")
    service.call(remove)
    assert service.emulator.state.cohorts("flags", id, "on") == []


def test_a_cohort_that_does_not_exist(service: LiveService) -> None:
    """The error names this cause of "Internal server error"."""
    id = service.add("flags")
    for call in (
        lambda client: client.flags.cohorts.add(id, "on", ["missing"]),
        lambda client: client.flags.cohorts.remove(id, "on", ["missing"]),
    ):
        with pytest.raises(BadRequestError, match="cohort"):
            service.call(call)


def test_a_bucketing_unit_that_is_not_a_group_type(service: LiveService) -> None:
    """The service's answer is in the error; a configured group type is accepted."""
    id = service.add("flags")
    with pytest.raises(BadRequestError, match="Invalid bucketing unit"):
        service.call(lambda client: client.flags.edit(id, bucketing_unit="Person"))
    service.call(lambda client: client.flags.edit(id, bucketing_unit="company"))


def test_archiving_a_deployment_in_use(service: LiveService) -> None:
    """The service's answer is in the error; without unarchived objects the deployment is archived."""
    id = service.add("flags", deployments=[service.deployment])
    archive: Call = lambda client: client.deployments.edit(service.deployment, archive=True)  # noqa: E731 - called twice
    with pytest.raises(BadRequestError, match="using this deployment"):
        service.call(archive)
    service.call(lambda client: client.flags.archive(id))
    service.call(archive)


def test_empty_lists_of_mutex_slots(service: LiveService) -> None:
    """A creation omits empty lists; the error of an edit says that the service may refuse them."""
    created = service.call(
        lambda client: client.mutexes.create(
            project_id="1", name="group", slots=[{"percentage": 100, "experiments": [], "individuals": []}]
        )
    )
    assert [body["slots"] for _, _, body in service.writes] == [[{"percentage": 100}]]
    with pytest.raises(BadRequestError) as caught:
        service.call(lambda client: client.mutexes.edit_slot(created.id, 1, experiments=[]))
    assert caught.value.__notes__ == ["The service may refuse empty lists: experiments."]


DEPENDENTS: dict[str, str] = {
    "archiving": "  archived: true\n",
    "removing the variant": "  variants: [{key: b}]\n",
}


@KINDS
@pytest.mark.parametrize("case", DEPENDENTS)
def test_what_others_depend_on(service: LiveService, kind: str, case: str) -> None:
    """A plan that archives it, or removes the variant, is rejected and names the dependents; nothing is written."""
    id = service.add(kind, "parent", variants=[{"key": "on"}, {"key": "b"}])
    service.add("experiments", "child", parentDependencies={"flags": {id: ["on"]}, "operator": "all"})
    file = service.write_file(f"{kind}:\n- key: parent\n{DEPENDENTS[case]}")
    with pytest.raises(InvalidInputError, match="child"):
        service.call(lambda client: client.plan(load(file)))
    assert service.writes == []


def test_enabling_with_inactive_parents(service: LiveService) -> None:
    """A plan warns, because the service refuses it."""
    id = service.add("flags", "parent")
    dependencies = {"flags": {id: ["on"]}, "operator": "all"}
    service.add("experiments", "child", deployments=[service.deployment], parentDependencies=dependencies)
    file = service.write_file("experiments:\n- key: child\n  enabled: true\n")
    plan = service.call(lambda client: client.plan(load(file)))
    assert any("parent" in str(warning) for warning in plan.warnings)


def test_one_key_for_two_kinds(service: LiveService) -> None:
    """Files that declare a key twice are rejected with file and line; the service refuses a second object."""
    file = service.write_file("flags:\n- key: k\nexperiments:\n- key: k\n")
    with pytest.raises(InvalidManifestError, match='"k"') as caught:
        load(file)
    assert [problem.line for problem in caught.value.problems] == [5]
    service.add("flags", "k")
    with pytest.raises(BadRequestError):
        service.call(lambda client: client.experiments.create(project_id="1", key="k"))


def test_fields_beyond_the_reference(service: LiveService) -> None:
    """Fields that the reference does not list are kept, IDs that are numbers are strings, payloads are unchanged."""
    payload = [{"data": {"mutations": []}, "action": "mutate"}]
    id = service.add(
        "experiments",
        deliveryMethod="web",
        testInstrumentation={"a": 1},
        createdBy=7,
        variants=[{"key": "on", "payload": payload}],
    )
    experiment = service.call(lambda client: client.experiments.get(id))
    assert (experiment.delivery_method, experiment.created_by) == ("web", "7")
    assert experiment.extra["testInstrumentation"] == {"a": 1}
    assert experiment.variants[0].payload == payload


@KINDS
def test_versions(service: LiveService, kind: str) -> None:
    """Versions have no state, and the configuration of an experiment is in the list of all versions too."""
    id = service.add(kind, "listed")
    [version] = service.call(lambda client: getattr(client, kind).versions.list(id))
    [listed] = service.call(lambda client: client.versions.list())
    assert (version.config.key, listed.config.key, type(listed.config)) == ("listed", "listed", type(version.config))
    assert getattr(version.config, "state", UNSET) is UNSET


def test_renaming_a_variant(service: LiveService) -> None:
    """The name stays, even if it was a copy of the key."""
    id = service.add("flags", variants=[{"key": "on", "name": "on"}])
    service.call(lambda client: client.flags.variants.edit(id, "on", key="renamed"))
    assert service.call(lambda client: client.flags.variants.get(id, "renamed")).name == "on"


@KINDS
@pytest.mark.parametrize("key", ["checkout.v2", "with space", "a/b?c=d", "ünï"])
def test_existing_keys(service: LiveService, kind: str, key: str) -> None:
    """A flag and a variant with any key can be read, edited and exported, but not created."""
    id = service.add(kind, key, variants=[{"key": key}])
    assert service.call(lambda client: getattr(client, kind).find(key)).id == id
    service.call(lambda client: getattr(client, kind).variants.edit(id, key, name="new"))
    outcomes = service.call(lambda client: client.bulk([Edit(kind, key=key, changes={"name": "new"})]))
    assert [outcome.status for outcome in outcomes] == ["done"]
    exported = service.call(lambda client: client.export(project_id="1"))
    assert not service.call(lambda client: client.plan(exported))
    with pytest.raises(InvalidInputError, match="letters"):
        service.call(lambda client: getattr(client, kind).create(project_id="1", key=key))
