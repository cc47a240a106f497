"""A plan: what would change, to look at, to save and to apply."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import orjson
from attrs import asdict, field, frozen

from amp_exp_async.bulk import Operation
from amp_exp_async.errors import InvalidInputError, Problem

from .change import ResourceChange, change_of
from .changes import Changes
from .document import locate
from .dump import to_document
from .files import write
from .operations import operations
from .parse import Parser
from .spec import Manifest

_FORMAT = "amp_exp_async plan 1"


@frozen(kw_only=True)
class Plan(Changes):
    """What would change for everything to be as a file declares it. Nothing has changed yet.

    It is falsy when nothing would. `print` it for a diff, in colour on a terminal.

    Attributes:
        service: the base URL of the service that it was made for.
        changes: what would change, a `ResourceChange` for each flag and experiment.
        state: what is declared of these.
        warnings: what to look at before it is applied, each with file, line and field. It stands in no plan's way, and
            makes none truthy.
    """

    service: str
    state: Manifest = field(repr=False)
    warnings: tuple[Problem, ...] = ()

    @property
    def _noted(self) -> tuple[Problem, ...]:
        return self.warnings

    def operations(self) -> list[tuple[ResourceChange, Operation]]:
        """Return the operations that `client.apply` performs, each with the change that it belongs to.

        `Outcome.index` is an index into this list.
        """
        return [(change, operation) for change in self.changes for operation in operations(change)]

    def to_json(self) -> str:
        """The plan as JSON text: `changes` and `warnings` as in the attributes, and what is needed to apply it."""
        whole: dict[str, Any] = {
            "plan": _FORMAT,
            "service": self.service,
            "changes": [change.as_json() for change in self.changes],
            "warnings": [asdict(warning) for warning in self.warnings],
            "state": to_document(self.state),
        }
        return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode() + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a file, to apply it later.

        Args:
            path: the file.
        """
        write(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a plan that was saved.

        Args:
            path: the file.

        Raises:
            InvalidInputError: it holds no plan.
        """
        try:
            whole: Any = orjson.loads(Path(path).read_bytes())
            if whole["plan"] != _FORMAT:
                raise _refused(path, f"it is of another version: {whole['plan']!r:.60}")
            parser = Parser(str(path))
            state = parser.parse_manifest(locate(whole["state"]))
            if parser.problems:
                raise _refused(path, str(parser.problems[0]))
            return cls(
                service=whole["service"],
                changes=tuple(map(change_of, whole["changes"])),
                state=state,
                # A plan that was saved before there were any has none.
                warnings=tuple(Problem(**warning) for warning in whole.get("warnings", ())),
            )
        except OSError as error:
            raise _refused(path, f"it cannot be read: {error}") from None
        except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
            raise _refused(path, f"it is no plan, or is damaged ({type(error).__name__}: {error})") from None


def _refused(path: object, why: str) -> InvalidInputError:
    return InvalidInputError(f"plan {path}: {why}. Make a new one.", argument="plan", rule=why)
