"""From what is declared to the plain document that a file holds. Pure."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from amp_exp_async import checks, wire
from amp_exp_async.models import UNSET, Condition

from .nodes import is_array, node_of
from .reading import Reader, between, refuse
from .shapes import CONDITION, EXPERIMENT, FLAG, SCHEMA_KEY, Items, Leaf, Object, Shape
from .state import KINDS, KindName, State, ToggleState, joined

SHAPES: dict[KindName, Object] = {"flags": FLAG, "experiments": EXPERIMENT}


def plain(shape: Shape, value: Any) -> Any:
    """A value as plain JSON, its fields in the order of the format."""
    match shape:
        case Leaf():
            return wire.to_json(value)
        case Items():
            return [plain(shape.of, item) for item in value] if is_array(value) else value
        case Object() if not hasattr(value, "__attrs_attrs__"):
            return wire.to_json(value)
        case Object():
            given = {name: getattr(value, name) for name in shape.fields}
            if shape is CONDITION and value.type == Condition().type:
                given.pop("type")
            return {name: plain(shape.fields[name], item) for name, item in given.items() if item is not UNSET}


def document(state: State, schema: str | None = None) -> dict[str, Any]:
    """The document of a state. A project that all its flags and experiments are of is named once."""
    projects = {toggle.project_id for kind in KINDS for toggle in state.of(kind)}
    shared = projects.pop() if len(projects) == 1 else UNSET
    written: dict[str, Any] = {} if schema is None else {SCHEMA_KEY: schema}
    if shared is not UNSET:
        written["project_id"] = shared
    for kind in KINDS:
        if getattr(state, kind) is not UNSET:
            written[kind] = [_toggle(kind, toggle, shared) for toggle in state.of(kind)]
    return written


def _toggle(kind: KindName, toggle: ToggleState, shared: object) -> dict[str, Any]:
    written: dict[str, Any] = plain(SHAPES[kind], toggle)
    if shared is not UNSET:
        del written["project_id"]
    return written


def checked(state: State) -> State:
    """A state that may have been made in code, checked as a file would be.

    Raises:
        InvalidInputError: it is no state.
        InvalidStateError: it has problems.
    """
    _refuse_others("state", state)
    reader = Reader("")
    made: list[State] = []
    for kind in KINDS:
        if getattr(state, kind) is UNSET:
            continue
        fresh = [toggle for toggle in state.of(kind) if toggle.place is None]
        read = reader.state(node_of({kind: [plain(SHAPES[kind], toggle) for toggle in fresh]}))
        placed = [toggle for toggle in state.of(kind) if toggle.place is not None]
        made += [State(**{kind: placed}), read]
    whole = joined(made)
    refuse([*reader.problems, *between(whole)])
    return whole


def readable(argument: str, state: State) -> State:
    """A state that may have been made in code, each value checked as a file's would be, and not how they go together.

    Args:
        argument: what the caller knows it by.
        state: the state.

    Raises:
        InvalidInputError: it is no state.
        InvalidStateError: a value in it cannot be.
    """
    _refuse_others(argument, state)
    reader = Reader("")
    read: dict[str, list[ToggleState]] = {}
    for kind in KINDS:
        if getattr(state, kind) is not UNSET:
            given = state.of(kind)
            found = reader.state(node_of({kind: [plain(SHAPES[kind], toggle) for toggle in given]})).of(kind)
            refuse(reader.problems)
            read[kind] = [evolve(toggle, place=one.place) for toggle, one in zip(found, given, strict=True)]
    return evolve(state, **read)


def _refuse_others(argument: str, state: object) -> None:
    """Refuse what is no state: a path is a likely mistake."""
    if not isinstance(state, State):
        checks.refuse(argument, "must be a State, as load(path) makes one", state)
