"""The journal of a run: what was begun and what became of it, a JSON line each, so that a rerun can go on.

A line is on its way to the disk, by the operating system's hands, before the outcome is handed out: the process may be
killed at any moment. (A computer that loses its power may lose the last lines.)
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import orjson

from amp_exp_async import validation
from amp_exp_async.errors import AmpExpError, InvalidInputError

from .operations import Operation
from .outcomes import Outcome, Status
from .repeats import Repeats

_FORMAT = "amp_exp_async bulk journal 1"
_NONE, _BEGUN, _DONE, _FAILED, _UNKNOWN = range(5)
_FARTHEST = 1_000_000  # operations that may be begun before one that comes earlier in the input, and many more
_DIGEST = re.compile("[0-9a-f]{16}")
_CODES = {"begun": _BEGUN, "done": _DONE, "failed": _FAILED, "unknown": _UNKNOWN}


def digest(operation: Operation) -> int:
    """What an operation is known by: 64 bits of all that it consists of."""
    text = orjson.dumps(operation.as_json(), option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def build_path(journal: str | os.PathLike[str]) -> Path:
    """The path that a caller gives.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        return Path(journal)
    except TypeError:
        validation.reject("journal", "must be a path", journal)


def done_before(path: Path, service: str, operations: Sequence[Operation]) -> list[bool] | None:
    """Which operations of a job its journal has as done; None where none was begun.

    Args:
        path: the journal.
        service: the base URL that the operations go to.
        operations: all operations of the job.

    Raises:
        InvalidInputError: as when it is opened for a run, or it is of another job.
    """
    if not path.exists():
        return None
    journal = Journal(path, service)
    try:
        journal.check_count(len(operations))
        for index, operation in enumerate(operations):
            journal.check(index, digest(operation))
        return [journal.was_done(index) for index in range(len(operations))] if journal.knows(0) else None
    finally:
        journal.close()


