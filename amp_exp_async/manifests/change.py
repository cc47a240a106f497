"""What a plan would change, or what differs, of one flag or experiment, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast, get_args

from attrs import field, frozen

from amp_exp_async.models import UNSET
from amp_exp_async.resources import FieldChange

from .spec import KINDS, KindName

Action: TypeAlias = Literal["create", "edit", "archive", "restore", "remove"]


@frozen(kw_only=True)
class ResourceChange:
    """What a plan would change of one flag or experiment, or what differs between two states.

    Attributes:
        kind: `flags` or `experiments`.
        key: its key.
        project_id: its project's id; empty where states that differ do not say it.
        id: its id; None for one that is to be created, and where it is not known.
        action: `create`, `edit`, `archive` or `restore`; the latter two may edit too. Between two states also `remove`,
            for what is in the first one only.
        fields: what changes, by field: `enabled`, `variants.on.payload`, `variants.on` for one that is added or
            removed, `variants.on.users`, `rollout_weights.on`.
        deployments: the ids of the deployments that `fields` names by label.
    """

    kind: KindName
    key: str
    project_id: str
    id: str | None
    action: Action
    fields: Mapping[str, FieldChange]
    deployments: Mapping[str, str] = field(factory=dict[str, str], repr=False)

    @property
    def target(self) -> str:
        """What is changed, in words."""
        return f"{self.kind}/{self.key}{self.where}"

    @property
    def where(self) -> str:
        """Its project, in words; empty where it is not known."""
        return f" in project {self.project_id}" if self.project_id else ""

    def as_json(self) -> dict[str, Any]:
        """The change as plain JSON; what is not there is left out."""
        fields = {
            name: {side: value for side in ("before", "after") if (value := getattr(change, side)) is not UNSET}
            for name, change in self.fields.items()
        }
        names = ("kind", "key", "project_id", "id", "action")
        return {name: getattr(self, name) for name in names} | {
            "fields": fields,
            "deployments": dict(self.deployments),
        }


def change_of(document: Any) -> ResourceChange:
    """The change that was made plain.

    Raises:
        KeyError, TypeError, AttributeError: it is none.
    """
    given = cast("dict[str, Any]", dict(document))
    if given["kind"] not in KINDS or given["action"] not in get_args(Action):
        raise TypeError(f"there is no {given['action']!r} of {given['kind']!r}")
    fields = {
        name: FieldChange(name, sides.get("before", UNSET), sides.get("after", UNSET))
        for name, sides in given.pop("fields").items()
    }
    return ResourceChange(**given, fields=fields)
