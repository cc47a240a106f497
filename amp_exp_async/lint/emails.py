"""Ids that look like e-mail addresses. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def among(ids: Iterable[str]) -> list[str]:
    """Those of the ids that look like e-mail addresses."""
    return [id for id in ids if _EMAIL.fullmatch(id)]


def note(found: Sequence[str]) -> str:
    """What to say of them; there is at least one."""
    many = "1 id looks like an e-mail address" if len(found) == 1 else f"{len(found)} ids look like e-mail addresses"
    return (
        f"{many}, such as {found[0]}. Inclusions match user ids and device ids: an e-mail address works only where "
        "your user ids are e-mail addresses"
    )
