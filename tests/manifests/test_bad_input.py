"""Bad input: every problem is told with file, line and field, all at once, and before anything is changed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AsyncExperimentClient, InvalidManifestError, Manifest, Problem, load, loads, save
from amp_exp_async.emulator import Emulator
from tests.manifests.privileges import file_modes_apply

GOOD = '{"flags": [{"key": "good", "project_id": 9}]}'


def problems(path: Path) -> list[tuple[str, int, str]]:
    """The file, line and field of each problem; the message has them all."""
    with pytest.raises(InvalidManifestError) as caught:
        load(path)
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)
    return [(problem.file, problem.line, problem.field) for problem in caught.value.problems]


def said(text: str, format: Any = "yaml") -> list[str]:
    """What is said of a text."""
    with pytest.raises(InvalidManifestError) as caught:
        loads(text, format=format, name="f")
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


_USERS = ", ".join(f'"u{at}"' for at in [*range(2001), 0])

# JSON is YAML too: each is read as both. A text; the line and field of what is wrong in it; what is said.
IN_BOTH = {
    "an unknown field": (
        '{"flags": [{"key": "a", "project_id": 1,\n "rollout_percentag": 5}]}',
        2, "flags[0].rollout_percentag", "there is no such field; 'rollout_percentage' may be meant",
    ),
    "an unknown field of a condition": (
        '{"flags": [{"key": "a",\n "target_segments": [{"conditions": [\n{"prop": "p",\n "opp": "is"}]}]}]}',
        4, "flags[0].target_segments[0].conditions[0].opp", "there is no such field; 'op' may be meant",
    ),
    "the name that the API has": (
        '{"flags": [{"key": "a",\n "rolloutPercentage": 5}]}',
        2, "flags[0].rolloutPercentage", "there is no such field; 'rollout_percentage' may be meant",
    ),
    "an unknown field of the file": ('{"flags": [],\n "flagz": []}', 2, "flagz", "'flags' may be meant"),
    "a name twice": (
        '{"flags": [{"key": "a",\n "variants": [{"key": "on",\n "users": ["u"],\n "users": []}]}]}',
        4, "flags[0].variants[0].users", "is there twice, first in line 3",
    ),
    "a name twice in a payload": (
        '{"flags": [{"key": "a", "variants": [{"key": "on", "payload": {"x": [{"y": 1,\n "y": 2}]}}]}]}',
        2, "flags[0].variants[0].payload.x[0].y", "is there twice",
    ),
    "a weight without a variant": (
        '{"flags": [{"key": "a", "variants": [{"key": "off"}],\n "rollout_weights": {\n"of": 1}}]}',
        3, "flags[0].rollout_weights.of", "there is no such variant; 'off' may be meant",
    ),
    "a weight of a segment without a variant": (
        '{"flags": [{"key":"a", "variants": [{"key": "b"}], "target_segments": [{},\n{"rollout_weights": {"z": 1}}]}]}',
        2, "flags[0].target_segments[1].rollout_weights.z", "no such variant; the variants are b",
    ),
    "a variant twice": (
        '{"flags": [{"key": "a", "variants": [{"key": "on"},\n {"key": "on"}]}]}',
        2, "flags[0].variants[1].key", "the variant 'on' is there twice",
    ),
    "more users than a variant can have": (
        '{"flags": [{"key": "a", "variants": [{"key": "on"}, {"key": "off",\n "users": [' + _USERS + "]}]}]}",
        2, "flags[0].variants[1].users", "must hold at most 2,000 ids, got 2,001",
    ),
    "one key twice": (
        '{"project_id": 1, "flags": [{"key": "a"},\n {"key": "b"},\n {"key": "a"}]}',
        3, "flags[2].key", "'a' is there twice, first in",
    ),
    "one key twice, once without a project": (
        '{"flags": [{"key": "a", "project_id": 1},\n {"key": "a"}]}', 2, "flags[1].key", "'a' is there twice",
    ),
    "a payload too large a number": (
        '{"flags": [{"key": "a", "variants": [{"key": "on",\n "payload": 99999999999999999999}]}]}',
        2, "flags[0].variants[0].payload", "an integer of at most 64 bits",
    ),
    "a payload of thousands of digits": (
        '{"flags": [{"key": "a", "variants": [{"key": "on",\n "payload": [' + "9" * 5000 + "]}]}]}",
        2, "flags[0].variants[0].payload[0]", "must be JSON",
    ),
    "a number beyond all numbers": (
        '{"flags": [{"key": "a", "variants": [{"key": "on",\n "payload": 1.0e999}]}]}',
        2, "flags[0].variants[0].payload", "must be JSON, which has no 1.0e999",
    ),
    "half a letter": (
        '{"flags": [{"key": "a", "variants": [{"key": "on",\n "payload": "\\ud800"}]}]}',
        2, "flags[0].variants[0].payload", "must be valid Unicode",
    ),
    "a flag without a key": ('{"flags": [\n{"name": "a"}]}', 2, "flags[0].key", "is missing"),
    "a flag that is none": ('{"flags": [\n5]}', 2, "flags[0]", "must be an object with key"),
    "no list": ('{\n"flags": {"a": 1}}', 2, "flags", "must be a list"),
    "a percentage over 100": (
        '{"flags": [{"key": "a",\n "rollout_percentage": 101}]}', 2, "flags[0].rollout_percentage", "from 0 to 100",
    ),
    "null for a boolean": (
        '{"experiments": [{"key": "a",\n "enabled": null}]}', 2, "experiments[0].enabled", "must be true or false",
    ),
    "no object": ("[1, 2, [], {}]", 1, "", "must be an object"),
    "too many levels": ('{"flags":\n' + "[" * 300 + "]" * 300 + "}", 2, "", "more than 200 levels"),
    "far too many levels": ('{"flags":\n' + "[" * 500, 2, "", "more than 200 levels"),
    "cut in a list": ('{"flags": [\n{"key": "a"},\n', None, "", "or is cut off"),
    "cut in an object": ('{"flags": [\n{"key": "a"', 2, "", "or is cut off"),
    "cut in a text": ('{"flags": [\n{"key": "a', 2, "", "or is cut off"),
    "a NUL": ('{"flags": [\n{"key": "a\x00"}]}', 2, "", "is no"),
    "nothing": ("", 1, "", ""),
}  # fmt: skip


@pytest.mark.parametrize("place", ["{}", "folder/deep/{}"])
@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
@pytest.mark.parametrize("wrong", IN_BOTH.values(), ids=IN_BOTH)
def test_each_problem_has_file_line_and_field(
    tmp_path: Path, place: str, suffix: str, wrong: tuple[str, int | None, str, str]
) -> None:
    """In YAML and in JSON, in one file and in a folder beside a good one."""
    text, line, field, message = wrong
    file = tmp_path / place.format(f"bad.{suffix}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    if place != "{}":
        (tmp_path / "folder/good.json").write_text(GOOD)
    with pytest.raises(InvalidManifestError) as caught:
        load(file if place == "{}" else tmp_path / "folder")
    [problem] = caught.value.problems
    assert (problem.file, problem.field) == (str(file), field)
    assert problem.line == line or line is None
    assert message in problem.message


PAYLOAD = "flags:\n  - key: a\n    variants:\n      - key: 'on'\n        payload: {}\n"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (".nan", "must be JSON, which has no .nan"),
        ("-.INF", "must be JSON, which has no -.INF"),
        ("!!binary aGk=", "binary is not: 'aGk='"),
        ("!!python/name:os.system", "python/name:os.system is not"),
        ("!!python/object:os.x {a: 1}", "python/object:os.x is not"),
        ("!!set {a}", "set is not"),
        ("!!int abc", "int is not: 'abc'"),
        ("!secret x", "!secret is not: 'x'"),
        ("{[1]: 2}", "a name is a string"),
        ("{<<: 1}", "<< must name an object"),
    ],
)
def test_what_only_yaml_can_say_is_refused(payload: str, message: str) -> None:
    """A payload is JSON; nothing is run, and nothing becomes text by silence."""
    [problem] = said(PAYLOAD.format(payload))
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
        ("=", None),
    ],
)
def test_words_mean_what_yaml_1_2_says(payload: str, value: Any) -> None:
    """A date is a text, and so are the words that older YAML takes for booleans; a name is a text."""
    if payload == "=":
        assert "is not" in said(PAYLOAD.format(payload))[0]
        return
    [flag] = loads(PAYLOAD.format(payload)).of("flags")
    assert flag.variants
    assert repr(flag.variants[0].payload) == repr(value)


@pytest.mark.parametrize(("id", "number"), [("007", 7), ("0x10", 16), ("0o17", 15), ("1_000", 1000), ("+1", 1)])
def test_an_id_that_is_another_number_is_refused(id: str, number: int) -> None:
    """It would be another id by silence; as it is told by its digits, or in quotes, it is read."""
    text = "project_id: {0}\nflags:\n  - key: a\n    variants:\n      - key: b\n        users: [u,\n          {0}]\n"
    why = f"must be in quotes: {id} is the number {number}"
    assert said(text.format(id)) == [f"1: project_id: {why}", f"7: flags[0].variants[0].users[1]: {why}"]
    for spelt in (str(number), f'"{id}"'):
        [flag] = loads(text.format(spelt)).of("flags")
        assert flag.variants
        assert (flag.project_id, flag.variants[0].users) == (spelt.strip('"'), ("u", spelt.strip('"')))


@pytest.mark.parametrize(
    ("payload", "field"),
    [("NaN", ""), ("-Infinity", ""), ("[1, NaN]", "[1]"), ('{"x": Infinity}', ".x")],
)
def test_what_only_python_takes_for_json_is_refused(payload: str, field: str) -> None:
    """And what else is wrong is told too."""
    text = '{"flags": [{"key": "a", "variants": [{"key": "on",\n "payload": ' + payload + '}],\n "tagz": []}]}'
    first, second = said(text, "json")
    assert first.startswith(f"2: flags[0].variants[0].payload{field}: must be JSON, which has no ")
    assert second.startswith("3: flags[0].tagz: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("flags:\n\t- key: a\n", "2: is no YAML, or is cut off: found character '\\t'"),
        ("flags: []\n---\nflags: []\n", "2: is no YAML, or is cut off: but found another document"),
        ("flags:\n  - key: 'a\n", "3: is no YAML, or is cut off"),
        ("flags:\n  - key: a\n    tags: [x,\n", "4: is no YAML, or is cut off"),
        ("flags:\n  - key: a\n    enabled", "3: is no YAML, or is cut off"),
        ("flags:\n  - key: a\n    variants:\n", "3: flags[0].variants: must be a list"),
        ("flags:\n  - key: a\n    enabled: tr", "3: flags[0].enabled: must be true or false"),
        ("flags:\n", "1: flags: must be a list"),
        ("# all gone\n", "1: must be an object with flags or experiments"),
        ("flags:\n  - key: a\n   name: b\n", "3: is no YAML, or is cut off"),
        ("flags: []\nflags: []\n", "2: flags: is there twice, first in line 1"),
        ("<<: 1\n", "1: << must name an object"),
    ],
)
def test_yaml_that_cannot_be_read_is_refused(text: str, problem: str) -> None:
    """A half-written one too, as far as it can be told from a whole one."""
    assert [one[: len(problem)] for one in said(text)] == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"flags":\n [{"key": "a"', "2: is no JSON, or is cut off: expected , or } (column 14)"),
        ("{flags: []}", "1: is no JSON, or is cut off: expected a name in quotes"),
        ("{}\n{}", "2: is no JSON, or is cut off: there is more after its end"),
        ('{"flags": [],}', "1: is no JSON, or is cut off: expected a name in quotes"),
        ('{"flags": []}\n// c', "2: is no JSON, or is cut off"),
    ],
)
def test_json_that_cannot_be_read_is_refused(text: str, problem: str) -> None:
    """With line and column."""
    assert [one[: len(problem)] for one in said(text, "json")] == [problem]


WORST = """\
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


