"""What is written as YAML: every reader, of version 1.1 or 1.2, reads the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amp_exp_async import UNSET, FlagSpec, Manifest, VariantSpec, dumps, load, save
from amp_exp_async.manifests.yaml_reader import read_yaml
from amp_exp_async.manifests.yaml_writer import write_yaml
from tests.manifests.strategies import payloads
from tests.manifests.test_yaml_reader import load_with_ruamel, scalars

AMBIGUOUS = [
    *("12:30:45", "1:30", "-1:30", "12:30:45.5", "2026-01-01", "2026-01-01T00:00:00Z", "2026-1-1 1:2:3"),
    *("007", "0o17", "0x1F", "0b101", "1_000", "+1", "-1", "1.", ".5", "1e3", "1.5e+3", "1E5", ".inf", "-.INF", ".NaN"),
    *(
        "+0o17",
        "-0x1F",
        "0o_7",
        "0x_",
        "1__",
        "-__1",
        "1._5",
        "1_e3",
        ".5e3",
        "-_",
        "+_",
        "._",
        "_",
        "_1",
        "_1_",
        "-.5e3",
    ),
    *("on", "Off", "YES", "no", "y", "N", "true", "False", "null", "~", "", "Null", "=", "<<", "NaN", "inf"),
    *("- a", "-", "?", ": a", "a: b", "a:", "a #b", "#a", "&a", "*a", "!a", "!!str a", "|", ">", "%a", "@a", "`a"),
    *("'a", '"a', "[a]", "{a}", "a]", "a, b", " a", "a ", "a\nb", "a\n", "\n", "\ta", "a\tb", "---", "...", "--- a"),
    *("\x85", "\u2028", "\ufeff", "\x7f", "\x1b[1m", "\U000e0001", "\U0001f389", "ünï", "²", "a\\b", 'a"b', "a" * 2000),
]
READERS = [yaml.CSafeLoader, yaml.SafeLoader]


def assert_is_read_alike(text: str, value: Any) -> None:
    """Check that all readers read a value from a text."""
    assert repr(read_yaml(text, "f").value) == repr(value)
    assert repr(load_with_ruamel(text)) == repr(value)
    for loader in READERS:
        assert repr(yaml.load(text, loader)) == repr(value)


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_a_string_stays_a_string(text: str) -> None:
    """As a value, in a list, and as the name of a field."""
    document = {"value": text, "list": [text, [text]], "names": {text: {text: text}, f"{text}x": [text]}}
    assert_is_read_alike(write_yaml(document), document)


@settings(max_examples=150)
@given(text=scalars | st.text(max_size=8) | st.text(" :#-?,[]{}\"'\\\nab0", max_size=8))
def test_any_string_stays_a_string(text: str) -> None:
    """Whatever it looks like."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert_is_read_alike(write_yaml({"a": text, text: [text]}), {"a": text, text: [text]})


def test_half_a_surrogate_pair_is_kept() -> None:
    """Other readers reject the escape or read it as this one does."""
    document = {"a": "cut \ud83c", "\ud83c": ["\U0001f389"], "huge": 10**30}
    assert read_yaml(write_yaml(document), "f").value == document


@given(value=st.dictionaries(st.text("ab", max_size=2), payloads, max_size=3))
@example(value={"a": 1e16, "b": 1e-7, "c": -0.0, "d": 1.5e300, "e": 2**63})
@example(value={"a": [[], {}, [[]], [{}], [[1], {"b": [2]}], {"c": []}]})
def test_any_document_is_read_alike(value: Any) -> None:
    """Numbers keep their types."""
    assert_is_read_alike(write_yaml(value), value)


COMMENTED = """\
# The flags of the shop.
flags:
  - key: a  # the first
    description: old
    variants:
      - key: b
        payload: {old: 1}
"""


@pytest.mark.parametrize("text", [text for text in AMBIGUOUS if text])
def test_a_string_that_changes_in_a_file_with_comments_stays_a_string(tmp_path: Path, text: str) -> None:
    """ruamel.yaml keeps the comments. The readers read what was written."""
    path = tmp_path / "flags.yaml"
    path.write_text(COMMENTED)
    payload = {"old": text, text: [text, 1e16]}
    save(Manifest(flags=[FlagSpec(key="a", description=text, variants=[VariantSpec(key="b", payload=payload)])]), path)
    written = path.read_text()
    assert "# the first" in written
    for loader in READERS:
        [flag] = yaml.load(written, loader)["flags"]
        assert (flag["description"], flag["variants"][0]["payload"]) == (text, payload)


PLAIN = """\
# head
%YAML 1.1
--- # start
# The flags of the shop.
flags:
  - key: a  # the first
    name: old
    variants:
      - key: b
        payload:  # of b
          value: {0}  # value
          {0}: [{0}]  # name
  # between
  - key: c  # the second
# end
"""


@pytest.mark.parametrize("project", [UNSET, "1"], ids=["one entry", "all entries"])
@pytest.mark.parametrize("version", ["%YAML 1.1\n", "%YAML 1.2\n", ""])
@pytest.mark.parametrize(
    "scalar",
    [
        *("1_000", "0b101", "+0o17", "-0x1F", "0o_7", "=", "_1", "1__", "-_", "on", "12:30:45", "2023-07-29", "y"),
        *("007", "0o17", "0x1F", "1e3", ".5e3", "-.5", "1.0", "12345678901234567890123", "true", "null"),
    ],
)
def test_plain_scalars_keep_their_values_and_comments(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, scalar: str, version: str, project: Any
) -> None:
    """As values and as names, if something else changes in the file, whatever version of YAML it names."""
    path = tmp_path / "flags.yaml"
    text = PLAIN.format(scalar).replace("%YAML 1.1\n", version)
    path.write_text(text)
    first, second = load(path).of("flags")
    changed = [attrs.evolve(first, name="new", project_id=project), attrs.evolve(second, project_id=project)]
    save(Manifest(flags=changed), path)

    written = path.read_text()
    assert repr(load(path).of("flags")[0].variants) == repr(first.variants)
    assert [line for line in text.splitlines() if "old" not in line and line not in written.splitlines()] == []
    assert not recwarn


def test_an_anchor_that_is_used_again_is_no_warning(tmp_path: Path) -> None:
    """Warnings are errors in these tests. YAML allows it, and the comments are kept."""
    path = tmp_path / "flags.yaml"
    path.write_text("flags:\n  - key: &x a  # c\n    name: *x\n  - key: &x b\n    name: *x\n")
    first, second = load(path).of("flags")
    assert (first.name, second.name) == ("a", "b")
    save(Manifest(flags=[attrs.evolve(first, enabled=True), second]), path)
    assert "# c" in path.read_text()
    assert [(flag.name, flag.enabled) for flag in load(path).of("flags")] == [("a", True), ("b", UNSET)]


LOOK = """\
project_id: "1"
flags:
  - key: new-checkout
    name: "New: a"
    variants:
      - key: "on"
        payload:
          at: "12:30:45"
          x: []
          sizes:
            - 1.5
            - null
            - true
        users:
          - u1
          - "7"
"""


def test_the_look_of_a_new_file() -> None:
    """Blocks of two spaces, and quotes only where a reader might see something else than the string."""
    payload = {"at": "12:30:45", "x": [], "sizes": [1.5, None, True]}
    variants = [VariantSpec(key="on", payload=payload, users=["u1", "7"])]
    text = dumps(Manifest(flags=[FlagSpec(key="new-checkout", project_id="1", name="New: a", variants=variants)]))
    assert text == LOOK
