"""Files: loading returns what was saved, and saving keeps what did not change."""

from __future__ import annotations

import io
import json
import pickle
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_exp_async import (
    AsyncExperimentClient,
    ConfigurationError,
    FlagSpec,
    InvalidInputError,
    InvalidManifestError,
    Manifest,
    VariantSpec,
    load,
    save,
)
from amp_exp_async.emulator import Emulator
from amp_exp_async.manifests.schema import generate, schema_text
from tests.manifests.strategies import manifests

NAMES = ("flags.yaml", "flags.json", "folder")


def in_order(manifest: Manifest) -> Manifest:
    """Return a manifest with its flags and variants sorted, for comparison."""
    specs: dict[str, Any] = {}
    for kind in ("flags", "experiments"):
        if getattr(manifest, kind):
            flags = [
                attrs.evolve(flag, variants=sorted(flag.variants, key=lambda variant: variant.key))
                if flag.variants
                else flag
                for flag in manifest.of(kind)
            ]
            specs[kind] = sorted(flags, key=lambda flag: (flag.key, str(flag.project_id)))
    return Manifest(**specs)


@given(manifest=manifests(with_dependencies=True), name=st.sampled_from(NAMES))
def test_loading_returns_what_was_saved(manifest: Manifest, name: str) -> None:
    """As YAML, as JSON and as a folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save(manifest, path)
        assert in_order(load(path)) == in_order(manifest)


@given(before=manifests(with_dependencies=True), after=manifests(with_dependencies=True), name=st.sampled_from(NAMES))
def test_saving_replaces_the_content_of_a_file(before: Manifest, after: Manifest, name: str) -> None:
    """Nothing of the old content remains."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save(before, path)
        save(after, path)
        assert in_order(load(path)) == in_order(after)


@given(manifest=manifests(with_dependencies=True), name=st.sampled_from(NAMES[:2]))
def test_saving_twice_changes_no_byte(manifest: Manifest, name: str) -> None:
    """The order is stable."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save(manifest, path)
        save(load(path), path)  # some numbers are spelled differently the first time
        text = path.read_text(encoding="utf-8")
        save(load(path), path)
        assert path.read_text(encoding="utf-8") == text


@given(manifest=manifests(with_dependencies=True))
def test_saved_files_match_the_json_schema(manifest: Manifest) -> None:
    """The JSON Schema that editors use accepts what the library writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        save(manifest, path)
        jsonschema.validate(json.loads(path.read_text()), json.loads(schema_text()))


def test_the_json_schema_is_up_to_date() -> None:
    """The packaged JSON Schema is the generated one."""
    assert schema_text() == generate()
    jsonschema.Draft7Validator.check_schema(json.loads(schema_text()))


def test_a_file_refers_to_the_json_schema_next_to_it(tmp_path: Path) -> None:
    """Also from a subfolder."""
    manifest = Manifest(flags=[FlagSpec(key="a", project_id="1")])
    save(manifest, tmp_path / "flags.yaml")
    save(manifest, tmp_path / "flags.json")
    save(manifest, tmp_path / "folder")

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
    """Saving changes only the lines whose content changes."""
    path = tmp_path / "flags.yaml"
    path.write_text(COMMENTED)
    first, second = load(path).of("flags")
    changed = attrs.evolve(second, enabled=False, tags=["y"])
    save(Manifest(flags=[FlagSpec(key="c", project_id="1"), changed, first]), path)

    assert path.read_text() == (
        "# yaml-language-server: $schema=./.amp-exp.schema.json\n"
        + COMMENTED.replace("tags: [x, y]", "enabled: false\n    tags: [y]")
        + "  - key: c\n"
    )


def test_a_folder_keeps_flags_where_they_are(tmp_path: Path) -> None:
    """A flag stays in its file, a new flag gets its own file, and a file without flags is deleted."""
    (tmp_path / "team").mkdir()
    (tmp_path / "team/mine.yaml").write_text(COMMENTED)
    (tmp_path / "gone.json").write_text('{"project_id": "1", "flags": [{"key": "gone"}]}')
    first, second = load(tmp_path / "team").of("flags")
    save(Manifest(flags=[first, second, FlagSpec(key="c", project_id="1")]), tmp_path)

    assert sorted(path.name for path in tmp_path.rglob("*.[yj]*") if path.name[0] != ".") == ["c.yaml", "mine.yaml"]
    assert "# The old one." in (tmp_path / "team/mine.yaml").read_text()


