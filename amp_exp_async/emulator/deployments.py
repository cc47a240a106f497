"""Operations on deployments."""

from typing import Final

from amp_exp_async.emulator import refusals
from amp_exp_async.emulator.documents import Document, public
from amp_exp_async.emulator.paging import page_response
from amp_exp_async.emulator.routes import OK, EmulatorResponse, RequestContext, beta_route, json_response, route
from amp_exp_async.emulator.validation import Fields, HTTPError, boolean, key, non_empty_string, one_of

_CREATE: Final[Fields] = {"projectId": non_empty_string, "label": key, "type": one_of("client", "server")}
_EDIT: Final[Fields] = {"label": key, "archive": boolean}


@route("GET", "/deployments")
@beta_route("GET", "/deployments/list")
def list_deployments(request: RequestContext) -> EmulatorResponse:
    """List deployments, archived ones included."""

    def document_of(document: Document) -> Document | None:
        return public(document) if request.api_key.can_see(document["projectId"]) else None

    return page_response(request, "deployments", list(request.state.stored_deployments.values()), document_of)


@route("POST", "/deployments")
def create_deployment(request: RequestContext) -> EmulatorResponse:
    """Create a deployment; its label need not be unique."""
    request.api_key.require_scope("experimentation")
    fields = request.fields(_CREATE, required=("projectId", "label", "type"))
    request.api_key.require(fields["projectId"])
    fields["_type"] = fields.pop("type")
    return json_response({"id": request.state.add_deployment(**fields)["id"]})


@route("PATCH", "/deployments/{id}")
def edit_deployment(request: RequestContext) -> EmulatorResponse:
    """Edit the label, archive or restore."""
    request.api_key.require_scope("experimentation")
    id = request.path["id"]
    deployment = request.state.stored_deployments.get(id)
    if deployment is None:
        raise HTTPError(404, f"No deployment has ID {id}")
    request.api_key.require(deployment["projectId"])
    changes = request.changes(_EDIT)
    if request.live is not None and changes.get("archive") is True:
        refusals.check_archive_deployment(request.state, id)
    if "archive" in changes:
        changes["deleted"] = changes.pop("archive")
    request.state.update_deployment(id, **changes)
    return OK
