"""Optimistic edits: read, change, read again, merge, write, verify."""

from __future__ import annotations

import copy
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar, cast

import attrs

from amp_exp_async import serialization, validation
from amp_exp_async.errors import AmpExpError, APIConnectionError, APIStatusError, EditConflictError, InvalidInputError
from amp_exp_async.formatting import format_value
from amp_exp_async.http import READ_INTERVAL, Request
from amp_exp_async.matching import is_edited
from amp_exp_async.models import UNSET, Condition, Experiment, FlagConfig, Segment
from amp_exp_async.params import EXPERIMENT_EDIT_PARAMS, FLAG_EDIT_PARAMS, reject_change, reject_reversed_dates
from amp_exp_async.validation import Validator

from .base import CollectionResource, operation
from .diff import format_diff, json_equal
from .three_way_merge import MergeConflict, find_lost, merge

FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)

# Fields that a flag shows under another name than an edit takes.
_ATTRIBUTE = {"archive": "deleted"}
# An edit replaces these lists, so they must have been read first.
_REPLACED_LISTS = ("target_segments", "tags")
# Seconds between the reads that verify a write: reads can lag behind writes.
_VERIFY_WAITS = (0.1, 0.2, 0.4, 0.6, 0.7)
_COHORT_TYPE = "cohort"
_COHORT_PROPERTY = "userdata_cohort"


