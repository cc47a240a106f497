"""New text with bytes that were not decoded is rejected; the same text of the service is written back unchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from amp_exp_async import (
    AddUsers,
    AsyncExperimentClient,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    ExperimentClient,
    InvalidInputError,
    dumps,
    find_emails,
    loads,
)
from amp_exp_async.emulator import Emulator

UNDECODED = b"Gr\xc3\xbcn".decode("ascii", "surrogateescape")
CUT = "\udc89 Launch"  # the end of an emoji, which a service may have cut there
SEGMENT = {"conditions": [], "percentage": 10, "rolloutWeights": {}}

CALLS: dict[str, Callable[[Any, str], Any]] = {
    "create": lambda c, text: c.flags.create(project_id="1", key="k", name=text),
    "create a variant's name": lambda c, text: c.flags.create(
        project_id="1", key="k", variants=[{"key": "on", "name": text}]
    ),
    "edit": lambda c, text: c.flags.edit("1", name=text),
    "description": lambda c, text: c.experiments.edit("2", description=text),
    "tags": lambda c, text: c.flags.edit("1", tags=["a", text]),
    "segment's name": lambda c, text: c.flags.edit(
        "1", target_segments=[{"name": text, "conditions": [], "percentage": 10, "rollout_weights": {}}]
    ),
    "variant": lambda c, text: c.flags.variants.create("1", key="new", description=text),
    "payload": lambda c, text: c.flags.variants.edit("1", "on", payload={"a": [text]}),
    "payload's name": lambda c, text: c.flags.variants.edit("1", "on", payload={text: 1}),
    "tags.add": lambda c, text: c.flags.tags.add("1", [text]),
    "add_values": lambda c, text: c.flags.segments.add_values("1", "Pilot", "p", [text], case="exact"),
    "segments.edit": lambda c, text: c.flags.segments.edit("1", "Pilot", name=text),
    "users": lambda c, text: c.flags.users.add("1", "on", [text]),
    "key": lambda c, text: c.flags.find(text),
    "group": lambda c, text: c.mutexes.create(project_id="1", name=text, slots=[{"percentage": 100}]),
    "reason": lambda c, text: c.experiments.roll_out("2", "on", reason=text),
    "raw request": lambda c, text: c.request("PATCH", "/flags/1", json={"name": text}),
    "raw parameter": lambda c, text: c.request("GET", "/flags", params={"key": text}),
}
OPERATIONS: dict[str, Callable[[str], object]] = {
    "Edit": lambda text: Edit("flags", "1", {"name": text}),
    "EditVariant": lambda text: EditVariant("flags", "1", "on", {"payload": text}),
    "CreateFlag": lambda text: CreateFlag("1", "k", name=text),
    "CreateVariant": lambda text: CreateVariant("flags", "1", "new", name=text),
    "AddUsers": lambda text: AddUsers("flags", "1", "on", [text]),
    "loads": lambda text: loads(f'{{"flags": [{{"key": "{text}"}}]}}'),
}


@pytest.fixture
def flag(emulator: Emulator) -> dict[str, Any]:
    """Return a flag whose texts the service has cut."""
    return emulator.state.add_flag(
        id="1",
        projectId="1",
        key="k",
        name=CUT,
        tags=[CUT],
        variants=[{"key": "on", "payload": {CUT: CUT}}],
        targetSegments=[
            SEGMENT | {"name": CUT, "conditions": [{"prop": CUT, "op": "is", "type": "property", "values": [CUT]}]}
        ],
    )


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_new_text_is_rejected(
    call: Callable[[Any, str], Any], client: AsyncExperimentClient, emulator: Emulator
) -> None:
    """The message says what it is and how to read it; nothing is sent, by neither client."""
    with pytest.raises(InvalidInputError, match=r"not decoded \(U\+DCC3 U\+DCBC\).*as UTF-8.*os\.fsencode") as caught:
        await call(client, UNDECODED)
    assert str(caught.value).isascii()
    with (
        ExperimentClient(emulator.api_key, base_url=emulator.base_url) as blocking,
        pytest.raises(InvalidInputError, match="not decoded"),
    ):
        call(blocking, UNDECODED)
    assert emulator.requests == []


@pytest.mark.parametrize("make", OPERATIONS.values(), ids=OPERATIONS)
def test_a_new_operation_or_file_with_it_is_rejected(make: Callable[[str], object]) -> None:
    """It is rejected when it is made."""
    with pytest.raises(InvalidInputError, match="not decoded"):
        make(UNDECODED)


async def test_new_text_of_a_guarded_edit_is_rejected(
    client: AsyncExperimentClient, emulator: Emulator, flag: dict[str, Any]
) -> None:
    """Only text that the flag has is written back, not other text of the same kind."""
    with pytest.raises(InvalidInputError, match="not decoded"):
        await client.flags.guarded_edit("1", lambda flag: attrs.evolve(flag, tags=[CUT, UNDECODED]))
    assert emulator.state.flag("1")["tags"] == flag["tags"] == [CUT]


@pytest.mark.usefixtures("flag")
async def test_text_of_the_service_is_written_back(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Guarded edits name it, keep it beside new text, and remove it."""
    await client.flags.tags.add("1", ["new"])
    assert emulator.state.flag("1")["tags"] == [CUT, "new"]
    await client.flags.segments.edit("1", CUT, percentage=20)
    await client.flags.segments.add_values("1", CUT, CUT, ["new"], case="exact")
    (segment,) = emulator.state.flag("1")["targetSegments"]
    assert (segment["name"], segment["percentage"]) == (CUT, 20)
    assert segment["conditions"][0]["values"] == [CUT, "new"]
    await client.flags.tags.remove("1", [CUT])
    assert emulator.state.flag("1")["tags"] == ["new"]
    assert find_emails([CUT]) == []


@pytest.mark.usefixtures("flag")
async def test_a_version_of_the_service_is_restored(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """Its text need not be that of the live flag."""
    await client.flags.edit("1", name="other", tags=["other"])
    await client.restore_version("flags", "1", 1)
    assert (emulator.state.flag("1")["name"], emulator.state.flag("1")["tags"]) == (CUT, [CUT])


@pytest.mark.usefixtures("flag")
async def test_a_plan_writes_text_of_an_export(client: AsyncExperimentClient, emulator: Emulator) -> None:
    """A file has it as an escape, also if the live flag differs by then."""
    text = dumps(await client.export(project_id="1"), format="json")
    assert not await client.plan(loads(text, format="json"))
    await client.flags.edit("1", name="other", tags=["other"], target_segments=[])
    await client.flags.variants.edit("1", "on", payload=None)
    summary = await client.apply(await client.plan(loads(text, format="json")))
    assert summary.failed == 0
    live = emulator.state.flag("1")
    assert (live["name"], live["tags"], live["variants"][0]["payload"]) == (CUT, [CUT], {CUT: CUT})
    assert live["targetSegments"][0]["conditions"][0]["values"] == [CUT]
