"""The state, and state files."""

from pathlib import Path
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator, EmulatorState, StateError


@pytest.fixture
def state() -> EmulatorState:
    return EmulatorState()


def test_unknown_fields_are_kept(state: EmulatorState) -> None:
    """A document keeps unknown fields and types."""
    flag = state.add_flag(key="x", later={"a": [1]}, projectId=5)
    assert (flag["later"], flag["projectId"]) == ({"a": [1]}, 5)
    assert state.flag(flag["id"]) == flag


def test_documents_are_copied(state: EmulatorState) -> None:
    """Changing an argument or a returned document does not change the state."""
    variant = {"key": "on", "payload": {"a": 1}}
    flag = state.add_flag(variants=[variant])
    variant["payload"] = None
    flag["variants"].clear()
    state.flags[0]["variants"].clear()
    state.users("flags", flag["id"], "on").append("u")
    state.versions("flags", flag["id"])[0]["flagConfig"].clear()
    assert state.flag(flag["id"])["variants"] == [{"key": "on", "payload": {"a": 1}}]
    assert state.users("flags", flag["id"], "on") == []
    assert state.versions("flags", flag["id"])[0]["flagConfig"]["key"] == flag["key"]


def test_ids_increase_and_are_unique(state: EmulatorState) -> None:
    """An ID can be any number or text; the next one is greater than all numbers."""
    assert state.add_flag(id=5000)["id"] == 5000
    assert state.add_experiment(id="abc")["id"] == "abc"
    assert state.add_deployment()["id"] == "5001"
    assert state.flag("5000")["key"] == "flag-5000"
    with pytest.raises(StateError, match="not unique"):
        state.add_flag(id="5000")


def test_documents_in_order_of_creation(state: EmulatorState) -> None:
    """The five collections list the oldest first."""
    for _ in range(2):
        state.add_flag()
        state.add_experiment()
        state.add_deployment()
        state.add_mutex()
        state.add_holdout()
    for documents in (state.flags, state.experiments, state.deployments, state.mutexes, state.holdouts):
        first, second = documents
        assert int(first["id"]) < int(second["id"])


def test_unknown_objects_are_key_errors(state: EmulatorState) -> None:
    """The error names what is missing."""
    flag = state.add_flag()["id"]
    with pytest.raises(KeyError, match='no experiment has ID "7"'):
        state.experiment("7")
    with pytest.raises(KeyError, match='no mutex has ID "7"'):
        state.mutex("7")
    with pytest.raises(KeyError, match='no holdout has ID "7"'):
        state.holdout("7")
    with pytest.raises(KeyError, match='no variant "off"'):
        state.users("flags", flag, "off")
    with pytest.raises(KeyError, match='no variant "off"'):
        state.add_cohorts("flags", flag, "off", ["c"])


def test_save_and_load(tmp_path: Path) -> None:
    """Documents, private fields, inclusions and versions survive, and a second save writes the same file."""
    first = Emulator()
    flag = first.state.add_flag(key="x", _type="guide", extra=1)["id"]
    first.state.add_experiment(variants=[{"key": "a", "payload": None}])
    first.state.add_deployment(_type="server")
    first.state.add_users("flags", flag, "on", ["u", "v"])
    first.state.add_cohorts("flags", flag, "on", ["c"])
    first.state.update(first.state.stored_flag("flags", flag), name="second")
    experiment = int(first.state.experiments[0]["id"])
    first.state.add_mutex(slots=[{"percentage": 100, "experiments": [experiment]}], extra=1)
    first.state.add_mutex(_deleted=True)
    first.state.add_holdout(experiments=[experiment], deleted=True)
    path = tmp_path / "state.json"
    first.save(path)
    second = Emulator(str(path))
    assert second.state.flags == first.state.flags
    assert second.state.experiments == first.state.experiments
    assert second.state.deployments == first.state.deployments
    assert second.state.mutexes == first.state.mutexes
    assert second.state.holdouts == first.state.holdouts
    assert len(second.state.versions("experiments", str(experiment))) == 2
    assert second.state.users("flags", flag, "on") == ["u", "v"]
    assert second.state.cohorts("flags", flag, "on") == ["c"]
    assert second.state.versions("flags", flag) == first.state.versions("flags", flag)
    text = path.read_bytes()
    second.save(path)
    assert path.read_bytes() == text
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_the_format_of_state_files_is_stable(tmp_path: Path) -> None:
    """A stored file loads with all its parts, and is written back unchanged."""
    path = Path(__file__).parent / "state_file.json"
    emulator = Emulator(path)
    state = emulator.state
    assert (state.flag("1001")["_type"], state.flag("1001")["extra"]) == ("guide", 1)
    assert state.users("flags", "1001", "on") == ["u", "v"]
    assert state.experiment("1002")["parentDependencies"]["flags"] == {"1005": ["on"]}
    assert [version["version"] for version in state.versions("experiments", "1002")] == [2, 1]
    assert state.mutex("1004")["_deleted"] is True
    emulator.save(tmp_path / "copy.json")
    assert (tmp_path / "copy.json").read_bytes() == path.read_bytes()


