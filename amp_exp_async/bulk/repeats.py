"""Which operations of a rerun are to be done once more: those that an earlier one on the same flag came after."""

from __future__ import annotations

from attrs import define, field


@define
class _OutOfDate:
    """What is out of date on a flag.

    Attributes:
        after: the operation that came too late; what is done after it, by index, was done before it.
        again: the indexes of those that have been done once more since.
        only_begun: whether it may still turn out that the operation changed nothing.
    """

    after: int
    again: set[int] = field(factory=set[int])
    only_begun: bool = True


class Repeats:
    """Follows the beginnings and ends of a journal's operations, as it is read and as it goes on.

    On one flag they come in the order of their indexes, but for an operation that failed, or was unknown, and is
    repeated by a rerun: what had been done after it must then be done after it again, also by the rerun that follows
    when this one is killed.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._out: dict[str, _OutOfDate] = {}

    def begin(self, flag: str, index: int) -> None:
        """Note that an operation on a flag begins."""
        if index >= self._last.get(flag, -1):
            self._last[flag] = index
            return
        out = self._out.get(flag)
        if out is None:
            self._out[flag] = _OutOfDate(index)
        else:
            out.after = min(out.after, index)
            out.again = {other for other in out.again if other < index}

    def end(self, flag: str, index: int, *, applied: bool) -> None:
        """Note its end, and whether anything of it may have been applied."""
        out = self._out.get(flag)
        if out is None:
            return
        if applied:
            out.again.add(index)
            out.only_begun = False
        elif out.only_begun and out.after == index:
            del self._out[flag]

    @property
    def any(self) -> bool:
        """Whether an operation has come too late on any flag."""
        return bool(self._out)

    def is_followed(self, flag: str, index: int) -> bool:
        """Whether a later operation on the flag has begun."""
        return index < self._last.get(flag, -1)

    def is_due(self, flag: str, index: int) -> bool:
        """Whether an operation that was done is to be done once more."""
        out = self._out.get(flag)
        return out is not None and index > out.after and index not in out.again
