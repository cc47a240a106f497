"""From a document to what it declares, with everything that is wrong in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from attrs import evolve

from amp_exp_async import validation
from amp_exp_async.errors import InvalidInputError, InvalidManifestError, Problem
from amp_exp_async.models import UNSET, Segment

from .document import Fields, LocatedValue
from .schema import FILE, SCHEMA_KEY, Array, Object, Scalar, Schema
from .spec import KINDS, FlagConfigSpec, KindName, Manifest, SourceLocation


def raise_for_problems(problems: Iterable[Problem]) -> None:
    """Raise if there are problems, all of them at once."""
    found = sorted(problems, key=lambda problem: (problem.file, problem.line))
    if found:
        lines = "\n".join(f"  {problem}" for problem in found)
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        raise InvalidManifestError(f"{count}. Nothing was changed.\n{lines}", problems=found)


class Parser:
    """Reads one document.

    Attributes:
        problems: what is wrong in it.
    """

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file

    def parse_manifest(self, document: LocatedValue) -> Manifest:
        """What the document declares, as far as it can be read."""
        if document.fields is None:
            self._add(document, "", "must be an object with flags or experiments: the file is empty or of another kind")
            return Manifest()
        given: dict[str, Any] = self._fields(FILE, document, document.fields, "")
        given.pop(SCHEMA_KEY, None)
        project_id = given.pop("project_id", UNSET)
        for kind in KINDS:
            if kind in given:
                nodes = document.fields[kind].items or []
                given[kind] = list(self._placed(kind, given[kind], nodes, project_id))
        return Manifest(**given)

    def _placed(
        self, kind: KindName, toggles: list[Any], nodes: list[LocatedValue], project_id: Any
    ) -> Iterator[FlagConfigSpec]:
        """The flags or experiments, each with its location and its project."""
        for at, (toggle, node) in enumerate(zip(toggles, nodes, strict=True)):
            if toggle is UNSET:
                continue
            location = SourceLocation(self._file, dict(_lines(node)), f"{kind}[{at}]")
            project = project_id if toggle.project_id is UNSET else toggle.project_id
            yield evolve(toggle, project_id=project, location=location)

    def _add(self, node: LocatedValue, where: str, message: str) -> None:
        self.problems.append(Problem(self._file, node.line, where, message))

    def parse(self, shape: Schema, node: LocatedValue, where: str) -> Any:
        """What a node declares, as far as it can be read: `UNSET` stands for what has problems."""
        match shape:
            case Scalar():
                return self._leaf(shape, node, where)
            case Array():
                if node.items is None:
                    self._add(node, where, "must be a list")
                    return UNSET
                return [self.parse(shape.of, item, f"{where}[{at}]") for at, item in enumerate(node.items)]
            case Object():
                if node.value is None and shape.nullable:
                    return None
                if node.fields is None:
                    self._add(node, where, f"must be an object with {', '.join(shape.fields)}")
                    return UNSET
                given = dict.fromkeys(shape.required, UNSET) | self._fields(shape, node, node.fields, where)
                return shape.make(**given)

    def _leaf(self, leaf: Scalar, node: LocatedValue, where: str) -> Any:
        if node.spelt and leaf.is_id:
            self._add(node, where, f"must be in quotes: {node.spelt} is the number {node.value}")
            return UNSET
        try:
            return leaf.check(where, node.plain)
        except InvalidInputError as error:
            message = str(error).removeprefix(f"{error.argument}: ").removesuffix(" Nothing was sent.")
            self._add(node, error.argument, message.removesuffix("."))
            return UNSET

    def _fields(self, shape: Object, node: LocatedValue, nodes: Fields, where: str) -> dict[str, Any]:
        prefix = f"{where}." if where else ""
        for name in shape.required:
            if name not in nodes:
                self._add(node, f"{prefix}{name}", "is missing")
        given: dict[str, Any] = {}
        for name, item in nodes.items():
            if name not in shape.fields:
                self._add(item, f"{prefix}{name}", f"there is no such field{_hint(name, shape.fields)}")
            elif (value := self.parse(shape.fields[name], item, f"{prefix}{name}")) is not UNSET:
                given[name] = value
        return given


def _hint(name: str, names: Mapping[str, object]) -> str:
    snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
    near = get_close_matches(snake, names, n=1, cutoff=0.65)
    return f"; {near[0]!r} may be meant" if near else f"; there are {', '.join(n for n in names if n != SCHEMA_KEY)}"


def _lines(node: LocatedValue, where: str = "") -> Iterator[tuple[str, int]]:
    yield where, node.line
    for name, item in (node.fields or {}).items():
        yield from _lines(item, f"{where}.{name}" if where else name)
    for at, item in enumerate(node.items or ()):
        yield from _lines(item, f"{where}[{at}]")


def problem_at(toggle: FlagConfigSpec, field: str, message: str) -> Problem:
    """A problem of a flag or experiment, with the line of the field, or of what it stands in."""
    location = toggle.location or SourceLocation("", {}, toggle.key)
    known = field
    while known and known not in location.lines:
        known = known[: max(known.rfind("."), known.rfind("["), 0)]
    whole = ".".join(part for part in (location.name, field) if part)
    return Problem(location.file, location.lines.get(known, 0), whole, message)


def _within(toggle: FlagConfigSpec) -> Iterator[Problem]:
    """What is wrong between the fields of one flag or experiment."""
    if toggle.variants is UNSET:
        return
    for at, variant in enumerate(toggle.variants):
        users = getattr(variant, "users", UNSET) or ()
        if (count := len(set(users))) > validation.MAX_ADDED:
            why = (
                f"must hold at most {validation.MAX_ADDED:,} ids, got {count:,}: include a cohort, or target a segment"
            )
            yield problem_at(toggle, f"variants[{at}].users", why)
    keys = [getattr(variant, "key", "") or "" for variant in toggle.variants]
    if "" in keys:  # one of them cannot be read, and may be the one that is meant
        return
    for at, key in enumerate(keys):
        if key in keys[:at]:
            yield problem_at(toggle, f"variants[{at}].key", f"the variant {key!r} is there twice: keep one of them")
    yield from unknown_variants(toggle, keys)


def unknown_variants(toggle: FlagConfigSpec, keys: Iterable[str]) -> Iterator[Problem]:
    """Weights for variants that are not there."""
    keys = list(keys)
    weights = [("rollout_weights", toggle.rollout_weights or {})]
    for at, segment in enumerate(toggle.target_segments or ()):
        if isinstance(segment, Segment):  # pyright: ignore[reportUnnecessaryIsInstance] - one that cannot be read is not
            weights.append((f"target_segments[{at}].rollout_weights", segment.rollout_weights or {}))
    for where, by_key in weights:
        for key in by_key:
            if key not in keys:
                near = get_close_matches(key, keys, n=1)
                hint = f"; {near[0]!r} may be meant" if near else f"; the variants are {', '.join(keys) or 'none'}"
                yield problem_at(toggle, f"{where}.{key}", f"there is no such variant{hint}")


def cross_checks(state: Manifest) -> Iterator[Problem]:
    """What is wrong between values that are right by themselves: inside a flag, and one key twice in a project."""
    for kind in KINDS:
        first: dict[str, list[FlagConfigSpec]] = {}
        for toggle in state.of(kind):
            yield from _within(toggle)
            if not toggle.key:  # it cannot be read, and is refused for that
                continue
            for other in first.setdefault(toggle.key, []):
                if UNSET in (other.project_id, toggle.project_id) or other.project_id == toggle.project_id:
                    where = f", first in {problem_at(other, 'key', '').location}" if other.location else ""
                    yield problem_at(toggle, "key", f"{toggle.key!r} is there twice{where}: keep one of them")
                    break
            first[toggle.key].append(toggle)