def test_load_replaces_the_state(tmp_path: Path) -> None:
    """The old state is gone."""
    emulator = Emulator({"flags": [{"key": "old"}]})
    path = tmp_path / "state.json"
    path.write_text('{"flags": [{"key": "new"}]}')
    emulator.load(path)
    assert [flag["key"] for flag in emulator.state.flags] == ["new"]


def test_a_failed_save_keeps_the_file(tmp_path: Path) -> None:
    """The old file stays, without another file beside it."""
    emulator = Emulator()
    path = tmp_path / "state.json"
    emulator.save(path)
    before = path.read_bytes()
    emulator.state.add_flag(extra={1, 2})
    with pytest.raises(TypeError):
        emulator.save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_versions() -> None:
    """Version 1 is made from the document, with its defaults."""
    emulator = Emulator({"flags": [{"id": "9", "key": "x"}], "inclusions": {"flags": {"9": {"on": {"users": ["u"]}}}}})
    (version,) = emulator.state.versions("flags", "9")
    assert (version["version"], version["flagConfig"]["rolloutWeights"]) == (1, {"on": 1})
    assert emulator.state.users("flags", "9", "on") == ["u"]


OLD_FILE = {
    "flags": [{"id": "1001", "projectId": "1", "key": "x", "name": "second", "variants": [{"key": "on"}]}],
    "experiments": [],
    "deployments": [{"id": "1002", "projectId": "1", "label": "web", "key": "client-1", "deleted": False}],
    "inclusions": {"flags": {"1001": {"on": {"users": ["u"]}}}, "experiments": {}},
    "versions": {
        "flags": {
            "1001": [
                {"createdAt": "2026-01-01T00:00:01.000Z", "createdBy": "u", "version": 2, "flagConfig": {"name": "b"}},
                {"createdAt": "2026-01-01T00:00:00.000Z", "createdBy": "u", "version": 1, "flagConfig": {"name": "a"}},
            ]
        },
        "experiments": {},
    },
}
"""What the emulator wrote before it knew groups."""


def test_state_file_without_groups() -> None:
    """It loads, with no groups."""
    state = Emulator(OLD_FILE).state
    assert state.versions("flags", "1001") == OLD_FILE["versions"]["flags"]["1001"]
    assert state.users("flags", "1001", "on") == ["u"]
    assert (state.mutexes, state.holdouts) == ([], [])
    assert state.add_mutex()["id"] == "1003"


def test_versions_are_ordered_by_their_time_after_loading() -> None:
    """The versions of all flags and experiments are in order of time; one without a time is the newest."""

    def versions(*moments: str) -> list[dict[str, Any]]:
        return [{"version": 9 - location, "createdAt": moment} for location, moment in enumerate(moments)]

    emulator = Emulator(
        {
            "flags": [FLAG, {"id": "2", "key": "y"}],
            "experiments": [{"id": "3", "key": "z"}],
            "versions": {
                "flags": {"1": versions("2026-01-04T00:00:00.000Z", "2026-01-01"), "2": [{"version": 1}]},
                "experiments": {"3": versions("2026-01-03T00:00:00+01:00", "2026-01-02T00:00:00.000Z")},
            },
        }
    )
    assert [(flag.document["id"], version["version"]) for flag, version in emulator.state.history] == [
        ("1", 8), ("3", 8), ("3", 9), ("1", 9), ("2", 1)
    ]  # fmt: skip


