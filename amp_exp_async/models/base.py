"""The base of all models, the sentinel `UNSET`, and the results that every resource shares."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar

from attrs import field, frozen
from attrs.exceptions import FrozenInstanceError

from amp_exp_async.html_tables import html_table
from amp_exp_async.lazy_imports import lazy_module

T = TypeVar("T")

_serialization = lazy_module("amp_exp_async.serialization")  # it is above the models, which need it for one method


class Unset(enum.Enum):
    """The type of `UNSET`. An enum with one member, because type checkers narrow it by `is` and by truth."""

    UNSET = enum.auto()

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""A field that the service did not send, or an argument that is not sent. It is falsy, and is not null (`None`)."""

UnsetType: TypeAlias = Literal[Unset.UNSET]
"""The type of `UNSET` in annotations: `str | UnsetType`."""

Maybe: TypeAlias = T | UnsetType | None
"""A field that can be null (`None`) or missing (`UNSET`)."""

Id: TypeAlias = Annotated[str, "an id"]
"""An ID: always a string, even if the service sends a number."""


@frozen(repr=False)
class Model:
    """The base of the models: values that can be compared, copied and pickled. Change one with `attrs.evolve`.

    Attributes:
        extra: fields that the service sent and this version of the library does not know, by JSON field name. They are
            written back unchanged.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ()
    _table_fields: ClassVar[tuple[str, ...]] = ()

    extra: dict[str, Any] = field(factory=dict[str, Any], kw_only=True)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if vars(cls).get("__setattr__", object.__setattr__) is not object.__setattr__:  # the one of a frozen class
            cls.__setattr__ = _reject_assignment  # type: ignore[method-assign]  # the same error, with advice

    def to_dict(self) -> dict[str, Any]:
        """Return the model as JSON: dicts, lists, strings, numbers, booleans and None, with the API's field names.

        Fields that are `UNSET` are omitted, and those in `extra` are included.

        Example:
            `json.dumps(client.flags.get("123").to_dict())`
        """
        document: dict[str, Any] = _serialization("to_json")(self)
        return document

    def _table_row(self) -> dict[str, object]:
        """Return the columns that a notebook shows of the model in a list."""
        values = ((name, getattr(self, name)) for name in self._table_fields or self._repr_fields)
        return {name: "" if value is UNSET else _short_text(value) for name, value in values}

    def __repr__(self) -> str:
        # A traceback with local variables may show a model that is being parsed, and whose fields are not set yet.
        values = ((name, getattr(self, name, UNSET)) for name in self._repr_fields)
        fields = ", ".join(f"{name}={_short_repr(value)}" for name, value in values if value is not UNSET)
        return f"{type(self).__name__}({fields})"


def _reject_assignment(model: object, name: str, value: object) -> None:
    """Raise an error that says how to change a model, and the object that it shows."""
    error = FrozenInstanceError()
    error.add_note(
        f"A {type(model).__name__} cannot be changed, and nothing was sent. To change the object at the service, call "
        f"edit(id, {name}={value!r}). To change a copy, call attrs.evolve(…, {name}={value!r})."
    )
    raise error


def _short_text(value: object) -> object:
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else value


def _short_repr(value: object) -> str:
    return f"<{value:%Y-%m-%d %H:%M:%S} UTC>" if isinstance(value, datetime) else repr(value)


@frozen(repr=False)
class Created(Model):
    """The result of a creation.

    Attributes:
        id: the ID of the new object.
        url: its page in the app; `UNSET` for a deployment, and for a flag or experiment that was found by reading back.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("id", "url")

    id: Id
    url: Maybe[str] = UNSET


class ResultList(list[T]):
    """A list that notebooks show as a table. Otherwise it is an ordinary list."""

    def _repr_html_(self) -> str:
        return html_table(map(_table_row, self), len(self))


def _table_row(item: object) -> dict[str, object]:
    """Return the columns of an item; an ID has one."""
    make_row = getattr(item, "_table_row", None)
    return {"id": item} if make_row is None else make_row()


@frozen
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: the items of the page.
        next_cursor: the `cursor` of the next page; `None` on the last page.
    """

    items: list[T] = field(repr=lambda items: f"<{len(items)}>")
    next_cursor: str | None = None

    def _repr_html_(self) -> str:
        return html_table(map(_table_row, self.items), len(self.items))
