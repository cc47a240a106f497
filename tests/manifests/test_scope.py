"""An export over files that hold more than it has looked at: the rest stays."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from amp_exp_async import AsyncExperimentClient, ExperimentSpec, ExportScope, FlagSpec, Manifest, load, save
from amp_exp_async.emulator import Emulator

DECLARED = Manifest(
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
FRESH = FlagSpec(key="a", project_id="1", enabled=True)
NAMES = ("flags.yaml", "flags.json", "folder")


def declared(path: Path) -> set[str]:
    """What is declared: project, key, and whether it is enabled where that is said."""
    state = load(path)
    toggles = [*state.of("flags"), *state.of("experiments")]
    return {f"{one.project_id or '-'}/{one.key}{'!' if one.enabled else ''}" for one in toggles}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("scope", "left"),
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
def test_what_was_not_looked_at_stays(tmp_path: Path, name: str, scope: ExportScope | None, left: set[str]) -> None:
    """Other projects, other keys, archived ones, and what may be of another project; without a scope, nothing."""
    path = tmp_path / name
    save(DECLARED, path)
    save(Manifest(flags=[FRESH], experiments=[], scope=scope), path)
    assert declared(path) == left


@pytest.mark.parametrize("name", NAMES)
async def test_an_export_of_one_project_keeps_the_other(
    emulator: Emulator, client: AsyncExperimentClient, tmp_path: Path, name: str
) -> None:
    """Over the wire: projects, keys, and an archived flag; exports one after the other end in the same."""
    path = tmp_path / name
    for project in ("1", "2"):
        emulator.state.add_flag(key="a", projectId=project)
        emulator.state.add_flag(key=f"only-{project}", projectId=project)
    emulator.state.add_flag(key="gone", projectId="2", deleted=True)
    save(await client.export(include_archived=True), path)
    whole = load(path)

    for asked in (
        {"project_id": "1"},
        {"project_id": "2"},
        {"keys": ["a"]},
        {"project_id": "2", "keys": ["only-2"]},
        {},
    ):
        save(await client.export(**asked), path)
        assert load(path) == whole, asked
    save(await client.export(project_id="2", include_archived=True), path)
    assert not await client.plan(load(path))


def test_the_scope_is_not_lost_on_the_way() -> None:
    """A state that is changed in code keeps it, unless it is taken away; it is no part of what is declared."""
    scope = ExportScope(project_id="1")
    state = Manifest(flags=[FRESH], scope=scope)
    assert attrs.evolve(state, experiments=[]).scope == scope
    assert attrs.evolve(state, scope=None).scope is None
    assert state == Manifest(flags=[FRESH])
    with pytest.raises(TypeError, match="must be a ExportScope or None"):
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
    project_id: 1   # said again

  # Of the other project.
  - {key: a, project_id: 2, tags: [x, y]}
  - key: c
    project_id: "2"
    name: 'C'
    # and no more
"""


def test_only_lines_of_what_changes_are_touched(tmp_path: Path) -> None:
    """A file of two projects keeps how each is named, its comments, quotes and order."""
    path = tmp_path / "flags.yaml"
    path.write_text(COMMENTED)
    fresh = [FRESH, FlagSpec(key="b", project_id="1"), FlagSpec(key="new", project_id="1", tags=["t"])]
    save(Manifest(flags=fresh, scope=ExportScope(project_id="1")), path)
    assert path.read_text() == COMMENTED.replace("false   #", "true    #") + ("  - key: new\n    tags:\n      - t\n")


def test_a_file_that_is_all_there_is_not_touched(tmp_path: Path) -> None:
    """Not a byte, however it is spelt."""
    path = tmp_path / "flags.yaml"
    path.write_text(COMMENTED)
    before = path.stat()
    save(attrs.evolve(load(path), scope=ExportScope(project_id="1")), path)
    save(load(path), path)
    assert path.read_text() == COMMENTED
    assert path.stat().st_ino == before.st_ino


def test_a_flag_that_names_no_project_is_the_exported_one(tmp_path: Path) -> None:
    """It stays where it is, with its comments, and no second one is made; a folder keeps it in its file."""
    text = "# yaml-language-server: $schema=./.amp-exp.schema.json\nflags:\n  - key: a   # mine\n    enabled: false\n"
    (tmp_path / "team").mkdir()
    for path in (tmp_path / "flags.yaml", tmp_path / "team/mine.yaml"):
        path.write_text(text)
    state = Manifest(flags=[FRESH], scope=ExportScope(project_id="1"))
    save(state, tmp_path / "flags.yaml")
    assert "  - key: a   # mine\n    enabled: true\n" in (tmp_path / "flags.yaml").read_text()
    save(state, tmp_path / "team")
    assert [file.name for file in (tmp_path / "team").rglob("*.yaml")] == ["mine.yaml"]
    assert declared(tmp_path / "flags.yaml") == declared(tmp_path / "team") == {"1/a!"}
