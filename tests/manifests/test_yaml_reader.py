"""The reader of YAML: the values of the core schema of YAML 1.2, by both parsers of PyYAML."""

from __future__ import annotations

import io
import math
import re
from datetime import date
from typing import Any

import pytest
import ruamel.yaml
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amp_exp_async.manifests.document import DocumentError
from amp_exp_async.manifests.yaml_reader import read_yaml
from tests.crossing import long_form
from tests.manifests.strategies import payloads


@pytest.fixture(params=["libyaml", "Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with libyaml, and with PyYAML's own parser, which it has if it was built without libyaml."""
    if request.param == "libyaml":
        assert yaml.__with_libyaml__
    else:
        monkeypatch.delattr(yaml, "CBaseLoader")


class Strings(ruamel.yaml.constructor.SafeConstructor):
    """ruamel.yaml's constructor, but with dates as strings, which is what JSON has."""


for name in ("timestamp", "value", "merge"):
    Strings.add_constructor(f"tag:yaml.org,2002:{name}", Strings.construct_yaml_str)


def load_with_ruamel(text: str) -> Any:
    """Return the value that ruamel.yaml reads."""
    loader = ruamel.yaml.YAML(typ="safe", pure=True)
    loader.Constructor = Strings
    return loader.load(text)


# Section 10.3.2 of the specification of YAML 1.2, with its spaces.
CORE_SCHEMA = {
    "null": r" null | Null | NULL | ~ | ",
    "bool": r" true | True | TRUE | false | False | FALSE ",
    "int": r" [-+]? [0-9]+ | 0o [0-7]+ | 0x [0-9a-fA-F]+ ",
    "float": r""" [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
                | [-+]? ( \.inf | \.Inf | \.INF ) | \.nan | \.NaN | \.NAN """,
}


def core_tag(text: str) -> str:
    """Return the tag that the core schema gives a plain scalar."""
    tags = (tag for tag, pattern in CORE_SCHEMA.items() if re.fullmatch(pattern, text, re.VERBOSE))
    return f"tag:yaml.org,2002:{next(tags, 'str')}"


class CoreSchema(ruamel.yaml.resolver.VersionedResolver):
    """The resolver of plain scalars by the core schema, and of merges."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Return the tag of a node."""
        if kind is not ruamel.yaml.nodes.ScalarNode or not implicit[0] or value == "<<":
            return super().resolve(kind, value, implicit)
        return ruamel.yaml.tag.Tag(suffix=core_tag(value))


def load_by_core_schema(text: str) -> Any:
    """Return the value that ruamel.yaml reads, but with the core schema."""
    loader = ruamel.yaml.YAML(typ="safe", pure=True)
    loader.Constructor = Strings
    loader.Resolver = CoreSchema
    return loader.load(text)


def dump_with_ruamel(value: Any, *, flow: bool) -> str:
    """Return a text that ruamel.yaml writes."""
    stream = io.StringIO()
    dumper = ruamel.yaml.YAML(typ="safe", pure=True)
    dumper.default_flow_style = flow
    dumper.dump(value, stream)
    return stream.getvalue()


scalars = st.one_of(
    st.text("0123456789+-_.:eExXobBaAfFtTzZ ", max_size=12),
    st.from_regex(r"\A[-+]?0?[box]?[0-9a-f_]{1,4}(\.[0-9_]*)?([eE][-+]?[0-9]{1,2})?\Z"),
    st.sampled_from(["~", "=", "<<", "null", "nULL", "NULL", "True", "tRUE", "yes", "On", "n", "Y", ".inf", "-.INF"]),
    st.dates().map(date.isoformat),
    st.text("truefalsnoyNUL~=.", max_size=6),
)


def is_plain_scalar(text: str) -> bool:
    """Return whether a text is one plain scalar, also for ruamel.yaml."""
    try:
        node = ruamel.yaml.YAML(typ="safe", pure=True).compose(f"- {text}").value[0]
    except ruamel.yaml.error.YAMLError:
        return False
    return node.id == "scalar" and node.value == text and node.style is None


@settings(max_examples=150)
@given(text=scalars.map(str.strip).filter(is_plain_scalar))
@example(text="12:30:45")
@example(text="0o17")
@example(text="007")
@example(text="1_000")
@example(text="0b1")
@example(text="-0x1F")
@example(text="+0o17")
@example(text="0o_7")
@example(text="0x_")
@example(text="1e3")
@example(text=".5e3")
@example(text="-.5E3")
@example(text="+.5e+3")
@example(text="5.e3")
@example(text="1._5")
@example(text="-_")
@example(text="=")
@example(text="-.inf")
@example(text="")
def test_plain_scalars_have_the_values_of_version_1_2(text: str) -> None:
    """The expressions of the core schema decide. JSON has no infinity and no NaN."""
    document = read_yaml(f"- {text}", "f")
    expected = load_by_core_schema(f"- {text}")[0]
    assert isinstance(expected, str) == (core_tag(text) == "tag:yaml.org,2002:str")
    if isinstance(expected, float) and not math.isfinite(expected):
        assert document.problems
        return
    assert not document.problems
    assert repr(document.value) == repr([expected])


def test_leading_zeros_do_not_change_a_number() -> None:
    """They are not the sign of an octal number, as in YAML 1.1."""
    assert read_yaml("[007, 010, -08, 00, 00.5, 0o10]", "f").value == [7, 10, -8, 0, 0.5, 8]


def is_read_by_pyyaml(text: str) -> bool:
    """Return whether the parser of PyYAML reads a text.

    It rejects some YAML, such as `{:0: null}`, and without libyaml `{a?: 1}`.
    """
    try:
        return yaml.compose(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader)) is not None
    except yaml.YAMLError:
        return False


@given(value=payloads, flow=st.booleans())
@example(value={":0": None}, flow=True)
@example(value={"a?": 1}, flow=True)
@pytest.mark.usefixtures("parser")
@settings(suppress_health_check=["function_scoped_fixture"])
def test_documents_are_read_as_ruamel_reads_them(value: Any, flow: bool) -> None:
    """The text is one that ruamel.yaml or PyYAML has written."""
    for text in (
        dump_with_ruamel(value, flow=flow),
        yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True),
    ):
        if not is_read_by_pyyaml(text):
            with pytest.raises(DocumentError, match="is not YAML, or is cut off"):
                read_yaml(text, "f")
            continue
        document = read_yaml(text, "f")
        assert not document.problems
        assert repr(document.value) == repr(load_by_core_schema(text))


