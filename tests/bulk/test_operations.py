"""The arguments of each operation class, their validation, and its properties."""

from __future__ import annotations

import json
import re
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

# The required arguments besides the flag.
REQUIRED: dict[type[Any], dict[str, Any]] = {
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


def test_every_operation_is_covered() -> None:
    """These tests cover all operations."""
    assert set(OPERATIONS) == REQUIRED.keys() | CREATIONS.keys()


@pytest.mark.parametrize("kind", ["flags", "experiments"])
@pytest.mark.parametrize("cls", REQUIRED)
def test_naming_a_flag_by_id_or_key(cls: type[Any], kind: str) -> None:
    """An ID fixes the order key; a key must be looked up. Both are in the target and the JSON."""
    by_id, by_key = cls(kind, 12, **REQUIRED[cls]), cls(kind, key="k", project_id=3, **REQUIRED[cls])
    assert (by_id.id, by_id.key, by_id.order_key, by_id.flag_ref) == ("12", None, f"{kind}/12", None)
    assert (by_key.id, by_key.order_key, by_key.flag_ref) == (None, None, (kind, "3", "k"))
    assert by_id.target.startswith(f"{kind}/12")
    assert by_key.target.startswith(f"{kind}/k")
    assert by_id.target.endswith("/variants/on") == ("variant" in REQUIRED[cls])
    for operation, named in ((by_id, {"id": "12"}), (by_key, {"key": "k", "project_id": "3"})):
        document = operation.as_json()
        assert document["operation"] == cls.__name__
        assert {"kind": kind, **named}.items() <= document.items()
        assert json.loads(json.dumps(document)).keys() == document.keys()


INVALID_NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({}, "id: must be given, or key and project_id"),
    "both": ({"id": "1", "key": "k"}, "id: must be given, or key and project_id"),
    "no kind": ({"kind": "segments", "id": "1"}, 'kind: must be "flags" or "experiments", got "segments"'),
    "kind in the singular": ({"kind": "flag", "id": "1"}, "kind: must be"),
    "empty id": ({"id": ""}, "id: must not be empty"),
    "dots": ({"id": ".."}, "id: must not be"),
    "a list": ({"id": ["1"]}, "id: must be a string"),
    "empty key": ({"key": ""}, "key: must not be empty"),
    "empty project": ({"key": "a", "project_id": ""}, "project_id: must not be empty"),
}


@pytest.mark.parametrize("case", INVALID_NAMES)
def test_invalid_flag_names(case: str) -> None:
    """Every class rejects them. The message names the argument and the rule, and says that nothing was sent."""
    arguments, message = INVALID_NAMES[case]
    messages: dict[str, str] = {}
    for cls, required in REQUIRED.items():
        with pytest.raises(InvalidInputError) as caught:
            cls(**{"kind": "flags", **arguments, **required})
        messages[cls.__name__] = str(caught.value)
    expected = re.compile(f"{message}.*Nothing was sent\\.")
    assert {name: text for name, text in messages.items() if not expected.match(text)} == {}


@pytest.mark.parametrize("cls", [AddUsers, RemoveUsers, ReplaceUsers, AddCohorts, RemoveCohorts, ReplaceCohorts])
def test_ids_are_an_ordered_set(cls: type[Any]) -> None:
    """IDs come from any iterable, without duplicates; numbers are converted, strings and other values rejected."""
    name = cls.member
    assert cls("flags", "1", "on", ["b", "a", 7, "b", "7"]).ids == ("b", "a", "7")
    assert cls("flags", "1", "on", iter("ab")).ids == ("a", "b")
    assert getattr(cls("flags", "1", "on", ("x",)), name) == ("x",)
    rules_for_new = (([""], "empty"), (["a,b"], "comma"), ([" a"], "white space")) if cls.action == "add" else ()
    for wrong, message in (("abc", "must be a list"), ([1.5], "be a string"), *rules_for_new):
        with pytest.raises(InvalidInputError, match=rf"{name}.*: must .*{message}|{name}: {message}"):
            cls("flags", "1", "on", wrong)


