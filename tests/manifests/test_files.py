"""Files: what is saved is loaded again, and every problem is told with file, line and field."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import (
    ConfigurationError,
    FlagSpec,
    InvalidInputError,
    InvalidManifestError,
    Manifest,
    VariantSpec,
    load,
    save,
)
from amp_exp_async.manifests.schema import generate, schema_text
from tests.manifests.states import states

NAMES = ("flags.yaml", "flags.json", "folder")


def in_order(state: Manifest) -> Manifest:
    """A state with its flags and variants in one order, to compare."""
    given: dict[str, Any] = {}
    for kind in ("flags", "experiments"):
        if getattr(state, kind):
            toggles = [
                attrs.evolve(one, variants=sorted(one.variants, key=lambda variant: variant.key))
                if one.variants
                else one
                for one in state.of(kind)
            ]
            given[kind] = sorted(toggles, key=lambda one: (one.key, str(one.project_id)))
    return Manifest(**given)


@given(state=states(depending=True), name=st.sampled_from(NAMES))
def test_what_is_saved_is_loaded(state: Manifest, name: str) -> None:
    """As YAML, as JSON and as a folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save(state, path)
        assert in_order(load(path)) == in_order(state)


@given(before=states(depending=True), after=states(depending=True), name=st.sampled_from(NAMES))
def test_saving_over_a_file_leaves_nothing_of_it(before: Manifest, after: Manifest, name: str) -> None:
    """What a file held before is changed to what it is to hold, and nothing else stays."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save(before, path)
        save(after, path)
        assert in_order(load(path)) == in_order(after)


@given(state=states(depending=True), name=st.sampled_from(NAMES[:2]))
def test_saving_again_changes_no_byte(state: Manifest, name: str) -> None:
    """The order is stable."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save(state, path)
        save(load(path), path)  # some numbers are spelt otherwise the first time
        text = path.read_text(encoding="utf-8")
        save(load(path), path)
        assert path.read_text(encoding="utf-8") == text


@given(state=states(depending=True))
def test_what_is_saved_keeps_to_the_schema(state: Manifest) -> None:
    """The schema that editors check with allows what the library writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        save(state, path)
        jsonschema.validate(json.loads(path.read_text()), json.loads(schema_text()))


def test_the_schema_is_up_to_date() -> None:
    """The schema that ships is the one that the format gives."""
    assert schema_text() == generate()
    jsonschema.Draft7Validator.check_schema(json.loads(schema_text()))


def test_a_file_names_its_schema_and_the_schema_is_there(tmp_path: Path) -> None:
    """Editors find the schema beside the file, also from a folder's depth."""
    state = Manifest(flags=[FlagSpec(key="a", project_id="1")])
    save(state, tmp_path / "flags.yaml")
    save(state, tmp_path / "flags.json")
    save(state, tmp_path / "folder")

    yaml = (tmp_path / "flags.yaml").read_text()
    assert yaml.splitlines()[0] == "# yaml-language-server: $schema=./.amp-exp.schema.json"
    assert json.loads((tmp_path / "flags.json").read_text())["$schema"] == "./.amp-exp.schema.json"
    assert "$schema=../.amp-exp.schema.json" in (tmp_path / "folder/flags/a.yaml").read_text()
    assert (tmp_path / ".amp-exp.schema.json").read_text() == schema_text()
    assert (tmp_path / "folder/.amp-exp.schema.json").read_text() == schema_text()


COMMENTED = """\
# Owned by the checkout team.
project_id: "1"
flags:
  # The old one.
  - key: a
    name: 'A'   # shown in the app
    enabled: true
    target_segments:
      - name: beta
        percentage: 50   # half of them
  - key: b
    tags: [x, y]
"""


def test_comments_quotes_and_order_are_kept(tmp_path: Path) -> None:
    """A rewrite touches what changed."""
    path = tmp_path / "flags.yaml"
    path.write_text(COMMENTED)
    state = load(path)
    first, second = state.of("flags")
    save(
        Manifest(flags=[FlagSpec(key="c", project_id="1"), attrs.evolve(second, enabled=False, tags=["y"]), first]),
        path,
    )

    assert path.read_text() == (
        "# yaml-language-server: $schema=./.amp-exp.schema.json\n"
        + COMMENTED.replace("tags: [x, y]", "enabled: false\n    tags: [y]")
        + "  - key: c\n"
    )


def test_a_folder_keeps_flags_where_they_are(tmp_path: Path) -> None:
    """A flag stays in the file that has it, a new one gets its own, and one that is gone is taken out."""
    (tmp_path / "team").mkdir()
    (tmp_path / "team/mine.yaml").write_text(COMMENTED)
    (tmp_path / "gone.json").write_text('{"project_id": "1", "flags": [{"key": "gone"}]}')
    first, second = load(tmp_path / "team").of("flags")
    save(Manifest(flags=[first, second, FlagSpec(key="c", project_id="1")]), tmp_path)

    assert sorted(path.name for path in tmp_path.rglob("*.[yj]*") if path.name[0] != ".") == ["c.yaml", "mine.yaml"]
    assert "# The old one." in (tmp_path / "team/mine.yaml").read_text()