SHARED = """\
base: &base {a: 1, b: [x, &inner {c: 2}], "<<": 3}
alias: *base
list: &list [*base, *inner]
merged: {<<: *base, b: own}
merged first: {b: own, <<: *base}
several: {<<: [*inner, {c: 3, d: 4}], e: 5}
twice: {<<: *inner, e: 5}
nested: {<<: {<<: *inner, f: &late 6}}
late: *late
redefined: [&again 1, *again, &again 2, *again]
? &key name
: value
*key : replaced
block: |
  text
   indented
folded: >-
  one
  line
plain: on several
  lines
tagged: [!!str 5, !!int "5", !!float 5, !!bool "yes", !!null "", ! 5]
"""


@pytest.mark.usefixtures("parser")
def test_anchors_aliases_and_merges() -> None:
    """An alias is a copy. Fields of a mapping hide the ones merged into it, and earlier merges hide later ones."""
    document = read_yaml(SHARED, "f")
    base = {"a": 1, "b": ["x", {"c": 2}], "<<": 3}
    assert document.value == {
        "base": base,
        "alias": base,
        "list": [base, {"c": 2}],
        "merged": base | {"b": "own"},
        "merged first": base | {"b": "own"},
        "several": {"c": 2, "d": 4, "e": 5},
        "twice": {"c": 2, "e": 5},
        "nested": {"c": 2, "f": 6},
        "late": 6,
        "redefined": [1, 1, 2, 2],
        "name": "replaced",
        "block": "text\n indented\n",
        "folded": "one line",
        "plain": "on several lines",
        "tagged": ["5", 5, 5.0, True, None, "5"],
    }
    assert [(problem.line, problem.field) for problem in document.problems] == [(11, "name")]
    assert document.lines.line_of("list[0].b[1].c") == 1
    assert document.lines.line_of("merged.b") == 4
    assert document.lines.line_of("several.c") == 1
    assert document.lines.line_of("several.d") == 6
    assert document.lines.line_of("nested.f") == 8


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: *x\n", 2, "found undefined alias"),
        ("a: 1\n---\nb: 1\n", 2, "but found another document"),
        ("a: 'x\n", 2, "found unexpected end of stream"),
        ("a: [x,\n", 2, "is cut off"),
        ("a:\n b: 1\n\tc: 1", 3, "found (a tab )?character"),
        ("a: 1\nb: \x1b\n", 2, "it contains U+001B"),
        ("a: 1\nb: \ud800\n", 2, "it contains U+D800"),
        ("a:\n " + "[" * 100_000, 2, "nesting"),
        ("a:\n " + "{b: " * 300 + "}" * 300, 2, "more than 200 levels of nesting"),
        ("a: &a\n  b:\n    - *a\n", 1, "an alias inside its own anchor"),
    ],
)
@pytest.mark.usefixtures("parser")
def test_what_is_not_yaml_has_a_line(text: str, line: int, message: str) -> None:
    """Both parsers of PyYAML find the same line."""
    with pytest.raises(DocumentError, match=message.replace("+", r"\+")) as raised:
        read_yaml(text, "f")
    assert raised.value.line == line


@pytest.mark.usefixtures("parser")
def test_escapes_of_surrogates_are_those_of_json() -> None:
    """Both halves are one character. A half alone stays one: JavaScript cuts texts so."""
    document = read_yaml(r"""{"a": "\ud83c\udf89 \ud83c", "\ud83c": 'x\ud83c', b: \ud83c}""", "f")
    assert document.value == {"a": "\U0001f389 \ud83c", "\ud83c": r"x\ud83c", "b": r"\ud83c"}
    assert not document.problems


@pytest.mark.parametrize(
    "text",
    [
        "9" * 5000,
        "0x" + "f" * 5000,
        "0o" + "7" * 5000,
        "!!int --5",
        "!!int 0x",
        "!!int 1_0",
        "!!float x",
        "!!float 1_0",
    ],
)
def test_integers_that_python_cannot_convert_are_problems(text: str) -> None:
    """So are texts that are not values of their tag. The message shows the text."""
    [problem] = read_yaml(f"a: {text}", "f").problems
    assert (problem.line, problem.field) == (1, "a")
    assert problem.message.startswith("must be JSON, which has no tag:yaml.org,2002:")


LINKS = {"list": "[*a{}]", "merge": "{{<<: *a{}}}", "object": "{{x: *a{}}}"}


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("link", long_form(LINKS, short=["merge"]))
def test_long_chains_of_aliases_and_merges_are_read(link: str) -> None:
    """They count as levels of nesting: 190 are allowed, and 300 are not."""
    others = (f"a{number}: &a{number} {LINKS[link].format(number - 1)}" for number in range(1, 300))
    lines = ["a0: &a0 {x: 1}", *others]
    assert not read_yaml("\n".join(lines[:190]), "f").problems
    with pytest.raises(DocumentError, match=r"more than 200 levels of nesting|aliases stand for more than"):
        read_yaml("\n".join(lines), "f")