@pytest.mark.parametrize(
    ("cls", "max_count"),
    [
        (AddUsers, 2000),
        (RemoveUsers, None),
        (ReplaceUsers, 2000),
        (AddCohorts, None),
        (RemoveCohorts, None),
        (ReplaceCohorts, None),
    ],
)
def test_number_of_ids(cls: type[Any], max_count: int | None) -> None:
    """A variant has at most 2,000 users, duplicates not counted; an empty replacement needs permission."""
    ids = [f"i{number}" for number in range(2001)]
    with pytest.raises(InvalidInputError, match=r"at least one|is empty, which would remove .*pass allow_empty=True"):
        cls("flags", "1", "on", [])
    if cls.action == "replace":
        assert cls("flags", "1", "on", [], allow_empty=True).ids == ()
    assert len(cls("flags", "1", "on", ids[:2000] * 2).ids) == 2000
    if max_count is None:
        assert len(cls("flags", "1", "on", ids).ids) == 2001
    else:
        with pytest.raises(InvalidInputError, match="2000"):
            cls("flags", "1", "on", ids)


INVALID: dict[str, tuple[Any, str]] = {
    "edit nothing": (lambda: Edit("flags", "1", {}), "must change something"),
    "edit without changes": (lambda: Edit("flags", "1"), "must change something"),
    "edit an unknown field": (lambda: Edit("flags", "1", {"enable": True}), 'did you mean "enabled"'),
    "edit by the JSON name": (
        lambda: Edit("flags", "1", {"rolloutPercentage": 1}),
        'did you mean "rollout_percentage"',
    ),
    "edit to a wrong value": (lambda: Edit("flags", "1", {"rollout_percentage": 101}), "from 0 to 100"),
    "edit a text": (lambda: Edit("flags", "1", "enabled"), "changes: must be a mapping"),
    "a field of experiments": (lambda: Edit("flags", "1", {"decision": "rollout"}), "decision"),
    "no variant": (lambda: RemoveVariant("flags", "1"), "variant: must be given"),
    "a variant like a path": (lambda: RemoveAllUsers("flags", "1", ".."), "variant: must not be"),
    "a new variant with a dot": (lambda: CreateVariant("flags", "1", "a.b"), "variant: must consist of letters"),
    "a new name of a variant": (
        lambda: EditVariant("flags", "1", "a.b", {"key": "c.d"}),
        "key: must consist of letters",
    ),
    "edit nothing of a variant": (lambda: EditVariant("flags", "1", "on", {}), "must change something"),
    "an unknown field of a variant": (lambda: EditVariant("flags", "1", "on", {"label": "x"}), "label"),
    "a payload that is not JSON": (lambda: CreateVariant("flags", "1", "on", payload={1}), "payload: must be JSON"),
    "no deployment": (lambda: AddDeployments("flags", "1", []), "at least one"),
    "an empty deployment": (lambda: RemoveDeployment("flags", "1", ""), "deployment: must not be empty"),
    "create without project": (lambda: CreateFlag("", "k"), "project_id: must not be empty"),
    "create by a bad key": (lambda: CreateFlag("1", "a b"), "key: must consist of letters"),
    "create with an unknown field": (lambda: CreateFlag("1", "k", enabled=True), "enabled"),
    "a type for a flag": (lambda: CreateFlag("1", "k", experiment_type="x"), "experiment_type"),
    "create with duplicate variants": (lambda: CreateFlag("1", "k", variants=[{"key": "a"}, {"key": "a"}]), "variants"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_arguments(case: str) -> None:
    """Arguments that the call would reject are rejected at creation."""
    make, message = INVALID[case]
    with pytest.raises(InvalidInputError, match=message):
        make()


@pytest.mark.parametrize("cls", REQUIRED)
def test_unknown_arguments(cls: type[Any]) -> None:
    """An unknown argument is an error, in Python and in a file."""
    with pytest.raises(TypeError, match="user_ids"):
        cls("flags", "1", user_ids=["a"], **REQUIRED[cls])
    line = {"operation": cls.__name__, "kind": "flags", "id": "1", "user_ids": ["a"], **REQUIRED[cls]}
    with pytest.raises(InvalidInputError, match=r"^operation\.user_ids: unknown argument; "):
        parse_operation(json.dumps(line))


@pytest.mark.parametrize("cls", REQUIRED)
def test_equality_and_immutability(cls: type[Any]) -> None:
    """Operations are equal if all their fields are, and they are immutable."""
    operation = cls("flags", "1", **REQUIRED[cls])
    assert operation == cls("flags", 1, **REQUIRED[cls])
    others = [cls("flags", "2", **REQUIRED[cls]), cls("experiments", "1", **REQUIRED[cls])]
    others += [cls("flags", key="1", **REQUIRED[cls]), cls("flags", key="1", project_id="1", **REQUIRED[cls])]
    assert all(operation != other and operation.as_json() != other.as_json() for other in others)
    with pytest.raises(FrozenInstanceError):
        operation.kind = "experiments"


@pytest.mark.parametrize("cls", CREATIONS)
def test_creations(cls: type[Any]) -> None:
    """A creation is ordered by its key and holds the validated fields."""
    made = cls(1, "k", name=None, variants=[{"key": "on"}], deployments=["7", 7])
    assert (made.project_id, made.key, made.flag_ref) == ("1", "k", None)
    assert made.order_key == f"{CREATIONS[cls]} k"
    assert made.target == f"{CREATIONS[cls]}/k"
    assert made.fields == {"name": None, "variants": [Variant(key="on")], "deployments": ["7"]}
    assert made == cls("1", "k", name=None, variants=[Variant(key="on")], deployments=["7"])
    assert made != cls("2", "k") != cls("2", "l")
    assert json.loads(json.dumps(made.as_json()))["fields"]["variants"] == [{"key": "on"}]


def test_json_omits_omitted_fields() -> None:
    """JSON keeps nulls and omits omitted fields; dates and models have their JSON form."""
    document = CreateVariant("flags", "1", "on", payload=None).as_json()
    assert document["payload"] is None
    assert not {"name", "description", "rollout_weight"} & document.keys()
    changes = {"start_date": date(2026, 1, 2), "end_date": datetime(2026, 1, 3, tzinfo=UTC), "tags": ("a",)}
    edit = Edit("experiments", "1", {**changes, "target_segments": [Segment("s", [], 1, {"on": 1})]})
    document = json.loads(json.dumps(edit.as_json()))["changes"]
    assert (document["start_date"], document["end_date"][:10], document["tags"]) == ("2026-01-02", "2026-01-03", ["a"])
    assert document["target_segments"][0]["name"] == "s"


@pytest.mark.parametrize("cls", [*REQUIRED, *CREATIONS])
def test_parsing(cls: type[Any]) -> None:
    """A mapping, JSON text or JSON bytes are parsed to the operation that they name."""
    if cls in CREATIONS:
        arguments: dict[str, Any] = {"project_id": "1", "key": "k", "name": "n", "variants": [{"key": "on"}]}
    else:
        arguments = {"kind": "flags", "id": "1", **REQUIRED[cls]}
    document = {"operation": cls.__name__, **arguments}
    for value in (document, json.dumps(document), json.dumps(document).encode()):
        operation = parse_operation(value)
        assert type(operation) is cls
        assert operation == cls(**arguments)
        assert parse_operation(operation) is operation


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no JSON", "operations\\[3\\]: must be an Operation, or one as JSON"),
        ("[]", "operations\\[3\\]: must be an Operation, got \\[\\]"),
        ("{}", "operation: must be one of AddUsers, .*got null"),
        ('{"operation": "AddUser"}', "operation: must be one of"),
        ('{"operation": "AddUsers"}', "operations\\[3\\]\\.kind: is missing"),
        ('{"operation": "CreateFlag"}', "operations\\[3\\]\\.project_id: is missing"),
        (
            '{"operation": "AddUsers", "kind": "flags", "id": "1", "variant": "on", "users": "u"}',
            "users: must be a list",
        ),
        ({"operation": ["AddUsers"]}, "must be one of"),
        (None, "operations\\[3\\]: must be an Operation, got null"),
        (AddUsers, "operations\\[3\\]: must be an Operation, got AddUsers"),
        (("flags", "1"), 'operations\\[3\\]: must be an Operation, got \\["flags", "1"\\]'),
    ],
)
def test_parsing_other_values(value: object, message: str) -> None:
    """A value that is not an operation is rejected with its position."""
    with pytest.raises(InvalidInputError, match=message):
        parse_operation(value, "operations[3]")


def test_the_base_class_is_abstract() -> None:
    """The base class is abstract."""
    with pytest.raises(TypeError, match="abstract"):
        Operation()