def test_all_problems_of_a_file_are_told_at_once() -> None:
    """What is wrong with one field hides nothing that is wrong with another; what cannot be known is not guessed."""
    assert said(WORST) == [
        "4: flags[0].rollout_percentag: there is no such field; 'rollout_percentage' may be meant",
        "6: flags[0].enabled: is there twice, first in line 5: keep one of them",
        "9: flags[0].variants[0].payload: must be JSON, which has no .nan",
        "10: flags[0].variants[1].key: the variant 'on' is there twice: keep one of them",
        "12: flags[0].rollout_weights.of: there is no such variant; the variants are on, on",
        "15: flags[0].target_segments[0].percentage: must be a number from 0 to 100, got 101",
        "18: flags[0].target_segments[0].conditions[0].opp: there is no such field; 'op' may be meant",
        "19: flags[1].key: is missing",
        "21: flags[1].rollout_weights.of: there is no such variant; 'off' may be meant",
        "23: flags[2].tags: must be a list",
        "25: flags[2].rollout_weights.of: there is no such variant; 'off' may be meant",
        "27: flags[2].target_segments[0].rollout_weights.on: there is no such variant; the variants are off",
        "28: flags[3].key: 'b' is there twice, first in f:22: keep one of them",
        "30: flags[4].variants[0]: must be an object with key, name, description, payload, users, cohorts",
        "32: extra: there is no such field; there are project_id, flags, experiments",
    ]


