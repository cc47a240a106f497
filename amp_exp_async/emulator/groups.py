"""Operations on mutex groups and holdout groups."""

from collections.abc import Mapping
from typing import Any, Final

from amp_exp_async.emulator import refusals
from amp_exp_async.emulator.documents import ARCHIVED, SINGULAR, Document, GroupKind, public
from amp_exp_async.emulator.paging import page_response
from amp_exp_async.emulator.routes import OK, EmulatorResponse, RequestContext, json_response, require_changes, route
from amp_exp_async.emulator.validation import (
    Fields,
    HTTPError,
    boolean,
    integer,
    key,
    list_of,
    non_empty_string,
    nullable,
    number_id,
    object_with,
    one_of,
    string,
    validate,
)

_URL: Final = "http://experiment.amplitude.com/amplitude/experiments/grouped-experiments"

_EDIT_SLOT: Final[Fields] = {
    "experiments": list_of(number_id),
    "holdouts": list_of(number_id),
    "individuals": list_of(non_empty_string),
}

_HOLDOUT_MEMBERS: Final[Fields] = {
    "experiments": list_of(number_id),
    "individualInclusion": list_of(non_empty_string),
    "individualExclusion": list_of(non_empty_string),
}

_CREATE_BOTH: Final[Fields] = {
    "projectId": number_id,
    "name": non_empty_string,
    "key": key,
    "description": nullable(string),
    "evaluationMode": one_of("local", "remote"),
    "bucketingKey": non_empty_string,
}

_CREATE: Final[Mapping[GroupKind, Fields]] = {
    "mutexes": {
        **_CREATE_BOTH,
        "bucketingSalt": non_empty_string,
        "slots": list_of(object_with({"percentage": integer(1, 100)}, _EDIT_SLOT), max_items=20),
    },
    "holdouts": {**_CREATE_BOTH, "holdoutPercentage": integer(1, 99), **_HOLDOUT_MEMBERS},
}

_REQUIRED: Final[Mapping[GroupKind, tuple[str, ...]]] = {
    "mutexes": ("projectId", "name", "slots"),
    "holdouts": ("projectId", "name", "holdoutPercentage"),
}

_EDIT_BOTH: Final[Fields] = {"name": non_empty_string, "description": nullable(string), "archive": boolean}
_EDIT: Final[Mapping[GroupKind, Fields]] = {"mutexes": _EDIT_BOTH, "holdouts": {**_EDIT_BOTH, **_HOLDOUT_MEMBERS}}


@route("GET", "/mutexes", groups="mutexes")
@route("GET", "/holdouts", groups="holdouts")
def list_groups(request: RequestContext) -> EmulatorResponse:
    """List groups; archived mutex groups are omitted, since their documents do not show that they are archived."""
    kind = _kind(request)

    def document_of(group: Document) -> Document | None:
        hidden = kind == "mutexes" and group[ARCHIVED[kind]]
        return public(group) if request.api_key.can_see(group["projectId"]) and not hidden else None

    return page_response(request, kind, list(request.state.groups[kind].values()), document_of)


@route("GET", "/mutexes/{id}", groups="mutexes")
@route("GET", "/holdouts/{id}", groups="holdouts")
def get_group(request: RequestContext) -> EmulatorResponse:
    """Get a group, which may be archived."""
    return json_response(public(_group(request)))


@route("POST", "/mutexes", groups="mutexes")
@route("POST", "/holdouts", groups="holdouts")
def create_group(request: RequestContext) -> EmulatorResponse:
    """Create a group, and make its experiments depend on it."""
    request.api_key.require_scope("experiment_groups")
    kind = _kind(request)
    fields = request.fields(_CREATE[kind], _REQUIRED[kind])
    project = fields["projectId"]
    request.api_key.require(project)
    if "key" in fields and fields["key"] in request.state.keys(project):
        raise HTTPError(400, f"The key {fields['key']} already exists in project {project}")
    slots: list[Document] = fields.get("slots", [])
    if kind == "mutexes" and (total := sum(slot["percentage"] for slot in slots)) != 100:
        raise HTTPError(400, f'The percentages of "slots" must add up to 100, not to {total}')
    if request.live is not None:
        for index, slot in enumerate(slots):
            refusals.check_slot(slot, f"slots[{index}].")
    for part in (fields, *slots):
        _require_members(request, project, part)
    return json_response({"id": request.state.add_group(kind, fields)["id"], "url": _URL})


@route("PATCH", "/mutexes/{id}", groups="mutexes")
@route("PATCH", "/holdouts/{id}", groups="holdouts")
def edit_group(request: RequestContext) -> EmulatorResponse:
    """Edit the fields that were sent; if a mutex group is archived, the other fields are ignored."""
    kind, group, body = _kind(request), _group(request), request.body()
    if kind == "mutexes" and body.get("archive") is True:
        body = {"archive": True}
    changes = validate(body, _EDIT[kind])
    require_changes(changes)
    _require_members(request, group["projectId"], changes)
    if changes.get("archive") is True and kind == "holdouts":
        changes["experiments"] = []  # restoring the group does not bring them back
    if "archive" in changes:
        changes[ARCHIVED[kind]] = changes.pop("archive")
    request.state.update_group(kind, request.path["id"], **changes)
    return OK


@route("PATCH", "/mutexes/{id}/slots/{slot}", groups="mutexes")
def edit_slot(request: RequestContext) -> EmulatorResponse:
    """Edit a slot, identified by its `index` from 1; each list that was sent replaces the old one."""
    group, index = _group(request), request.path["slot"]
    if not (index.isascii() and index.isdigit()):
        raise HTTPError(400, f"The slot's index must be an integer, not {index}")
    slots: list[Document] = group["slots"]
    if all(str(slot["index"]) != index for slot in slots):
        raise HTTPError(404, f"Mutex {request.path['id']} has {len(slots)} slots, none with index {index}")
    changes = request.changes(_EDIT_SLOT)
    if request.live is not None:
        refusals.check_slot(changes)
    _require_members(request, group["projectId"], changes)
    edited = [{**slot, **changes} if str(slot["index"]) == index else slot for slot in slots]
    request.state.update_group("mutexes", request.path["id"], slots=edited)
    return OK


def _kind(request: RequestContext) -> GroupKind:
    return "mutexes" if request.path["groups"] == "mutexes" else "holdouts"


def _group(request: RequestContext) -> Document:
    request.api_key.require_scope("experiment_groups")
    kind, id = _kind(request), request.path["id"]
    group = request.state.groups[kind].get(id)
    if group is None:
        raise request.not_found(refusals.FLAG_NOT_FOUND, f"No {SINGULAR[kind]} has ID {id}")
    request.api_key.require(group["projectId"])
    return group


def _require_members(request: RequestContext, project: Any, fields: Document) -> None:
    """Reject the request with 400 if a new member of the group does not exist in the project."""
    for id in fields.get("experiments", []):
        experiment = request.state.stored_flags["experiments"].get(str(id))
        _require_in_project("experiment", id, experiment.document if experiment is not None else None, project)
    for id in fields.get("holdouts", []):
        _require_in_project("holdout", id, request.state.groups["holdouts"].get(str(id)), project)


def _require_in_project(name: str, id: int, document: Document | None, project: Any) -> None:
    if document is None or str(document["projectId"]) != str(project):
        raise HTTPError(400, f"Project {project} has no {name} with ID {id}")
