"""`amp-exp flags edit` and `experiments edit`: options, requests and output."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from amp_exp_async.cli.edits import ExperimentFieldOptions, FlagFieldOptions
from amp_exp_async.emulator import Emulator
from amp_exp_async.params import EXPERIMENT_EDIT_PARAMS, FLAG_EDIT_PARAMS
from amp_exp_async.resources import OptimisticEdit
from tests.cli.cli_result import RunCommand, writes

PILOT = {
    "name": "Pilot",
    "conditions": [{"type": "property", "prop": "gp:email", "op": "is", "values": ["ann@example.com"]}],
    "percentage": 50,
    "rolloutWeights": {"control": 1},
}

OPTIONS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "name": (["--name", "New"], {"name": "New"}),
    "description": (["--description", ""], {"description": ""}),
    "enabled": (["--enabled"], {"enabled": True}),
    "rollout_percentage": (["--rollout-percentage", "20"], {"rolloutPercentage": 20}),
    "a share": (["--rollout-percentage", "12.5"], {"rolloutPercentage": 12.5}),
    "evaluation_mode": (["--evaluation-mode", "local"], {"evaluationMode": "local"}),
    "bucketing_key": (["--bucketing-key", "user_id"], {"bucketingKey": "user_id"}),
    "bucketing_salt": (["--bucketing-salt", "new"], {"bucketingSalt": "new"}),
    "bucketing_unit": (["--bucketing-unit", "org"], {"bucketingUnit": "org"}),
    "tags": (["--add-tag", "c", "--add-tag", "a", "--remove-tag", "b"], {"tags": ["a", "c"]}),
    "null": (["--set", "name=null"], {"name": None}),
    "any field": (["--set", 'tags=["z"]', "--set", "enabled=true"], {"enabled": True, "tags": ["z"]}),
}
EXPERIMENT_OPTIONS: dict[str, tuple[list[str], dict[str, Any]]] = OPTIONS | {
    "experiment_type": (["--experiment-type", "no-harm"], {"experimentType": "no-harm"}),
    "sticky_bucketing": (["--sticky-bucketing"], {"stickyBucketing": True}),
    "start_date": (["--start-date", "2026-01-02"], {"startDate": "2026-01-02"}),
    "end_date": (["--end-date", "2026-01-02T03:04:05Z"], {"endDate": "2026-01-02T03:04:05.000Z"}),
    "decision": (["--decision", "continue-running"], {"decision": "continue-running"}),
    "decision_reason": (["--decision-reason", "more data"], {"decisionReason": "more data"}),
    "rolled_out_variant": (["--rolled-out-variant", "on"], {"rolledOutVariant": "on"}),
    "exposure_event": (
        ["--set", 'exposure_event={"event_type": "Seen", "filters": []}'],
        {"exposureEvent": {"event_type": "Seen", "filters": []}},
    ),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_flags(account: Emulator, amp_exp: RunCommand, option: str) -> None:
    """Each option sends its field only, and nothing the second time; a dry run shows the same change."""
    check_option(account, amp_exp, "flags", *OPTIONS[option])


@pytest.mark.parametrize("option", EXPERIMENT_OPTIONS)
def test_options_of_experiments(account: Emulator, amp_exp: RunCommand, option: str) -> None:
    """Experiments have the options of flags and their own."""
    check_option(account, amp_exp, "experiments", *EXPERIMENT_OPTIONS[option])


def check_option(account: Emulator, amp_exp: RunCommand, kind: str, options: list[str], sent: dict[str, Any]) -> None:
    add = account.state.add_flag if kind == "flags" else account.state.add_experiment
    add(key="edited", description="old", tags=["a", "b"], deployments=[account.state.add_deployment()["id"]])
    dry = amp_exp(kind, "edit", "edited", *options, "--dry-run")
    assert (dry.status, dry.err, writes(account)) == (0, "", [])
    result = amp_exp(kind, "edit", "edited", *options)
    assert (result.status, result.err) == (0, "")
    assert [request.body for request in account.requests if request.method == "PATCH"] == [sent]
    assert dry.out == f"{result.out}Dry run: nothing was changed.\n"
    assert "nothing to change" in amp_exp(kind, "edit", "edited", *options).out
    assert writes(account) == ["PATCH"]


@pytest.mark.parametrize(
    ("group", "table"), [(FlagFieldOptions, FLAG_EDIT_PARAMS), (ExperimentFieldOptions, EXPERIMENT_EDIT_PARAMS)]
)
def test_options_name_fields(group: type, table: dict[str, object]) -> None:
    """Each option names an editable field; other fields are set with `--set`."""
    options = {field.name for field in attrs.fields(group)} - {"add_tag", "remove_tag", "set"}
    assert options <= set(table)
    assert set(table) - options <= {"tags", "target_segments", "archive", "exposure_event"}


def test_difference(account: Emulator, amp_exp: RunCommand) -> None:
    """Changes are shown field by field; `--json` has plain values before and after."""
    account.state.add_experiment(key="edited", name="old", tags=["a"])
    options = ["--name", "new", "--start-date", "2026-01-02", "--add-tag", "b"]
    result = amp_exp("experiments", "edit", "edited", *options, "--dry-run")
    assert result.out.splitlines() == [
        "experiment 1002 (edited):",
        '  name: "old" -> "new"',
        '  tags: +"b"',
        '  start_date: null -> "2026-01-02"',
        "Dry run: nothing was changed.",
    ]
    assert amp_exp("experiments", "edit", "edited", *options, "--json").json == {
        "changes": [
            {
                "kind": "experiments",
                "id": "1002",
                "key": "edited",
                "project_id": "1",
                "state": "changed",
                "differences": {
                    "name": {"before": "old", "after": "new"},
                    "tags": {"before": ["a"], "after": ["a", "b"]},
                    "start_date": {"before": None, "after": "2026-01-02"},
                },
            }
        ]
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no change given"),
        (["--set", "nme=1"], 'did you mean "name"?'),
        (["--set", "rolloutPercentage=1"], 'did you mean "rollout_percentage"?'),
        (["--set", "name"], "takes FIELD=JSON"),
        (["--set", "=1"], "takes FIELD=JSON"),
        (["--set", "name=foo"], """--set 'name="foo"'"""),
        (["--set", "archive=true"], "the commands archive and restore"),
        (["--set", "name=1"], "name: must be a string"),
        (["--set", 'name="a"', "--name", "b"], "name is given twice"),
        (["--set", "enabled=true", "--set", "enabled=false"], "enabled is given twice"),
        (["--set", "tags=[]", "--add-tag", "a"], "tags is given twice"),
        (["--add-tag", "a", "--remove-tag", "a"], "at once"),
        (["--add-tag", " "], "--add-tag: must not be blank"),
        (["--rollout-percentage", "101"], "from 0 to 100"),
        (["--rollout-percentage", "nan"], "from 0 to 100"),
        (["--evaluation-mode", "somewhere"], '"local", "remote"'),
        (["--set", 'target_segments=[{"nam": "a"}]'], 'did you mean "name"?'),
        (["--decision", "rollout"], "--decision"),
    ],
)
def test_invalid_input(account: Emulator, amp_exp: RunCommand, options: list[str], message: str) -> None:
    """Invalid input gives one line, and nothing is sent."""
    result = amp_exp("flags", "edit", "1001", *options)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
    assert account.requests == []


def test_cohort_conditions(account: Emulator, amp_exp: RunCommand) -> None:
    """Segments with a cohort condition are not overwritten; a dry run rejects the edit, too."""
    condition = {"type": "cohort", "prop": "userdata_cohort", "op": "is", "values": ["c"]}
    account.state.add_flag(key="cohorts", targetSegments=[{"name": "A", "conditions": [condition], "percentage": 1}])
    for more in ([], ["--dry-run"]):
        result = amp_exp("flags", "edit", "cohorts", "--set", "target_segments=[]", *more)
        assert (result.status, "cohort condition" in result.err) == (2, True)
    assert writes(account) == []


def test_concurrent_changes(account: Emulator, amp_exp: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags added by others are kept; a conflicting change is rejected."""
    flag = account.state.stored_flag("flags", "1001")
    write = OptimisticEdit.write

    async def write_after_others(*arguments: Any) -> Any:
        flag.document.update(tags=["theirs"], name="theirs")
        return await write(*arguments)

    monkeypatch.setattr(OptimisticEdit, "write", write_after_others)
    assert amp_exp("flags", "edit", "1001", "--add-tag", "ours").status == 0
    assert sorted(flag.document["tags"]) == ["ours", "theirs"]
    flag.document["name"] = "as it was"
    result = amp_exp("flags", "edit", "1001", "--name", "ours")
    assert (result.status, "someone else changed the same values" in result.err) == (1, True)
    assert flag.document["name"] == "theirs"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            ["roll-out", "price", "treatment", "--reason", "better"],
            {
                "decision": "rollout",
                "rolledOutVariant": "treatment",
                "enabled": True,
                "rolloutWeights": {"control": 0, "treatment": 1},
            },
        ),
        (["roll-back", "price", "--reason", "worse"], {"decision": "rollback", "enabled": False}),
    ],
)
def test_decisions(account: Emulator, amp_exp: RunCommand, command: list[str], expected: dict[str, Any]) -> None:
    """The changes are shown and confirmed, and all fields that end an experiment are set."""
    deployments = [account.state.add_deployment()["id"]]
    id = account.state.add_experiment(key="price", deployments=deployments, rolloutPercentage=50)["id"]
    result = amp_exp("experiments", *command)
    assert (result.status, "decision: null -> " in result.out, "Pass --yes" in result.err) == (2, True, True)
    assert writes(account) == []
    assert amp_exp("experiments", *command, "--yes").status == 0
    assert account.state.experiment(id).items() >= expected.items()


