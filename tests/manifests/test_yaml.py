"""YAML and JSON texts, and what an update of a YAML file keeps."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from amp_exp_async import (
    UNSET,
    ConfigurationError,
    FlagSpec,
    InvalidInputError,
    InvalidManifestError,
    Manifest,
    dumps,
    load,
    loads,
    save,
)
from tests.manifests.strategies import manifests


@given(manifest=manifests(), format=st.sampled_from(["yaml", "json"]))
def test_loads_returns_what_was_dumped(manifest: Manifest, format: Any) -> None:
    """`dumps` returns the text that `save` writes, without the reference to the JSON Schema."""
    text = dumps(manifest, format=format)
    assert loads(text, format=format) == load_from_file(text, format)
    assert dumps(loads(text, format=format), format=format) == text
    assert not text.startswith("# yaml-language-server")
    assert format == "yaml" or "$schema" not in json.loads(text)


def load_from_file(text: str, format: str) -> Manifest:
    """Write a text to a file and load it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"flags.{format}"
        path.write_text(text, encoding="utf-8")
        return load(path)


def test_a_text_is_validated_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems have its name. Invalid arguments are rejected."""
    with pytest.raises(InvalidManifestError, match=r"<stdin>:2: flags\[0\]\.nam: "):
        loads("flags:\n  - {key: a, nam: b}", name="<stdin>")
    with pytest.raises(InvalidManifestError, match=r"<text>:1: flags\[1\]\.key: duplicate key"):
        loads('{"flags": [{"key": "a"}, {"key": "a"}]}', format="json")
    with pytest.raises(InvalidInputError, match="format"):
        loads("{}", format="toml")  # type: ignore[arg-type]  # a mistake
    with pytest.raises(InvalidInputError, match="text: must be a string"):
        loads(b"{}")  # type: ignore[arg-type]  # a mistake
    with pytest.raises(InvalidInputError, match="manifest: must be a Manifest"):
        dumps("flags.yaml")  # type: ignore[arg-type]  # a mistake
    with pytest.raises(InvalidManifestError, match="unknown variant; the flag has no variants"):
        dumps(Manifest(flags=[FlagSpec(key="a", variants=[], rollout_weights={"on": 1})]))
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigurationError, match=r"PyYAML\. Run pip install 'amp_exp_async\[files\]'"):
        loads("flags: []")


HEADER = "# yaml-language-server: $schema=./.amp-exp.schema.json\n"
FILE = (
    HEADER
    + """\
# Owned by the checkout team.

flags:
# --- Payments ---

# About a.
- key: a   # the first
  name: A
  tags: [x, y]
# --- Search ---

# About b.
- key: b
  name: 'B'

# About c.
- key: c
experiments: []   # none yet
"""
)


def changed_manifest(*changes: FlagSpec) -> Manifest:
    """Return the manifest of `FILE` with some flags replaced or added."""
    by_key = {flag.key: flag for flag in (*loads(FILE).of("flags"), *changes)}
    return Manifest(flags=by_key.values(), experiments=[])


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (FlagSpec(key="b", name="New"), "name: 'B'", "name: 'New'"),
        (FlagSpec(key="a", name="A", tags=["y", "z"]), "tags: [x, y]", "tags: [y, z]"),
        (FlagSpec(key="c", enabled=True), "- key: c\n", "- key: c\n  enabled: true\n"),
        (FlagSpec(key="d", tags=["on"]), "- key: c\n", '- key: c\n- key: d\n  tags:\n  - "on"\n'),
    ],
)
def test_saving_touches_only_changed_lines(tmp_path: Path, change: FlagSpec, before: str, after: str) -> None:
    """Comments, quotes, order and indentation are kept."""
    path = tmp_path / "flags.yaml"
    path.write_text(FILE)
    save(changed_manifest(change), path)
    assert path.read_text() == FILE.replace(before, after)


def test_unchanged_values_of_a_changed_entry_keep_their_form(tmp_path: Path) -> None:
    """Also those that a reader of YAML 1.1 takes for others. What is new has quotes."""
    path = tmp_path / "flags.yaml"
    before = "flags:\n  # c\n  - key: a\n    name: 12:30:45\n    tags: [1_000, yes]\n    description: x\n"
    path.write_text(before)
    [flag] = load(path).of("flags")
    save(Manifest(flags=[attrs.evolve(flag, description="2001-01-01")]), path)
    assert path.read_text().endswith(before.replace("description: x", 'description: "2001-01-01"'))


ANCHORED = """\
flags:
  # c
  - key: a
    description: |
      one
      two
    tags: &t [x]
  - key: b
    tags: *t
