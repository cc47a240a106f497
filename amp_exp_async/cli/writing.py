"""Changes that are shown, agreed to, and made one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs
from attrs import define

from amp_exp_async import UNSET, APIStatusError, EditConflictError, FieldChange, InvalidInputError
from amp_exp_async.manifests.live import to_plain
from amp_exp_async.models import FlagConfig
from amp_exp_async.resources.diff import diff_flags
from amp_exp_async.resources.optimistic import OptimisticEdit, changed_fields

from .section import Section
from .session import Session

Manifest: TypeAlias = Literal["planned", "unchanged", "changed", "failed", "unknown"]

_NOTHING = "nothing to change"


@define
class Write:
    """A change of one thing.

    Attributes:
        name: what it is called in what is said.
        about: what tells it from others, for `--json`.
        differences: the fields that change, by their names.
        send: makes the change.
        already: what to say where nothing changes.
        state: what has come of it: `planned`, and not begun; `unchanged`, since all was as wanted; `changed`; `failed`;
            or `unknown`, since it was broken off.
    """

    name: str
    about: dict[str, Any]
    differences: Mapping[str, FieldChange]
    send: Callable[[], object]
    already: str = _NOTHING
    state: Manifest = "planned"

    def __attrs_post_init__(self) -> None:
        if not self.differences:
            self.state = "unchanged"

    def __str__(self) -> str:
        texts = [str(one) for one in self.differences.values()]
        if len(texts) > 1:
            return "\n  ".join([f"{self.name}:", *texts])
        return f"{self.name}: {texts[0] if texts else self.already}"

    def document(self) -> dict[str, Any]:
        """It, for `--json`."""
        return {**self.about, "state": self.state, "differences": plain(self.differences)}


def plain(differences: Mapping[str, FieldChange]) -> dict[str, Any]:
    """Differences, for `--json`; a side where the field was not there is left out."""
    return {
        name: {
            side: to_plain(value)
            for side, value in (("before", found.before), ("after", found.after))
            if value is not UNSET
        }
        for name, found in differences.items()
    }


def in_our_words(found: Mapping[str, FieldChange]) -> dict[str, FieldChange]:
    """Differences by the names that the command line uses: what is `deleted` is archived."""
    renamed = {"archived" if name == "deleted" else name: one for name, one in found.items()}
    return {name: attrs.evolve(one, field=name) for name, one in renamed.items()}


def edit_of(
    session: Session, section: Section, before: FlagConfig, edited: FlagConfig, *, already: str = _NOTHING
) -> Write:
    """The guarded edit that makes a flag or experiment what a changed copy is.

    Args:
        session: whose client makes it.
        section: flags or experiments.
        before: as it was read; what others change meanwhile is kept.
        edited: the changed copy.
        already: what to say where nothing changes.

    Raises:
        InvalidInputError: the change is none that an edit can make.
    """
    changed_fields(before, edited)
    client, resource = session.client, section.of(session.client)._resource  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - until it is public
    editor: OptimisticEdit[FlagConfig] = OptimisticEdit(resource.transport, resource.kind)
    return Write(
        section.label(before),
        {"kind": section.kind, "id": before.id, "key": before.key, "project_id": before.project_id or None},
        in_our_words(diff_flags(before, edited)),
        lambda: client._portal.call(lambda: editor.write(before.id, before, edited)),  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - until it is public
        already,
    )


def carry_out(
    session: Session, writes: Sequence[Write], *, dry_run: bool, question: str | None = None, yes: bool = False
) -> None:
    """Make changes, each after the other, and say so. What is as wanted already is not sent.

    Args:
        session: who says it.
        writes: the changes.
        dry_run: whether to show only what would be changed.
        question: what to ask first; None to ask nothing.
        yes: whether the answer is given already.

    Raises:
        InvalidInputError: there is nobody to ask.
        Stopped: consent was not given.
        AmpExpError: one failed; those after it were not begun.
    """
    session.result = lambda: {"changes": [write.document() for write in writes]}
    wanted = [write for write in writes if write.differences]
    asks = question is not None and not yes and bool(wanted)
    if dry_run or asks:
        for write in writes:
            session.say(str(write))
    if dry_run:
        session.say("Dry run: nothing was changed.")
        return
    if asks:
        session.confirm(question or "", yes=yes)
    for write in writes:
        if write.differences:
            _send(session, write)
        if not asks:
            session.say(str(write))
        elif write.differences:
            session.say(f"{write.name}: done")


def _send(session: Session, write: Write) -> None:
    write.state = "unknown"
    try:
        with session.changing(write.name):
            write.send()
    except (APIStatusError, EditConflictError, InvalidInputError) as error:
        if _is_refused(error):
            write.state = "failed"
        raise
    write.state = "changed"


def _is_refused(error: Exception) -> bool:
    """Whether an error tells for certain that nothing has changed; one of reading it back does not."""
    if isinstance(error, APIStatusError):
        return error.method == "PATCH" and error.status < 500
    return not (isinstance(error, EditConflictError) and error.written)
