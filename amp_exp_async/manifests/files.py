"""Manifests in files, folders and texts: loading and saving. A file is replaced as a whole or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from attrs import frozen

from amp_exp_async import validation
from amp_exp_async.atomic_file import remove_abandoned_drafts, replace_file, require_writable
from amp_exp_async.errors import NOTHING_WRITTEN, InvalidInputError, Problem
from amp_exp_async.file_access import exists, read_file, read_text_stream
from amp_exp_async.formatting import format_os_error, format_value
from amp_exp_async.models import UNSET

from .dump import dump_text, keep_out_of_scope
from .parse import Format, ParsedFile, cross_checks, parse_text, raise_for_problems, validate_format, validated
from .schema import schema_text
from .spec import KINDS, FlagConfigSpec, KindName, Manifest, merge_manifests

SCHEMA_FILE = ".amp-exp.schema.json"
_MAX_FILE_NAME = 255
_FORMATS: dict[str, Format] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}


def load(*sources: str | os.PathLike[str] | io.TextIOBase) -> Manifest:
    """Read one manifest from files, and from all files of folders and their subfolders.

    Args:
        *sources: paths of YAML files (`.yaml`, `.yml`; they need the extra `files`), JSON files (`.json`) and folders;
            or open text files with YAML or JSON. In a folder, names that begin with a dot are ignored, links to
            folders are not followed, and files must be regular.

    Raises:
        InvalidManifestError: If there are problems. It has all of them, each with file, line and field.
        InvalidInputError: If there is no source, or a source is neither a path nor an open text file.
        ConfigurationError: If a source is YAML and the extra `files` is not installed.

    Example:
        `plan = await client.plan(load("flags.yaml"))`
    """
    if not sources:
        validation.reject("sources", "must have at least one file or folder")
    problems: list[Problem] = []
    files: list[ParsedFile | None] = []
    for source in sources:
        if isinstance(source, io.TextIOBase):
            files.append(_read_stream(source, problems))
        else:
            files += _read_path(validation.path("sources", source), problems)
    manifest = merge_manifests(file.manifest for file in files if file)
    raise_for_problems([*problems, *cross_checks(manifest)])
    return manifest


def _read_stream(stream: io.TextIOBase, problems: list[Problem]) -> ParsedFile | None:
    """Parse an open file, whose text tells JSON from YAML."""
    name = str(getattr(stream, "name", "<text>"))
    try:
        text = read_text_stream(stream)
    except OSError as error:
        problems.append(_unreadable(name, error))
        return None
    format: Format = "json" if text.lstrip().startswith("{") else "yaml"
    return parse_text(text, format, name, problems)


def _unreadable(file: str, error: OSError) -> Problem:
    return Problem(file, 0, "", f"cannot be read: {format_os_error(error)}")


def _read_path(path: Path, problems: list[Problem]) -> list[ParsedFile | None]:
    """Parse a file, or the files of a folder."""
    if not exists(path):
        problems.append(Problem(str(path), 0, "", "no such file or folder"))
        return []
    return [file.parsed for file in _read_files(path, problems).values()]


def loads(text: str, *, format: Format = "yaml", name: str = "<text>") -> Manifest:
    """Read a manifest from a text.

    Args:
        text: the text.
        format: `yaml` (needs the extra `files`) or `json`.
        name: the file name that problems show.

    Raises:
        InvalidManifestError: If there are problems. It has all of them, each with name, line and field.
        ConfigurationError: If the format is YAML and the extra `files` is not installed.

    Example:
        `manifest = loads(sys.stdin.read(), name="<stdin>")`
    """
    problems: list[Problem] = []
    parsed = parse_text(validation.string("text", text), validate_format("format", format), name, problems)
    manifest = parsed.manifest if parsed else Manifest()
    raise_for_problems([*problems, *cross_checks(manifest)])
    return manifest


def dumps(manifest: Manifest, *, format: Format = "yaml") -> str:
    """Return the text that `save` writes to a new file, without the path of a JSON Schema.

    Args:
        manifest: the manifest.
        format: `yaml` or `json`.

    Raises:
        InvalidManifestError: If the manifest has problems.

    Example:
        `print(dumps(await client.export(keys=["new-checkout"])), end="")`
    """
    return dump_text(validated(manifest), validate_format("format", format))


def save(manifest: Manifest, path: str | os.PathLike[str], *, format: Format = "yaml") -> None:
    """Write a manifest to a file, or to a folder with one file for each flag and experiment.

    Each file is replaced atomically and keeps its mode, owner and group. If it is a link, its target is replaced. A
    hard link is detached: the other names of the file keep the old content.
    Comments, quotes and order of an existing YAML file are kept if possible. Flags and experiments that exist in the
    file or folder, but not in the manifest, are removed. If the manifest is an export, this applies only to its scope:
    see `Manifest.scope`.

    The JSON Schema of the format is written next to it as `.amp-exp.schema.json`. The files refer to it, so that
    editors can complete and check them.

    Args:
        manifest: the manifest.
        path: a file (`.yaml`, `.yml` or `.json`), or a folder, which is created if it does not exist.
        format: the format of new files in a folder.

    Raises:
        InvalidManifestError: If the manifest or an existing file has problems.
        InvalidInputError: If two flags would be written to the same file, or one to a linked folder, which `load`
            does not read, or if a key is too long for the name of a file.
        ConfigurationError: If a file to replace is YAML and the extra `files` is not installed.
        OSError: If a file cannot be written, also because it is write-protected, or is a mount point. Mount its folder
            instead.

    Example:
        `save(await client.export(project_id="123"), "flags.yaml")`
    """
    target = validation.path("path", path)
    suffix = f".{validate_format('format', format)}"
    manifest = validated(manifest)
    problems: list[Problem] = []
    is_file = target.suffix.lower() in _FORMATS and not os.path.isdir(target)  # noqa: PTH112 - see `_find_files`
    existing_files = _read_files(target, problems) if exists(target) else {}
    existing = merge_manifests(file.parsed.manifest for file in existing_files.values() if file.parsed)
    raise_for_problems([*problems, *cross_checks(existing)])
    manifest = keep_out_of_scope(manifest, existing)
    raise_for_problems(cross_checks(manifest))
    parts: dict[Path, Manifest | None]
    parts = {target: manifest} if is_file else _assign_files(manifest, existing_files, target, suffix)
    _reject_linked_folders(target, parts)
    root = target.parent if is_file else target
    root.mkdir(parents=True, exist_ok=True)
    schema = root / SCHEMA_FILE
    texts = {
        file: None if part is None else _file_text(file, part, schema, existing_files.get(file))
        for file, part in parts.items()
    }
    remove_abandoned_drafts(schema, *texts)
    replace_file(schema, schema_text().encode(), follow_link=False)
    for file, text in texts.items():
        old = existing_files.get(file, _ExistingFile(None))
        if text is None:
            require_writable(file)
            file.unlink()
        elif old.parsed is None or old.parsed.text != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, text.replace("\n", old.newline).encode())


@frozen
class _ExistingFile:
    """A file on disk.

    Attributes:
        parsed: its content; None if it cannot be parsed.
        newline: its line ending.
    """

    parsed: ParsedFile | None
    newline: str = "\n"


def _read_files(path: Path, problems: list[Problem]) -> dict[Path, _ExistingFile]:
    """Parse a file or the files of a folder, and add their problems to the list."""
    return {file: _read_file(file, problems, is_named=file == path) for file in _find_files(path, problems)}


def _find_files(path: Path, problems: list[Problem]) -> Iterator[Path]:
    if not os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` raises if the name is too long
        if path.suffix.lower() in _FORMATS:
            yield path
        else:
            problems.append(Problem(str(path), 0, "", "must be a folder, or a file named .yaml, .yml or .json"))
        return
    errors: list[OSError] = []
    paths: list[Path] = []
    for folder, subfolders, names in os.walk(path, onerror=errors.append):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files = (Path(folder, name) for name in names if not name.startswith("."))
        # Whatever has the name of a manifest must be one: ignoring a broken link would lose what it declared.
        paths += [file for file in files if file.suffix.lower() in _FORMATS]
    problems += [_unreadable(str(error.filename), error) for error in errors]
    yield from sorted(paths)


def _read_file(file: Path, problems: list[Problem], *, is_named: bool) -> _ExistingFile:
    """Parse a file. One that the user did not name must be regular."""
    content = b""
    try:
        content = read_file(file, only_regular=not is_named)
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(Problem(str(file), line, "", f"is not UTF-8: {error.reason}"))
        return _ExistingFile(None)
    except OSError as error:
        problems.append(_unreadable(str(file), error))
        return _ExistingFile(None)
    parsed = parse_text(text, _FORMATS[file.suffix.lower()], str(file), problems)
    return _ExistingFile(parsed, "\r\n" if "\r\n" in text else "\n")


def _file_text(file: Path, manifest: Manifest, schema: Path, existing: _ExistingFile | None) -> str:
    reference = Path(os.path.relpath(schema, file.parent)).as_posix()
    reference = reference if reference.startswith("..") else f"./{reference}"
    return dump_text(manifest, _FORMATS[file.suffix.lower()], reference, existing.parsed if existing else None)


def _assign_files(
    manifest: Manifest, existing: Mapping[Path, _ExistingFile], folder: Path, suffix: str
) -> dict[Path, Manifest | None]:
    """Return the content of each file of a folder: a flag stays in its file. None stands for a file to delete."""
    files = {
        _identity(kind, flag): path
        for path, file in existing.items()
        for kind, flag in _entries(file.parsed.manifest if file.parsed else Manifest())
    }
    has_many_projects = len({flag.project_id for _, flag in _entries(manifest)}) > 1
    parts: dict[Path, list[tuple[KindName, FlagConfigSpec]]] = {path: [] for path in existing}
    for kind, flag in _entries(manifest):
        file = files.get(_identity(kind, flag)) or files.get((kind, UNSET, flag.key))
        file = file or _default_path(folder, kind, flag, suffix, has_many_projects=has_many_projects)
        parts.setdefault(file, []).append((kind, flag))
    new = parts.keys() - existing.keys()
    _reject_long_names({file: parts[file] for file in new})
    _reject_case_collision([*existing, *(file for file in parts if file in new)], new)
    return {file: _manifest_of(entries) if entries else None for file, entries in parts.items()}


def _default_path(folder: Path, kind: KindName, flag: FlagConfigSpec, suffix: str, *, has_many_projects: bool) -> Path:
    if has_many_projects and flag.project_id is not UNSET:
        folder = folder / validation.key("project_id", flag.project_id)
    return folder / kind / f"{_file_name(flag.key)}{suffix}"


def _file_name(key: str) -> str:
    """Return a key as a file name, with percent-encoded characters if it has others than new keys may have."""
    name = key if validation.is_key(key) else quote(key, safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name  # files whose names begin with a dot are not read


def _reject_long_names(files: Mapping[Path, Sequence[tuple[KindName, FlagConfigSpec]]]) -> None:
    """Reject new files whose names no file system can hold."""
    for file, entries in files.items():
        if len(os.fsencode(file.name)) > _MAX_FILE_NAME:
            kind, flag = entries[0]
            raise InvalidInputError(
                argument="manifest",
                subject=f"manifest: {kind}/{format_value(flag.key)}",
                rule=f"needs a file name of more than {_MAX_FILE_NAME} bytes, because its key is so long",
                consequence=NOTHING_WRITTEN,
                advice="Save to one file instead of a folder.",
            )


def _reject_case_collision(files: Iterable[Path], new: Collection[Path]) -> None:
    """Reject new files that a case-insensitive file system takes for another new or existing file."""
    by_name: dict[str, Path] = {}
    for file in files:
        other = by_name.setdefault(str(file).casefold(), file)
        if other != file and file in new:
            rule = f"{other} and {file} would be one file on a case-insensitive file system"
            raise InvalidInputError(
                f"manifest: {rule}. Nothing was written. Save to one file instead of a folder.",
                argument="manifest",
                rule=rule,
            )


def _reject_linked_folders(root: Path, files: Iterable[Path]) -> None:
    """Reject files in linked folders below the root: `load` does not follow links to folders."""
    folders = {folder for file in files for folder in file.parents if folder.is_relative_to(root) and folder != root}
    for folder in sorted(folders):
        if folder.is_symlink():
            raise InvalidInputError(
                argument="path",
                rule=f"{folder} is a link to a folder, which load does not read",
                consequence=NOTHING_WRITTEN,
                advice="Replace the link by a folder.",
            )


def _entries(manifest: Manifest) -> Iterator[tuple[KindName, FlagConfigSpec]]:
    return ((kind, flag) for kind in KINDS for flag in manifest.of(kind))


def _identity(kind: KindName, flag: FlagConfigSpec) -> tuple[KindName, object, str]:
    return kind, flag.project_id, flag.key


def _manifest_of(entries: Iterable[tuple[KindName, FlagConfigSpec]]) -> Manifest:
    return merge_manifests(Manifest(**{kind: [flag]}) for kind, flag in entries)
