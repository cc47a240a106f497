"""The parser of manifest documents, and the same validation for manifests that were made in code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import is_
from typing import Any, Literal, TypeAlias

from attrs import evolve, frozen

from amp_exp_async import validation
from amp_exp_async.errors import InvalidInputError, InvalidManifestError, Problem
from amp_exp_async.escaping import escape
from amp_exp_async.formatting import format_value, suggest
from amp_exp_async.models import UNSET, Segment

from .document import DocumentError, ManifestDocument, SourceLines, is_array, is_object, join_path
from .json_reader import read_json
from .schema import CONDITION, FILE, SCHEMA_KEY, SCHEMAS, Array, Object, Scalar, Schema
from .spec import KINDS, FlagConfigSpec, Manifest, SourceLocation
from .yaml_reader import read_yaml

Format: TypeAlias = Literal["yaml", "json"]

validate_format = validation.one_of("yaml", "json")


def raise_for_problems(problems: Iterable[Problem]) -> None:
    """Raise `InvalidManifestError` with all problems, if there are any."""
    by_line = sorted(problems, key=lambda problem: (problem.file, problem.line))
    if by_line:
        lines = "\n".join(f"  {escape(str(problem))}" for problem in by_line)
        count = "1 problem" if len(by_line) == 1 else f"{len(by_line)} problems"
        raise InvalidManifestError(f"{count}.\n{lines}", problems=by_line)


@frozen
class ParsedFile:
    """A parsed text.

    Attributes:
        text: the text.
        value: its content as plain values.
        lines: the lines of its values.
        manifest: the manifest.
    """

    text: str
    value: Mapping[str, Any]
    lines: SourceLines
    manifest: Manifest


def parse_text(text: str, format: Format, file: str, problems: list[Problem]) -> ParsedFile | None:
    """Parse a text. Return None if it is not an object in the format.

    Args:
        text: the text.
        format: `yaml` or `json`.
        file: the file that problems name.
        problems: a list to which the problems are added.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    try:
        document = read_yaml(text, file) if format == "yaml" else read_json(text, file)
    except DocumentError as error:
        problems.append(Problem(file, error.line, "", error.message))
        return None
    manifest = parse_document(document, problems)
    return ParsedFile(text, document.value, document.lines, manifest) if is_object(document.value) else None


def parse_document(document: ManifestDocument, problems: list[Problem]) -> Manifest:
    """Parse a document as far as it is valid, and add its problems to the list."""
    parser = Parser(document)
    manifest = parser.parse_manifest()
    problems += [*document.problems, *parser.problems]
    return manifest


