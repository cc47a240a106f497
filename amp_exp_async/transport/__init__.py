"""One request and its reply: paths, attempts, retries, pacing, order."""

from .connection import Connection, NetworkOptions
from .limits import RateLimit, RedisRateLimit
from .options import Attempt, CallOptions, Tally, Usage
from .request import Reply, Request, path_of
from .retry import Repeat, RetryPolicy, http_date
from .transport import Loss, Transport, beyond_settling

__all__ = [
    "Attempt",
    "CallOptions",
    "Connection",
    "Loss",
    "NetworkOptions",
    "RateLimit",
    "RedisRateLimit",
    "Repeat",
    "Reply",
    "Request",
    "RetryPolicy",
    "Tally",
    "Transport",
    "Usage",
    "beyond_settling",
    "http_date",
    "path_of",
]
