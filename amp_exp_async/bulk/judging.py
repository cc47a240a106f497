"""What errors mean for a run: whether it can go on, and what is said of what it leaves out."""

from __future__ import annotations

from amp_exp_async.errors import AmpExpError, ClientClosedError, RateLimitError

from .operations import CreateExperiment, CreateFlag, Operation


def not_begun(cause: AmpExpError | None) -> AmpExpError:
    """Why an operation was left out, in short; `cause` may be about another one."""
    match cause:
        case RateLimitError():
            error: AmpExpError = RateLimitError(
                "not begun: the day's requests are used up", retry_after=cause.retry_after, daily=cause.daily
            )
        case ClientClosedError():
            error = ClientClosedError(f"not begun: {cause}")
        case _:
            error = AmpExpError(f"not begun: {cause or 'the run was ended before it'}")
    error.__cause__ = cause
    return error


def whole(operation: Operation) -> object:
    """The flag or experiment that an operation is on, as the operation names it."""
    if isinstance(operation, CreateFlag | CreateExperiment):
        return operation.kind, operation.project_id, operation.key
    return operation.lookup or operation.order_key


def is_final(error: AmpExpError | None) -> bool:
    """Whether no other operation can do better."""
    return isinstance(error, ClientClosedError) or (isinstance(error, RateLimitError) and error.daily)
