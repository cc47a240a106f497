"""The journal of a run: a JSON Lines file of started and finished operations, from which a rerun continues.

Each line is handed to the operating system before the outcome is handed out, so the process may be killed at any
moment. It is forced to the disk only on request: otherwise a power failure may lose the last lines.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import weakref
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
from attrs import define, field, frozen

from amp_exp_async import serialization, validation
from amp_exp_async.errors import NOTHING_SENT, NOTHING_SENT_FOR_ITEM, AmpExpError, InvalidInputError
from amp_exp_async.file_access import exists, open_descriptor
from amp_exp_async.formatting import format_count, format_os_error

from .operations import CreateExperiment, CreateFlag, Operation
from .results import Outcome

_FORMAT = "amp_exp_async bulk journal 1"
_NONE, _STARTED, _DONE, _FAILED, _UNKNOWN = range(5)
_CODES = {"begun": _STARTED, "done": _DONE, "failed": _FAILED, "unknown": _UNKNOWN}
_DIGEST = re.compile("[0-9a-f]{16}")
# More operations than a run ever starts ahead of an earlier one: a larger index in a file is an error.
_MAX_GAP = 1_000_000
# Bytes of a line. A longer one is an error, so that a file without line ends is not read as a whole.
_MAX_HEADER = 64 * 1024
_MAX_LINE = 64 * 1024**2
_MAX_CHANGED = 1_000  # IDs in a line that would be too long with all of them

_JOURNALS: weakref.WeakSet[Journal] = weakref.WeakSet()


def digest(operation: Operation) -> int:
    """Return a 64-bit digest that identifies the operation."""
    text = serialization.dumps(operation.digest_fields(), orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def as_path(journal: str | os.PathLike[str]) -> Path:
    """Return the path of a journal.

    Raises:
        InvalidInputError: If the value is not a path.
    """
    return validation.path("journal", journal)


@frozen
class JournalRecord:
    """What a journal has of one operation.

    Attributes:
        is_done: whether an earlier run completed it.
        created_id: the ID of the flag or experiment that it created; None if it created none, or if the journal was
            written before journals had these IDs.
        flag: what an operation that is not done was sent to, such as `flags/123`; None if it was not sent.
    """

    is_done: bool
    created_id: str | None
    flag: str | None


def read_records(path: Path, service: str, operations: Sequence[Operation]) -> list[JournalRecord] | None:
    """Return what a journal has of each operation of a job, or None if it has no operation yet.

    Args:
        path: the journal.
        service: the base URL that the operations are sent to.
        operations: all operations of the job.

    Raises:
        InvalidInputError: If the journal cannot be opened for a run of these operations.
    """
    if not exists(path):
        return None
    journal = Journal(path, service)
    try:
        journal.check_count(len(operations))
        for index, operation in enumerate(operations):
            journal.check(index, digest(operation))
        return [journal.record(index) for index in range(len(operations))] if journal.has_entry(0) else None
    finally:
        journal.close()


@define
class _StaleFlag:
    """A flag on which an operation was applied after later operations, which must be applied again.

    Attributes:
        after: the index of that operation. Operations with a higher index are stale.
        reapplied: the indexes of those that were applied again since.
        only_started: whether the operation may still turn out to have changed nothing.
    """

    after: int
    reapplied: set[int] = field(factory=set[int])
    only_started: bool = True


class ReplayTracker:
    """The operations that a rerun must apply again, although an earlier run has completed them.

    Operations on one flag run in the order of the input. Only an operation that failed, or whose outcome was unknown,
    is repeated by a rerun, after the operations that follow it. Those must then be applied again, also by the next
    rerun if this one is killed. So the tracker follows the entries of the journal and those of the run.
    """

    def __init__(self) -> None:
        self._last_started: dict[str, int] = {}
        self._stale: dict[str, _StaleFlag] = {}

    def start(self, flag: str, index: int) -> None:
        """Record the start of an operation on a flag."""
        if index >= self._last_started.get(flag, -1):
            self._last_started[flag] = index
            return
        stale = self._stale.get(flag)
        if stale is None:
            self._stale[flag] = _StaleFlag(index)
        else:
            stale.after = min(stale.after, index)
            stale.reapplied = {other for other in stale.reapplied if other < index}

    def finish(self, flag: str, index: int, *, applied: bool) -> None:
        """Record the end of an operation, and whether any part of it may have been applied."""
        stale = self._stale.get(flag)
        if stale is None:
            return
        if applied:
            stale.reapplied.add(index)
            stale.only_started = False
        elif stale.only_started and stale.after == index:
            del self._stale[flag]

    @property
    def has_stale(self) -> bool:
        """Whether operations on any flag may be stale."""
        return bool(self._stale)

    def has_successor(self, flag: str, index: int) -> bool:
        """Return whether a later operation on the flag was started."""
        return index < self._last_started.get(flag, -1)

    def is_stale(self, flag: str, index: int) -> bool:
        """Return whether a completed operation must be applied again."""
        stale = self._stale.get(flag)
        return stale is not None and index > stale.after and index not in stale.reapplied


class Journal:
    """An open journal. The entries of earlier runs take nine bytes per operation, and two records per flag.

    Attributes:
        replay: the operations that must be applied again.
        error: why the journal can no longer be written; None if it can.
    """

    def __init__(self, path: os.PathLike[str], service: str, *, fsync: bool = False) -> None:
        """Open or create a journal.

        Args:
            path: the file.
            service: the base URL that the operations are sent to.
            fsync: whether to force each line to the disk.

        Raises:
            InvalidInputError: If the file is not a journal, is damaged, belongs to another service, is in use by
                another run, or cannot be opened.
        """
        self.replay = ReplayTracker()
        self.error: AmpExpError | None = None
        self._path = Path(path)
        self._fsync = fsync
        self._codes = bytearray()
        self._digests = array("Q")
        self._created_ids: dict[int, str] = {}
        self._flags: dict[int, str] = {}
        try:
            self._file = open_descriptor(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise self._rejection(f"cannot be opened ({format_os_error(error)})") from error
        _JOURNALS.add(self)
        try:
            self._require_regular()
            self._lock()
            self._load(service)
        except OSError as error:
            self.close()
            raise self._rejection(f"cannot be read ({format_os_error(error)})") from error
        except BaseException:
            self.close()
            raise

    def has_entry(self, index: int) -> bool:
        """Return whether an earlier run reached the operation."""
        return index < len(self._codes)

    def is_done(self, index: int) -> bool:
        """Return whether an earlier run completed the operation."""
        return self._code(index) == _DONE

    def record(self, index: int) -> JournalRecord:
        """Return what earlier runs have written about the operation."""
        return JournalRecord(self.is_done(index), self._created_ids.get(index), self._flags.get(index))

    def is_in_doubt(self, index: int) -> bool:
        """Return whether an earlier run started the operation, and its outcome is unknown."""
        return self._code(index) in {_STARTED, _UNKNOWN}

    def check(self, index: int, digest: int) -> None:
        """Check that the journal has the same operation at this index, or none.

        Raises:
            InvalidInputError: If it has another operation.
        """
        if self._code(index) != _NONE and self._digests[index] != digest:
            raise self._rejection(
                f"belongs to another job: operation #{index} differs. Pass the same operations in the same order to "
                "continue that job, or use a new journal for changed input",
                # Earlier operations of a stream may have been sent.
                consequence=NOTHING_SENT_FOR_ITEM,
            )

    def check_count(self, total: int) -> None:
        """Check that the journal has no more operations than the job.

        Raises:
            InvalidInputError: If it has more.
        """
        if total < len(self._codes):
            raise self._rejection(
                f"belongs to another job: it has {format_count(len(self._codes), 'operation')}, the job has {total}. "
                "Pass the same operations in the same order to continue that job, or use a new journal for changed "
                "input",
                consequence="",  # the count of a stream is known at its end
            )

    def write_start(self, index: int, digest: int, operation: Operation, flag: str) -> None:
        """Write that an operation on a flag is about to be sent.

        Raises:
            AmpExpError: If the journal cannot be written.
        """
        self._write(_entry(index, digest, operation, flag, "begun"))
        if self.has_entry(index):
            self.replay.start(flag, index)

    def write_outcome(self, digest: int, outcome: Outcome, flag: str) -> None:
        """Write the outcome of an operation.

        Raises:
            AmpExpError: If the journal cannot be written.
        """
        entry = _entry(outcome.index, digest, outcome.operation, flag, outcome.status)
        if outcome.error is not None:
            entry["error"] = f"{type(outcome.error).__name__}: {outcome.error}"
        if outcome.changed:
            entry["changed"] = outcome.changed
            if len(_to_line(entry)) > _MAX_LINE:
                entry["changed"] = outcome.changed[:_MAX_CHANGED]
        if outcome.created is not None and isinstance(outcome.operation, CreateFlag | CreateExperiment):
            entry["created"] = outcome.created.id
        self._write(entry)
        if self.has_entry(outcome.index):
            self.replay.finish(flag, outcome.index, applied=_is_applied(entry))

    def close(self) -> None:
        """Release the lock and close the file. Idempotent."""
        if self._file >= 0 and sys.platform != "win32":
            import fcntl  # noqa: PLC0415 - not available on Windows

            # A process that was forked without the hooks of Python shares the lock: closing would not release it.
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)
        self.close_file()

    def close_file(self) -> None:
        """Close the file, and leave its lock to other processes that have it open (after a fork)."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _code(self, index: int) -> int:
        return self._codes[index] if index < len(self._codes) else _NONE

    def _require_regular(self) -> None:
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise self._rejection("is not a regular file. Pass the path of a file")

    def _lock(self) -> None:
        if sys.platform == "win32":
            return
        import fcntl  # noqa: PLC0415 - not available on Windows

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._rejection("is in use by another run. Wait for it, or use another journal") from error
        except OSError as error:  # NFS without its lock service, for example
            raise self._rejection(
                f"cannot be locked ({format_os_error(error)}), so another run could use it at the same time. Pass a "
                "path on a local disk"
            ) from error

    def _load(self, service: str) -> None:
        with os.fdopen(os.dup(self._file), "rb") as file:
            header = {"journal": _FORMAT, "service": service}
            first_line = file.readline(_MAX_HEADER)
            if not first_line or (_FORMAT.encode() in first_line and _is_cut(first_line, header)):
                # The file is new, or its first line was cut off. A shorter part of it may be a file of somebody else.
                os.ftruncate(self._file, 0)
                self._write(header)
                self._sync_folder()
                return
            self._check_header(first_line, service)
            size = len(first_line)
            for number, line in enumerate(iter(partial(file.readline, _MAX_LINE), b""), 2):
                if not line.endswith(b"\n"):
                    if len(line) == _MAX_LINE:
                        raise self._rejection(f"line {number} has no end. Repair the line, or use a new journal")
                    break
                size += len(line)
                self._load_entry(line, number)
        # Drop a last line that was cut off when the process was killed.
        os.ftruncate(self._file, size)

    def _check_header(self, line: bytes, service: str) -> None:
        header = _parse_object(line)
        if header is None or header.get("journal") != _FORMAT:
            raise self._rejection("is not a journal that this version can read. Use a new journal")
        if header.get("service") != service:
            raise self._rejection(
                f"belongs to another job: it is for {header.get('service')}, not for {service}. Use a new journal"
            )

    def _load_entry(self, line: bytes, number: int) -> None:
        entry = _parse_object(line) or {}
        match entry:
            case {"index": int(index), "digest": str(digest), "state": str(state), "on": str(flag)} if (
                type(index) is int  # true is an integer to a pattern
                and state in _CODES
                and 0 <= index < len(self._codes) + _MAX_GAP
                and _DIGEST.fullmatch(digest)
                and isinstance(entry.get("created", ""), str)
            ):
                missing = index + 1 - len(self._codes)
                if missing > 0:
                    self._codes.extend(bytes(missing))
                    self._digests.extend([0] * missing)
                self._codes[index] = _CODES[state]
                self._digests[index] = int(digest, 16)
                if "created" in entry:
                    self._created_ids[index] = entry["created"]
                if state == "done":
                    self._flags.pop(index, None)
                else:
                    self._flags[index] = flag
                if state == "begun":
                    self.replay.start(flag, index)
                else:
                    self.replay.finish(flag, index, applied=_is_applied(entry))
            case _:
                raise self._rejection(f"line {number} is damaged. Repair the line, or use a new journal")

    def _write(self, document: dict[str, Any]) -> None:
        line = _to_line(document)
        if self.error is not None:
            raise self.error
        try:
            size = os.fstat(self._file).st_size
            if os.write(self._file, line) == len(line):
                if self._fsync:
                    os.fsync(self._file)
                return
            os.ftruncate(self._file, size)
            reason = "the line was written only in part; the disk may be full"
        except OSError as error:
            reason = format_os_error(error)
        # A line after an incomplete one would damage the journal, so nothing is written after the first error.
        self.error = AmpExpError(
            f"journal {self._path}: cannot be written ({reason}). The run was stopped. Entries already written remain "
            "valid."
        )
        raise self.error

    def _sync_folder(self) -> None:
        """Force the entry of a new file in its folder to the disk, if the system can."""
        if self._fsync and hasattr(os, "O_DIRECTORY"):
            with suppress(OSError):
                folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def _rejection(self, rule: str, consequence: str = NOTHING_SENT) -> InvalidInputError:
        return InvalidInputError(
            subject=f"journal {self._path}", argument="journal", rule=rule, consequence=consequence
        )


def _to_line(document: dict[str, Any]) -> bytes:
    return serialization.dumps(document) + b"\n"


def _is_cut(line: bytes, document: dict[str, Any]) -> bool:
    return _to_line(document).startswith(line) and not line.endswith(b"\n")


def _is_applied(entry: Mapping[str, Any]) -> bool:
    """Return whether any part of a finished operation may have been applied."""
    return entry["state"] != "failed" or "changed" in entry


def _entry(index: int, digest: int, operation: Operation, flag: str, state: str) -> dict[str, Any]:
    return {
        "index": index,
        "digest": f"{digest:016x}",
        "operation": type(operation).__name__,
        "target": operation.target,
        "on": flag,
        "state": state,
    }


def _parse_object(line: bytes) -> dict[str, Any] | None:
    try:
        document: Any = serialization.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None


def _after_fork() -> None:
    for journal in list(_JOURNALS):
        journal.close_file()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
