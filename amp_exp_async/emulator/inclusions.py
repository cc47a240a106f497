"""The users and cohorts that a variant includes by id: two ordered sets of strings."""

from collections.abc import Collection
from typing import Final

from amp_exp_async.emulator.call import OK, Call, Operation, Reply, json_reply
from amp_exp_async.emulator.fields import ADD_INCLUSIONS, REMOVE_INCLUSIONS
from amp_exp_async.emulator.refusal import Refusal
from amp_exp_async.emulator.store import FlagConfig, Member

_MOST_USERS: Final = 2000


def list_members(member: Member) -> Operation:
    """Get the variant's inclusions."""

    def operation(call: Call) -> Reply:
        toggle = call.toggle()
        return json_reply(toggle.members(call.variant(toggle)["key"], member))

    return operation


def add_members(member: Member) -> Operation:
    """Add ids; one that is there already stays where it is. Beyond the limit of users nothing is added."""

    def operation(call: Call) -> Reply:
        toggle, variant = _to_edit(call)
        ids = call.fields(ADD_INCLUSIONS, required=("inclusions",))["inclusions"]
        merged = list(dict.fromkeys([*toggle.members(variant, member), *ids]))
        if member == "users" and len(merged) > _MOST_USERS:
            raise Refusal(400, f"Variant {variant!r} would have {len(merged)} inclusions; at most {_MOST_USERS} may be")
        return _store(call, toggle, variant, member, merged)

    return operation


def bulk_remove_members(member: Member) -> Operation:
    """Remove at most 100 ids; those that are not there are passed over. The field is `users` for cohorts too."""

    def operation(call: Call) -> Reply:
        toggle, variant = _to_edit(call)
        ids = set(call.fields(REMOVE_INCLUSIONS, required=("users",))["users"])
        return _store(call, toggle, variant, member, [id for id in toggle.members(variant, member) if id not in ids])

    return operation


def remove_user(call: Call) -> Reply:
    """Remove the user who now stands at the index, counted from zero; the ones after move up."""
    toggle, variant = _to_edit(call)
    users, text = toggle.members(variant, "users"), call.path["index"]
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, f"The user's index must be a whole number from 0, not {text!r}")
    index = int(text)
    if index >= len(users):
        raise Refusal(404, f"Variant {variant!r} has {len(users)} users, none at index {index}")
    return _store(call, toggle, variant, "users", [*users[:index], *users[index + 1 :]])


def remove_all_users(call: Call) -> Reply:
    """Remove all users of the variant."""
    toggle, variant = _to_edit(call)
    return _store(call, toggle, variant, "users", [])


def _to_edit(call: Call) -> tuple[FlagConfig, str]:
    toggle = call.toggle_to_edit()
    return toggle, call.variant(toggle)["key"]


def _store(call: Call, toggle: FlagConfig, variant: str, member: Member, ids: Collection[str]) -> Reply:
    toggle.inclusions.setdefault(variant, {})[member] = list(ids)
    call.state.commit(toggle)
    return OK