def test_file_names_that_differ_only_in_case_are_rejected(tmp_path: Path) -> None:
    """On a case-insensitive file system one would overwrite the other."""
    manifest = Manifest(flags=[FlagSpec(key="a", project_id="1"), FlagSpec(key="A", project_id="1")])
    with pytest.raises(InvalidInputError, match="would be one file"):
        save(manifest, tmp_path / "folder")
    save(Manifest(flags=[FlagSpec(key="a")]), tmp_path)
    with pytest.raises(InvalidInputError, match=r"a\.yaml and .*A\.yaml would be one file"):
        save(Manifest(flags=[FlagSpec(key="a"), FlagSpec(key="A")]), tmp_path)


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are replaced atomically, and no draft remains."""
    path = tmp_path / "flags.json"
    save(Manifest(flags=[FlagSpec(key="a", project_id="1")]), path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk is full"):
        save(Manifest(flags=[]), path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [".amp-exp.schema.json", "flags.json"]


def test_one_key_in_two_files_of_a_folder_is_rejected(tmp_path: Path) -> None:
    """If both are of one project."""
    for name in ("a.yaml", "b.json"):
        (tmp_path / name).write_text('{"flags": [{"key": "x", "project_id": 1}]}')
    with pytest.raises(InvalidManifestError) as caught:
        load(tmp_path)
    [problem] = caught.value.problems
    assert (problem.file, problem.line, problem.field) == (str(tmp_path / "b.json"), 1, "flags[0].key")


def test_merged_objects_are_read(tmp_path: Path) -> None:
    """Anchors, aliases and `<<` avoid repetition in YAML."""
    (tmp_path / "flags.yaml").write_text(
        "flags:\n  - &base {key: a, project_id: 1, enabled: true}\n  - {<<: *base, key: b}\n  - {<<: [*base], key: c}\n"
    )
    assert [(flag.key, flag.enabled) for flag in load(tmp_path / "flags.yaml").of("flags")] == [
        ("a", True),
        ("b", True),
        ("c", True),
    ]


def test_a_manifest_made_in_code_is_validated_when_saved(tmp_path: Path) -> None:
    """As a file would be."""
    manifest = Manifest(flags=[FlagSpec(key="a", variants=[VariantSpec(key="on")], rollout_weights={"of": 1})])
    with pytest.raises(InvalidManifestError, match=r"rollout_weights\.of: unknown variant; expected one of: on"):
        save(manifest, tmp_path / "flags.yaml")
    assert list(tmp_path.iterdir()) == []


def test_yaml_without_its_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file can be written. To read or change one, the message says what to install. JSON works."""
    manifest = Manifest(flags=[FlagSpec(key="a", project_id="1")])
    changed = Manifest(flags=[FlagSpec(key="a", project_id="2")])
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    save(manifest, tmp_path / "flags.yaml")
    with pytest.raises(ConfigurationError, match=r"Changes of YAML files need .*amp_exp_async\[files\]"):
        save(changed, tmp_path / "flags.yaml")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigurationError, match=r"amp_exp_async\[files\]"):
        load(tmp_path / "flags.yaml")
    save(manifest, tmp_path / "flags.json")
    assert load(tmp_path / "flags.json") == manifest


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"rollout_weights": {"off": 1}}, "rollout_weights.off: unknown variant", id="a contradiction"),
        pytest.param({"rollout_weights": {"on": "1"}}, "rollout_weights.on: must be a number", id="an invalid value"),
        pytest.param({"rollout_percentage": 150}, "rollout_percentage: must be a number from 0", id="a new value"),
    ],
)
async def test_a_manifest_that_was_changed_after_loading_is_checked_again(
    emulator: Emulator, tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    """What a change breaks is reported with the line in the file, before anything is saved or sent."""
    path = tmp_path / "flags.yaml"
    path.write_text('flags:\n  - key: a\n    variants: [{key: "on"}]\n    rollout_weights: {"on": 1}\n')
    [flag] = load(path).of("flags")
    changed = Manifest(flags=[attrs.evolve(flag, **change)])
    message = re.escape(f".{problem}")
    with pytest.raises(InvalidManifestError, match=rf"flags\.yaml:\d: flags\[0\]{message}"):
        save(changed, tmp_path / "other.yaml")
    async with AsyncExperimentClient(emulator.api_key, base_url=emulator.base_url) as client:
        with pytest.raises(InvalidManifestError, match=message):
            await client.plan(changed)
    assert not emulator.requests
    assert not (tmp_path / "other.yaml").exists()


@pytest.mark.parametrize("name", ["flags.yaml", "flags.json"])
def test_a_loaded_manifest_can_be_pickled(tmp_path: Path, name: str) -> None:
    """With the locations of its flags."""
    save(Manifest(flags=[FlagSpec(key="a"), FlagSpec(key="b", name="B")]), tmp_path / name)
    manifest = load(tmp_path / name)
    copy = pickle.loads(pickle.dumps(manifest))
    assert copy == manifest
    assert [flag.location for flag in copy.of("flags")] == [flag.location for flag in manifest.of("flags")]


def test_no_sources() -> None:
    """A pattern that matches no file must not read as a manifest without flags."""
    with pytest.raises(InvalidInputError, match=r"^sources: must have at least one file or folder"):
        load(*Path("none").glob("*.yaml"))


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
