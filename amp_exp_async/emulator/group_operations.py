"""Mutex groups and holdout groups: list, get, create, edit, and edit a slot."""

from typing import Any, Final

from amp_exp_async.emulator.call import OK, Call, Operation, Reply, json_reply
from amp_exp_async.emulator.checks import checked
from amp_exp_async.emulator.documents import Document, public
from amp_exp_async.emulator.fields import CREATE_GROUP, EDIT_GROUP, EDIT_SLOT, REQUIRED_OF_GROUP
from amp_exp_async.emulator.groups import ARCHIVED, GROUP_NAMES, GroupKind
from amp_exp_async.emulator.paging import page
from amp_exp_async.emulator.refusal import Refusal

_URL: Final = "http://experiment.amplitude.com/amplitude/experiments/grouped-experiments"


def list_groups(kind: GroupKind) -> Operation:
    """List the groups that the key may see; archived ones only where the document can tell."""

    def operation(call: Call) -> Reply:
        def shown(group: Document) -> Document | None:
            hidden = kind == "mutexes" and group[ARCHIVED[kind]]
            return public(group) if call.caller.sees(group["projectId"]) and not hidden else None

        return page(call, kind, list(call.state.groups[kind].values()), shown)

    return operation


def get_group(kind: GroupKind) -> Operation:
    """Get details, of an archived group too."""
    return lambda call: json_reply(public(_group(call, kind)))


def create_group(kind: GroupKind) -> Operation:
    """Create a group; its experiments depend on it from then on."""

    def operation(call: Call) -> Reply:
        fields = call.fields(CREATE_GROUP[kind], REQUIRED_OF_GROUP[kind])
        project = fields["projectId"]
        call.caller.require(project)
        if "key" in fields and fields["key"] in call.state.keys(project):
            raise Refusal(400, f"The key {fields['key']!r} already exists in project {project}")
        slots: list[Document] = fields.get("slots", [])
        if kind == "mutexes" and (total := sum(slot["percentage"] for slot in slots)) != 100:
            raise Refusal(400, f'The percentages of "slots" must add up to 100, not to {total}')
        for part in (fields, *slots):
            _require_members(call, project, part)
        return json_reply({"id": call.state.add_group(kind, fields)["id"], "url": _URL})

    return operation


def edit_group(kind: GroupKind) -> Operation:
    """Edit: what was sent is set. Of a mutex group that is to be archived nothing else is looked at."""

    def operation(call: Call) -> Reply:
        group, body = _group(call, kind), call.body()
        if kind == "mutexes" and body.get("archive") is True:
            body = {"archive": True}
        changes = checked(body, EDIT_GROUP[kind])
        _require_some(changes)
        _require_members(call, group["projectId"], changes)
        if "archive" in changes:
            changes[ARCHIVED[kind]] = changes.pop("archive")
        call.state.commit_group(kind, call.path["id"], **changes)
        return OK

    return operation


def edit_slot(call: Call) -> Reply:
    """Edit a slot, which the path names by its `index`, counted from 1: a list that was sent replaces the old one."""
    group, text = _group(call, "mutexes"), call.path["slot"]
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, f"The slot's index must be a whole number, not {text!r}")
    slots: list[Document] = group["slots"]
    if all(str(slot["index"]) != text for slot in slots):
        raise Refusal(404, f"Mutex {call.path['id']} has {len(slots)} slots, none with index {text}")
    changes = call.fields(EDIT_SLOT)
    _require_some(changes)
    _require_members(call, group["projectId"], changes)
    edited = [{**slot, **changes} if str(slot["index"]) == text else slot for slot in slots]
    call.state.commit_group("mutexes", call.path["id"], slots=edited)
    return OK


def _group(call: Call, kind: GroupKind) -> Document:
    """The group that the path names: 404 if there is none, 403 if the key may not see it."""
    id = call.path["id"]
    group = call.state.groups[kind].get(id)
    if group is None:
        raise Refusal(404, f"There is no {GROUP_NAMES[kind]} with id {id!r}")
    call.caller.require(group["projectId"])
    return group


def _require_some(changes: Document) -> None:
    if not changes:
        raise Refusal(400, "The body has no field to change")


def _require_members(call: Call, project: Any, fields: Document) -> None:
    """Refuse with 400 if an experiment or a holdout group that is to be a member does not exist in the project."""
    for id in fields.get("experiments", []):
        toggle = call.state.toggles["experiments"].get(str(id))
        _require_in_project("experiment", id, toggle.document if toggle is not None else None, project)
    for id in fields.get("holdouts", []):
        _require_in_project("holdout", id, call.state.groups["holdouts"].get(str(id)), project)


def _require_in_project(name: str, id: int, document: Document | None, project: Any) -> None:
    if document is None or str(document["projectId"]) != str(project):
        raise Refusal(400, f"There is no {name} with id {id} in project {project}")