def test_all_files_of_a_folder_are_told_of_at_once(tmp_path: Path) -> None:
    """Also where one cannot be read at all, and what is wrong is between two."""
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags/a.yaml").write_text("flags: [\n")
    (tmp_path / "b.json").write_text('{"flags": [{"key": "x", "project_id": 1}],\n "no": 1}')
    (tmp_path / "c.yaml").write_text("project_id: 1\nflags:\n  - key: x\n")
    assert problems(tmp_path) == [
        (str(tmp_path / "b.json"), 2, "no"),
        (str(tmp_path / "c.yaml"), 3, "flags[0].key"),
        (str(tmp_path / "flags/a.yaml"), 2, ""),
    ]


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    """With the line of the first byte that is none."""
    for name in ("flags.yaml", "flags.json"):
        (tmp_path / name).write_bytes(b'{"flags": [\n{"key": "caf\xe9"}]}')
        assert problems(tmp_path / name) == [(str(tmp_path / name), 2, "")]


def test_a_byte_order_mark_and_windows_line_ends_are_no_problem(tmp_path: Path) -> None:
    """Lines are counted all the same, and stay as they are when the file is saved."""
    file = tmp_path / "flags.yaml"
    file.write_bytes("\ufeffflags:\r\n  - key: a  # c\r\n    enabled: false\r\n    nam: x\r\n".encode())
    assert problems(file) == [(str(file), 4, "flags[0].nam")]
    file.write_bytes("\ufeffflags:\r\n  - key: a  # c\r\n    enabled: false\r\n".encode())
    [flag] = load(file).of("flags")
    save(Manifest(flags=[type(flag)(key="a", enabled=True)]), file)
    assert file.read_bytes().endswith(b"flags:\r\n  - key: a  # c\r\n    enabled: true\r\n")


def test_names_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """A path that is not there, of another kind, or a link to itself; in a folder nothing is passed over in silence."""
    (tmp_path / "flags.toml").write_text("")
    (tmp_path / "good.json").write_text(GOOD)
    for name in ("none.yaml", "flags.toml"):
        assert problems(tmp_path / name) == [(str(tmp_path / name), 0, "")]
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "lost.yaml").symlink_to("nowhere.yaml")
    assert problems(tmp_path) == [(str(tmp_path / "loop.yaml"), 0, ""), (str(tmp_path / "lost.yaml"), 0, "")]


