"""Reading what there is: on a terminal, with a count of the replies."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from amp_exp_async import UNSET, ExperimentClient, Manifest
from amp_exp_async.manifests.spec import KINDS

from .progress import reporter
from .session import Session


@contextmanager
def reading(session: Session, title: str) -> Generator[ExperimentClient, None, None]:
    """The client, for a block that reads. It leaves nothing on the terminal, and nothing in the output.

    Args:
        session: the run of the command.
        title: what is read.
    """
    client = session.client
    console = Console(stderr=True)
    report = reporter(console, silent=session.json or not console.is_terminal, transient=True)
    with report.step(title, None) as advance:
        yield client.with_options(on_attempt=lambda _: advance(1))


def exported(session: Session, project_id: str | None, **depth: Any) -> Manifest:
    """What there is, as a file declares it. It says so where there is nothing, or some of it cannot be declared.

    Args:
        session: the run of the command.
        project_id: the project; None for all.
        depth: what else is given to the client's `export`.
    """
    with reading(session, "Reading flags and experiments") as client:
        state = client.export(project_id=project_id, **depth)
    if not (state.flags or state.experiments):
        where = "" if project_id is None else f" in project {project_id}"
        session.tell(f"There are no flags and no experiments{where} that this key can see.")
    if depth.get("users") and (left := list(_left_out(state))):
        session.tell(f"Left out, since no file can hold it: what is included in {', '.join(left)}.")
    return state


def _left_out(state: Manifest) -> Iterator[str]:
    """The variants whose inclusions were read, and are not there."""
    for kind in KINDS:
        for toggle in state.of(kind):
            for variant in toggle.variants or ():
                if UNSET in (variant.users, variant.cohorts):
                    yield f"{kind}/{toggle.key}, variant {variant.key}"
