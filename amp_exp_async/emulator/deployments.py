"""The deployments of the projects: list, create, edit."""

from amp_exp_async.emulator.call import OK, Call, Reply, json_reply
from amp_exp_async.emulator.documents import Document, public
from amp_exp_async.emulator.fields import CREATE_DEPLOYMENT, EDIT_DEPLOYMENT
from amp_exp_async.emulator.paging import page
from amp_exp_async.emulator.refusal import Refusal


def list_deployments(call: Call) -> Reply:
    """List deployments, archived ones included, those that the key may see."""

    def shown(document: Document) -> Document | None:
        return public(document) if call.caller.sees(document["projectId"]) else None

    return page(call, "deployments", list(call.state.stored_deployments.values()), shown)


def create_deployment(call: Call) -> Reply:
    """Create a deployment; a second one with the same label is another deployment."""
    fields = call.fields(CREATE_DEPLOYMENT, required=("projectId", "label", "type"))
    call.caller.require(fields["projectId"])
    fields["_type"] = fields.pop("type")
    return json_reply({"id": call.state.add_deployment(**fields)["id"]})


def edit_deployment(call: Call) -> Reply:
    """Edit the label, archive or restore."""
    id = call.path["id"]
    deployment = call.state.stored_deployments.get(id)
    if deployment is None:
        raise Refusal(404, f"There is no deployment with id {id!r}")
    call.caller.require(deployment["projectId"])
    changes = call.fields(EDIT_DEPLOYMENT)
    if not changes:
        raise Refusal(400, "The body has no field to change")
    if "archive" in changes:
        changes["deleted"] = changes.pop("archive")
    call.state.commit_deployment(id, **changes)
    return OK