def test_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    """It is read, as part of another too, and saved to."""
    (tmp_path / "x.yaml").mkdir()
    (tmp_path / "x.yaml/a.json").write_text(GOOD)
    assert [flag.key for flag in load(tmp_path).of("flags")] == ["good"]
    save(load(tmp_path / "x.yaml"), tmp_path / "x.yaml")
    assert [flag.key for flag in load(tmp_path / "x.yaml").of("flags")] == ["good"]


def test_unreadable_files_are_rejected(tmp_path: Path) -> None:
    """The problems name a file and a folder whose modes forbid reading."""
    (tmp_path / "a.json").write_text(GOOD)
    (tmp_path / "a.json").chmod(0)
    (tmp_path / "inner").mkdir(mode=0)
    with file_modes_apply():
        assert [file for file, _, _ in problems(tmp_path)] == [str(tmp_path / "a.json"), str(tmp_path / "inner")]


def test_what_is_there_and_wrong_is_not_written_over(tmp_path: Path) -> None:
    """A half-written file may hold what is nowhere else."""
    for name in ("flags.yaml", "flags.json"):
        (tmp_path / name).write_text('{"flags": [\n')
        with pytest.raises(InvalidManifestError, match=r"is cut off"):
            save(Manifest(flags=[]), tmp_path / name)
        assert (tmp_path / name).read_text() == '{"flags": [\n'
    assert sorted(one.name for one in tmp_path.iterdir()) == ["flags.json", "flags.yaml"]


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def _as_object(found: re.Match[str]) -> str:
    return "{" + ", ".join(f"{at}: {item}" for at, item in enumerate(found[1].split(", "))) + "}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LAUGHS, "1: is repeated by aliases, which make more than 100,000 values"),
        (re.sub(r"\[(.*)\]", _as_object, LAUGHS), "1: is repeated by aliases, which make more than 100,000 values"),
        ("flags: &x\n  - *x\n", "1: more than 200 levels, or an alias of what it stands in"),
        ("flags:\n  - &x {key: a, variants: [*x, *x]}\n", "2: more than 200 levels, or an alias of what it stands in"),
        ("flags:\n  - &x {<<: *x}\n", "2: more than 200 levels, or an alias of what it stands in"),
    ],
)
def test_aliases_without_end_are_refused(text: str, problem: str) -> None:
    """A few lines can stand for more than memory holds, or for themselves."""
    assert said(text)[0].startswith(problem)