class Parser:
    """A parser of plain values, which also validates specs made in code. It reports problems by file, line and path.

    Parts of specs that are already as they should be are shared, not copied: copies of all would take much memory.

    Attributes:
        problems: the problems found so far.
    """

    def __init__(self, document: ManifestDocument) -> None:
        self.problems: list[Problem] = []
        self._document = document

    @validation.trusted_text()
    def parse_manifest(self) -> Manifest:
        """Parse the document as far as it is valid."""
        document = self._document.value
        if not is_object(document):
            self._add("", "must be an object with flags or experiments: the file is empty or has other content")
            return Manifest()
        values = self._parse_fields(FILE, document, "")
        values.pop(SCHEMA_KEY, None)
        project_id = values.pop("project_id", UNSET)
        for kind in KINDS:
            if kind in values:
                values[kind] = [
                    self._with_source(flag, f"{kind}[{index}]", project_id)
                    for index, flag in enumerate(values[kind])
                    if flag is not UNSET
                ]
        return Manifest(**values)

    def _with_source(self, flag: FlagConfigSpec, path: str, project_id: Any) -> FlagConfigSpec:
        """Return a flag or experiment with its location, and with the project of the file if it has none."""
        located = evolve(
            flag,
            project_id=project_id if flag.project_id is UNSET else flag.project_id,
            location=SourceLocation(self._document.file, path, self._document.lines),
        )
        located.mark_valid()
        return located

    @validation.trusted_text()
    def parse(self, schema: Schema, value: Any, path: str) -> Any:
        """Return a value as far as it is valid; `UNSET` stands for an invalid one."""
        return self._parse(schema, value, path)

    def _parse(self, schema: Schema, value: Any, path: str) -> Any:
        match schema:
            case Scalar():
                return self._parse_scalar(schema, value, path)
            case Array():
                return self._parse_array(schema, value, path)
            case Object():
                return None if value is None and schema.nullable else self._parse_object(schema, value, path)

    def _parse_array(self, schema: Array, value: Any, path: str) -> Any:
        if not is_array(value):
            self._add(path, "must be a list")
            return UNSET
        items = [self._parse(schema.items, item, f"{path}[{index}]") for index, item in enumerate(value)]
        return value if all(map(is_, items, value)) else items

    def _parse_object(self, schema: Object, value: Any, path: str) -> Any:
        fields = _fields_of(schema, value)
        if fields is None:
            self._add(path, f"must be an object with {', '.join(schema.fields)}")
            return UNSET
        parsed = self._parse_fields(schema, fields, path)
        if _is_normalized(schema, value, fields, parsed):
            return value
        return schema.make(**dict.fromkeys(schema.required, UNSET) | parsed)

    def _parse_scalar(self, schema: Scalar, value: Any, path: str) -> Any:
        raw = self._document.raw_integers.get(path) if schema.is_id else None
        if raw is not None:
            self._add(path, f"must be in quotes: {raw} is the number {value}")
            return UNSET
        try:
            parsed = schema.validator(path, value)
        except InvalidInputError as error:
            error.consequence = ""
            self._add(error.argument, error.describe("", error.advice).removesuffix("."))
            return UNSET
        return parsed if parsed is value or not _consists_of(parsed, value) else value

    def _parse_fields(self, schema: Object, fields: Mapping[str, Any], path: str) -> dict[str, Any]:
        prefix = f"{path}." if path else ""
        for name in schema.required:
            if name not in fields:
                self._add(f"{prefix}{name}", "is missing")
        values: dict[str, Any] = {}
        for name, item in fields.items():
            where = f"{prefix}{name}"
            if (field := schema.fields.get(name)) is None:
                known = [field for field in schema.fields if field != SCHEMA_KEY]
                self._add(where, f"unknown field; {suggest(name, known)}")
            elif (value := self._parse(field, item, where)) is not UNSET:
                values[name] = value
        return values

    def _add(self, path: str, message: str) -> None:
        self.problems.append(Problem(self._document.file, self._document.lines.line_of(path), path, message))


def _is_normalized(schema: Object, value: Any, fields: Mapping[str, Any], parsed: Mapping[str, Any]) -> bool:
    """Return whether a value is an instance that equals what would be made of its parsed fields."""
    return (
        isinstance(value, schema.make)
        and len(parsed) == len(fields)
        and all(map(is_, parsed.values(), fields.values()))
        and not getattr(value, "extra", None)
        and not (schema is CONDITION and "type" not in fields)  # the default of this field is not `UNSET`
    )


def _consists_of(parsed: Any, value: Any) -> bool:
    """Return whether a parsed container has the same content as the value that it was made of."""
    if parsed.__class__ is not value.__class__:
        return False
    if is_object(parsed):
        return all(map(is_, parsed, value)) and all(map(_consists_of, parsed.values(), value.values()))
    return all(map(_consists_of, parsed, value)) if is_array(parsed) else parsed is value


def _fields_of(schema: Object, value: Any) -> Mapping[str, Any] | None:
    """Return the fields of an object, or of an instance of its class; None for any other value."""
    if isinstance(value, schema.make):
        return {name: item for name in schema.fields if (item := getattr(value, name)) is not UNSET}
    return value if validation.is_mapping(value) else None


def validated(manifest: Manifest) -> Manifest:
    """Return a manifest that may have been made in code, with its values normalized.

    Flags and experiments were validated when their file was parsed, unless they were changed or made in code.

    Raises:
        InvalidInputError: If it is not a manifest.
        InvalidManifestError: If a value is invalid, or values contradict each other.
    """
    problems: list[Problem] = []
    manifest = _validate_values("manifest", manifest, problems, only_changed=True)
    raise_for_problems([*problems, *cross_checks(manifest)])
    return manifest


def validated_values(argument: str, manifest: Manifest) -> Manifest:
    """Return a manifest with its values normalized, but without cross-checks.

    Args:
        argument: the name of the caller's argument.
        manifest: the manifest.

    Raises:
        InvalidInputError: If it is not a manifest.
        InvalidManifestError: If a value is invalid.
    """
    problems: list[Problem] = []
    manifest = _validate_values(argument, manifest, problems, only_changed=False)
    raise_for_problems(problems)
    return manifest


