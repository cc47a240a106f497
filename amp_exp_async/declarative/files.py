"""Files and folders of what is declared: read whole, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson
from attrs import evolve

from amp_exp_async import checks
from amp_exp_async.errors import InvalidInputError, Problem
from amp_exp_async.models import UNSET

from .merging import same
from .nodes import DocumentError, Node, read_json
from .plain import checked, document
from .reading import Reader, between, refuse
from .schema import schema_text
from .shapes import SCHEMA_KEY
from .state import KINDS, KindName, State, ToggleState, joined
from .yaml import read_yaml, write_yaml

Format: TypeAlias = Literal["yaml", "json"]

SCHEMA_FILE = ".amp-exp.schema.json"
_YAML = frozenset({".yaml", ".yml"})
_FILES = _YAML | {".json"}
_format = checks.one_of("yaml", "json")


def load(path: str | os.PathLike[str]) -> State:
    """Read what a file declares, or all files of a folder and the folders in it.

    Args:
        path: a YAML file (`.yaml`, `.yml`; needs the extra `files`) or JSON file (`.json`), or a folder. In a folder,
            names that begin with a dot do not count.

    Raises:
        InvalidStateError: there are problems; it has all of them, each with file, line and field.
        ConfigurationError: YAML cannot be read, since the extra `files` is not installed.

    Example:
        `plan = await client.plan(load("flags.yaml"))`
    """
    problems: list[Problem] = []
    state = joined(_read(file, problems) for file in _files(Path(path), problems))
    refuse([*problems, *between(state)])
    return state


def save(state: State, path: str | os.PathLike[str], *, format: Format = "yaml") -> None:
    """Write a state to a file, or to a folder with a file for each flag and experiment.

    Each file is replaced at once, so none is ever half-written. Comments, quotes and order of a YAML file that is there
    are kept where that can be. What is in the file, or in the folder's files, and not in the state is taken out.
    Beside it, the JSON Schema of the format is put as `.amp-exp.schema.json`, which the files name for editors.

    Args:
        state: the state.
        path: a file (`.yaml`, `.yml` or `.json`), or a folder, which is made if need be.
        format: what new files in a folder are written as.

    Raises:
        InvalidStateError: the state has problems, or a file that is there has.
        InvalidInputError: two flags would need one file.
        OSError: a file cannot be written.

    Example:
        `save(await client.export(project_id="123"), "flags.yaml")`
    """
    target = Path(path)
    suffix = f".{_format('format', format)}"
    state = checked(state)
    if target.suffix.lower() in _FILES and not target.is_dir():
        written: dict[Path, State | None] = {target: state}
    else:
        written = _spread(state, target, suffix)
    root = target if target not in written else target.parent
    root.mkdir(parents=True, exist_ok=True)
    schema = root / SCHEMA_FILE
    texts = {file: _text(file, part, os.path.relpath(schema, file.parent)) for file, part in written.items()}
    write(schema, schema_text())
    for file, text in texts.items():
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, text)


def _files(path: Path, problems: list[Problem]) -> Iterator[Path]:
    if not path.is_dir():
        if path.suffix.lower() in _FILES:
            yield path
        else:
            problems.append(Problem(str(path), 0, "", "must be a folder, or a file named .yaml, .yml or .json"))
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix.lower() in _FILES and not hidden and file.is_file():
            yield file


def _read(file: Path, problems: list[Problem]) -> State:
    """What a file declares; what is wrong in it is added to the problems."""
    try:
        node, found = _tree(file)
    except DocumentError as error:
        problems.append(Problem(str(file), error.line, "", error.message))
        return State()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(str(file), 0, "", f"cannot be read: {error}"))
        return State()
    reader = Reader(str(file))
    state = reader.state(node)
    problems += [evolve(problem, file=str(file)) for problem in found]
    problems += reader.problems
    return state


def _tree(file: Path) -> tuple[Node, list[Problem]]:
    text = file.read_text(encoding="utf-8-sig")
    return read_yaml(text) if file.suffix.lower() in _YAML else read_json(text)


def _text(file: Path, state: State | None, schema: str) -> str | None:
    """What a file is to hold; None for nothing."""
    if state is None:
        return None
    schema = schema.replace(os.sep, "/")
    schema = schema if schema.startswith("..") else f"./{schema}"
    if file.suffix.lower() not in _YAML:
        return orjson.dumps(document(state, schema), option=orjson.OPT_INDENT_2).decode() + "\n"
    header = f"# yaml-language-server: $schema={schema}"
    wanted = document(state)
    present = file.read_text(encoding="utf-8-sig") if file.exists() else None
    return (present and _rewritten(present, wanted, header)) or write_yaml(wanted, header)


def _rewritten(present: str, wanted: dict[str, Any], header: str) -> str | None:
    """A text with what is wanted in place of what it declares; None where that cannot be done."""
    try:
        node, problems = read_yaml(present)
    except DocumentError:
        return None
    if node.fields is None or problems:
        return None
    keep = {SCHEMA_KEY: node.fields.pop(SCHEMA_KEY).plain} if SCHEMA_KEY in node.fields else {}
    if header in present and same(_in_order(node.plain), _in_order(wanted)):
        return present
    text = write_yaml(keep | wanted, header, present)
    written: dict[str, Any] = read_yaml(text)[0].plain
    return text if same(_in_order(written), _in_order(keep | wanted)) else None


def _in_order(declared: dict[str, Any]) -> dict[str, Any]:
    """A document with its flags and variants in one order, to compare."""

    def toggle(given: dict[str, Any]) -> dict[str, Any]:
        ordered: dict[str, Any] = {name: sorted(set(given[name])) for name in ("tags", "deployments") if name in given}
        if "variants" in given:
            ordered["variants"] = sorted(map(variant, given["variants"]), key=lambda one: str(one["key"]))
        return given | ordered

    def variant(given: dict[str, Any]) -> dict[str, Any]:
        return given | {name: sorted(set(given[name])) for name in ("users", "cohorts") if name in given}

    def by_key(given: dict[str, Any]) -> tuple[str, str]:
        return given["key"], given.get("project_id", "")

    return declared | {kind: sorted(map(toggle, declared[kind]), key=by_key) for kind in KINDS if kind in declared}


def _spread(state: State, folder: Path, suffix: str) -> dict[Path, State | None]:
    """Which file of a folder is to hold what: each flag stays in the file that has it; None for a file that goes."""
    problems: list[Problem] = []
    there = {file: _read(file, problems) for file in _files(folder, problems)} if folder.is_dir() else {}
    refuse(problems)
    homes = {_name(kind, toggle): file for file, part in there.items() for kind, toggle in _all(part)}
    several = len({toggle.project_id for _, toggle in _all(state)}) > 1
    parts: dict[Path, list[tuple[KindName, ToggleState]]] = {file: [] for file in there}
    for kind, toggle in _all(state):
        home = homes.get(_name(kind, toggle)) or _new_home(folder, kind, toggle, suffix, several=several)
        parts.setdefault(home, []).append((kind, toggle))
    _refuse_one_file(parts.keys() - there.keys())
    return {file: _state_of(part) if part else None for file, part in parts.items()}


def _new_home(folder: Path, kind: KindName, toggle: ToggleState, suffix: str, *, several: bool) -> Path:
    if several and toggle.project_id is not UNSET:
        folder = folder / checks.key("project_id", toggle.project_id)
    return folder / kind / f"{toggle.key}{suffix}"


def _refuse_one_file(files: Iterable[Path]) -> None:
    """Refuse names that some file systems take for one."""
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(str(file).casefold(), file)
        if other != file:
            rule = f"{other} and {file} would be one file where case makes no difference: save to one file"
            raise InvalidInputError(f"state: {rule}. Nothing was written.", argument="state", rule=rule)


def _all(state: State) -> Iterator[tuple[KindName, ToggleState]]:
    return ((kind, toggle) for kind in KINDS for toggle in state.of(kind))


def _name(kind: KindName, toggle: ToggleState) -> tuple[str, object, str]:
    return kind, toggle.project_id, toggle.key


def _state_of(parts: Iterable[tuple[KindName, ToggleState]]) -> State:
    return joined(State(**{kind: [toggle]}) for kind, toggle in parts)


def write(file: Path, text: str) -> None:
    """Replace a file at once, or not at all."""
    file = file.resolve()
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if file.exists():
            shutil.copymode(file, draft)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