def test_aliases_that_end_are_read_and_kept(tmp_path: Path) -> None:
    """Anchors, aliases and `<<` are YAML's own way not to repeat, for a thousand flags too."""
    flags = "".join(f"  - {{<<: *base, key: f{at}, tags: *tags}}\n" for at in range(1000))
    file = tmp_path / "flags.yaml"
    file.write_text(f"flags:\n  - &base {{key: a, enabled: true, tags: &tags [x, y]}}\n{flags}")
    state = load(file)
    assert {(flag.enabled, flag.tags) for flag in state.of("flags")} == {(True, ("x", "y"))}
    assert len(state.of("flags")) == 1001
    text = file.read_text()
    save(state, file)
    assert file.read_text().endswith(text)


async def test_what_only_the_service_knows_is_refused_before_any_write(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path
) -> None:
    """Labels, keys and variants, all of a file at once, each with its line; nothing but reads is sent."""
    state = emulator.state
    for id, label in (("51", "web"), ("52", "twin"), ("53", "twin")):
        state.add_deployment(id=id, label=label)
    state.add_flag(key="a", variants=[{"key": "on"}])
    state.add_flag(key="both")
    state.add_flag(key="both", projectId="2")
    file = tmp_path / "flags.yaml"
    file.write_text("""\
flags:
  - key: a
    enabled: true
    deployments:
      - wep
      - twin
      - id:99
    rollout_weights: {of: 1}
    target_segments:
      - {name: s, conditions: [], percentage: 1, rollout_weights:
          {onn: 1}}
  - key: both
    enabled: true
  - key: new
    deployments: [wep]
""")
    emulator.requests.clear()
    with pytest.raises(InvalidManifestError) as caught:
        await client.plan(load(file))

    def short(problem: Problem) -> tuple[str, int, str, str]:
        return problem.file, problem.line, problem.field, problem.message.split(" in ")[0]

    path = str(file)
    assert [short(problem) for problem in caught.value.problems] == [
        (path, 5, "flags[0].deployments[0]", 'no deployment with label "wep"'),
        (path, 6, "flags[0].deployments[1]", "2 deployments"),
        (path, 7, "flags[0].deployments[2]", 'no deployment with ID "99"'),
        (path, 8, "flags[0].rollout_weights.of", "there is no such variant; the variants are on"),
        (path, 11, "flags[0].target_segments[0].rollout_weights.onn", "there is no such variant; 'on' may be meant"),
        (path, 12, "flags[1].project_id", 'is required, because 2 flags have the key "both":'),
        (path, 14, "flags[2].project_id", "is required to create it, because no live flag or experiment has this key"),
        (path, 15, "flags[2].deployments[0]", 'no deployment with label "wep"'),
    ]
    assert {request.method for request in emulator.requests} == {"GET"}
