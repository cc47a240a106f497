"""The notifications that the vendor's webhooks send."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from amp_exp_async.escaping import escape

from .base import UNSET, Id, Maybe, Model
from .flags import Experiment, FlagConfig


@frozen(repr=False, kw_only=True)
class WebhookEvent(Model):
    """A notification that a flag or experiment was created, updated or deleted.

    Attributes:
        flag_id: the ID of the flag or experiment.
        flag_key: its key, which the service sends as `flagName`.
        action: `created`, `updated` or `deleted`.
        modified_by: the author.
        flag: the flag or experiment after the change.
        old_flag: the flag or experiment before the change.
        scope: what the alert covers: `project`, `exp_deployment` or `exp_tags`.
        scope_param: the ID of that deployment or tag.
        scope_param_name: its name.
    """

    _repr_fields: ClassVar[tuple[str, ...]] = ("flag_id", "flag_key", "action", "modified_by")

    flag_id: Id
    flag_key: str
    action: str
    modified_by: Maybe[str] = UNSET
    flag: Maybe[FlagConfig] = UNSET
    old_flag: Maybe[FlagConfig] = UNSET
    scope: Maybe[str] = UNSET
    scope_param: Maybe[Id] = UNSET
    scope_param_name: Maybe[str] = UNSET

    def __str__(self) -> str:
        kind = "experiment" if isinstance(self.flag or self.old_flag, Experiment) else "flag"
        author = f" by {self.modified_by}" if self.modified_by else ""
        return escape(f"{kind} {self.flag_key} ({self.flag_id}) {self.action}{author}")
