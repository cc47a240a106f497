"""One request and its reply: paths, attempts, retries, pacing, order."""

from amp_exp_async.ratelimit import RateLimit, RedisRateLimit

from .call import CallAbandonedError
from .connection import HttpOptions, HttpSession
from .options import Attempt, CallOptions, Tally, Usage
from .request import Request, Response, build_path
from .retry import Idempotency, RetryPolicy, http_date
from .scope import Scope
from .transport import AmbiguousWrite, Transport, cannot_reconcile

__all__ = [
    "AmbiguousWrite",
    "Attempt",
    "CallAbandonedError",
    "CallOptions",
    "HttpOptions",
    "HttpSession",
    "Idempotency",
    "RateLimit",
    "RedisRateLimit",
    "Request",
    "Response",
    "RetryPolicy",
    "Scope",
    "Tally",
    "Transport",
    "Usage",
    "build_path",
    "cannot_reconcile",
    "http_date",
]
