"""Flags and experiments themselves: list, get, create, edit, and their versions."""

from collections.abc import Callable
from typing import Any

from amp_exp_async.emulator.call import OK, Call, Reply, json_reply
from amp_exp_async.emulator.documents import Document, public
from amp_exp_async.emulator.fields import CREATE, EDIT
from amp_exp_async.emulator.paging import page
from amp_exp_async.emulator.refusal import Refusal
from amp_exp_async.emulator.store import FlagConfig
from amp_exp_async.emulator.toggle_deployments import require_deployments


def list_toggles(call: Call) -> Reply:
    """List flags or experiments, those that the key may see."""
    key, project = call.query.get("key"), call.query.get("projectId")
    archived = _flag_in_query(call, "includeArchived")
    if project is not None:
        call.caller.require(project)
    return page_of_toggles(
        call,
        lambda document: (
            (archived or not document["deleted"])
            and key in (None, document["key"])
            and project in (None, str(document["projectId"]))
        ),
    )


def page_of_toggles(call: Call, wanted: Callable[[Document], bool]) -> Reply:
    """A page of those flags or experiments that are wanted and that the key may see."""

    def shown(toggle: FlagConfig) -> Document | None:
        document = toggle.document
        return public(document) if wanted(document) and call.caller.sees(document["projectId"]) else None

    return page(call, call.kind, list(call.state.toggles[call.kind].values()), shown)


def get_toggle(call: Call) -> Reply:
    """Get details."""
    return json_reply(public(call.toggle().document))


def create_toggle(call: Call) -> Reply:
    """Create a flag or an experiment in its first version."""
    created = add_toggle(call, call.fields(CREATE[call.kind], required=("projectId", "key")))
    id, project = created["id"], created["projectId"]
    return json_reply({"id": id, "url": f"http://experiment.amplitude.com/amplitude/{project}/config/{id}"})


def add_toggle(call: Call, fields: Document) -> Document:
    """Add a flag or an experiment with fields that will do one by one. Returns its document."""
    project, key = fields["projectId"], fields["key"]
    call.caller.require(project)
    for toggle in call.state.toggles[call.kind].values():
        if toggle.document["key"] == key and str(toggle.document["projectId"]) == project:
            raise Refusal(400, f"A {call.kind[:-1]} with key {key!r} already exists in project {project}")
    keys = [variant["key"] for variant in fields.get("variants", [])]
    if len(keys) != len(set(keys)):
        raise Refusal(400, '"variants" has the same key twice')
    require_deployments(call, fields.get("deployments", []))
    return call.state.add(call.kind, fields)


def edit_toggle(call: Call) -> Reply:
    """Edit: fields that were sent are set, null included; the others stay."""
    toggle = call.toggle_to_edit()
    changes: dict[str, Any] = call.fields(EDIT[call.kind])
    if not changes:
        raise Refusal(400, "The body has no field to change")
    if "archive" in changes:
        changes["deleted"] = changes.pop("archive")
    call.state.commit(toggle, **changes)
    return OK


def list_versions(call: Call) -> Reply:
    """List versions, the newest first."""
    return json_reply(call.toggle().versions[::-1])


def get_version(call: Call) -> Reply:
    """Get version details."""
    wanted = call.path["version"]
    for version in call.toggle().versions:
        if str(version["version"]) == wanted:
            return json_reply(version)
    raise Refusal(404, f"{call.kind[:-1].title()} {call.path['id']} has no version {wanted!r}")


def _flag_in_query(call: Call, name: str) -> bool:
    text = call.query.get(name, "false")
    if text not in ("true", "false"):
        raise Refusal(400, f'"{name}" must be true or false, not {text!r}')
    return text == "true"