"""


def test_anchors_and_block_strings_are_kept(tmp_path: Path) -> None:
    """So are the comments."""
    path = tmp_path / "flags.yaml"
    path.write_text(ANCHORED)
    first, second = load(path).of("flags")
    save(Manifest(flags=[attrs.evolve(first, enabled=True), second]), path)
    text = path.read_text()
    assert ("# c" in text, "|\n      one\n      two\n" in text, "&t" in text, "enabled: true" in text) == (True,) * 4


MERGING = """\
flags:
  # c
  - &base
    key: a
    enabled: true
    name: A
  - <<: *base
    key: b
  - key: c  # d
"""


@pytest.mark.parametrize("key", ["a", "b", "c"])
@pytest.mark.parametrize("name", [UNSET, "B"])
def test_a_flag_that_merges_another_can_change(tmp_path: Path, key: str, name: Any) -> None:
    """Merged fields are written out if they change. A change of the merged flag changes no other flag."""
    path = tmp_path / "flags.yaml"
    path.write_text(MERGING)
    desired = {
        flag.key: attrs.evolve(flag, name=name if flag.key == key else flag.name) for flag in load(path).of("flags")
    }
    save(Manifest(flags=desired.values()), path)
    assert {flag.key: flag for flag in load(path).of("flags")} == desired


BLOCKS = """\
# Top.
project_id: 1
flags:
  # About a.
  - key: a
    name: A  # the name
    description: |
      text
      # no comment
    tags: [x]

  # About b.
  - key: b
    name: 'B'
    tags: [y, z]
  # About c.
  - {key: c, name: C}
  - key: d
    name: "12:30:45"
    variants:
      - key: "on"
# About experiments.
experiments:
- key: e
  tags: [y, z]
# The end.
"""


@st.composite
def changed_blocks(draw: st.DrawFn) -> Manifest:
    """Draw a manifest in which some entries of a file are changed, removed or added, in any order."""
    manifest = loads(BLOCKS)
    kinds: dict[str, list[Any]] = {}
    for kind in ("flags", "experiments"):
        changed = [
            attrs.evolve(flag, **changes) if changes else flag
            for flag in manifest.of(kind)
            if (changes := draw(st.sampled_from([None, {}, {"name": "new"}, {"enabled": True}, {"tags": ["on", "x"]}])))
            is not None
        ]
        keys = draw(st.lists(st.sampled_from(["new", "yes", "7"]), unique=True))
        new = [type(manifest.of(kind)[0])(key=f"{key}{kind[0]}", project_id="1") for key in keys]
        assume(changed)
        kinds[kind] = draw(st.permutations([*changed, *new]))
    return Manifest(**kinds)


@given(desired=changed_blocks())
def test_only_changed_entries_are_rewritten(desired: Manifest) -> None:
    """The file has the desired content. The lines of each unchanged entry, and the comments between, are kept."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flags.yaml")
        path.write_text(BLOCKS)
        save(desired, path)
        text = path.read_text()
        loaded = load(path)
    for kind in ("flags", "experiments"):
        assert {flag.key: flag for flag in loaded.of(kind)} == {flag.key: flag for flag in desired.of(kind)}
    if {flag.key: flag for flag in loads(BLOCKS).of("flags")}["a"] in desired.of("flags"):
        assert BLOCKS[BLOCKS.index("  - key: a") : BLOCKS.index("\n  # About b")] in text
    assert "# Top." in text


def test_comments_between_entries_are_kept(tmp_path: Path) -> None:
    """A removed entry takes only the comments inside it with it. A new one comes last."""
    path = tmp_path / "flags.yaml"
    path.write_text("flags:\n  # a\n  - key: a  # in a\n    name: A\n\n  # b\n  - key: b\n    name: B\n# end\n")
    _, second = load(path).of("flags")
    save(Manifest(flags=[attrs.evolve(second, name="C"), FlagSpec(key="c")]), path)
    assert path.read_text() == HEADER + "flags:\n  # a\n\n  # b\n  - key: b\n    name: C\n# end\n  - key: c\n"