def test_unknown_variant(account: Emulator, amp_exp: RunCommand) -> None:
    """An unknown variant is rejected with the existing ones."""
    account.state.add_experiment(key="price")
    result = amp_exp("experiments", "roll-out", "price", "on", "--reason", "better", "--yes")
    assert (result.status, "VARIANT: must be a variant of the experiment (control, treatment)" in result.err) == (
        2,
        True,
    )
    assert writes(account) == []


@pytest.mark.parametrize(
    ("fields", "options", "note"),
    [
        ({"rolloutPercentage": 50}, [], "Note: 50 % of the users get no variant. Pass --everyone"),
        (
            {"rolloutPercentage": 0, "targetSegments": [PILOT]},
            [],
            "Note: 100 % of the users that no segment targets get",
        ),
        (
            {"rolloutPercentage": 99.5, "targetSegments": [PILOT]},
            [],
            "Note: 0.5 % of the users that no segment targets",
        ),
        ({"rolloutPercentage": 50}, ["--everyone"], ""),
        ({"rolloutPercentage": 100}, [], ""),
    ],
)
def test_who_gets_nothing(
    account: Emulator, amp_exp: RunCommand, fields: dict[str, Any], options: list[str], note: str
) -> None:
    """A rollout says, also before it is made, which share of the users does not get the variant."""
    deployments = [account.state.add_deployment()["id"]]
    account.state.add_experiment(key="price", deployments=deployments, **fields)
    command = ("experiments", "roll-out", "price", "treatment", "--reason", "better", *options)
    for consent in ("--dry-run", "--yes"):
        result = amp_exp(*command, consent)
        assert (result.status, result.err.startswith(note), "Note" in result.err) == (0, True, bool(note)), result.err


@pytest.mark.parametrize("decision", [["roll-out", "price", "treatment"], ["roll-back", "price"]])
def test_a_decision_needs_a_reason(account: Emulator, amp_exp: RunCommand, decision: list[str]) -> None:
    """An empty reason is rejected."""
    account.state.add_experiment(key="price", rolloutPercentage=50)
    for reason in ("", " "):
        result = amp_exp("experiments", *decision, "--reason", reason, "--yes")
        assert (result.status, "--reason: must say why" in result.err) == (2, True), result.err
    assert writes(account) == []