def test_missing_fields_of_groups() -> None:
    """Defaults are filled in, slots are numbered, and the experiments of a group depend on it."""
    groups = {"mutexes": [{"slots": [{"experiments": [5]}]}], "holdouts": [{"name": "My Group", "experiments": ["5"]}]}
    state = Emulator({"experiments": [{"id": "5", "key": "e"}], **groups}).state
    (mutex,), (holdout,) = state.mutexes, state.holdouts
    assert mutex["slots"] == [
        {
            "name": "SLOT 1",
            "index": 1,
            "variantKey": "slot-1",
            "percentage": 100,
            "experiments": [5],
            "holdouts": [],
            "individuals": [],
            "cohorts": [],
        }
    ]
    assert (mutex["key"], holdout["key"], holdout["variantName"]) == (f"mutex-{mutex['id']}", "my-group", "on")
    parents = {mutex["id"]: ["slot-1"], holdout["id"]: ["on"]}
    assert state.experiment("5")["parentDependencies"] == {"flags": parents, "operator": "all"}


def test_keys_made_from_names(state: EmulatorState) -> None:
    """A duplicate key gets a number, and a name without allowed characters gives the default."""
    state.add_flag(key="big-test")
    names = ["Big Test!", " big, test ", "Größe", "***"]
    keys = [state.add_holdout(name=name, id=str(number))["key"] for number, name in enumerate(names)]
    assert keys == ["big-test-2", "big-test-3", "gr-e", "holdout-3"]
    assert state.add_mutex(name="big test", projectId=2)["key"] == "big-test"


FLAG = {"id": "1", "key": "x"}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"flag": []}, 'the state has no part "flag"'),
        ({"flags": {}}, "flags must be a list"),
        ({"flags": [5]}, r"flags\[0\] must be an object"),
        ({"flags": [{}]}, r"flags\[0\] has no key"),
        ({"flags": [FLAG, FLAG]}, r"flags\[1\]: the ID \"1\" is not unique"),
        ({"experiments": [{"key": "x", "variants": {}}]}, r"experiments\[0\].variants must be a list"),
        ({"experiments": [{"key": "x", "variants": [{}]}]}, r"experiments\[0\].variants\[0\] has no key"),
        ({"experiments": [{"key": "x", "variants": ["a"]}]}, r"experiments\[0\].variants\[0\] must be an object"),
        ({"flags": [{"key": "x", "deployments": None}]}, r"flags\[0\].deployments must be a list"),
        ({"deployments": [{"id": "1"}, {"id": 1}]}, r"deployments\[1\]: the ID \"1\" is not unique"),
        ({"mutexes": [{"slots": {}}]}, r"mutexes\[0\].slots must be a list"),
        ({"mutexes": [{"slots": [5]}]}, r"mutexes\[0\].slots\[0\] must be an object"),
        ({"mutexes": [{"slots": [{"experiments": 5}]}]}, r"mutexes\[0\].slots\[0\].experiments must be a list"),
        ({"mutexes": [{"name": None}]}, r"mutexes\[0\].name must be a string"),
        ({"holdouts": [{"experiments": {}}]}, r"holdouts\[0\].experiments must be a list"),
        ({"holdouts": [{"id": "1"}, {"id": "1"}]}, r"holdouts\[1\]: the ID \"1\" is not unique"),
        ({"inclusions": []}, "inclusions must be an object"),
        ({"inclusions": {"deployments": {}}}, 'inclusions has no part "deployments"'),
        ({"inclusions": {"flags": {"1": {}}}}, "inclusions.flags.1 does not belong to any flag"),
        ({"flags": [FLAG], "inclusions": {"flags": {"1": {"b": {}}}}}, "inclusions.flags.1.b is not a variant"),
        ({"flags": [FLAG], "inclusions": {"flags": {"1": {"on": {"user": []}}}}}, 'has no part "user"'),
        ({"flags": [FLAG], "inclusions": {"flags": {"1": {"on": {"users": [1]}}}}}, "on.users must contain strings"),
        ({"flags": [FLAG], "versions": {"flags": {"1": []}}}, "versions.flags.1 is empty"),
        ({"flags": [FLAG], "versions": {"flags": {"1": [{}]}}}, r"versions.flags.1\[0\] has no version number"),
        (
            {"flags": [FLAG], "versions": {"flags": {"1": [{"version": 1, "createdAt": 5}]}}},
            r"versions.flags.1\[0\].createdAt must be a date",
        ),
    ],
)
def test_invalid_state(parts: Any, message: str) -> None:
    """The error names the location."""
    with pytest.raises(StateError, match=message):
        Emulator(parts)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not valid JSON"), ("[]", "must be an object"), ('{"flags": [{}]}', "has no key")]
)
def test_invalid_state_file(tmp_path: Path, text: str, message: str) -> None:
    """The error begins with the path of the file."""
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(StateError, match=message) as caught:
        Emulator(path)
    assert str(caught.value).startswith(str(path))


