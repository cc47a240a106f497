"""Invalid input: every problem is reported with file, line and field, all at once, and before anything is changed."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import (
    UNSET,
    AsyncExperimentClient,
    Condition,
    FlagSpec,
    InvalidManifestError,
    Manifest,
    Problem,
    Segment,
    VariantSpec,
    load,
    loads,
    save,
)
from amp_exp_async.emulator import Emulator
from amp_exp_async.manifests.json_reader import json_lines
from amp_exp_async.manifests.parse import validated
from tests.manifests.privileges import file_modes_apply

VALID = '{"flags": [{"key": "good", "project_id": 9}]}'


def locations_of_problems(path: Path) -> list[tuple[str, int, str]]:
    """Return the file, line and field of each problem. The message contains all problems."""
    with pytest.raises(InvalidManifestError) as caught:
        load(path)
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)
    return [(problem.file, problem.line, problem.field) for problem in caught.value.problems]


def problems_of(text: str, format: Any = "yaml") -> list[str]:
    """Return the problems of a text, without the name of the file."""
    with pytest.raises(InvalidManifestError) as caught:
        loads(text, format=format, name="f")
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


_USERS = ", ".join(f'"u{number}"' for number in [*range(2001), 0])

# JSON is YAML too, so each text is read as both. A text; the line, field and message of its only problem.
INVALID = {
    "an unknown field": (
        '{"flags": [{"key": "a", "project_id": 1,\n "rollout_percentag": 5}]}',
        2, "flags[0].rollout_percentag", 'unknown field; did you mean "rollout_percentage"?',
    ),
    "an unknown field of a condition": (
        '{"flags": [{"key": "a",\n "target_segments": [{"conditions": [\n{"prop": "p",\n "opp": "is"}]}]}]}',
        4, "flags[0].target_segments[0].conditions[0].opp", 'unknown field; did you mean "op"?',
    ),
    "the JSON field name of the API": (
        '{"flags": [{"key": "a",\n "rolloutPercentage": 5}]}',
        2, "flags[0].rolloutPercentage", 'unknown field; did you mean "rollout_percentage"?',
    ),
    "an unknown field of the file": ('{"flags": [],\n "flagz": []}', 2, "flagz", 'did you mean "flags"?'),
    "a duplicate key": (
        '{"flags": [{"key": "a",\n "variants": [{"key": "on",\n "users": ["u"],\n "users": []}]}]}',
        4, "flags[0].variants[0].users", "duplicate key, first in line 3",
    ),
    "a duplicate key in a payload": (
        '{"flags": [{"key": "a", "variants": [{"key": "on", "payload": {"x": [{"y": 1,\n "y": 2}]}}]}]}',
        2, "flags[0].variants[0].payload.x[0].y", "duplicate key",
    ),
    "a weight without a variant": (
        '{"flags": [{"key": "a", "variants": [{"key": "off"}],\n "rollout_weights": {\n"of": 1}}]}',
        3, "flags[0].rollout_weights.of", 'unknown variant; did you mean "off"?',
    ),
    "a weight of a segment without a variant": (
        '{"flags": [{"key":"a", "variants": [{"key": "b"}], "target_segments": [{},\n{"rollout_weights": {"z": 1}}]}]}',
        2, "flags[0].target_segments[1].rollout_weights.z", "unknown variant; expected one of: b",
    ),
    "a duplicate variant": (
        '{"flags": [{"key": "a", "variants": [{"key": "on"},\n {"key": "on"}]}]}',
        2, "flags[0].variants[1].key", 'duplicate variant "on"',
    ),
    "more users than a variant can have": (
        '{"flags": [{"key": "a", "variants": [{"key": "on"}, {"key": "off",\n "users": [' + _USERS + "]}]}]}",
        2, "flags[0].variants[1].users", "must contain at most 2,000 IDs, got 2,001",
    ),
    "a duplicate flag": (
        '{"project_id": 1, "flags": [{"key": "a"},\n {"key": "b"},\n {"key": "a"}]}',
        3, "flags[2].key", 'duplicate key "a", first in',
    ),
    "a duplicate flag, once without a project": (
        '{"flags": [{"key": "a", "project_id": 1},\n {"key": "a"}]}', 2, "flags[1].key", 'duplicate key "a"',
    ),
    "a payload with thousands of digits": (
        '{"flags": [{"key": "a", "variants": [{"key": "on",\n "payload": [' + "9" * 5000 + "]}]}]}",
        2, "flags[0].variants[0].payload[0]", "must be JSON",
    ),
    "a float out of range": (
        '{"flags": [{"key": "a", "variants": [{"key": "on",\n "payload": 1.0e999}]}]}',
        2, "flags[0].variants[0].payload", "must be JSON, which has no 1.0e999",
    ),
    "half of a surrogate pair in a key": (
        '{"flags": [{"key": "a", "variants": [{"payload": "\\ud800",\n "key": "\\ud800"}]}]}',
        2, "flags[0].variants[0].key", "must be valid Unicode",
    ),
    "a flag without a key": ('{"flags": [\n{"name": "a"}]}', 2, "flags[0].key", "is missing"),
    "a number instead of a flag": ('{"flags": [\n5]}', 2, "flags[0]", "must be an object with key"),
    "an object instead of a list": ('{\n"flags": {"a": 1}}', 2, "flags", "must be a list"),
    "a percentage over 100": (
        '{"flags": [{"key": "a",\n "rollout_percentage": 101}]}', 2, "flags[0].rollout_percentage", "from 0 to 100",
    ),
    "null instead of a boolean": (
        '{"experiments": [{"key": "a",\n "enabled": null}]}', 2, "experiments[0].enabled", "must be true or false",
    ),
    "a list instead of an object": ("[1, 2, [], {}]", 1, "", "must be an object"),
    "too many levels": ('{"flags":\n' + "[" * 300 + "]" * 300 + "}", 2, "", "more than 200 levels"),
    "far too many levels": ('{"flags":\n' + "[" * 500, 2, "", "more than 200 levels"),
    "cut in a list": ('{"flags": [\n{"key": "a"},\n', None, "", "or is cut off"),
    "cut in an object": ('{"flags": [\n{"key": "a"', 2, "", "or is cut off"),
    "cut in a string": ('{"flags": [\n{"key": "a', 2, "", "or is cut off"),
    "a NUL": ('{"flags": [\n{"key": "a\x00"}]}', 2, "", "is not"),
    "an empty text": ("", 1, "", ""),
}  # fmt: skip


@pytest.mark.parametrize("invalid", INVALID.values(), ids=INVALID)
def test_each_problem_has_file_line_and_field(tmp_path: Path, invalid: tuple[str, int | None, str, str]) -> None:
    """In YAML and in JSON, in a file of its own and in a folder next to a valid file."""
    text, line, field, message = invalid
    wrong: list[str] = []
    for suffix in ("yaml", "yml", "json"):
        for folder in ("", "folder/deep"):
            file = tmp_path / suffix / folder / f"bad.{suffix}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            if folder:
                (tmp_path / suffix / "folder/good.json").write_text(VALID)
            with pytest.raises(InvalidManifestError) as caught:
                load(tmp_path / suffix / "folder" if folder else file)
            problems = caught.value.problems
            if (
                [(problem.file, problem.field) for problem in problems] != [(str(file), field)]
                or line not in (None, problems[0].line)
                or message not in problems[0].message
            ):
                wrong += map(str, problems)
    assert not wrong


PAYLOAD = "flags:\n  - key: a\n    variants:\n      - key: 'on'\n        payload: {}\n"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (".nan", "must be JSON, which has no .nan"),
        ("-.INF", "must be JSON, which has no -.INF"),
        ("!!binary aGk=", 'binary: "aGk="'),
        ("!!python/name:os.system", "which has no tag:yaml.org,2002:python/name:os.system"),
        ("!!python/object:os.x {a: 1}", "which has no tag:yaml.org,2002:python/object:os.x"),
        ("!!set {a}", "which has no tag:yaml.org,2002:set"),
        ("!!int abc", 'int: "abc"'),
        ("!secret x", 'which has no !secret: "x"'),
        ("{[1]: 2}", "names are strings"),
        ("{<<: 1}", "<< must be followed by an object"),
    ],
)
def test_yaml_that_json_cannot_hold_is_rejected(payload: str, message: str) -> None:
    """A payload is JSON. Tags run no code, and no value silently becomes a string."""
    [problem] = problems_of(PAYLOAD.format(payload))
    assert problem.startswith("5: flags[0].variants[0].payload: ")
    assert message in problem


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        ("2023-07-29", "2023-07-29"),
        ("2023-07-29T10:00:00Z", "2023-07-29T10:00:00Z"),
        ("on", "on"),
        ("No", "No"),
        ("y", "y"),
        ("NaN", "NaN"),
        ("0o17", 15),
        ("010", 10),
        ("~", None),
        ("{on: 1, 2: b, null: c}", {"on": 1, "2": "b", "null": "c"}),
        ("!!str 5", "5"),
        ("=", "="),
        ("1_000", "1_000"),
        (".5e3", 500.0),
    ],
)
def test_yaml_is_read_as_version_1_2(payload: str, value: Any) -> None:
    """Dates and the booleans of YAML 1.1, such as `on`, are strings; so are names."""
    [flag] = loads(PAYLOAD.format(payload)).of("flags")
    assert flag.variants
    assert repr(flag.variants[0].payload) == repr(value)


@pytest.mark.parametrize(("id", "number"), [("007", 7), ("0x10", 16), ("0o17", 15), ("+1", 1)])
def test_an_id_that_is_another_number_is_rejected(id: str, number: int) -> None:
    """It would silently become another ID. In quotes, or written in decimal, it is accepted."""
    text = "project_id: {0}\nflags:\n  - key: a\n    variants:\n      - key: b\n        users: [u,\n          {0}]\n"
    message = f"must be in quotes: {id} is the number {number}"
    assert problems_of(text.format(id)) == [f"1: project_id: {message}", f"7: flags[0].variants[0].users[1]: {message}"]
    for spelling in (str(number), f'"{id}"'):
        [flag] = loads(text.format(spelling)).of("flags")
        assert flag.variants
        assert (flag.project_id, flag.variants[0].users) == (spelling.strip('"'), ("u", spelling.strip('"')))


def test_an_overridden_field_of_a_merged_object_is_not_validated() -> None:
    """The value of `<<` that a field of the same name replaces has no effect."""
    text = "flags:\n  - &base {key: a, project_id: '1'}\n  - {<<: {project_id: 007}, project_id: '7', key: b}\n"
    assert [flag.project_id for flag in loads(text).of("flags")] == ["1", "7"]


@pytest.mark.parametrize(
    ("payload", "field"),
    [("NaN", ""), ("-Infinity", ""), ("[1, NaN]", "[1]"), ('{"x": Infinity}', ".x")],
)
def test_json_that_only_python_accepts_is_rejected(payload: str, field: str) -> None:
    """Other problems of the file are reported too."""
    text = '{"flags": [{"key": "a", "variants": [{"key": "on",\n "payload": ' + payload + '}],\n "tagz": []}]}'
    first, second = problems_of(text, "json")
    assert first.startswith(f"2: flags[0].variants[0].payload{field}: must be JSON, which has no ")
    assert second.startswith("3: flags[0].tagz: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("flags:\n\t- key: a\n", "2: is not YAML, or is cut off: found character"),
        ("flags: []\n---\nflags: []\n", "2: is not YAML, or is cut off: but found another document"),
        ("flags:\n  - key: 'a\n", "3: is not YAML, or is cut off"),
        ("flags:\n  - key: a\n    tags: [x,\n", "4: is not YAML, or is cut off"),
        ("flags:\n  - key: a\n    enabled", "3: is not YAML, or is cut off"),
        ("flags:\n  - key: a\n    variants:\n", "3: flags[0].variants: must be a list"),
        ("flags:\n  - key: a\n    enabled: tr", "3: flags[0].enabled: must be true or false"),
        ("flags:\n", "1: flags: must be a list"),
        ("# all gone\n", "1: must be an object with flags or experiments"),
        ("# a comment\n\n- a\n", "3: must be an object with flags or experiments"),
        ("flags:\n  - key: a\n   name: b\n", "3: is not YAML, or is cut off"),
        ("flags: []\nflags: []\n", "2: flags: duplicate key, first in line 1"),
        ("<<: 1\n", "1: << must be followed by an object"),
        ("flags: []\nname: \x00\n", "2: is not YAML: it contains U+0000"),
    ],
)
def test_text_that_is_not_yaml_is_rejected(text: str, problem: str) -> None:
    """So is truncated YAML, as far as it can be told from complete YAML."""
    assert [message[: len(problem)] for message in problems_of(text)] == [problem]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"flags":\n [{"key": "a"', 2, 14),
        ("{flags: []}", 1, 2),
        ("{}\n{}", 2, 1),
        ('{"flags": []}\n// c', 2, 1),
    ],
)
def test_text_that_is_not_json_is_rejected(text: str, line: int, column: int) -> None:
    """The problem has the line and column."""
    [problem] = problems_of(text, "json")
    assert problem.startswith(f"{line}: is not JSON, or is cut off: ")
    assert problem.endswith(f"(column {column})")


INVALID_JSON = '{"flags": [{"key": "a",\n\t"enabled": 1,\n\t"nam": "b",\n\t"tags": [NaN],\n\t"tags": []}]}'


def test_problems_of_json_have_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package for YAML is needed."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    assert problems_of(INVALID_JSON, "json") == [
        "2: flags[0].enabled: must be true or false, got 1",
        '3: flags[0].nam: unknown field; did you mean "name"?',
        "5: flags[0].tags: duplicate key, first in line 4: keep only one",
    ]


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "[" * 100_000 + "]" * 100_000])
def test_json_that_python_cannot_parse_is_rejected(text: str) -> None:
    """Python's parser raises `RecursionError`, or its recursion limit is far higher than 200."""
    assert problems_of('{"flags":\n' + text, "json") == ["2: more than 200 levels of nesting"]


