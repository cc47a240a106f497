"""The state: helpers without HTTP, and files."""

from pathlib import Path
from typing import Any

import pytest

from amp_exp_async.emulator import Emulator, State, StateError


@pytest.fixture
def state() -> State:
    return State()


def test_fields_that_nobody_knows_are_kept(state: State) -> None:
    """A document holds whatever it was given."""
    flag = state.add_flag(key="x", later={"a": [1]}, projectId=5)
    assert (flag["later"], flag["projectId"]) == ({"a": [1]}, 5)
    assert state.flag(flag["id"]) == flag


def test_what_is_handed_out_is_a_copy(state: State) -> None:
    """Changing a document that was returned, or one that was given, changes nothing inside."""
    given = {"key": "on", "payload": {"a": 1}}
    flag = state.add_flag(variants=[given])
    given["payload"] = None
    flag["variants"].clear()
    state.flags[0]["variants"].clear()
    state.users("flags", flag["id"], "on").append("u")
    state.versions("flags", flag["id"])[0]["flagConfig"].clear()
    assert state.flag(flag["id"])["variants"] == [{"key": "on", "payload": {"a": 1}}]
    assert state.users("flags", flag["id"], "on") == []
    assert state.versions("flags", flag["id"])[0]["flagConfig"]["key"] == flag["key"]


def test_ids_are_given_out_upwards_and_never_twice(state: State) -> None:
    """An own id may be a number or any text; the next one is above all numbers so far."""
    assert state.add_flag(id=5000)["id"] == 5000
    assert state.add_experiment(id="abc")["id"] == "abc"
    assert state.add_deployment()["id"] == "5001"
    assert state.flag("5000")["key"] == "flag-5000"
    with pytest.raises(StateError, match="taken"):
        state.add_flag(id="5000")


def test_documents_in_order_of_creation(state: State) -> None:
    """The three collections list the oldest first."""
    for _ in range(2):
        state.add_flag()
        state.add_experiment()
        state.add_deployment()
    for documents in (state.flags, state.experiments, state.deployments):
        first, second = documents
        assert int(first["id"]) < int(second["id"])


def test_unknown_objects_are_key_errors(state: State) -> None:
    """The message names what is missing."""
    flag = state.add_flag()["id"]
    with pytest.raises(KeyError, match="no experiment with id '7'"):
        state.experiment("7")
    with pytest.raises(KeyError, match="no variant 'off'"):
        state.users("flags", flag, "off")
    with pytest.raises(KeyError, match="no variant 'off'"):
        state.add_cohorts("flags", flag, "off", ["c"])


def test_a_state_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    """Documents, private fields, inclusions and versions survive, and so does a second save."""
    first = Emulator()
    flag = first.state.add_flag(key="x", _type="guide", extra=1)["id"]
    first.state.add_experiment(variants=[{"key": "a", "payload": None}])
    first.state.add_deployment(_type="server")
    first.state.add_users("flags", flag, "on", ["u", "v"])
    first.state.add_cohorts("flags", flag, "on", ["c"])
    first.state.commit(first.state.toggle("flags", flag), name="second")
    path = tmp_path / "state.json"
    first.save(path)
    second = Emulator(str(path))
    assert second.state.flags == first.state.flags
    assert second.state.experiments == first.state.experiments
    assert second.state.deployments == first.state.deployments
    assert second.state.users("flags", flag, "on") == ["u", "v"]
    assert second.state.cohorts("flags", flag, "on") == ["c"]
    assert second.state.versions("flags", flag) == first.state.versions("flags", flag)
    text = path.read_bytes()
    second.save(path)
    assert path.read_bytes() == text
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_load_replaces_the_state(tmp_path: Path) -> None:
    """What was there before is gone."""
    emulator = Emulator({"flags": [{"key": "old"}]})
    path = tmp_path / "state.json"
    path.write_text('{"flags": [{"key": "new"}]}')
    emulator.load(path)
    assert [flag["key"] for flag in emulator.state.flags] == ["new"]