def _validate_values(argument: str, manifest: Manifest, problems: list[Problem], *, only_changed: bool) -> Manifest:
    if not isinstance(manifest, Manifest):  # pyright: ignore[reportUnnecessaryIsInstance] - a path is a likely mistake
        validation.reject(argument, "must be a Manifest, as load(path) returns", manifest)
    values: dict[str, list[FlagConfigSpec]] = {}
    for kind in KINDS:
        if getattr(manifest, kind) is UNSET:
            continue
        values[kind] = []
        for index, flag in enumerate(manifest.of(kind)):
            location: SourceLocation | None = getattr(flag, "location", None)
            if only_changed and getattr(flag, "is_valid", False):
                values[kind].append(flag)
                continue
            source = location or SourceLocation("", f"{kind}[{index}]")
            parser = Parser(ManifestDocument(source.file, flag, source.lines))
            spec = parser.parse(SCHEMAS[kind], flag, source.path)
            problems += parser.problems
            if spec is not UNSET:
                omitted: tuple[str, ...] = getattr(flag, "omitted", ())
                values[kind].append(evolve(spec, location=source if only_changed else location, omitted=omitted))
    return evolve(manifest, **values)


def problem_at(flag: FlagConfigSpec, field: str, message: str) -> Problem:
    """Return a problem of a flag or experiment, with the line of the field or of the closest value around it."""
    location = flag.location or SourceLocation("", flag.key)
    path = join_path(location.path, field) if field else location.path
    return Problem(location.file, location.lines.line_of(path), path, message)


def cross_checks(manifest: Manifest) -> Iterator[Problem]:
    """Yield the contradictions between valid values: inside a flag, and duplicate keys of a project."""
    yield from _shared_keys(manifest)
    for kind in KINDS:
        by_key: dict[str, list[FlagConfigSpec]] = {}
        for flag in manifest.of(kind):
            yield from _check_flag(flag)
            if not flag.key:  # an invalid key is a problem already
                continue
            for other in by_key.setdefault(flag.key, []):
                if UNSET in (other.project_id, flag.project_id) or other.project_id == flag.project_id:
                    first = problem_at(other, "key", "")
                    where = f", first in {first.location or first.field}"
                    yield problem_at(flag, "key", f"duplicate key {format_value(flag.key)}{where}: keep only one")
                    break
            by_key[flag.key].append(flag)


def _shared_keys(manifest: Manifest) -> Iterator[Problem]:
    """Yield a problem for each experiment with the key of a flag: in a project they share one set of keys."""
    flags: dict[str, list[FlagConfigSpec]] = {}
    for flag in manifest.of("flags"):
        if flag.key and not flag.archived:
            flags.setdefault(flag.key, []).append(flag)
    for experiment in manifest.of("experiments"):
        for flag in flags.get(experiment.key, ()) if not experiment.archived else ():
            if UNSET in (flag.project_id, experiment.project_id) or flag.project_id == experiment.project_id:
                first = problem_at(flag, "key", "")
                fact = f"the key {format_value(flag.key)} is also the key of a flag, in {first.location or first.field}"
                advice = "use another key for one of them, or archive one of them in the app if both exist"
                yield problem_at(experiment, "key", f"{fact}, and a project can have it only once: {advice}")
                break


def _check_flag(flag: FlagConfigSpec) -> Iterator[Problem]:
    """Yield the contradictions between the fields of a flag or experiment."""
    if flag.variants is UNSET:
        return
    for index, variant in enumerate(flag.variants):
        users = getattr(variant, "users", UNSET) or ()
        if (count := len(set(users))) > validation.MAX_ADDED:
            rule = f"must contain at most {validation.MAX_ADDED:,} IDs, got {count:,}"
            yield problem_at(flag, f"variants[{index}].users", f"{rule}: include a cohort, or target a segment")
    keys = [getattr(variant, "key", "") or "" for variant in flag.variants]
    if "" in keys:  # an invalid variant may have any key
        return
    for index, key in enumerate(keys):
        if key in keys[:index]:
            message = f"duplicate variant {format_value(key)}: keep only one"
            yield problem_at(flag, f"variants[{index}].key", message)
    yield from unknown_variants(flag, keys)


def unknown_variants(flag: FlagConfigSpec, keys: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each weight of a variant whose key is not among the keys."""
    keys = list(keys)
    weights = [("rollout_weights", flag.rollout_weights or {})]
    for index, segment in enumerate(flag.target_segments or ()):
        if isinstance(segment, Segment):  # pyright: ignore[reportUnnecessaryIsInstance] - UNSET if it is invalid
            weights.append((f"target_segments[{index}].rollout_weights", segment.rollout_weights or {}))
    for path, by_key in weights:
        for key in by_key:
            if key not in keys:
                hint = suggest(key, keys) if keys else "the flag has no variants"
                yield problem_at(flag, f"{path}.{key}", f"unknown variant; {hint}")
