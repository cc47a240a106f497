"""The versions of all flags and experiments: list."""

from datetime import datetime

from amp_exp_async.emulator.call import Call, Reply
from amp_exp_async.emulator.documents import Document, moment
from amp_exp_async.emulator.paging import page
from amp_exp_async.emulator.refusal import Refusal
from amp_exp_async.emulator.store import FlagConfig


def list_all_versions(call: Call) -> Reply:
    """List the versions made from the start on and before the end, of every project that the key may see.

    Their cursor is a number, whatever those of the other lists are.
    """
    start, end = _moment_in_query(call, "start"), _moment_in_query(call, "end")

    def shown(entry: tuple[FlagConfig, Document]) -> Document | None:
        toggle, version = entry
        if not call.caller.sees(toggle.document["projectId"]):
            return None
        created = moment(version["createdAt"])
        return version if (start is None or start <= created) and (end is None or created < end) else None

    return page(call, "versions", call.state.history, shown, cursor_type="number")


def _moment_in_query(call: Call, name: str) -> datetime | None:
    text = call.query.get(name)
    if text is None:
        return None
    try:
        return moment(text)
    except ValueError:
        raise Refusal(400, f'"{name}" must be a date in ISO 8601, not {text!r}') from None