def test_a_state_that_cannot_be_written_leaves_the_file_alone(tmp_path: Path) -> None:
    """The old file stays, and no other one is left beside it."""
    emulator = Emulator()
    path = tmp_path / "state.json"
    emulator.save(path)
    before = path.read_bytes()
    emulator.state.add_flag(extra={1, 2})
    with pytest.raises(TypeError):
        emulator.save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_versions_may_be_left_out() -> None:
    """Version 1 is made from the document, with defaults for what it leaves out."""
    emulator = Emulator({"flags": [{"id": "9", "key": "x"}], "inclusions": {"flags": {"9": {"on": {"users": ["u"]}}}}})
    (version,) = emulator.state.versions("flags", "9")
    assert (version["version"], version["flagConfig"]["rolloutWeights"]) == (1, {"on": 1})
    assert emulator.state.users("flags", "9", "on") == ["u"]


FLAG = {"id": "1", "key": "x"}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"flag": []}, "the state has no part 'flag'"),
        ({"flags": {}}, "flags must be a list"),
        ({"flags": [5]}, r"flags\[0\] must be an object"),
        ({"flags": [{}]}, r"flags\[0\] has no key"),
        ({"flags": [FLAG, FLAG]}, r"flags\[1\]: the id '1' is taken"),
        ({"experiments": [{"key": "x", "variants": {}}]}, r"experiments\[0\].variants must be a list"),
        ({"experiments": [{"key": "x", "variants": [{}]}]}, r"experiments\[0\].variants\[0\] has no key"),
        ({"experiments": [{"key": "x", "variants": ["a"]}]}, r"experiments\[0\].variants\[0\] must be an object"),
        ({"flags": [{"key": "x", "deployments": None}]}, r"flags\[0\].deployments must be a list"),
        ({"deployments": [{"id": "1"}, {"id": 1}]}, r"deployments\[1\]: the id '1' is taken"),
        ({"inclusions": []}, "inclusions must be an object"),
        ({"inclusions": {"deployments": {}}}, "inclusions has no part 'deployments'"),
        ({"inclusions": {"flags": {"1": {}}}}, "inclusions.flags.1 belongs to no flag"),
        ({"flags": [FLAG], "inclusions": {"flags": {"1": {"b": {}}}}}, "inclusions.flags.1.b is no variant"),
        ({"flags": [FLAG], "inclusions": {"flags": {"1": {"on": {"user": []}}}}}, "has no part 'user'"),
        ({"flags": [FLAG], "inclusions": {"flags": {"1": {"on": {"users": [1]}}}}}, "on.users must hold strings"),
        ({"flags": [FLAG], "versions": {"flags": {"1": []}}}, "versions.flags.1 is empty"),
        ({"flags": [FLAG], "versions": {"flags": {"1": [{}]}}}, r"versions.flags.1\[0\] has no version number"),
    ],
)
def test_what_is_no_state(parts: Any, message: str) -> None:
    """The error names the place in the document."""
    with pytest.raises(StateError, match=message):
        Emulator(parts)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "no valid JSON"), ("[]", "must be an object"), ('{"flags": [{}]}', "has no key")]
)
def test_what_is_no_state_file(tmp_path: Path, text: str, message: str) -> None:
    """The error begins with the file's path."""
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(StateError, match=message) as caught:
        Emulator(path)
    assert str(caught.value).startswith(str(path))


def test_a_state_file_that_does_not_exist(tmp_path: Path) -> None:
    """The usual error for files."""
    with pytest.raises(FileNotFoundError):
        Emulator(tmp_path / "none.json")


@pytest.mark.parametrize("add", ["add_flag", "add_experiment", "add_deployment"])
def test_a_name_in_snake_case_is_refused(add: str) -> None:
    """A helper that kept `project_id` as an unknown field would give the flag the default project."""
    with pytest.raises(ValueError, match="'projectId' may be meant"):
        getattr(State(), add)(project_id="5")


def test_a_lone_string_is_no_list_of_users() -> None:
    """A string is not taken for its letters."""
    state = State()
    with pytest.raises(TypeError, match="must be a list of ids"):
        state.add_users("flags", state.add_flag()["id"], "on", "abc")
