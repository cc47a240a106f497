"""What each class of operation takes, refuses and tells about itself."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError

from amp_exp_async import (
    AddCohorts,
    AddDeployments,
    AddUsers,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    InvalidInputError,
    Operation,
    RemoveAllUsers,
    RemoveCohorts,
    RemoveDeployment,
    RemoveUsers,
    RemoveVariant,
    ReplaceCohorts,
    ReplaceUsers,
    Segment,
    Variant,
)
from amp_exp_async.bulk.operations import OPERATIONS
from amp_exp_async.bulk.source import parse_operation

# What each class needs besides the flag.
NEEDED: dict[type[Any], dict[str, Any]] = {
    AddUsers: {"variant": "on", "users": ["u"]},
    RemoveUsers: {"variant": "on", "users": ["u"]},
    ReplaceUsers: {"variant": "on", "users": ["u"]},
    RemoveAllUsers: {"variant": "on"},
    AddCohorts: {"variant": "on", "cohorts": ["c"]},
    RemoveCohorts: {"variant": "on", "cohorts": ["c"]},
    ReplaceCohorts: {"variant": "on", "cohorts": ["c"]},
    Edit: {"changes": {"enabled": True}},
    CreateVariant: {"variant": "on"},
    EditVariant: {"variant": "on", "changes": {"name": "x"}},
    RemoveVariant: {"variant": "on"},
    AddDeployments: {"deployments": ["d"]},
    RemoveDeployment: {"deployment": "d"},
}
CREATIONS: dict[type[Any], str] = {CreateFlag: "flags", CreateExperiment: "experiments"}


def test_every_operation_is_here() -> None:
    """These tests know all operations there are."""
    assert set(OPERATIONS) == NEEDED.keys() | CREATIONS.keys()


@pytest.mark.parametrize("kind", ["flags", "experiments"])
@pytest.mark.parametrize("cls", NEEDED)
def test_the_flag_is_named_by_id_or_by_key(cls: type[Any], kind: str) -> None:
    """By id, its order is known; by key, it is to be looked up. Both are in its words and in its JSON."""
    by_id, by_key = cls(kind, 12, **NEEDED[cls]), cls(kind, key="k", project_id=3, **NEEDED[cls])
    assert (by_id.id, by_id.key, by_id.order_key, by_id.flag_ref) == ("12", None, f"{kind}/12", None)
    assert (by_key.id, by_key.order_key, by_key.flag_ref) == (None, None, (kind, "3", "k"))
    assert by_id.target.startswith(f"{kind}/12")
    assert by_key.target.startswith(f"{kind}/k")
    assert by_id.target.endswith("/variants/on") == ("variant" in NEEDED[cls])
    for operation, named in ((by_id, {"id": "12"}), (by_key, {"key": "k", "project_id": "3"})):
        told = operation.as_json()
        assert told["operation"] == cls.__name__
        assert {"kind": kind, **named}.items() <= told.items()
        assert json.loads(json.dumps(told)).keys() == told.keys()


WRONG_NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({}, "id: must be given, or key and project_id"),
    "both": ({"id": "1", "key": "k"}, "id: must be given, or key and project_id"),
    "no kind": ({"kind": "segments", "id": "1"}, 'kind: must be "flags" or "experiments", got "segments"'),
    "kind in the singular": ({"kind": "flag", "id": "1"}, "kind: must be"),
    "empty id": ({"id": ""}, "id: must not be empty"),
    "dots": ({"id": ".."}, "id: must not be"),
    "a list": ({"id": ["1"]}, "id: must be a string"),
    "key with spaces": ({"key": "a b"}, "key: must consist of letters"),
    "empty project": ({"key": "a", "project_id": ""}, "project_id: must not be empty"),
}


@pytest.mark.parametrize("cls", NEEDED)
@pytest.mark.parametrize("case", WRONG_NAMES)
def test_a_wrong_name_is_refused(cls: type[Any], case: str) -> None:
    """The message names the argument and the rule, and that nothing was sent."""
    given, message = WRONG_NAMES[case]
    with pytest.raises(InvalidInputError, match=message) as caught:
        cls(**{"kind": "flags", **given, **NEEDED[cls]})
    assert str(caught.value).endswith("Nothing was sent.")


@pytest.mark.parametrize("cls", [AddUsers, RemoveUsers, ReplaceUsers, AddCohorts, RemoveCohorts, ReplaceCohorts])
def test_ids_are_a_set_in_the_order_given(cls: type[Any]) -> None:
    """Doubles are dropped, a number is an id, any iterable will do; a text and a stranger are refused."""
    name = cls.member
    assert cls("flags", "1", "on", ["b", "a", 7, "b", "7"]).ids == ("b", "a", "7")
    assert cls("flags", "1", "on", iter("ab")).ids == ("a", "b")
    assert getattr(cls("flags", "1", "on", ("x",)), name) == ("x",)
    for wrong, message in (("abc", "must be a list"), ([""], "empty"), (["a,b"], "comma"), ([" a"], "white space")):
        with pytest.raises(InvalidInputError, match=rf"{name}.*: must .*{message}|{name}: {message}"):
            cls("flags", "1", "on", wrong)


@pytest.mark.parametrize(
    ("cls", "fewest", "most"),
    [
        (AddUsers, 1, 2000),
        (RemoveUsers, 1, None),
        (ReplaceUsers, 0, 2000),
        (AddCohorts, 1, None),
        (RemoveCohorts, 1, None),
        (ReplaceCohorts, 0, None),
    ],
)
def test_how_many_ids(cls: type[Any], fewest: int, most: int | None) -> None:
    """A variant can have 2,000 users; a replacement by nothing empties it; doubles do not count."""
    ids = [f"i{number}" for number in range(2001)]
    if fewest:
        with pytest.raises(InvalidInputError, match="at least one"):
            cls("flags", "1", "on", [])
    else:
        assert cls("flags", "1", "on", []).ids == ()
    assert len(cls("flags", "1", "on", ids[:2000] * 2).ids) == 2000
    if most is None:
        assert len(cls("flags", "1", "on", ids).ids) == 2001
    else:
        with pytest.raises(InvalidInputError, match="2000"):
            cls("flags", "1", "on", ids)


REFUSED: dict[str, tuple[Any, str]] = {
    "edit nothing": (lambda: Edit("flags", "1", {}), "must change something"),
    "edit without changes": (lambda: Edit("flags", "1"), "must change something"),
    "edit an unknown field": (lambda: Edit("flags", "1", {"enable": True}), 'did you mean "enabled"'),
    "edit by the wire's name": (
        lambda: Edit("flags", "1", {"rolloutPercentage": 1}),
        'did you mean "rollout_percentage"',
    ),
    "edit to a wrong value": (lambda: Edit("flags", "1", {"rollout_percentage": 101}), "from 0 to 100"),
    "edit a text": (lambda: Edit("flags", "1", "enabled"), "changes: must be a mapping"),
    "a field of experiments": (lambda: Edit("flags", "1", {"decision": "rollout"}), "decision"),
    "no variant": (lambda: RemoveVariant("flags", "1"), "variant: must be given"),
    "a variant like a path": (lambda: RemoveAllUsers("flags", "1", "a/b"), "variant: must consist of letters"),
    "edit nothing of a variant": (lambda: EditVariant("flags", "1", "on", {}), "must change something"),
    "an unknown field of a variant": (lambda: EditVariant("flags", "1", "on", {"label": "x"}), "label"),
    "a payload that is no JSON": (lambda: CreateVariant("flags", "1", "on", payload={1}), "payload: must be JSON"),
    "no deployment": (lambda: AddDeployments("flags", "1", []), "at least one"),
    "an empty deployment": (lambda: RemoveDeployment("flags", "1", ""), "deployment: must not be empty"),
    "create without project": (lambda: CreateFlag("", "k"), "project_id: must not be empty"),
    "create by a bad key": (lambda: CreateFlag("1", "a b"), "key: must consist of letters"),
    "create with a stranger": (lambda: CreateFlag("1", "k", enabled=True), "enabled"),
    "a type for a flag": (lambda: CreateFlag("1", "k", experiment_type="x"), "experiment_type"),
    "create with doubles": (lambda: CreateFlag("1", "k", variants=[{"key": "a"}, {"key": "a"}]), "variants"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_call_would_refuse_is_refused_at_once(case: str) -> None:
    """An operation that cannot work cannot be made."""
    make, message = REFUSED[case]
    with pytest.raises(InvalidInputError, match=message):
        make()


@pytest.mark.parametrize("cls", NEEDED)
def test_unknown_arguments(cls: type[Any]) -> None:
    """An argument that there is not is a mistake, in Python and in a file."""
    with pytest.raises(TypeError, match="user_ids"):
        cls("flags", "1", user_ids=["a"], **NEEDED[cls])
    line = {"operation": cls.__name__, "kind": "flags", "id": "1", "user_ids": ["a"], **NEEDED[cls]}
    with pytest.raises(InvalidInputError, match=r"operation: .*user_ids"):
        parse_operation(json.dumps(line))


@pytest.mark.parametrize("cls", NEEDED)
def test_equality_and_freezing(cls: type[Any]) -> None:
    """Two operations are equal if all that they consist of is; none can be changed."""
    one = cls("flags", "1", **NEEDED[cls])
    assert one == cls("flags", 1, **NEEDED[cls])
    others = [cls("flags", "2", **NEEDED[cls]), cls("experiments", "1", **NEEDED[cls])]
    others += [cls("flags", key="1", **NEEDED[cls]), cls("flags", key="1", project_id="1", **NEEDED[cls])]
    assert all(one != other and one.as_json() != other.as_json() for other in others)
    with pytest.raises(FrozenInstanceError):
        one.kind = "experiments"


@pytest.mark.parametrize("cls", CREATIONS)
def test_creations(cls: type[Any]) -> None:
    """A creation keeps its order by its key, and holds the checked fields."""
    made = cls(1, "k", name=None, variants=[{"key": "on"}], deployments=["7", 7])
    assert (made.project_id, made.key, made.flag_ref) == ("1", "k", None)
    assert made.order_key == f"{CREATIONS[cls]} k"
    assert made.target == f"{CREATIONS[cls]}/k"
    assert made.fields == {"name": None, "variants": [Variant(key="on")], "deployments": ["7"]}
    assert made == cls("1", "k", name=None, variants=[Variant(key="on")], deployments=["7"])
    assert made != cls("2", "k") != cls("2", "l")
    assert json.loads(json.dumps(made.as_json()))["fields"]["variants"] == [{"key": "on"}]


def test_json_leaves_out_what_was_left_out() -> None:
    """A null was given; what was not given is not there; dates and models are as the wire has them."""
    told = CreateVariant("flags", "1", "on", payload=None).as_json()
    assert told["payload"] is None
    assert not {"name", "description", "rollout_weight"} & told.keys()
    changes = {"start_date": date(2026, 1, 2), "end_date": datetime(2026, 1, 3, tzinfo=UTC), "tags": ("a",)}
    edit = Edit("experiments", "1", {**changes, "target_segments": [Segment(name="s", conditions=[], percentage=1)]})
    told = json.loads(json.dumps(edit.as_json()))["changes"]
    assert (told["start_date"], told["end_date"][:10], told["tags"]) == ("2026-01-02", "2026-01-03", ["a"])
    assert told["target_segments"][0]["name"] == "s"


@pytest.mark.parametrize("cls", [*NEEDED, *CREATIONS])
@pytest.mark.parametrize("form", [lambda line: line, json.dumps, lambda line: json.dumps(line).encode()])
def test_from_a_line(cls: type[Any], form: Any) -> None:
    """A mapping or its JSON text makes the operation that its name and arguments say."""
    if cls in CREATIONS:
        arguments: dict[str, Any] = {"project_id": "1", "key": "k", "name": "n", "variants": [{"key": "on"}]}
    else:
        arguments = {"kind": "flags", "id": "1", **NEEDED[cls]}
    found = parse_operation(form({"operation": cls.__name__, **arguments}))
    assert type(found) is cls
    assert found == cls(**arguments)
    assert parse_operation(found) is found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no JSON", "operations\\[3\\]: must be an Operation, or one as JSON"),
        ("[]", "operations\\[3\\]: must be an Operation, got list"),
        ("{}", "operation: must be one of AddUsers, .*got null"),
        ('{"operation": "AddUser"}', "operation: must be one of"),
        ('{"operation": "AddUsers"}', "missing 1 required positional argument: 'kind'"),
        ('{"operation": "CreateFlag"}', "missing 2 required positional arguments"),
        (
            '{"operation": "AddUsers", "kind": "flags", "id": "1", "variant": "on", "users": "u"}',
            "users: must be a list",
        ),
        ({"operation": ["AddUsers"]}, "must be one of"),
        (None, "operations\\[3\\]: must be an Operation, got NoneType"),
        (AddUsers, "operations\\[3\\]: must be an Operation, got ABCMeta"),
        (("flags", "1"), "operations\\[3\\]: must be an Operation, got tuple"),
    ],
)
def test_what_is_no_operation(given: object, message: str) -> None:
    """What stands for no operation is refused by its place."""
    with pytest.raises(InvalidInputError, match=message):
        parse_operation(given, "operations[3]")


def test_the_base_class_is_no_operation() -> None:
    """The base class cannot be made by itself."""
    with pytest.raises(TypeError, match="abstract"):
        Operation()