def test_missing_state_file(tmp_path: Path) -> None:
    """The error is `FileNotFoundError`."""
    with pytest.raises(FileNotFoundError):
        Emulator(tmp_path / "none.json")


@pytest.mark.parametrize("add", ["add_flag", "add_experiment", "add_deployment", "add_mutex", "add_holdout"])
def test_snake_case_names_are_rejected(add: str) -> None:
    """Otherwise `project_id` would be kept as an unknown field."""
    with pytest.raises(ValueError, match='did you mean "projectId"'):
        getattr(EmulatorState(), add)(project_id="5")


def test_a_string_is_not_a_list_of_users() -> None:
    """A string is not a list of characters."""
    state = EmulatorState()
    with pytest.raises(TypeError, match="must be a list of IDs"):
        state.add_users("flags", state.add_flag()["id"], "on", "abc")


@pytest.mark.parametrize(
    ("add", "fields", "advice"),
    [
        ("add_flag", {"projectid": "9"}, '"projectid" is not a JSON field name; did you mean "projectId"'),
        ("add_flag", {"enabledd": True}, 'did you mean "enabled"'),
        ("add_experiment", {"targetSegment": []}, 'did you mean "targetSegments"'),
        ("add_flag", {"variants": [{"key": "on", "payloads": 1}]}, r'"variants\[0\].payloads".* "payload"'),
        ("add_flag", {"targetSegments": [{"rolloutWeight": {}}]}, r'"targetSegments\[0\].rolloutWeight"'),
        ("add_flag", {"targetSegments": [{"conditions": [{"value": []}]}]}, r'conditions\[0\].value".* "values"'),
        ("add_deployment", {"lable": "web"}, 'did you mean "label"'),
        ("add_mutex", {"slots": [{"percentages": 100}]}, r'"slots\[0\].percentages".* "percentage"'),
        ("add_holdout", {"holdoutPercent": 5}, 'did you mean "holdoutPercentage"'),
    ],
)
def test_misspelt_names_are_rejected(add: str, fields: dict[str, Any], advice: str) -> None:
    """A misspelt field would be kept as an unknown one, and the intended field would get its default."""
    with pytest.raises(ValueError, match=advice):
        getattr(EmulatorState(), add)(**fields)


def test_segments_are_filled_in() -> None:
    """A segment and its conditions get what the service requires, so that they can be edited."""
    condition = {"prop": "gp:email", "op": "is", "values": ["a"]}
    flag = EmulatorState().add_flag(targetSegments=[{"conditions": [condition]}, {"name": "n", "percentage": 5}])
    assert flag["targetSegments"] == [
        {
            "conditions": [{"type": "property", **condition}],
            "name": "Segment 1",
            "percentage": 100,
            "rolloutWeights": {"on": 1},
        },
        {"name": "n", "percentage": 5, "conditions": [], "rolloutWeights": {"on": 1}},
    ]
