"""The observation of one call: its hooks, its observer, and the blocks that capture its response."""

from __future__ import annotations

import math
from collections.abc import Callable

from anyio import CancelScope

from .capture import APIResponse, ResponseCapture
from .hooks import MAX_HOOK_SECONDS, run_hook, run_observer
from .observers import Attempt, CallEnd, CallObserver, CallStart, Observer, WaitReason
from .options import CallOptions
from .request import Request, Response


class CallObservation:
    """One call, as it is reported. It exists only if the call is observed.

    Args:
        request: the request.
        options: the options of the call, with the hooks and the observer.
        time: returns the time of the event loop.
        started: the loop time at which the call started.
        captures: collect its response.
    """

    def __init__(
        self,
        request: Request,
        options: CallOptions,
        time: Callable[[], float],
        started: float,
        captures: tuple[ResponseCapture, ...] = (),
    ) -> None:
        self._start = CallStart(method=request.method, path=request.path)
        self._options = options
        self._time = time
        self._started = started
        self._captures = captures
        self._observer: CallObserver | None = None
        self._waits: dict[WaitReason, float] = {}
        self._last: Attempt | None = None
        self._attempts = 0
        self._response: Response | None = None

    async def start(self, deadline: float | None) -> None:
        """Report that the call starts. A hook that takes longer than the deadline allows is cancelled.

        If this raises, call `end`.
        """
        if self._options.observer is not None:
            self._observer = run_observer("an observer", self._options.observer.start_call, self._start)
        if self._options.on_call_start is not None:
            left = math.inf if deadline is None else max(0.0, deadline - self._time())
            await run_hook("on_call_start", self._options.on_call_start, self._start, min(left, MAX_HOOK_SECONDS))

    def add_wait(self, reason: WaitReason, seconds: float) -> None:
        """Report a wait that has ended."""
        self._waits[reason] = self._waits.get(reason, 0.0) + seconds
        if self._observer is not None:
            run_observer("an observer", self._observer.on_wait, reason, seconds)

    def start_attempt(self, number: int) -> None:
        """Report that a request is sent."""
        self._attempts, self._last = number, None
        if self._observer is not None:
            run_observer("an observer", self._observer.on_attempt_start, number)

    def end_attempt(self, attempt: Attempt) -> None:
        """Report the end of a request."""
        self._last = attempt
        if self._observer is not None:
            run_observer("an observer", self._observer.on_attempt_end, attempt)

    def observe_reads(self) -> Observer | None:
        """Return the observer of the calls that read back what this call has written."""
        return None if self._observer is None else run_observer("an observer", self._observer.observe_reads)

    def succeed(self, response: Response) -> None:
        """Hand over a successful response. The blocks that capture it get it if the call ends without an error."""
        self._response = response

    async def end(self, error: BaseException | None) -> None:
        """Report the outcome of the call: the exception that it raises, or None."""
        if error is None and self._response is not None:
            self._capture(self._response)
        last = self._last
        end = CallEnd(
            method=self._start.method,
            path=self._start.path,
            status=None if last is None else last.status,
            attempts=self._attempts,
            seconds=self._time() - self._started,
            waits=self._waits,
            error=error,
            request_id=None if last is None else last.request_id,
        )
        if self._observer is not None:
            run_observer("an observer", self._observer.on_end, end)
        # A coroutine that is closed instead of being awaited to its end cannot wait.
        if self._options.on_call_end is not None and not isinstance(error, GeneratorExit):
            # A cancelled scope of anyio would otherwise cancel the hook at its first wait.
            with CancelScope(shield=True):
                await run_hook("on_call_end", self._options.on_call_end, end)

    def _capture(self, response: Response) -> None:
        captured = APIResponse(
            method=self._start.method,
            path=self._start.path,
            status=response.status,
            headers=response.redacted_headers,
            request_id=response.request_id,
            attempts=self._attempts,
            seconds=self._time() - self._started,
        )
        for capture in self._captures:
            capture.add(captured)
