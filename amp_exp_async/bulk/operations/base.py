"""What all operations have in common: the flag or experiment that they are done to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import attrs
from attrs import field, frozen

from amp_exp_async import serialization, validation
from amp_exp_async.models import UNSET

KindName: TypeAlias = Literal["flags", "experiments"]
Lookup: TypeAlias = tuple[KindName, str | None, str]
"""A flag or experiment that is named by its kind, its project (None: the only one that has the key) and its key."""

_kind_name = validation.one_of("flags", "experiments")


def _kind(value: KindName) -> KindName:
    checked: KindName = _kind_name("kind", value)
    return checked


def _id(value: str | None) -> str | None:
    return None if value is None else validation.identifier("id", value)


def _key(value: str | None) -> str | None:
    return None if value is None else validation.key("key", value)


def _project_id(value: str | None) -> str | None:
    return None if value is None else validation.identifier("project_id", value)


def _variant(value: str) -> str:
    return (
        validation.key("variant", value)
        if value != ""
        else validation.reject("variant", "must be given: a variant's key")
    )


@frozen
class Operation(ABC):
    """What every operation tells about itself."""

    @property
    @abstractmethod
    def order_key(self) -> str | None:
        """What operations keep their order on: the flag or experiment; None until its id is looked up."""

    @property
    @abstractmethod
    def lookup(self) -> Lookup | None:
        """What is to be looked up before it can be done; None where the id is known."""

    @property
    @abstractmethod
    def target(self) -> str:
        """What it is done to, in words."""

    def as_json(self) -> dict[str, Any]:
        """What it consists of, as plain JSON; what was left out is left out."""
        given = attrs.asdict(self, recurse=False)
        fields = {name: serialization.to_json(value) for name, value in given.items() if value is not UNSET}
        return {"operation": type(self).__name__, **fields}


def order_key(kind: KindName, id: str) -> str:
    """What the operations on a flag or experiment keep their order on."""
    return f"{kind}/{id}"


@frozen
class OnToggle(Operation):
    """An operation on a flag or experiment, which is named by `id`, or by `key` and `project_id`.

    Attributes:
        kind: `flags` or `experiments`.
        id: its id; None where `key` names it.
        key: its key, which is looked up once for all operations that need it.
        project_id: its project's id; needed with a `key` that exists in several projects.
    """

    kind: KindName = field(converter=_kind)
    id: str | None = field(default=None, converter=_id)
    key: str | None = field(default=None, converter=_key, kw_only=True)
    project_id: str | None = field(default=None, converter=_project_id, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if (self.id is None) == (self.key is None):
            validation.reject("id", "must be given, or key and project_id in its place")
        self.check()

    def check(self) -> None:
        """Refuse what can only be seen once all is there."""

    def settle(self, name: str, value: Mapping[str, Any]) -> None:
        """Set a field to its checked value, while the operation is being made."""
        object.__setattr__(self, name, value)

    @property
    def order_key(self) -> str | None:
        return None if self.id is None else order_key(self.kind, self.id)

    @property
    def lookup(self) -> Lookup | None:
        return None if self.key is None else (self.kind, self.project_id, self.key)

    @property
    def target(self) -> str:
        return f"{self.kind}/{self.id or self.key}"


@frozen
class OnVariant(OnToggle):
    """An operation on a variant of a flag or experiment.

    Attributes:
        kind, id, key, project_id: the flag or experiment, as in `OnToggle`.
        variant: the variant's key.
    """

    variant: str = field(default="", converter=_variant)

    @property
    def target(self) -> str:
        return f"{super().target}/variants/{self.variant}"
