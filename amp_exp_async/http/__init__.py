"""One request and its reply: paths, attempts, retries, pacing, order."""

from amp_exp_async.ratelimit import RateLimit, RedisRateLimit

from .connection import HttpOptions, HttpSession
from .options import Attempt, CallOptions, CallStats, CancelSignal, Usage
from .request import Request, Response, build_path
from .retry import Idempotency, RetryPolicy, http_date
from .scope import Scope
from .transport import AmbiguousWrite, AmbiguousWriteError, CallAbandonedError, SerializedWrite, Transport

__all__ = [
    "AmbiguousWrite",
    "AmbiguousWriteError",
    "Attempt",
    "CallAbandonedError",
    "CallOptions",
    "CallStats",
    "CancelSignal",
    "HttpOptions",
    "HttpSession",
    "Idempotency",
    "RateLimit",
    "RedisRateLimit",
    "Request",
    "Response",
    "RetryPolicy",
    "Scope",
    "SerializedWrite",
    "Transport",
    "Usage",
    "build_path",
    "http_date",
]