class Journal:
    """An open journal. What it had when it was opened is held in nine bytes an operation, and an entry a flag.

    Attributes:
        broken: why it cannot be written any more.
    """

    def __init__(self, path: os.PathLike[str], service: str) -> None:
        """Open a journal, or begin one.

        Args:
            path: the file.
            service: the base URL that the operations go to.

        Raises:
            InvalidInputError: the file is no journal, is damaged, belongs to another service, is in use by another run,
                or cannot be opened.
        """
        self._path = Path(path)
        self._states = bytearray()
        self._digests = array("Q")
        self._repeats = Repeats()
        self.broken: AmpExpError | None = None
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o644)
        except OSError as error:
            raise self._refused(f"cannot be opened ({error})") from error
        try:
            self._lock()
            self._read(service)
        except BaseException:
            self.close()
            raise

    def knows(self, index: int) -> bool:
        """Whether an earlier run came as far as the operation of this index."""
        return index < len(self._states)

    def was_done(self, index: int) -> bool:
        """Whether an earlier run has done the operation of this index."""
        return self._state(index) == _DONE

    def is_followed(self, index: int, flag: str) -> bool:
        """Whether an earlier run began a later operation on the same flag."""
        return self._repeats.is_followed(flag, index)

    @property
    def is_any_due(self) -> bool:
        """Whether there may be anything that is to be done once more."""
        return self._repeats.any

    def is_due_again(self, index: int, flag: str) -> bool:
        """Whether what was done is to be done once more: an earlier operation on the same flag came after it."""
        return self._repeats.is_due(flag, index)

    def is_open(self, index: int) -> bool:
        """Whether an earlier run began it, and nobody knows what became of it."""
        return self._state(index) in {_BEGUN, _UNKNOWN}

    def check(self, index: int, known_by: int) -> None:
        """Make sure that an operation is the one that the journal knows by this index.

        Raises:
            InvalidInputError: it is another one: the journal is of another job.
        """
        if self._state(index) != _NONE and self._digests[index] != known_by:
            raise self._refused(
                f"it is the journal of another job: its operation #{index} is not the one that is given now. A rerun "
                "must give the same operations in the same order; a new job needs a new journal"
            )

    def check_count(self, total: int) -> None:
        """Make sure that there are not fewer operations than the journal knows of."""
        if total < len(self._states):
            raise self._refused(
                f"it is the journal of another job: it has {len(self._states)} operations, and {total} are given"
            )

    def begin(self, index: int, known_by: int, operation: Operation, flag: str) -> None:
        """Note that an operation on a flag is about to be sent."""
        self._write(_entry(index, known_by, operation, flag, "begun"))
        if self.knows(index):
            self._repeats.begin(flag, index)

    def end(self, known_by: int, outcome: Outcome, flag: str) -> None:
        """Note what became of an operation."""
        entry = _entry(outcome.index, known_by, outcome.operation, flag, outcome.status)
        if outcome.error is not None:
            entry["error"] = f"{type(outcome.error).__name__}: {outcome.error}"
        if outcome.changed:
            entry["changed"] = outcome.changed
        self._write(entry)
        if self.knows(outcome.index):
            self._repeats.end(flag, outcome.index, applied=_applied(entry))

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _state(self, index: int) -> int:
        return self._states[index] if index < len(self._states) else _NONE

    def _lock(self) -> None:
        if sys.platform == "win32":
            return
        import fcntl  # noqa: PLC0415 - there is none on Windows

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise self._refused("it is in use by another run") from error

    def _read(self, service: str) -> None:
        with os.fdopen(os.dup(self._file), "rb") as file:
            first = {"journal": _FORMAT, "service": service}
            head = file.readline()
            if _line_of(first).startswith(head) and not head.endswith(b"\n"):
                # Nothing, or not even the first line came to be written.
                os.ftruncate(self._file, 0)
                self._write(first)
                return
            self._check_head(head, service)
            complete = len(head)
            for number, line in enumerate(file, 2):
                if not line.endswith(b"\n"):
                    break
                complete += len(line)
                self._take(line, number)
        # A line that was being written when the process was killed.
        os.ftruncate(self._file, complete)

    def _check_head(self, line: bytes, service: str) -> None:
        head = _parsed(line)
        if head is None or head.get("journal") != _FORMAT:
            raise self._refused("it is no journal of this library, or of another version of it")
        if head.get("service") != service:
            raise self._refused(f"it is the journal of another job: of {head.get('service')}, not of {service}")

    def _take(self, line: bytes, number: int) -> None:
        entry = _parsed(line) or {}
        match entry:
            case {"index": int(index), "digest": str(known_by), "state": str(state), "on": str(flag)} if (
                state in _CODES and 0 <= index < len(self._states) + _FARTHEST and _DIGEST.fullmatch(known_by)
            ):
                missing = index + 1 - len(self._states)
                if missing > 0:
                    self._states.extend(bytes(missing))
                    self._digests.extend([0] * missing)
                self._states[index] = _CODES[state]
                self._digests[index] = int(known_by, 16)
                if state == "begun":
                    self._repeats.begin(flag, index)
                else:
                    self._repeats.end(flag, index, applied=_applied(entry))
            case _:
                raise self._refused(f"line {number} is damaged: mend it, or begin a new journal")

    def _write(self, document: dict[str, Any]) -> None:
        line = _line_of(document)
        if self.broken is not None:
            raise self.broken
        end = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) == len(line):
                return
            os.ftruncate(self._file, end)
            why = "the line was not written whole: is the disk full?"
        except OSError as error:
            why = str(error)
        # A line behind a broken one would make the journal useless.
        self.broken = AmpExpError(
            f"journal {self._path}: cannot be written ({why}). The run begins nothing more; what it has of it holds."
        )
        raise self.broken

    def _refused(self, why: str) -> InvalidInputError:
        return InvalidInputError(f"journal {self._path}: {why}. Nothing was sent.", argument="journal", rule=why)


def _line_of(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document) + b"\n"


def _applied(entry: Mapping[str, Any]) -> bool:
    """Whether anything of an operation that ended may have been applied."""
    return entry["state"] != "failed" or "changed" in entry


def _entry(index: int, known_by: int, operation: Operation, flag: str, state: Status | str) -> dict[str, Any]:
    return {
        "index": index,
        "digest": f"{known_by:016x}",
        "operation": type(operation).__name__,
        "target": operation.target,
        "on": flag,
        "state": state,
    }


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        document: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None
