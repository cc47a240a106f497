"""Ids that look like e-mail addresses. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def find_emails(ids: Iterable[str]) -> list[str]:
    """Return the IDs that look like e-mail addresses.

    Inclusions match user IDs and device IDs. An e-mail address matches no user, unless your user IDs are e-mail
    addresses.

    Args:
        ids: user IDs or device IDs.
    """
    return [id for id in ids if _EMAIL.fullmatch(id)]


def describe_emails(found: Sequence[str]) -> str:
    """What to say of them; there is at least one."""
    many = "1 id looks like an e-mail address" if len(found) == 1 else f"{len(found)} ids look like e-mail addresses"
    return (
        f"{many}, such as {found[0]}. Inclusions match user ids and device ids: an e-mail address works only where "
        "your user ids are e-mail addresses"
    )
