"""A text and what it declares: from one to the other. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import orjson
from attrs import evolve, frozen

from amp_exp_async import validation
from amp_exp_async.errors import Problem

from .document import DocumentError, read_json
from .dump import to_document
from .merging import same
from .parse import Parser
from .rewriting import rewritten, write_yaml
from .schema import SCHEMA_KEY
from .spec import KINDS, Manifest
from .yaml import read_yaml

Format: TypeAlias = Literal["yaml", "json"]

format_of = validation.one_of("yaml", "json")
_HEADER = "# yaml-language-server: $schema"


@frozen
class Declared:
    """A text that is there.

    Attributes:
        text: the text.
        plain: its document.
        state: what it declares.
    """

    text: str
    plain: Mapping[str, Any]
    state: Manifest


def read(text: str, format: Format, name: str, problems: list[Problem]) -> Declared | None:
    """A text and what it declares; None where it cannot be read. What is wrong in it is added to the problems.

    Args:
        text: the text.
        format: `yaml` or `json`.
        name: what problems call it.
        problems: what is wrong so far.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    try:
        node, found = read_yaml(text) if format == "yaml" else read_json(text)
    except DocumentError as error:
        problems.append(Problem(name, error.line, "", error.message))
        return None
    parser = Parser(name)
    state = parser.parse_manifest(node)
    problems += [evolve(problem, file=name) for problem in found]
    problems += parser.problems
    return Declared(text, node.plain, state) if node.fields is not None else None


def written(state: Manifest, format: Format, schema: str | None = None, present: Declared | None = None) -> str:
    """The text of a state.

    Args:
        state: the state.
        format: `yaml` or `json`.
        schema: where the JSON Schema is, to be named.
        present: the text that it takes the place of: its comments, quotes and order are kept where that can be.
    """
    plain = None if present is None else present.plain
    if format == "json":
        return orjson.dumps(to_document(state, schema, plain), option=orjson.OPT_INDENT_2).decode() + "\n"
    wanted = to_document(state, present=plain)
    text = (present and _changed(present, wanted)) or write_yaml(wanted)
    return text if schema is None or _HEADER in text else f"{_HEADER}={schema}\n{text}"


def _changed(present: Declared, wanted: dict[str, Any]) -> str | None:
    """A text that is there, changed to what is wanted; None where that cannot be done."""
    wanted = _as_spelt(present, wanted)
    if same(_in_order(present.plain), _in_order(wanted)):
        return present.text
    text = rewritten(present.text, wanted)
    return text if text is not None and _declares(text, wanted) else None


def _declares(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return same(_in_order(read_yaml(text)[0].plain), _in_order(wanted))
    except DocumentError:
        return False


def _as_spelt(present: Declared, wanted: dict[str, Any]) -> dict[str, Any]:
    """What is wanted, with what means the same as before spelt as before: an id may be a number."""
    there = to_document(present.state, present=present.plain)
    spelt = {name: present.plain[name] for name in (SCHEMA_KEY,) if name in present.plain} | wanted
    if "project_id" in wanted and there.get("project_id") == wanted["project_id"]:
        spelt["project_id"] = present.plain["project_id"]
    for kind in KINDS:
        raw = {
            (entry["key"], entry.get("project_id")): (entry, as_written)
            for entry, as_written in zip(there.get(kind, ()), present.plain.get(kind, ()), strict=True)
        }
        if kind in wanted:
            spelt[kind] = [
                known[1]
                if (known := raw.get((entry["key"], entry.get("project_id")))) and _means(known[0], entry)
                else entry
                for entry in wanted[kind]
            ]
    return spelt


def _means(one: Any, other: Any) -> bool:
    return same(_toggle(one), _toggle(other))


def _in_order(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A document with its flags and variants in one order, to compare."""
    return dict(declared) | {
        kind: sorted(map(_toggle, declared[kind]), key=_key_and_project) for kind in KINDS if kind in declared
    }


def _key_and_project(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["key"], str(entry.get("project_id", ""))


def _toggle(given: dict[str, Any]) -> dict[str, Any]:
    ordered: dict[str, Any] = {name: _set(given[name]) for name in ("tags", "deployments") if name in given}
    if "variants" in given:
        ordered["variants"] = sorted(map(_variant, given["variants"]), key=lambda one: str(one["key"]))
    return given | ordered


def _variant(given: dict[str, Any]) -> dict[str, Any]:
    return given | {name: _set(given[name]) for name in ("users", "cohorts") if name in given}


def _set(given: list[Any]) -> list[str]:
    return sorted(set(map(str, given)))
