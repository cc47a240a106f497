"""Requests and responses: retries, rate limiting, locks and the mapping of errors."""

from amp_exp_async.ratelimit import RateLimit, RedisRateLimit

from .additions import hide_headers
from .block_deadlines import BlockDeadline
from .capture import APIResponse, ResponseCapture
from .deadlines import CancelScope
from .error_mapping import shutdown_error
from .hooks import run_observer
from .observers import Attempt, CallEnd, CallObserver, CallStart, Observer, Telemetry, WaitReason
from .options import (
    CallOptions,
    CallStats,
    CancelSignal,
    ExplanatoryReads,
    HttpOptions,
    PendingCall,
    Usage,
    resolve_shutdown_timeout,
)
from .recent_writes import LAG, READ_INTERVAL, RecentWrites
from .refusals import FLAG_NOT_FOUND, is_not_found, is_refusal
from .request import QueryParameters, Request, Response, build_path, quote_segment
from .retry import Idempotency, RetryPolicy, parse_http_date
from .session import HttpSession, running_loop
from .timeouts import Timeout
from .transport import AmbiguousWrite, AmbiguousWriteError, CallAbandonedError, SerializedWrite, Transport

__all__ = [
    "FLAG_NOT_FOUND",
    "LAG",
    "READ_INTERVAL",
    "APIResponse",
    "AmbiguousWrite",
    "AmbiguousWriteError",
    "Attempt",
    "BlockDeadline",
    "CallAbandonedError",
    "CallEnd",
    "CallObserver",
    "CallOptions",
    "CallStart",
    "CallStats",
    "CancelScope",
    "CancelSignal",
    "ExplanatoryReads",
    "HttpOptions",
    "HttpSession",
    "Idempotency",
    "Observer",
    "PendingCall",
    "QueryParameters",
    "RateLimit",
    "RecentWrites",
    "RedisRateLimit",
    "Request",
    "Response",
    "ResponseCapture",
    "RetryPolicy",
    "SerializedWrite",
    "Telemetry",
    "Timeout",
    "Transport",
    "Usage",
    "WaitReason",
    "build_path",
    "hide_headers",
    "is_not_found",
    "is_refusal",
    "parse_http_date",
    "quote_segment",
    "resolve_shutdown_timeout",
    "run_observer",
    "running_loop",
    "shutdown_error",
]
