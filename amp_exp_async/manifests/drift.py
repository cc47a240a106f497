"""Drift: live flags, and what they refer to, that changed between a plan and its application."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from attrs import frozen

from amp_exp_async.bulk import Operation
from amp_exp_async.bulk.journal import JournalRecord
from amp_exp_async.errors import EditConflictError
from amp_exp_async.escaping import escape
from amp_exp_async.formatting import format_value
from amp_exp_async.models import UNSET
from amp_exp_async.resources import FieldChange

from .change import Identity, ResourceChange
from .document import is_object, json_equal
from .operations import INCLUSION_SUFFIXES, is_undone, operations_for
from .references import ResolvedIDs

_MAX_VALUE = 60
# What a flag has none of when it has just been created. Other fields may have a default of the service.
_EMPTY_WHEN_CREATED = ("enabled", "rollout_percentage", "target_segments", "tags", *INCLUSION_SUFFIXES)


@frozen
class EarlierRun:
    """The part of one change that an earlier run of the plan applied, according to its journal.

    Attributes:
        done: the operations that it completed.
        created_id: the ID of the flag that it created; None if it created none, or if its journal does not say.
    """

    done: Sequence[Operation]
    created_id: str | None

    @classmethod
    def of(cls, operations: Iterable[Operation], records: Sequence[JournalRecord]) -> Self:
        """Return what the journal has of the operations of a change."""
        done = [operation for operation, record in zip(operations, records, strict=True) if record.is_done]
        return cls(done, next((record.created_id for record in records if record.created_id), None))


def raise_for_drift(
    planned: Sequence[ResourceChange],
    current: Sequence[ResourceChange],
    ids: Mapping[Identity, ResolvedIDs],
    earlier: Sequence[EarlierRun | None],
) -> None:
    """Raise if the live flags are not as the plan saw them.

    Args:
        planned: the changes of the plan.
        current: the changes of a new plan for the same manifest.
        ids: the IDs that the names in the manifest stand for now, also those of flags that no longer change.
        earlier: for each planned change, the part that an earlier run applied; None if there was no earlier run.

    Raises:
        EditConflictError: If a live flag changed since the plan was made.
    """
    current_by_identity = {change.identity: change for change in current}
    lines: list[str] = []
    for change, run in zip(planned, earlier, strict=True):
        drift = [*_identity_drift(change, ids.get(change.identity), run)]
        if not drift:  # otherwise the values may be those of another flag
            drift = [*_value_drift(change, current_by_identity.get(change.identity), run)]
        lines += [f"{change.target}: {difference}" for difference in drift]
    if lines:
        raise drift_error(lines)


def drift_error(differences: Iterable[str]) -> EditConflictError:
    """Return the error that lists differences from what the plan saw."""
    fact = "Live flags, or what they refer to, changed since the plan was made. Nothing was written. Create a new plan."
    return EditConflictError("\n".join([fact, *(f"  {escape(difference)}" for difference in differences)]))


def _identity_drift(planned: ResourceChange, ids: ResolvedIDs | None, run: EarlierRun | None) -> Iterator[str]:
    """Yield the names that stand for other objects than they did. What the plan creates had no ID before that.

    This holds also if nothing is left to change, because a rerun repeats operations that failed with the IDs of the
    plan.
    """
    if ids is None:
        yield "the API can no longer plan it"
        return
    id = planned.id or (run and run.created_id)
    if id is not None and id != ids.id:
        yield f"ID was {id}, is now {ids.id or 'none'}"
    for noun, then, now in (
        ("deployment", planned.deployments, ids.deployments),
        ("parent", planned.parents, ids.parents),
    ):
        for name in then.keys() & now.keys():
            if then[name] and then[name] != now[name]:
                yield f"{noun} {format_value(name)} had ID {then[name]}, now has ID {now[name] or 'none'}"


def _value_drift(planned: ResourceChange, current: ResourceChange | None, run: EarlierRun | None) -> Iterator[str]:
    """Yield the fields that are not as the plan saw them, or as an earlier run of it left them."""
    if run is None:
        yield from _plan_drift(planned, current)
    elif current is not None:
        yield from _rerun_drift(planned, current, run.done)


def _plan_drift(planned: ResourceChange, current: ResourceChange | None) -> Iterator[str]:
    """Yield the differences from what the plan saw."""
    if current is None:
        yield "already as planned"
    elif planned.id != current.id:
        yield f"ID was {planned.id or 'none'}, is now {current.id or 'none'}"
    else:
        for name, then, now in _pairs(planned, current):
            if not _is_equal(then, now):
                yield _format_drift(name, then, now)


def _rerun_drift(planned: ResourceChange, current: ResourceChange, done: Sequence[Operation]) -> Iterator[str]:
    """Yield the differences from what the plan saw that an unfinished run of the same plan does not explain."""
    pending = operations_for(current)
    undone = [
        name
        for name, now in current.fields.items()
        if not _is_listed_only(name, now) and any(is_undone(operation, name, now, pending) for operation in done)
    ]
    if undone:
        yield f"{', '.join(undone)} changed after the run in this journal applied it: start a new journal"
        return
    for name, then, now in _pairs(planned, current):
        is_done = name not in current.fields or (_is_listed_only(name, now) and json_equal(then.after, now.after))
        is_restored = name == "archived" and then.before is then.after is now.after is True and now.before is False
        if not (
            is_done
            or is_restored
            or (planned.id is None and _is_new(name, then, now))
            or _is_same(then, now)
            or _is_partial(name, then, now)
        ):
            yield _format_drift(name, then, now)


def _is_listed_only(name: str, change: FieldChange) -> bool:
    """Return whether a plan only says that a flag that it archives is, or is not, enabled."""
    return name == "enabled" and json_equal(change.before, change.after)


def _is_new(name: str, then: FieldChange, now: FieldChange) -> bool:
    """Return whether a field may have the value that it got when the plan created its flag."""
    is_planned = then.after is not UNSET and json_equal(then.after, now.after)
    return is_planned and not (now.before and name.endswith(_EMPTY_WHEN_CREATED))


def _pairs(planned: ResourceChange, current: ResourceChange) -> Iterator[tuple[str, FieldChange, FieldChange]]:
    """Yield the fields of both changes, each with what they say of it."""
    for name in dict.fromkeys([*planned.fields, *current.fields]):
        unchanged = FieldChange(name, UNSET, UNSET)
        then, now = planned.fields.get(name, unchanged), current.fields.get(name, unchanged)
        # Plans of earlier versions do not say whether a flag that they archive was enabled.
        if name in planned.fields or name != "enabled" or now.before != now.after:
            yield name, then, now


def _is_same(then: FieldChange, now: FieldChange) -> bool:
    """Return whether a field is unchanged. Of a variant to be removed the plan may have read more fields."""
    if then.after is now.after is UNSET and is_object(then.before) and is_object(now.before):
        return all(then.before[name] == now.before[name] for name in then.before.keys() & now.before.keys())
    return _is_equal(then, now)


def _is_equal(then: FieldChange, now: FieldChange) -> bool:
    return json_equal(then.before, now.before) and json_equal(then.after, now.after)


def _is_partial(name: str, then: FieldChange, now: FieldChange) -> bool:
    """Return whether a list of labels or IDs is partly applied: some items were added or removed."""
    if then.after != now.after or not (name == "deployments" or name.endswith(INCLUSION_SUFFIXES)):
        return False
    before, live, after = (set(ids or ()) for ids in (then.before, now.before, then.after))
    return before & after <= live <= before | after


def _format_drift(name: str, then: FieldChange, now: FieldChange) -> str:
    is_as_desired = now.before is now.after is UNSET  # the field no longer changes
    live = then.after if is_as_desired else now.before
    if json_equal(then.before, live):
        return f"{name} was to become {_format_side(then.after)}, is now to become {_format_side(now.after)}"
    return f"{name} was {_format_side(then.before)}, is now {_format_side(live)}"


def _format_side(value: object) -> str:
    return "absent" if value is UNSET else format_value(value, _MAX_VALUE)
