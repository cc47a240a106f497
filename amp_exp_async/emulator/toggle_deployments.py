"""The deployments that a flag or an experiment is assigned to."""

from collections.abc import Iterable

from amp_exp_async.emulator.call import OK, Call, Reply, json_reply
from amp_exp_async.emulator.documents import public
from amp_exp_async.emulator.fields import ADD_DEPLOYMENTS
from amp_exp_async.emulator.refusal import Refusal


def list_toggle_deployments(call: Call) -> Reply:
    """List the deployments as full objects."""
    stored = call.state.stored_deployments
    return json_reply([public(stored[str(id)]) for id in call.toggle().document["deployments"] if str(id) in stored])


def add_deployments(call: Call) -> Reply:
    """Add deployments; one that is there already stays once."""
    toggle = call.toggle_to_edit()
    ids = call.fields(ADD_DEPLOYMENTS, required=("deployments",))["deployments"]
    require_deployments(call, ids)
    there = [str(id) for id in toggle.document["deployments"]]
    call.state.commit(toggle, deployments=list(dict.fromkeys([*there, *ids])))
    return OK


def remove_deployment(call: Call) -> Reply:
    """Remove a deployment: 404 if the flag is not assigned to it."""
    toggle = call.toggle_to_edit()
    there, id = toggle.document["deployments"], call.path["deployment"]
    left = [other for other in there if str(other) != id]
    if len(left) == len(there):
        raise Refusal(404, f"{call.kind[:-1].title()} {call.path['id']} has no deployment {id!r}")
    call.state.commit(toggle, deployments=left)
    return OK


def require_deployments(call: Call, ids: Iterable[str]) -> None:
    """Refuse with 400 if one of the deployments does not exist, with 403 if the key may not see it."""
    for id in ids:
        deployment = call.state.stored_deployments.get(id)
        if deployment is None:
            raise Refusal(400, f"There is no deployment with id {id!r}")
        call.caller.require(deployment["projectId"])