class OptimisticEdit(CollectionResource[FlagConfigT_co]):
    """Edits that reject conflicting changes instead of overwriting them."""

    @operation("GET", "/{kind}/{id}")
    async def read(self, id: str) -> FlagConfigT_co:
        """Return the live flag or experiment. If it lacks a recent edit of this client, read it again for a while."""
        path, recent = self._request(self.read, id=id).path, self._transport.session.recent_writes
        while True:
            live = await self._read_once(id)
            if is_edited(live, recent.edited_fields(path)) is not False:
                return live
            await self._transport.sleep(READ_INTERVAL)

    def _read_once(self, id: str) -> Coroutine[Any, Any, FlagConfigT_co]:
        return self._get(self.read, self._collection.model, id=id)

    @operation("PATCH", "/{kind}/{id}")
    async def _patch(self, id: str, fields: Mapping[str, Any]) -> None:
        await self._send_edit(self._patch, fields, id)

    async def edit(
        self,
        id: str,
        change: Callable[[FlagConfigT_co], FlagConfigT_co | Awaitable[FlagConfigT_co]],
        *,
        base: FlagConfig | None = None,
        dry_run: bool = False,
        reapply: bool = False,
    ) -> FlagConfigT_co:
        """Read a flag, change a copy of it, and write the fields that differ.

        Args:
            id: the flag's ID.
            change: returns a changed copy.
            base: an earlier reading of the flag. By default it is read now.
            dry_run: whether to return the changed copy without writing it.
            reapply: whether to apply the change again to the flag as it is just before the write, instead of merging.
                The change must be idempotent.

        Raises:
            InvalidInputError: If an edit cannot make the change.
            EditConflictError: If someone else changed the same values.
        """
        if not callable(change):
            validation.reject("change", "must be a function that takes the object and returns a changed copy", change)
        before = await self.read(id) if base is None else self.checked_base(id, base)
        with validation.nothing_written():
            edited = change(copy.deepcopy(before))
        if inspect.isawaitable(edited):
            edited = await edited
        if dry_run:
            reject_impossible_edit(before, changed_fields(before, edited))
            return edited
        reapplied = cast("Callable[[FlagConfigT_co], FlagConfigT_co]", change) if reapply else None
        return await self.write(id, before, edited, reapplied)

    def checked_base(self, id: str, base: FlagConfig) -> FlagConfigT_co:
        """Return the earlier reading that an edit starts from.

        Raises:
            InvalidInputError: If it is not a reading of this flag or experiment.
        """
        if not isinstance(base, self._collection.model) or base.id != validation.identifier("id", id):
            validation.reject("base", f"must be the {self._collection.model.__name__} with the ID {id}, as it was read")
        return base

    async def write(
        self,
        id: str,
        base: FlagConfig,
        edited: Any,
        reapply: Callable[[Any], FlagConfig] | None = None,
    ) -> FlagConfigT_co:
        """Write the fields that a changed copy changes, and return the flag as read afterwards.

        Args:
            id: the flag's ID.
            base: the flag as it was read.
            edited: the changed copy.
            reapply: makes the same change to a newer reading.

        Raises:
            InvalidInputError: If an edit cannot make the change.
            EditConflictError: If someone else changed the same values.
            APITimeoutError: If other guarded edits of the flag last until the deadline.
        """
        ours = changed_fields(base, edited)
        if not ours:
            return cast("FlagConfigT_co", base)
        request = self._request(self._patch, {}, id=id)
        path = request.path
        async with self._exclusive(request):
            live = await self.read(id)
            with validation.nothing_written():
                desired = changed_fields(live, reapply(live)) if reapply else _merge_live(path, base, ours, live)
            if not desired:
                return live
            reject_impossible_edit(live, desired)
            with validation.trusted_text():
                fields = validation.changes(editable_fields(base), desired)
            await self._write_steps(id, _steps(fields))
            try:
                return await self._verified(id, path, live, desired, reapply)
            except AmpExpError as error:
                if not isinstance(error, EditConflictError):
                    error.add_note(f"PATCH {path} succeeded. Only the read that verifies it failed.")
                raise

    async def _write_steps(self, id: str, steps: Sequence[Mapping[str, Any]]) -> None:
        """Send an edit per step. If one fails, a note of the error says which were written."""
        for number, fields in enumerate(steps):
            try:
                await self._patch(id, fields)
            except AmpExpError as error:
                if note := _note_on_steps(steps, number, is_unwritten=_is_unwritten(error)):
                    error.add_note(note)
                raise

    async def _verified(
        self,
        id: str,
        path: str,
        before: FlagConfig,
        written: Mapping[str, Any],
        reapply: Callable[[Any], FlagConfig] | None,
    ) -> FlagConfigT_co:
        """Return the live flag after a write, as soon as it has what was written.

        Raises:
            EditConflictError: If it has not after two seconds.
        """
        waits, recent = iter(_VERIFY_WAITS), self._transport.session.recent_writes
        while True:
            live = await self._read_once(id)
            conflicts = find_lost(_current(before, written), written, _current(live, written))
            if not conflicts or (reapply is not None and _is_applied(reapply, live)):
                break
            wait = next(waits, None)
            if wait is None:
                recent.forget(path)
                fact = f"PATCH {path} succeeded, but someone else overwrote it at the same moment"
                raise _conflict_error(fact, conflicts, written=True)
            await self._transport.sleep(wait)
        recent.forget(path)  # this read has shown the write
        return live

    @asynccontextmanager
    async def _exclusive(self, request: Request) -> AsyncGenerator[None, None]:
        """Exclude the other guarded edits of this client from the flag that a request writes."""
        transport, path, locks = self._transport, request.path, self._transport.session.edit_locks
        state = transport.start(request)
        try:
            await locks.acquire(path, state.deadline)
        except TimeoutError:
            raise transport.deadline_error(state, "while it waited for other guarded edits of the same flag") from None
        try:
            yield
        finally:
            locks.release(path)


def editable_fields(flag_config: FlagConfig) -> dict[str, Validator]:
    """Return the fields that an edit can set, with their validators."""
    return EXPERIMENT_EDIT_PARAMS if isinstance(flag_config, Experiment) else FLAG_EDIT_PARAMS


def editable_attributes(flag_config: FlagConfig) -> dict[str, str]:
    """Return the parameters of an edit by the attribute that shows each."""
    return {_ATTRIBUTE.get(name, name): name for name in editable_fields(flag_config)}


