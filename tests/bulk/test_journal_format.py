"""The format of journals on disk: a rerun continues a journal that an earlier version wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from amp_exp_async import (
    AddUsers,
    AsyncExperimentClient,
    CreateFlag,
    Edit,
    NotFoundError,
    RemoveVariant,
    ReplaceCohorts,
)
from amp_exp_async.emulator import Emulator
from tests.bulk.emulator_snapshot import collect

# The file as version 0.1.0 wrote it, but for the address of the service. Its last line was cut off.
JOURNAL = """\
{"journal":"amp_exp_async bulk journal 1","service":"SERVICE"}
{"index":0,"digest":"450faac3ff353c6b","operation":"Edit","target":"flags/1001","on":"flags/1001","state":"begun"}
{"index":0,"digest":"450faac3ff353c6b","operation":"Edit","target":"flags/1001","on":"flags/1001","state":"done"}
{"index":1,"digest":"a05ed733e0bd9abc","operation":"AddUsers","target":"flags/f1/variants/on","on":"flags/1002",\
"state":"begun"}
{"index":2,"digest":"f4f9246c725ebf43","operation":"RemoveVariant","target":"flags/1003/variants/missing",\
"on":"flags/1003","state":"begun"}
{"index":2,"digest":"f4f9246c725ebf43","operation":"RemoveVariant","target":"flags/1003/variants/missing",\
"on":"flags/1003","state":"failed","error":"NotFoundError: DELETE /flags/1003/variants/missing answered 404"}
{"index":3,"digest":"81fcb5aae0a26a9c","operation":"CreateFlag","target":"flags/new","on":"flags new","state":"begun"}
{"index":3,"digest":"81fcb5aae0a26a9c","operation":"CreateFlag","target":"flags/new","on":"flags new",\
"state":"unknown","error":"OutcomeUnknownError: POST /flags may or may not have been applied."}
{"index":4,"digest":"d545f9ed1674b653","operation":"ReplaceCohorts","target":"flags/1003/variants/on",\
"on":"flags/1003","state":"begun"}
{"index":4,"digest":"d545f9ed1674b653","operation":"ReplaceCohorts","target":"flags/1003/variants/on",\
"on":"flags/1003","state":"done","changed":["c"]}
{"index":5,"dig"""


async def test_an_old_journal_is_continued(client: AsyncExperimentClient, emulator: Emulator, tmp_path: Path) -> None:
    """Completed operations are skipped, the others are reconciled or repeated, and new lines have the same format."""
    for number in range(3):
        emulator.state.add_flag(id=str(1001 + number), key=f"f{number}")
    operations: list[Any] = [
        Edit("flags", "1001", {"name": "first"}),
        AddUsers("flags", key="f1", project_id="1", variant="on", users=["a", "b"]),
        RemoveVariant("flags", "1003", "missing"),
        CreateFlag("1", "new", variants=[{"key": "on"}]),
        ReplaceCohorts("flags", "1003", "on", ["c"]),
    ]
    path, service = tmp_path / "journal.jsonl", f"{emulator.base_url}/api/1"
    path.write_text(JOURNAL.replace("SERVICE", service))
    outcomes = await collect(client.bulk(operations, journal=path))
    assert [outcome.status for outcome in outcomes] == ["skipped", "done", "failed", "done", "skipped"]
    assert isinstance(outcomes[2].error, NotFoundError)
    assert emulator.state.flag("1001")["name"] != "first"
    assert emulator.state.users("flags", "1002", "on") == ["a", "b"]
    header, *entries = [json.loads(line) for line in path.read_text().splitlines()]
    old = [json.loads(line) for line in JOURNAL.splitlines()[1:-1]]
    assert header == {"journal": "amp_exp_async bulk journal 1", "service": service}
    assert entries[: len(old)] == old
    new = {(entry.pop("index"), entry.pop("state")): entry for entry in entries[len(old) :]}
    assert new.keys() == {(1, "begun"), (1, "done"), (2, "begun"), (2, "failed"), (3, "begun"), (3, "done")}
    assert new[1, "done"] == {
        "digest": "a05ed733e0bd9abc",
        "operation": "AddUsers",
        "target": "flags/f1/variants/on",
        "on": "flags/1002",
        "changed": ["a", "b"],
    }
    assert new[2, "failed"]["error"].startswith("NotFoundError: DELETE /flags/1003/variants/missing")
