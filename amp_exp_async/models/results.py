"""What operations answer besides flags and experiments."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from attrs import field, frozen

from ._base import Id, Maybe, Model
from ._unset import UNSET
from .toggles import FlagConfig

T = TypeVar("T")
FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)


@frozen(repr=False)
class Created(Model):
    """What was created.

    Attributes:
        id: the new object's id.
        url: its page in the app; `UNSET` for a deployment, and for a flag or experiment that had to be found by
            reading back.
    """

    shown: ClassVar[tuple[str, ...]] = ("id", "url")

    id: Id
    url: Maybe[str] = UNSET


@frozen(repr=False)
class Deployment(Model):
    """A deployment: what flags and experiments are delivered to.

    Attributes:
        id: the deployment's id.
        project_id: the project's id.
        label: letters, digits, `_` and `-`.
        key: the deployment key with which variants are fetched (not a management key).
        deleted: whether it is archived.
    """

    shown: ClassVar[tuple[str, ...]] = ("id", "label", "deleted")

    id: Id
    project_id: Maybe[Id] = UNSET
    label: Maybe[str] = UNSET
    key: Maybe[Id] = UNSET
    deleted: Maybe[bool] = UNSET


@frozen(repr=False, kw_only=True)
class Version(Model, Generic[FlagConfigT_co]):
    """A version of a flag or experiment.

    Attributes:
        version: its number, from 1.
        config: the `Flag` or `Experiment` as it was in that version.
        created_by: who made it.
        created_at: when, in UTC.
    """

    shown: ClassVar[tuple[str, ...]] = ("version", "config")

    version: int
    config: FlagConfigT_co
    created_by: Maybe[Id] = UNSET
    created_at: Maybe[datetime] = UNSET


@frozen
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: what is on it.
        next_cursor: pass it as `cursor=` to go on from the next page; `None` on the last.
    """

    items: list[T] = field(repr=lambda items: f"<{len(items)}>")
    next_cursor: str | None = None