@validation.nothing_written()
def changed_fields(base: FlagConfig, edited: Any) -> dict[str, Any]:
    """Return the fields that a changed copy changes, validated, as parameters of an edit.

    Args:
        base: the flag as it was read.
        edited: the changed copy.

    Raises:
        InvalidInputError: If the argument is not a copy, breaks a rule, or has a change that an edit cannot make.
    """
    if not isinstance(edited, type(base)):
        validation.reject("change", f"must return a changed copy of the {type(base).__name__} (attrs.evolve)", edited)
    parameters = editable_attributes(base)
    names = [field.name for field in attrs.fields(type(base))]
    changed = [name for name in names if _differs(getattr(base, name), getattr(edited, name))]
    for name in changed:
        if name not in parameters:
            reject_change(name)
        if getattr(edited, name) is UNSET:
            validation.reject(name, "must have a value: UNSET is not sent, so the field would stay unchanged")
    require_loaded(base, changed)
    values = {parameters[name]: getattr(edited, name) for name in changed}
    if "target_segments" in values:
        values["target_segments"] = validation.sequence("target_segments", values["target_segments"])
        reject_cohort_conditions(*(base.target_segments or ()), *values["target_segments"])
    with validation.trusted_text(lambda text: text in set(validation.texts(serialization.to_json(base)))):
        return validation.fields(editable_fields(base), values)


def _differs(before: Any, after: Any) -> bool:
    try:
        return not json_equal(before, after)
    except (TypeError, ValueError):
        return True  # such as an array of numpy: its validator rejects it


def require_loaded(flag_config: FlagConfig, fields: Container[str]) -> None:
    """Raise `InvalidInputError` if a list that is to be replaced was not in the service's response.

    Args:
        flag_config: the flag as it was read.
        fields: the names of the fields to write.
    """
    for name in _REPLACED_LISTS:
        if name in fields and getattr(flag_config, name) is UNSET:
            validation.reject(
                name, "the response did not include this list, so its items would be lost: use edit to replace it"
            )


@validation.nothing_written()
def reject_impossible_edit(flag_config: FlagConfig, fields: Mapping[str, Any]) -> None:
    """Raise `InvalidInputError` if an edit makes no sense for a flag.

    It would enable what has no deployment, give weights to a variant that does not exist, or end before it starts.

    Args:
        flag_config: the flag as it was read.
        fields: the fields to write.
    """
    if fields.get("enabled") is True and flag_config.deployments == []:
        validation.reject(
            "enabled",
            "cannot be true without a deployment",
            advice="Add a deployment first.",
            code_advice=f"Call deployments.add({format_value(flag_config.id)}, [deployment_id]).",
        )
    if "start_date" in fields or "end_date" in fields:
        values = {name: fields.get(name, getattr(flag_config, name)) for name in ("start_date", "end_date")}
        reject_reversed_dates(values["start_date"], values["end_date"])
    keys = [variant.key for variant in flag_config.variants or ()]
    # Weights may have been left behind by a variant that was removed: they are no mistake of this edit.
    known = {*keys, *(key for _, key in _weighted_variants(flag_config.target_segments))}
    for segment, key in _weighted_variants(fields.get("target_segments")):
        if key not in known:
            rule = f"has weights of a segment, {format_value(segment)}, for a variant that does not exist"
            validation.reject("target_segments", f"{rule} (there are: {', '.join(keys) or 'none'})", key)


def _weighted_variants(segments: Any) -> Iterator[tuple[Any, str]]:
    """Yield the name of each segment with each variant that it gives a weight."""
    for segment in segments or ():
        if isinstance(segment, Segment):
            yield from ((segment.name, key) for key in segment.rollout_weights or ())


def reject_cohort_conditions(*segments: Any) -> None:
    """Raise `InvalidInputError` if a segment has a cohort condition, which the API would drop."""
    for segment in segments:
        if isinstance(segment, Segment) and any(map(_is_on_cohort, segment.conditions or ())):
            validation.reject(
                "target_segments",
                f"the segment {format_value(segment.name)} has a cohort condition, which the API "
                "cannot write and would drop: change the segments of this flag in the Amplitude app",
            )


