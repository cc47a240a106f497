"""An export over what files declare already: what it has not looked at stays. Pure."""

from __future__ import annotations

from amp_exp_async.models import UNSET

from .spec import KINDS, FlagConfigSpec, Manifest


def with_kept(state: Manifest, present: Manifest) -> Manifest:
    """A state with what is declared outside of its scope, in the order of what is there.

    Args:
        state: the state; one without a scope is the whole, and stays as it is.
        present: what is declared already.
    """
    scope = state.scope
    if scope is None:
        return state
    given: dict[str, list[FlagConfigSpec]] = {}
    for kind in KINDS:
        fresh = {id(toggle): toggle for toggle in state.of(kind)}
        by_key: dict[str, list[FlagConfigSpec]] = {}
        for toggle in fresh.values():
            by_key.setdefault(toggle.key, []).append(toggle)
        whole: list[FlagConfigSpec] = []
        for old in present.of(kind):
            found = [toggle for toggle in by_key.get(old.key, ()) if _is_one(old, toggle)]
            whole += [fresh.pop(id(toggle)) for toggle in found if id(toggle) in fresh]
            if not (found or scope.covers(old)):
                whole.append(old)
        if whole or UNSET not in (getattr(state, kind), getattr(present, kind)) or fresh:
            given[kind] = [*whole, *fresh.values()]
    return Manifest(**given, scope=scope)


def _is_one(old: FlagConfigSpec, new: FlagConfigSpec) -> bool:
    """Whether two declarations of one key are of one flag. One that names no project is of any."""
    return old.project_id == new.project_id or UNSET in (old.project_id, new.project_id)
