"""Going back to a version, by a guarded edit."""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import frozen

from amp_exp_async.models import FlagConfig

from .fields import difference
from .guarded import Guarded
from .history import FieldDifference, as_in, differences, left
from .toggles import AsyncFlagConfigs

FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)


@frozen
class RestoreResult(Generic[FlagConfigT_co]):
    """What going back to a version changes, or would change.

    Attributes:
        differences: the fields that an edit sets, by their names: as they were before the call, and in the version.
        left: the fields that differ from the version and that an edit cannot set, such as `variants`; they stay.
        toggle: the flag or experiment as it was read last: after the write, or in a dry run as it is.
        dry_run: whether nothing was written.
    """

    differences: dict[str, FieldDifference]
    left: dict[str, FieldDifference]
    toggle: FlagConfigT_co
    dry_run: bool

    def __str__(self) -> str:
        lines = [*map(str, self.differences.values()), *(f"left as it is: {found}" for found in self.left.values())]
        return "\n".join(lines) or "no difference"


async def restore(
    toggles: AsyncFlagConfigs[FlagConfigT_co], id: str, version: int | str, *, dry_run: bool
) -> RestoreResult[FlagConfigT_co]:
    """Make a flag or experiment what it was in a version, as far as an edit can."""
    guarded = Guarded(toggles.transport, toggles.kind)
    wanted = (await toggles.versions.get(id, version)).config
    toggle = await guarded.read(id)
    restored = as_in(toggle, wanted)
    difference(toggle, restored)  # a dry run is refused where the edit would be
    found, remaining = differences(toggle, restored), left(restored, wanted)
    if not dry_run:
        toggle = await guarded.write(id, toggle, restored)
    return RestoreResult(found, remaining, toggle, dry_run)