def _is_on_cohort(condition: Any) -> bool:
    return isinstance(condition, Condition) and (
        _COHORT_TYPE in str(condition.type).lower() or condition.prop == _COHORT_PROPERTY
    )


def _current(flag_config: FlagConfig, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the named fields of an edit."""
    values = {field: getattr(flag_config, _ATTRIBUTE.get(field, field)) for field in fields}
    if "rolled_out_variant" in values:
        values["rolled_out_variant"] = _variant_key(flag_config, values["rolled_out_variant"])
    return values


def _variant_key(flag_config: FlagConfig, name: Any) -> Any:
    """Return the key of the variant with a key or a name: the service shows either."""
    variants = flag_config.variants or ()
    keys = [variant.key for variant in variants if variant.name == name]
    return keys[0] if len(keys) == 1 and name not in {variant.key for variant in variants} else name


def _merge_live(path: str, base: FlagConfig, ours: Mapping[str, Any], live: FlagConfig) -> dict[str, Any]:
    """Merge our changes into the live flag, and return the fields to write."""
    require_loaded(live, ours)
    theirs = _current(live, ours)
    merged, conflicts = merge(_current(base, ours), ours, theirs)
    if conflicts:
        raise _conflict_error(f"PATCH {path} was not sent: someone else changed the same values", conflicts)
    desired = {field: value for field, value in merged.items() if not json_equal(value, theirs[field])}
    if "target_segments" in desired:
        reject_cohort_conditions(*(live.target_segments or ()))
    return desired


def _steps(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the edits to send: the service edits no archived flag, and refuses `archive` with other fields."""
    others = {name: value for name, value in fields.items() if name != "archive"}
    restore, archive = [{"archive": False}], [{"archive": True}]
    if not others:
        return [dict(fields)]
    if "archive" not in fields:
        return [others]
    return [others, *archive] if fields["archive"] else [*restore, others]


def _is_unwritten(error: AmpExpError) -> bool:
    """Return whether the error of a write shows for certain that it was not applied."""
    if isinstance(error, APIStatusError):  # with several attempts, an earlier one may have been applied
        return error.status < HTTPStatus.INTERNAL_SERVER_ERROR and error.attempts <= 1
    return isinstance(error, APIConnectionError) and not error.sent


def _note_on_steps(steps: Sequence[Mapping[str, Any]], failed: int, *, is_unwritten: bool) -> str:
    """Return which of several steps were written, may have been, and remain; empty if certainly none was written."""
    if len(steps) == 1 or (failed == 0 and is_unwritten):
        return ""
    rest = failed if is_unwritten else failed + 1
    parts = {"were written": steps[:failed], "may have been written": steps[failed:rest], "remain": steps[rest:]}
    descriptions = {verb: ", ".join(map(_describe_step, part)) for verb, part in parts.items() if part}
    return " ".join(f"Steps that {verb}: {description}." for verb, description in descriptions.items())


def _describe_step(fields: Mapping[str, Any]) -> str:
    if "archive" in fields:
        return "archive" if fields["archive"] else "restore"
    return f"edit {', '.join(fields)}"


def _is_applied(reapply: Callable[[Any], FlagConfig], live: FlagConfig) -> bool:
    try:
        return not changed_fields(live, reapply(live))
    except InvalidInputError:
        return False


def _conflict_error(fact: str, conflicts: Sequence[MergeConflict], *, written: bool = False) -> EditConflictError:
    first, *others = conflicts
    ours, theirs = (
        "; ".join(format_diff(first.location, first.base, side)) or f"{first.location}: unchanged"
        for side in (first.ours, first.theirs)
    )
    also = f" Also in conflict: {', '.join(conflict.location for conflict in others)}." if others else ""
    return EditConflictError(
        f"{fact}. Yours: {ours}. Theirs: {theirs}.{also} Read the flag again and decide which value is right.",
        field=first.location,
        base=first.base,
        ours=first.ours,
        theirs=first.theirs,
        written=written,
    )
