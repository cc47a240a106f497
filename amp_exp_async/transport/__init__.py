"""One request and its reply: paths, attempts, retries, pacing, order."""

from .call import GivenUpError
from .connection import Connection, NetworkOptions
from .limits import RateLimit, RedisRateLimit
from .options import Attempt, CallOptions, Tally, Usage
from .request import Reply, Request, path_of
from .retry import Repeat, RetryPolicy, http_date
from .scope import Scope
from .transport import Loss, Transport, beyond_settling

__all__ = [
    "Attempt",
    "CallOptions",
    "Connection",
    "GivenUpError",
    "Loss",
    "NetworkOptions",
    "RateLimit",
    "RedisRateLimit",
    "Repeat",
    "Reply",
    "Request",
    "RetryPolicy",
    "Scope",
    "Tally",
    "Transport",
    "Usage",
    "beyond_settling",
    "http_date",
    "path_of",
]
