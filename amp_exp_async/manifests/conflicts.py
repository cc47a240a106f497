"""Whether what a plan saw is still what there is, and what its own earlier run has made of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from amp_exp_async.bulk import Operation
from amp_exp_async.errors import EditConflictError
from amp_exp_async.models import UNSET
from amp_exp_async.resources import FieldChange

from .change import ResourceChange
from .document import is_object
from .operations import operations


def refuse_conflicts(
    planned: Sequence[ResourceChange], fresh: Sequence[ResourceChange], done: Sequence[Sequence[Operation] | None]
) -> None:
    """Refuse a plan if what it saw is not what there is.

    Args:
        planned: its changes.
        fresh: the changes that are due now.
        done: the steps of each change that an earlier run of the plan has done; None where there was no run.

    Raises:
        EditConflictError: something changed in between.
    """
    now = {(change.kind, change.project_id, change.key): change for change in fresh}
    lines: list[str] = []
    for change, steps in zip(planned, done, strict=True):
        other = now.get((change.kind, change.project_id, change.key))
        found = _since_the_plan(change, other) if steps is None else _since_the_run(change, other, steps)
        lines += [f"  {change.target}: {why}" for why in found]
    if lines:
        raise EditConflictError(
            "What the plan saw has changed in between, and nothing was written. Make a new plan.\n" + "\n".join(lines)
        )


def _since_the_plan(planned: ResourceChange, fresh: ResourceChange | None) -> Iterator[str]:
    """What is not as the plan saw it."""
    if fresh is None:
        yield "it is as planned already"
    elif planned.id != fresh.id:
        yield f"its id was {planned.id or 'none'}, and is {fresh.id or 'none'}"
    else:
        for name, then, now in _both(planned, fresh):
            if then != now:
                yield _told(name, then, now)


def _since_the_run(planned: ResourceChange, fresh: ResourceChange | None, done: Sequence[Operation]) -> Iterator[str]:
    """What is neither as the plan saw it, nor as a run of it leaves it that did not come to its end."""
    if fresh is None:
        return
    undone = [name for name, now in fresh.fields.items() if now.before is not UNSET or "." in name]
    if undone and (len(done) == len(operations(planned)) or any(step in done for step in operations(fresh))):
        yield f"the run of this journal has done it, and {', '.join(undone)} changed since: begin a new journal"
        return
    for name, then, now in _both(planned, fresh):
        is_done = name not in fresh.fields
        is_created = planned.id is None and name in planned.fields and then.after == now.after
        if not (is_done or is_created or _is_same(then, now) or _is_between(name, then, now)):
            yield _told(name, then, now)


def _both(planned: ResourceChange, fresh: ResourceChange) -> Iterator[tuple[str, FieldChange, FieldChange]]:
    for name in dict.fromkeys([*planned.fields, *fresh.fields]):
        unchanged = FieldChange(name, UNSET, UNSET)
        yield name, planned.fields.get(name, unchanged), fresh.fields.get(name, unchanged)


def _is_same(then: FieldChange, now: FieldChange) -> bool:
    """Whether a field is as it was. Of a variant that goes, the plan may have read more than what is read again."""
    if then.after is now.after is UNSET and is_object(then.before) and is_object(now.before):
        return all(then.before[name] == now.before[name] for name in then.before.keys() & now.before.keys())
    return then == now


def _is_between(name: str, then: FieldChange, now: FieldChange) -> bool:
    """Whether a list of labels or ids is on its way: some of them were added or taken out."""
    if then.after != now.after or not (name == "deployments" or name.endswith((".users", ".cohorts"))):
        return False
    before, present, after = (set(ids or ()) for ids in (then.before, now.before, then.after))
    return before & after <= present <= before | after


def _told(name: str, then: FieldChange, now: FieldChange) -> str:
    # One that does not change any more is what it was to be.
    present = then.after if now.before is now.after is UNSET else now.before
    return f"{name} was {_short(then.before)}, and is {_short(present)}"


def _short(value: object) -> str:
    text = "not there" if value is UNSET else orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
