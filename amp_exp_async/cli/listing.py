"""`amp-exp flags list` and `get`, and those of experiments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from amp_exp_async import UNSET, validation
from amp_exp_async.manifests.live import to_plain
from amp_exp_async.models import FlagConfig

from .command import command
from .naming import Name, Naming, read
from .section import Section
from .session import Session
from .shown import cell, lines

_FIRST = {"id": "id", "project": "project_id", "key": "key", "enabled": "enabled"}
_OTHERS = {
    "rollout": "rollout_percentage",
    "last modified": "last_modified_at",
    "name": "name",
    "variants": "variants",
    "tags": "tags",
}
_COLUMNS = _FIRST | _OTHERS
_WITH_ARCHIVED = _FIRST | {"archived": "deleted"} | _OTHERS


def add_listing(app: typer.Typer, section: Section) -> None:
    """Add the commands that show flags, or experiments."""

    @command(app, "list", help=f"List {section.kind}.")
    def list_(
        session: Session,
        *,
        project_id: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this project.")] = None,
        key: Annotated[str | None, typer.Option(metavar="KEY", help="Only those of exactly this key.")] = None,
        include_archived: Annotated[bool, typer.Option("--include-archived", help="Archived ones too.")] = False,
        enabled: Annotated[
            bool | None, typer.Option("--enabled/--disabled", help="Only those that are active, or are not.")
        ] = None,
        tag: Annotated[
            list[str] | None, typer.Option(metavar="TAG", help="Only those with this tag. Repeated: with all of them.")
        ] = None,
    ) -> None:
        listed = section.of(session.client).list(
            project_id=UNSET if project_id is None else project_id,
            key=UNSET if key is None else key,
            include_archived=include_archived or UNSET,
            limit=validation.MAX_PAGE,
        )
        tags = set(tag or ())
        wanted = (
            toggle for toggle in listed if enabled in {None, bool(toggle.enabled)} and tags.issubset(toggle.tags or ())
        )
        if session.json:
            session.result = [to_plain(toggle) for toggle in wanted]
            return
        columns = _WITH_ARCHIVED if include_archived else _COLUMNS
        session.table(list(columns), (_row(toggle, list(columns.values())) for toggle in wanted))

    @command(app, "get", help=f"Show one {section.one} with all its fields.")
    def get(session: Session, *, flag: Name, naming: Naming) -> None:
        found = session.result = to_plain(read(section.of(session.client), naming.of(flag)))
        for line in lines(found):
            session.say(line)


def _row(toggle: FlagConfig, fields: Sequence[str]) -> list[str]:
    return [
        cell([variant.key for variant in toggle.variants or ()] if field == "variants" else getattr(toggle, field))
        for field in fields
    ]