def test_lines_of_json_that_is_not_yaml() -> None:
    """YAML has neither this character nor tabs as indentation, nor escapes of surrogate pairs."""
    text = '{"flags": [{"key": "a", "name": "\x7f\\ud83d\\ude00"\n\t, "nam": ""}]}'
    assert problems_of(text, "json") == ['2: flags[0].nam: unknown field; did you mean "name"?']
    assert loads(text.replace('"nam"', '"description"'), format="json").of("flags")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab.[0]\n"\\', max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(value=json_values, indent=st.sampled_from([None, 0, 2, "\t"]))
def test_each_value_of_json_has_its_line(value: Any, indent: Any) -> None:
    """The lines are those at which the values, or the names of fields, begin in the text."""
    text = json.dumps(value, indent=indent)
    lines = text.split("\n")
    table = json_lines(text)
    paths = list(paths_of(value))
    assert table.lines.keys() == set(paths)
    if indent is not None and len(paths) == len(set(paths)):
        for path, name in zip(paths, names_of(value), strict=True):
            assert lines[table.lines[path] - 1].strip().startswith(name)


def paths_of(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of all values, in the order of the text."""
    yield path
    for name, item in value.items() if isinstance(value, dict) else ():
        yield from paths_of(item, f"{path}.{name}" if path else name)
    for index, item in enumerate(value) if isinstance(value, list) else ():
        yield from paths_of(item, f"{path}[{index}]")


def names_of(value: Any) -> Iterator[str]:
    """Yield how the line of each value begins: with the name of a field, or else with the value itself."""
    yield json.dumps(value)[:1]
    for name, item in value.items() if isinstance(value, dict) else ():
        first, *others = names_of(item)
        yield json.dumps(name) + ": " + first
        yield from others
    for item in value if isinstance(value, list) else ():
        yield from names_of(item)


MANY_PROBLEMS = """\
project_id: 1
flags:
  - key: a
    rollout_percentag: 5
    enabled: "yes"
    enabled: true
    variants:
      - key: "on"
        payload: .nan
      - key: "on"
    rollout_weights:
      of: 1
    target_segments:
      - name: s
        percentage: 101
        conditions:
          - prop: gp:x
            opp: is
  - name: without a key
    variants: [{key: "off"}]
    rollout_weights: {of: 1}
  - key: b
    tags: one
    variants: [{key: "off"}]
    rollout_weights: {of: 1}
    target_segments:
      - rollout_weights: {"on": 1}
  - key: b
  - key: c
    variants: [5, {key: "off"}]
    rollout_weights: {of: 1}
extra: 1
"""


def test_all_problems_of_a_file_are_in_one_error() -> None:
    """A problem of one field hides no problem of another. What depends on an invalid value is not guessed."""
    assert problems_of(MANY_PROBLEMS) == [
        '4: flags[0].rollout_percentag: unknown field; did you mean "rollout_percentage"?',
        "6: flags[0].enabled: duplicate key, first in line 5: keep only one",
        "9: flags[0].variants[0].payload: must be JSON, which has no .nan",
        '10: flags[0].variants[1].key: duplicate variant "on": keep only one',
        "12: flags[0].rollout_weights.of: unknown variant; expected one of: on, on",
        "15: flags[0].target_segments[0].percentage: must be a number from 0 to 100, got 101",
        '18: flags[0].target_segments[0].conditions[0].opp: unknown field; did you mean "op"?',
        "19: flags[1].key: is missing",
        '21: flags[1].rollout_weights.of: unknown variant; did you mean "off"?',
        "23: flags[2].tags: must be a list",
        '25: flags[2].rollout_weights.of: unknown variant; did you mean "off"?',
        "27: flags[2].target_segments[0].rollout_weights.on: unknown variant; expected one of: off",
        '28: flags[3].key: duplicate key "b", first in f:22: keep only one',
        "30: flags[4].variants[0]: must be an object with key, name, description, payload, users, cohorts",
        "32: extra: unknown field; expected one of: project_id, flags, experiments",
    ]


def test_a_manifest_made_in_code_is_validated_like_a_file(tmp_path: Path) -> None:
    """Values and contradictions are reported at once, with the path in the manifest."""
    variants: Any = [{"key": "on", "payload": float("nan")}, 5]
    specs: list[Any] = [
        FlagSpec(key="a", project_id="1"),
        FlagSpec(key="", enabled="yes", variants=variants, tags="one"),  # type: ignore[arg-type]  # mistakes
        FlagSpec(key="a", project_id="1"),
        Manifest(),
    ]
    with pytest.raises(InvalidManifestError) as caught:
        save(Manifest(flags=specs), tmp_path / "flags.yaml")
    assert [(problem.file, problem.line, problem.field) for problem in caught.value.problems] == [
        ("", 0, "flags[1].key"),
        ("", 0, "flags[1].enabled"),
        ("", 0, "flags[1].tags"),
        ("", 0, "flags[1].variants[0].payload"),
        ("", 0, "flags[1].variants[1]"),
        ("", 0, "flags[3]"),
        ("", 0, "flags[2].key"),
    ]
    assert not list(tmp_path.iterdir())


def test_validation_shares_what_is_already_valid() -> None:
    """The parts of a manifest made in code are not copied: a copy of many flags would take much memory."""
    condition = Condition(prop="country", op="is", values=["US"], type="property")
    segment = Segment(name="S", conditions=[condition], percentage=5, rollout_weights={"on": 1})
    flag = FlagSpec(
        key="a", variants=[VariantSpec(key="on", payload={"a": [1]})], target_segments=[segment], tags=["t"]
    )

    (validated_flag,) = validated(Manifest(flags=[flag])).of("flags")

    assert validated_flag == flag
    assert validated_flag.variants is flag.variants
    assert validated_flag.target_segments is flag.target_segments
    assert validated_flag.tags is flag.tags


class _Country(str, Enum):  # noqa: UP042 - `str` of its members is not their value, which is the difficult case
    US = "US"


@pytest.mark.parametrize(
    ("segment", "normalized"),
    [
        (Segment(name="S", conditions=[Condition("p", "is", ["a"], type=UNSET)]), Condition("p", "is", ["a"])),
        (Segment(name="S", conditions=[Condition("p", "is", ["a"], extra={"new": 1})]), Condition("p", "is", ["a"])),
        (Segment(name="S", conditions=[Condition("p", "is", [_Country.US])]), Condition("p", "is", ["US"])),
    ],
    ids=["without a type", "with unknown fields", "with members of an enum"],
)
def test_validation_replaces_what_is_not_normalized(segment: Segment, normalized: Condition) -> None:
    """A value that a file would spell otherwise becomes as if it had been read from one. The original is unchanged."""
    original = copy.deepcopy(segment)

    flag: Any = validated(Manifest(flags=(FlagSpec(key="a", target_segments=(segment,)),))).of("flags")[0]

    assert flag.target_segments == (Segment(name="S", conditions=[normalized]),)
    assert [type(value) for value in flag.target_segments[0].conditions[0].values] == [str]
    assert segment == original


def test_all_problems_of_a_folder_are_in_one_error(tmp_path: Path) -> None:
    """One file cannot be parsed, one has an unknown field, and two contradict each other."""
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags/a.yaml").write_text("flags: [\n")
    (tmp_path / "b.json").write_text('{"flags": [{"key": "x", "project_id": 1}],\n "no": 1}')
    (tmp_path / "c.yaml").write_text("project_id: 1\nflags:\n  - key: x\n")
    assert locations_of_problems(tmp_path) == [
        (str(tmp_path / "b.json"), 2, "no"),
        (str(tmp_path / "c.yaml"), 3, "flags[0].key"),
        (str(tmp_path / "flags/a.yaml"), 2, ""),
    ]


def test_bytes_that_are_not_utf_8_are_rejected(tmp_path: Path) -> None:
    """The problem has the line of the first invalid byte."""
    for name in ("flags.yaml", "flags.json"):
        (tmp_path / name).write_bytes(b'{"flags": [\n{"key": "caf\xe9"}]}')
        assert locations_of_problems(tmp_path / name) == [(str(tmp_path / name), 2, "")]


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    """Lines are counted correctly, and line ends stay as they are when the file is saved."""
    file = tmp_path / "flags.yaml"
    file.write_bytes("\ufeffflags:\r\n  - key: a  # c\r\n    enabled: false\r\n    nam: x\r\n".encode())
    assert locations_of_problems(file) == [(str(file), 4, "flags[0].nam")]
    file.write_bytes("\ufeffflags:\r\n  - key: a  # c\r\n    enabled: false\r\n".encode())
    [flag] = load(file).of("flags")
    save(Manifest(flags=[type(flag)(key="a", enabled=True)]), file)
    assert file.read_bytes().endswith(b"flags:\r\n  - key: a  # c\r\n    enabled: true\r\n")


def test_paths_that_cannot_be_read_are_rejected(tmp_path: Path) -> None:
    """A missing path, another suffix, or a broken link. In a folder no file is skipped silently."""
    (tmp_path / "flags.toml").write_text("")
    (tmp_path / "good.json").write_text(VALID)
    for name in ("none.yaml", "flags.toml"):
        assert locations_of_problems(tmp_path / name) == [(str(tmp_path / name), 0, "")]
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "lost.yaml").symlink_to("nowhere.yaml")
    expected = [(str(tmp_path / "loop.yaml"), 0, ""), (str(tmp_path / "lost.yaml"), 0, "")]
    assert locations_of_problems(tmp_path) == expected


def test_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    """It can be loaded, also as part of another folder, and saved to."""
    (tmp_path / "x.yaml").mkdir()
    (tmp_path / "x.yaml/a.json").write_text(VALID)
    assert [flag.key for flag in load(tmp_path).of("flags")] == ["good"]
    save(load(tmp_path / "x.yaml"), tmp_path / "x.yaml")
    assert [flag.key for flag in load(tmp_path / "x.yaml").of("flags")] == ["good"]


def test_unreadable_files_are_rejected(tmp_path: Path) -> None:
    """The problems name a file and a folder whose modes forbid reading."""
    (tmp_path / "a.json").write_text(VALID)
    (tmp_path / "a.json").chmod(0)
    (tmp_path / "inner").mkdir(mode=0)
    with file_modes_apply():
        files = [file for file, _, _ in locations_of_problems(tmp_path)]
    assert files == [str(tmp_path / "a.json"), str(tmp_path / "inner")]


def test_an_invalid_file_is_not_overwritten(tmp_path: Path) -> None:
    """A truncated file may hold content that exists nowhere else."""
    for name in ("flags.yaml", "flags.json"):
        (tmp_path / name).write_text('{"flags": [\n')
        with pytest.raises(InvalidManifestError, match=r"is cut off"):
            save(Manifest(flags=[]), tmp_path / name)
        assert (tmp_path / name).read_text() == '{"flags": [\n'
    assert sorted(file.name for file in tmp_path.iterdir()) == ["flags.json", "flags.yaml"]


BILLION_LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def _to_object(match: re.Match[str]) -> str:
    return "{" + ", ".join(f"{index}: {item}" for index, item in enumerate(match[1].split(", "))) + "}"


def _to_merges(match: re.Match[str]) -> str:
    return "{<<: [" + match[1] + "]}" if "*" in match[1] else "{x: 1}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BILLION_LAUGHS, "1: aliases stand for more than 100,000 values"),
        (re.sub(r"\[(.*)\]", _to_object, BILLION_LAUGHS), "1: aliases stand for more than 100,000 values"),
        (re.sub(r"\[(.*)\]", _to_merges, BILLION_LAUGHS), "2: aliases stand for more than 100,000 values"),
        ("flags: &x\n  - *x\n", "1: more than 200 levels of nesting, or an alias inside its own anchor"),
        ("flags:\n  - &x {key: a, variants: [*x, *x]}\n", "2: more than 200 levels of nesting, or an alias inside"),
        ("flags:\n  - &x {<<: *x}\n", "2: more than 200 levels of nesting, or an alias inside its own anchor"),
    ],
)
def test_endless_aliases_are_rejected(text: str, problem: str) -> None:
    """A few lines can stand for more than memory can hold, or contain themselves."""
    assert problems_of(text)[0].startswith(problem)


def test_other_aliases_are_read_and_kept(tmp_path: Path) -> None:
    """Anchors, aliases and `<<` avoid repetition in YAML, also for a thousand flags."""
    flags = "".join(f"  - {{<<: *base, key: f{number}, tags: *tags}}\n" for number in range(1000))
    file = tmp_path / "flags.yaml"
    file.write_text(f"flags:\n  - &base {{key: a, enabled: true, tags: &tags [x, y]}}\n{flags}")
    manifest = load(file)
    assert {(flag.enabled, flag.tags) for flag in manifest.of("flags")} == {(True, ("x", "y"))}
    assert len(manifest.of("flags")) == 1001
    text = file.read_text()
    save(manifest, file)
    assert file.read_text().endswith(text)


@pytest.mark.parametrize("format", ["yaml", "json"])
async def test_references_are_checked_before_any_write(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, format: str
) -> None:
    """Unknown labels, keys and variants are reported at once, each with its line. Only reads are sent."""
    emulated = emulator.state
    for id, label in (("51", "web"), ("52", "twin"), ("53", "twin")):
        emulated.add_deployment(id=id, label=label)
    emulated.add_flag(key="a", variants=[{"key": "on"}])
    emulated.add_flag(key="both")
    emulated.add_flag(key="both", projectId="2")
    file = tmp_path / f"flags.{format}"
    file.write_text("""\
{"flags":
  [{"key": "a",
    "enabled": true,
    "deployments": [
      "wep",
      "twin",
      "id:99"],
    "rollout_weights": {"of": 1},
    "target_segments": [
      {"name": "s", "conditions": [], "percentage": 1, "rollout_weights":
          {"onn": 1}}]},
   {"key": "both",
    "enabled": true},
   {"key": "new",
    "deployments": ["wep"]}]}
""")
    emulator.requests.clear()
    with pytest.raises(InvalidManifestError) as caught:
        await client.plan(load(file))

    def shorten(problem: Problem) -> tuple[str, int, str, str]:
        return problem.file, problem.line, problem.field, problem.message.split(" in ")[0]

    path = str(file)
    assert [shorten(problem) for problem in caught.value.problems] == [
        (path, 5, "flags[0].deployments[0]", 'no deployment with label "wep"'),
        (path, 6, "flags[0].deployments[1]", "2 deployments"),
        (path, 7, "flags[0].deployments[2]", 'no deployment with ID "99"'),
        (path, 8, "flags[0].rollout_weights.of", "unknown variant; expected one of: on"),
        (path, 11, "flags[0].target_segments[0].rollout_weights.onn", 'unknown variant; did you mean "on"?'),
        (path, 12, "flags[1].project_id", 'is required, because 2 flags have the key "both":'),
        (path, 14, "flags[2].project_id", "is required to create it, because no live flag or experiment has this key"),
        (path, 15, "flags[2].deployments[0]", 'no deployment with label "wep"'),
    ]
    assert {request.method for request in emulator.requests} == {"GET"}
