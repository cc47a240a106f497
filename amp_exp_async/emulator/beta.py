"""The operations of the Beta API that differ from those of version 1."""

from amp_exp_async.emulator.call import OK, Call, Operation, Reply, json_reply
from amp_exp_async.emulator.documents import public
from amp_exp_async.emulator.fields import BETA_CREATE, BETA_ROLLOUT_WEIGHTS
from amp_exp_async.emulator.toggles import add_toggle, page_of_toggles


def list_toggles(call: Call) -> Reply:
    """List flags or experiments; this list has no filters, and no archived ones."""
    return page_of_toggles(call, lambda document: not document["deleted"])


def create_experiment(call: Call) -> Reply:
    """Create an experiment, and answer the experiment itself."""
    return json_reply(public(add_toggle(call, call.fields(BETA_CREATE, required=("projectId", "key")))))


def set_enabled(enabled: bool) -> Operation:
    """Activate or deactivate an experiment, whether or not it is already; a body is not looked at."""

    def operation(call: Call) -> Reply:
        call.state.commit(call.toggle_to_edit(), enabled=enabled)
        return OK

    return operation


def set_rollout_weights(call: Call) -> Reply:
    """Set the rollout weights, all of them."""
    toggle = call.toggle_to_edit()
    call.state.commit(toggle, **call.fields(BETA_ROLLOUT_WEIGHTS, required=("rolloutWeights",)))
    return OK
