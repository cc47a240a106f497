"""Texts of YAML and JSON, and what a rewrite keeps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
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
from tests.manifests.states import states


@given(state=states(), format=st.sampled_from(["yaml", "json"]))
def test_what_is_dumped_is_loaded(state: Manifest, format: Any) -> None:
    """And is what is saved, without the schema's name."""
    text = dumps(state, format=format)
    assert loads(text, format=format) == load_again(text, format)
    assert dumps(loads(text, format=format), format=format) == text
    assert "schema" not in text


def load_again(text: str, format: str) -> Manifest:
    """What a file of the text declares."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"flags.{format}"
        path.write_text(text, encoding="utf-8")
        return load(path)


def test_a_text_is_checked_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems have its name; formats and values that are none are refused."""
    with pytest.raises(InvalidManifestError, match=r"<stdin>:2: flags\[0\]\.nam: "):
        loads("flags:\n  - {key: a, nam: b}", name="<stdin>")
    with pytest.raises(InvalidManifestError, match=r"<text>: flags\[1\]\.key: 'a' is there twice|<text>:1: flags\[1\]"):
        loads('{"flags": [{"key": "a"}, {"key": "a"}]}', format="json")
    with pytest.raises(InvalidInputError, match="format"):
        loads("{}", format="toml")  # type: ignore[arg-type]  # a mistake
    with pytest.raises(InvalidInputError, match="text: must be a string"):
        loads(b"{}")  # type: ignore[arg-type]  # a mistake
    with pytest.raises(InvalidManifestError, match="no such variant"):
        dumps(Manifest(flags=[FlagSpec(key="a", variants=[], rollout_weights={"on": 1})]))
    monkeypatch.setitem(__import__("sys").modules, "ruamel.yaml", None)
    for call in (lambda: loads("flags: []"), lambda: dumps(Manifest(flags=[]))):
        with pytest.raises(ConfigurationError, match=r"amp_exp_async\[files\]"):
            call()


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


def flags(*changes: FlagSpec) -> Manifest:
    """What the file declares, with changes: a flag of the same key is replaced, one without fields is taken out."""
    by_key = {flag.key: flag for flag in loads(FILE).of("flags")} | {flag.key: flag for flag in changes}
    return Manifest(flags=[flag for key, flag in by_key.items() if flag != FlagSpec(key=key, name="")], experiments=[])


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (FlagSpec(key="b", name="New"), "name: 'B'", "name: 'New'"),
        (FlagSpec(key="a", name="A", tags=["y", "z"]), "tags: [x, y]", "tags: [y, z]"),
        (FlagSpec(key="c", enabled=True), "- key: c\n", "- key: c\n  enabled: true\n"),
        (FlagSpec(key="d", tags=["on"]), "- key: c\n", '- key: c\n- key: d\n  tags:\n  - "on"\n'),
    ],
)
def test_a_save_touches_only_the_lines_that_change(tmp_path: Path, change: FlagSpec, before: str, after: str) -> None:
    """Comments, quotes, order and the indent stay."""
    path = tmp_path / "flags.yaml"
    path.write_text(FILE)
    save(flags(change), path)
    assert path.read_text() == FILE.replace(before, after)


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


def test_what_is_not_plain_is_rewritten_too(tmp_path: Path) -> None:
    """With anchors, or a text over several lines, by the library; comments stay."""
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
def test_what_merges_is_rewritten_or_written_anew(tmp_path: Path, key: str, name: Any) -> None:
    """A flag that merges another is written out where it changes; no other changes with the one that is merged."""
    path = tmp_path / "flags.yaml"
    path.write_text(MERGING)
    wanted = {
        flag.key: attrs.evolve(flag, name=name if flag.key == key else flag.name) for flag in load(path).of("flags")
    }
    save(Manifest(flags=wanted.values()), path)
    assert {flag.key: flag for flag in load(path).of("flags")} == wanted
