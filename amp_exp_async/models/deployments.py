"""Deployments."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from .base import UNSET, Id, Maybe, Model


@frozen(repr=False)
class Deployment(Model):
    """A deployment, which flags and experiments are delivered to.

    Attributes:
        id: the ID.
        project_id: the ID of the project.
        label: letters, digits, `_` and `-`.
        key: the deployment key, which fetches variants (not a management key).
        deleted: whether it is archived.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("id", "label", "deleted")

    id: Id
    project_id: Maybe[Id] = UNSET
    label: Maybe[str] = UNSET
    key: Maybe[Id] = UNSET
    deleted: Maybe[bool] = UNSET
