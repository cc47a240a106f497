"""The event that counts a user as exposed to an experiment."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from ._base import Maybe, Model
from ._unset import UNSET


@frozen(repr=False)
class ExposureFilter(Model):
    """A filter on the properties of an exposure event.

    Attributes:
        subprop_key: the property.
        subprop_op: the comparison, as in `Condition.op`.
        subprop_type: `event`, `user` or `group`; the service knows others, such as `day_time_prop`.
        subprop_value: the values it is compared to.
        group_type: `User`, or a group type such as `org name`.
    """

    shown: ClassVar[tuple[str, ...]] = ("subprop_key", "subprop_op", "subprop_value")

    subprop_key: Maybe[str] = UNSET
    subprop_op: Maybe[str] = UNSET
    subprop_type: Maybe[str] = UNSET
    subprop_value: Maybe[list[str]] = UNSET
    group_type: Maybe[str] = UNSET


@frozen(repr=False)
class ExposureEvent(Model):
    """The event that counts as exposure, in place of Amplitude's own.

    Attributes:
        event_type: the event's name.
        filters: all of them must hold.
    """

    shown: ClassVar[tuple[str, ...]] = ("event_type",)

    event_type: Maybe[str] = UNSET
    filters: Maybe[list[ExposureFilter]] = UNSET