def test_names_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    """On some file systems one would overwrite the other."""
    state = Manifest(flags=[FlagSpec(key="a", project_id="1"), FlagSpec(key="A", project_id="1")])
    with pytest.raises(InvalidInputError, match="would be one file"):
        save(state, tmp_path / "folder")
    save(Manifest(flags=[FlagSpec(key="a")]), tmp_path)
    with pytest.raises(InvalidInputError, match=r"a\.yaml and .*A\.yaml would be one file"):
        save(Manifest(flags=[FlagSpec(key="a"), FlagSpec(key="A")]), tmp_path)


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is replaced at once or not at all, and no draft stays."""
    path = tmp_path / "flags.json"
    save(Manifest(flags=[FlagSpec(key="a", project_id="1")]), path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk is full"):
        save(Manifest(flags=[]), path)
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == [".amp-exp.schema.json", "flags.json"]


def test_files_of_a_folder_clash(tmp_path: Path) -> None:
    """One key of one project in two files."""
    for name in ("a.yaml", "b.json"):
        (tmp_path / name).write_text('{"flags": [{"key": "x", "project_id": 1}]}')
    with pytest.raises(InvalidManifestError) as caught:
        load(tmp_path)
    [problem] = caught.value.problems
    assert (problem.file, problem.line, problem.field) == (str(tmp_path / "b.json"), 1, "flags[0].key")


def test_merged_objects_are_read(tmp_path: Path) -> None:
    """Anchors, aliases and `<<` are YAML's own way not to repeat."""
    (tmp_path / "flags.yaml").write_text(
        "flags:\n  - &base {key: a, project_id: 1, enabled: true}\n  - {<<: *base, key: b}\n  - {<<: [*base], key: c}\n"
    )
    assert [(flag.key, flag.enabled) for flag in load(tmp_path / "flags.yaml").of("flags")] == [
        ("a", True),
        ("b", True),
        ("c", True),
    ]


def test_a_state_made_in_code_is_checked_when_saved(tmp_path: Path) -> None:
    """As a file would be."""
    state = Manifest(flags=[FlagSpec(key="a", variants=[VariantSpec(key="on")], rollout_weights={"of": 1})])
    with pytest.raises(
        InvalidManifestError, match=r"rollout_weights\.of: there is no such variant; the variants are on"
    ):
        save(state, tmp_path / "flags.yaml")
    assert list(tmp_path.iterdir()) == []


def test_yaml_without_its_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install; JSON works."""
    monkeypatch.setitem(__import__("sys").modules, "ruamel.yaml", None)
    state = Manifest(flags=[FlagSpec(key="a", project_id="1")])
    with pytest.raises(ConfigurationError, match=r"amp_exp_async\[files\]"):
        save(state, tmp_path / "flags.yaml")
    save(state, tmp_path / "flags.json")
    assert load(tmp_path / "flags.json") == state


def test_a_state_that_was_changed_after_loading_is_checked_again(tmp_path: Path) -> None:
    """How its fields go together, with the line where they were."""
    path = tmp_path / "flags.yaml"
    path.write_text('flags:\n  - key: a\n    variants: [{key: "on"}]\n    rollout_weights: {"on": 1}\n')
    [flag] = load(path).of("flags")
    changed = Manifest(flags=[attrs.evolve(flag, rollout_weights={"off": 1})])
    with pytest.raises(
        InvalidManifestError, match=r"flags\.yaml:4: flags\[0\]\.rollout_weights\.off: there is no such"
    ):
        save(changed, tmp_path / "other.yaml")


def test_several_sources(tmp_path: Path) -> None:
    """Files, folders and open files count as one; their problems are reported together."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.yaml").write_text("flags: [{key: a}]")
    (tmp_path / "b.json").write_text('{"flags": [{"key": "b"}]}')
    manifest = load(tmp_path / "folder", tmp_path / "b.json", io.StringIO('{"experiments": [{"key": "c"}]}'))
    assert [spec.key for spec in (*manifest.of("flags"), *manifest.of("experiments"))] == ["a", "b", "c"]
    with pytest.raises(InvalidManifestError) as raised:
        load(tmp_path / "folder", tmp_path / "missing.yaml", io.StringIO("flags:\n  - {key: a}\n  - {kee: d}"))
    problems = [(Path(problem.file).name, problem.line, problem.field) for problem in raised.value.problems]
    assert problems == [
        ("missing.yaml", 0, ""),
        ("<text>", 2, "flags[0].key"),
        ("<text>", 3, "flags[1].key"),
        ("<text>", 3, "flags[1].kee"),
    ]
