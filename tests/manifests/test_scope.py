"""Saving an export over files that declare more than its scope: the rest is kept."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from amp_exp_async import AsyncExperimentClient, ExperimentSpec, ExportScope, FlagSpec, Manifest, load, save
from amp_exp_async.emulator import Emulator

EXISTING = Manifest(
    flags=[
        FlagSpec(key="a", project_id="1", enabled=False),
        FlagSpec(key="b", project_id="1"),
        FlagSpec(key="old", project_id="1", archived=True),
        FlagSpec(key="a", project_id="2", enabled=False),
        FlagSpec(key="c", project_id="2"),
        FlagSpec(key="nowhere"),
    ],
    experiments=[ExperimentSpec(key="x", project_id="2")],
)
EXPORTED = FlagSpec(key="a", project_id="1", enabled=True)
NAMES = ("flags.yaml", "flags.json", "folder")


def summarize(path: Path) -> set[str]:
    """Return the project and key of each flag and experiment, with `!` if it is enabled."""
    manifest = load(path)
    flags = [*manifest.of("flags"), *manifest.of("experiments")]
    return {f"{flag.project_id or '-'}/{flag.key}{'!' if flag.enabled else ''}" for flag in flags}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("scope", "kept"),
    [
        (ExportScope(project_id="1"), {"1/a!", "1/old", "2/a", "2/c", "2/x", "-/nowhere"}),
        (ExportScope(project_id="1", include_archived=True), {"1/a!", "2/a", "2/c", "2/x", "-/nowhere"}),
        (ExportScope(project_id="1", keys=frozenset("a")), {"1/a!", "1/b", "1/old", "2/a", "2/c", "2/x", "-/nowhere"}),
        (ExportScope(keys=frozenset("a")), {"1/a!", "1/b", "1/old", "2/c", "2/x", "-/nowhere"}),
        (ExportScope(), {"1/a!", "1/old"}),
        (ExportScope(include_archived=True), {"1/a!"}),
        (None, {"1/a!"}),
    ],
)
def test_flags_outside_the_scope_are_kept(tmp_path: Path, name: str, scope: ExportScope | None, kept: set[str]) -> None:
    """Other projects, other keys, archived flags, and flags without a project; without a scope, nothing is kept."""
    path = tmp_path / name
    save(EXISTING, path)
    save(Manifest(flags=[EXPORTED], experiments=[], scope=scope), path)
    assert summarize(path) == kept


@pytest.mark.parametrize("name", NAMES)
async def test_an_export_of_one_project_keeps_the_other(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, name: str
) -> None:
    """Exports of projects, of keys and with archived flags, saved over one another, lose nothing."""
    path = tmp_path / name
    for project in ("1", "2"):
        emulator.state.add_flag(key="a", projectId=project)
        emulator.state.add_flag(key=f"only-{project}", projectId=project)
    emulator.state.add_flag(key="gone", projectId="2", deleted=True)
    save(await client.export(include_archived=True), path)
    complete = load(path)

    for arguments in (
        {"project_id": "1"},
        {"project_id": "2"},
        {"keys": ["a"]},
        {"project_id": "2", "keys": ["only-2"]},
        {},
    ):
        save(await client.export(**arguments), path)
        assert load(path) == complete, arguments
    save(await client.export(project_id="2", include_archived=True), path)
    assert not await client.plan(load(path))


def test_a_changed_manifest_keeps_its_scope() -> None:
    """Unless it is removed. The scope does not count when manifests are compared."""
    scope = ExportScope(project_id="1")
    manifest = Manifest(flags=[EXPORTED], scope=scope)
    assert attrs.evolve(manifest, experiments=[]).scope == scope
    assert attrs.evolve(manifest, scope=None).scope is None
    assert manifest == Manifest(flags=[EXPORTED])
    with pytest.raises(TypeError, match="must be an ExportScope or None"):
        Manifest(scope={"project_id": "1"})


COMMENTED = """\
# yaml-language-server: $schema=./.amp-exp.schema.json
# Both projects.
project_id: 1
flags:
  # The checkout team's.
  - key: a   # first
    enabled: false   # for now
  - key: b
    project_id: 1   # repeated

  # Of the other project.
  - {key: a, project_id: 2, tags: [x, y]}
  - key: c
    project_id: "2"
    name: 'C'
    # the end
"""


def test_only_changed_lines_are_touched(tmp_path: Path) -> None:
    """A file of two projects keeps the spelling of project IDs, comments, quotes and order."""
    path = tmp_path / "flags.yaml"
    path.write_text(COMMENTED)
    flags = [EXPORTED, FlagSpec(key="b", project_id="1"), FlagSpec(key="new", project_id="1", tags=["t"])]
    save(Manifest(flags=flags, scope=ExportScope(project_id="1")), path)
    assert path.read_text() == COMMENTED.replace("false   #", "true    #") + ("  - key: new\n    tags:\n      - t\n")


def test_an_unchanged_file_is_not_written(tmp_path: Path) -> None:
    """However its content is spelled."""
    path = tmp_path / "flags.yaml"
    path.write_text(COMMENTED)
    before = path.stat()
    save(attrs.evolve(load(path), scope=ExportScope(project_id="1")), path)
    save(load(path), path)
    assert path.read_text() == COMMENTED
    assert path.stat().st_ino == before.st_ino


def test_a_flag_without_a_project_is_the_exported_flag(tmp_path: Path) -> None:
    """It keeps its file and its comments, and is not declared twice."""
    text = "# yaml-language-server: $schema=./.amp-exp.schema.json\nflags:\n  - key: a   # mine\n    enabled: false\n"
    (tmp_path / "team").mkdir()
    for path in (tmp_path / "flags.yaml", tmp_path / "team/mine.yaml"):
        path.write_text(text)
    manifest = Manifest(flags=[EXPORTED], scope=ExportScope(project_id="1"))
    save(manifest, tmp_path / "flags.yaml")
    assert "  - key: a   # mine\n    enabled: true\n" in (tmp_path / "flags.yaml").read_text()
    save(manifest, tmp_path / "team")
    assert [file.name for file in (tmp_path / "team").rglob("*.yaml")] == ["mine.yaml"]
    assert summarize(tmp_path / "flags.yaml") == summarize(tmp_path / "team") == {"1/a!"}
