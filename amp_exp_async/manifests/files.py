"""Files and folders of what is declared: read whole, written whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from amp_exp_async import validation
from amp_exp_async.errors import InvalidInputError, Problem
from amp_exp_async.models import UNSET

from . import documents
from .documents import Declared, Format, format_of
from .dump import validated
from .keeping import with_kept
from .parse import cross_checks, raise_for_problems
from .schema import schema_text
from .spec import KINDS, FlagConfigSpec, KindName, Manifest, merge_manifests

SCHEMA_FILE = ".amp-exp.schema.json"
_FORMATS: dict[str, Format] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}


def load(*sources: str | os.PathLike[str] | io.TextIOBase) -> Manifest:
    """Read what files declare together, or all files of a folder and the folders in it.

    Args:
        *sources: YAML files (`.yaml`, `.yml`; need the extra `files`), JSON files (`.json`), and folders, by their
            paths; or open text files, which may hold either. In a folder, names that begin with a dot do not count,
            and links to folders are not followed.

    Raises:
        InvalidManifestError: there are problems; it has all of them, each with file, line and field.
        ConfigurationError: YAML cannot be read, since the extra `files` is not installed.

    Example:
        `plan = await client.plan(load("flags.yaml"))`
    """
    problems: list[Problem] = []
    files: list[Declared | None] = []
    for source in sources:
        if isinstance(source, io.TextIOBase):
            files.append(_read_stream(source, problems))
        else:
            files += _read_path(source, problems)
    state = merge_manifests(file.state for file in files if file)
    raise_for_problems([*problems, *cross_checks(state)])
    return state


def _read_stream(stream: io.TextIOBase, problems: list[Problem]) -> Declared | None:
    """Read an open file, whose text says whether it is JSON or YAML."""
    text = stream.read()
    format: Format = "json" if text.lstrip().startswith("{") else "yaml"
    return documents.read(text, format, str(getattr(stream, "name", "<text>")), problems)


def _read_path(path: str | os.PathLike[str], problems: list[Problem]) -> list[Declared | None]:
    """Read a file, or the files of a folder."""
    if not Path(path).exists():
        problems.append(Problem(str(path), 0, "", "no such file or folder"))
        return []
    return [file.declared for file in _there(Path(path), problems).values()]


def loads(text: str, *, format: Format = "yaml", name: str = "<text>") -> Manifest:
    """Read what a text declares, as `load` does with a file.

    Args:
        text: the text.
        format: `yaml` (needs the extra `files`) or `json`.
        name: what problems call it.

    Raises:
        InvalidManifestError: there are problems; it has all of them, each with name, line and field.
        ConfigurationError: YAML cannot be read, since the extra `files` is not installed.

    Example:
        `state = loads(sys.stdin.read(), name="<stdin>")`
    """
    problems: list[Problem] = []
    declared = documents.read(validation.string("text", text), format_of("format", format), name, problems)
    state = declared.state if declared else Manifest()
    raise_for_problems([*problems, *cross_checks(state)])
    return state


def dumps(state: Manifest, *, format: Format = "yaml") -> str:
    """The text that `save` writes to a new file. It names no JSON Schema, since there is none beside it.

    Args:
        state: the state.
        format: `yaml` (needs the extra `files`) or `json`.

    Raises:
        InvalidManifestError: the state has problems.
        ConfigurationError: YAML cannot be written, since the extra `files` is not installed.

    Example:
        `print(dumps(await client.export(keys=["new-checkout"])), end="")`
    """
    return documents.written(validated(state), format_of("format", format))


def save(state: Manifest, path: str | os.PathLike[str], *, format: Format = "yaml") -> None:
    """Write a state to a file, or to a folder with a file for each flag and experiment.

    Each file is replaced at once, so none is ever half-written. Comments, quotes and order of a YAML file that is there
    are kept where that can be. What is in the file, or in the folder's files, and not in the state is taken out; but
    where the state is an export, only what the export has looked at: see `Manifest.scope`.
    Beside it, the JSON Schema of the format is put as `.amp-exp.schema.json`, which the files name for editors.

    Args:
        state: the state.
        path: a file (`.yaml`, `.yml` or `.json`), or a folder, which is made if need be.
        format: what new files in a folder are written as.

    Raises:
        InvalidManifestError: the state has problems, or a file that is there has.
        InvalidInputError: two flags would need one file.
        OSError: a file cannot be written.

    Example:
        `save(await client.export(project_id="123"), "flags.yaml")`
    """
    target = Path(path)
    suffix = f".{format_of('format', format)}"
    state = validated(state)
    problems: list[Problem] = []
    is_file = target.suffix.lower() in _FORMATS and not target.is_dir()
    there = _there(target, problems) if target.exists() else {}
    present = merge_manifests(file.declared.state for file in there.values() if file.declared)
    raise_for_problems([*problems, *cross_checks(present)])
    state = with_kept(state, present)
    raise_for_problems(cross_checks(state))
    parts: dict[Path, Manifest | None] = {target: state} if is_file else _spread(state, there, target, suffix)
    root = target.parent if is_file else target
    root.mkdir(parents=True, exist_ok=True)
    schema = root / SCHEMA_FILE
    texts = {file: None if part is None else _text(file, part, schema, there.get(file)) for file, part in parts.items()}
    write(schema, schema_text())
    for file, text in texts.items():
        old = there.get(file, _File(None))
        if text is None:
            file.unlink()
        elif old.declared is None or old.declared.text != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, text, old.newline)


@frozen
class _File:
    """A file that is there.

    Attributes:
        declared: what it declares; None where it cannot be read.
        newline: how its lines end.
    """

    declared: Declared | None
    newline: str = "\n"


def _there(path: Path, problems: list[Problem]) -> dict[Path, _File]:
    """The files that are there, read; what is wrong in them is added to the problems."""
    return {file: _read(file, problems) for file in _files(path, problems)}


def _files(path: Path, problems: list[Problem]) -> Iterator[Path]:
    if not path.is_dir():
        if path.suffix.lower() in _FORMATS:
            yield path
        else:
            problems.append(Problem(str(path), 0, "", "must be a folder, or a file named .yaml, .yml or .json"))
        return
    unreadable: list[OSError] = []
    found: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [file for name in names if not name.startswith(".") and _is_ours(file := Path(folder, name))]
    problems += [Problem(str(error.filename), 0, "", f"cannot be read: {error}") for error in unreadable]
    yield from sorted(found)


def _is_ours(file: Path) -> bool:
    """Whether a file counts by its name. A link to nowhere does: to pass over it would be to lose what it declared."""
    return file.suffix.lower() in _FORMATS and (file.is_file() or file.is_symlink())


def _read(file: Path, problems: list[Problem]) -> _File:
    content = b""
    try:
        content = file.read_bytes()
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(Problem(str(file), line, "", f"cannot be read, since it is no UTF-8: {error.reason}"))
        return _File(None)
    except OSError as error:
        problems.append(Problem(str(file), 0, "", f"cannot be read: {error}"))
        return _File(None)
    declared = documents.read(text, _FORMATS[file.suffix.lower()], str(file), problems)
    return _File(declared, "\r\n" if "\r\n" in text else "\n")


def _text(file: Path, state: Manifest, schema: Path, there: _File | None) -> str:
    named = Path(os.path.relpath(schema, file.parent)).as_posix()
    named = named if named.startswith("..") else f"./{named}"
    return documents.written(state, _FORMATS[file.suffix.lower()], named, there.declared if there else None)


def _spread(state: Manifest, there: Mapping[Path, _File], folder: Path, suffix: str) -> dict[Path, Manifest | None]:
    """Which file of a folder is to hold what: each flag stays in the file that has it; None for a file that goes."""
    homes = {
        _name(kind, toggle): path
        for path, file in there.items()
        for kind, toggle in _all(file.declared.state if file.declared else Manifest())
    }
    several = len({toggle.project_id for _, toggle in _all(state)}) > 1
    parts: dict[Path, list[tuple[KindName, FlagConfigSpec]]] = {path: [] for path in there}
    for kind, toggle in _all(state):
        home = homes.get(_name(kind, toggle)) or homes.get((kind, UNSET, toggle.key))
        home = home or _new_home(folder, kind, toggle, suffix, several=several)
        parts.setdefault(home, []).append((kind, toggle))
    _refuse_one_file([*there, *(file for file in parts if file not in there)], new=parts.keys() - there.keys())
    return {file: _state_of(part) if part else None for file, part in parts.items()}


def _new_home(folder: Path, kind: KindName, toggle: FlagConfigSpec, suffix: str, *, several: bool) -> Path:
    if several and toggle.project_id is not UNSET:
        folder = folder / validation.key("project_id", toggle.project_id)
    return folder / kind / f"{toggle.key}{suffix}"


def _refuse_one_file(files: Iterable[Path], new: Collection[Path]) -> None:
    """Refuse new names that some file systems take for one, or for that of a file that is there."""
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(str(file).casefold(), file)
        if other != file and file in new:
            rule = f"{other} and {file} would be one file where case makes no difference: save to one file"
            raise InvalidInputError(f"state: {rule}. Nothing was written.", argument="state", rule=rule)


def _all(state: Manifest) -> Iterator[tuple[KindName, FlagConfigSpec]]:
    return ((kind, toggle) for kind in KINDS for toggle in state.of(kind))


def _name(kind: KindName, toggle: FlagConfigSpec) -> tuple[str, object, str]:
    return kind, toggle.project_id, toggle.key


def _state_of(parts: Iterable[tuple[KindName, FlagConfigSpec]]) -> Manifest:
    return merge_manifests(Manifest(**{kind: [toggle]}) for kind, toggle in parts)


def write(file: Path, text: str, newline: str = "\n") -> None:
    """Replace a file at once, or not at all."""
    file = file.resolve()
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    try:
        with draft.open("w", encoding="utf-8", newline=newline) as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if file.exists():
            shutil.copymode(file, draft)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
