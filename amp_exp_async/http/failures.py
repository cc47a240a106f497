"""From what went wrong on the wire to the errors of this library, and what their messages advise."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
from attrs import frozen
from multidict import CIMultiDict

from amp_exp_async.config import Secret
from amp_exp_async.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from amp_exp_async.ratelimit import SECONDS_PER_DAY

from .request import Request, Response, excerpt
from .retry import Idempotency, Outcome, is_daily

_SECONDS_OFF = 5  # a `Retry-After` is in whole seconds, and clocks differ

_ADVICE = {
    400: "Correct the input as the reply says.",
    401: "Check the management API key (not a deployment key) and the region: a key of the EU needs region='eu'.",
    403: "Use a key that has access to this project.",
    404: "Check the id (an id, not a key), the region, and whether the object was deleted.",
    405: "Web experiments, guides and surveys can only be edited in the app.",
    409: "Read the object again and repeat the change on its present state.",
    429: "Wait, and lower rate_limit if others use the same key.",
}
_ADVICE_BY_HUNDREDS = {
    3: "Redirects are refused, since a followed one would change the request: check base_url.",
    5: "The service failed. Try again later.",
}


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    409: ConflictError,
    429: RateLimitError,
}


def error_class(status: int) -> type[APIStatusError]:
    """The class of error for an HTTP status."""
    return ServerError if status >= 500 else _BY_STATUS.get(status, APIStatusError)


@frozen
class Failure:
    """An attempt without a complete reply.

    Attributes:
        reason: what happened, in words.
        sent: whether the service may have received the request.
        retryable: whether another attempt can be expected to do better.
        timeout: whether it was time that ran out.
        cause: the error underneath.
    """

    reason: str
    sent: bool
    retryable: bool
    timeout: bool
    cause: BaseException | None = None

    @property
    def outcome(self) -> Outcome:
        """What the retry rules need to know of it."""
        return Outcome(None, sent=self.sent, retryable=self.retryable)


def failure(error: Exception, key: Secret, seconds: float) -> Failure:  # noqa: PLR0911 - one line for each kind reads best
    """What an exception of aiohttp says about the attempt."""
    # Foreign tracebacks would carry the request's headers, and with them the key, in their local variables.
    words = key.redact(str(error))
    error.__cause__ = error.__context__ = None
    shows_headers = isinstance(error, aiohttp.ClientResponseError) or words != str(error)
    cause = None if shows_headers else error.with_traceback(None)
    reason = f"{type(error).__name__}: {words}" if words else type(error).__name__
    match error:
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch() | ssl.SSLError():
            return Failure(f"TLS failed ({reason})", sent=False, retryable=False, timeout=False, cause=cause)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Failure(f"not a usable URL ({reason})", sent=False, retryable=False, timeout=False, cause=cause)
        case aiohttp.ConnectionTimeoutError():
            return Failure(
                f"no connection within the {seconds:.3g} s of an attempt",
                sent=False,
                retryable=True,
                timeout=True,
                cause=cause,
            )
        case aiohttp.ClientConnectorError():
            return Failure(f"could not connect ({reason})", sent=False, retryable=True, timeout=False, cause=cause)
        case aiohttp.ClientHttpProxyError():
            again = error.status >= 500
            reason = f"the proxy answered {error.status}"
            return Failure(reason, sent=False, retryable=again, timeout=False, cause=cause)
        case TimeoutError():
            return Failure(
                f"no complete reply within {seconds:.3g} s", sent=True, retryable=True, timeout=True, cause=cause
            )
        case aiohttp.ClientPayloadError():
            return Failure(f"the reply broke off ({reason})", sent=True, retryable=True, timeout=False, cause=cause)
        case aiohttp.ClientError() | OSError():
            return Failure(f"connection lost ({reason})", sent=True, retryable=True, timeout=False, cause=cause)
        case _:
            return Failure(f"the session refused ({reason})", sent=False, retryable=False, timeout=False, cause=cause)


_AGAIN = {
    Idempotency.IDEMPOTENT: "Sending it again is safe unless the object was changed since: "
    "the second time changes nothing.",
    Idempotency.DELETE: "Sending it again is safe: a 404 then means that it was done.",
    Idempotency.RENAME: "Look at the object before you send it again: it may have its new key already.",
    Idempotency.CREATE: "Look at the object before you send it again.",
    Idempotency.NON_IDEMPOTENT: "Look at the object before you send it again.",
}


def what_now(request: Request, *, lost: bool) -> str:
    """What a call without an answer has left behind, and what to do."""
    if request.method == "GET":
        return "Nothing was changed."
    return f"It may have been applied. {_AGAIN[request.repeat]}" if lost else "It was not applied."


def after(attempts: int) -> str:
    """How many attempts were made, in words."""
    return "after 1 attempt" if attempts == 1 else f"after {attempts} attempts"


def resets(wall: float) -> str:
    """When the day's limit does, given as POSIX time, in words: at the end of a day, where it is as good as that."""
    midnight = round(wall / SECONDS_PER_DAY) * SECONDS_PER_DAY
    moment = midnight if abs(wall - midnight) < _SECONDS_OFF else round(wall)
    return f"The day's limit resets at {datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}."


def connection_error(request: Request, fault: Failure, attempts: int, *, lost: bool, note: str) -> APIConnectionError:
    """The error for a call that got no complete reply.

    Args:
        request: what was asked.
        fault: how the last attempt failed.
        attempts: how many there were.
        lost: whether any of them may have been applied.
        note: why there was no other attempt, when it is not the policy.
    """
    kind = APITimeoutError if fault.timeout else APIConnectionError
    if lost and not request.repeat.may_repeat:
        advice = what_now(request, lost=lost)
    elif fault.sent or lost:
        advice = f"{what_now(request, lost=lost)} Try again, or raise timeout, deadline or retry."
    else:
        advice = "Nothing was sent. Check the network, base_url, proxy and ssl."
    error = kind(
        f"{request.method} {request.path}: {fault.reason}, {after(attempts)}. {advice}{note}",
        method=request.method,
        path=request.path,
        attempts=attempts,
        sent=lost,
    )
    error.__cause__ = fault.cause
    return error


def status_error(reply: Response, retry_after: float | None, *, lost: bool, note: str) -> APIStatusError:
    """The error for a reply that refuses."""
    request, status = reply.request, reply.status
    text = reply.text
    details: dict[str, Any] = {
        "status": status,
        "body": _json_or_text(text),
        "headers": CIMultiDict((name, reply.key.redact(value)) for name, value in reply.headers.items()),
        "method": request.method,
        "path": request.path,
        "attempts": reply.attempts,
    }
    advice = _ADVICE.get(status) or _ADVICE_BY_HUNDREDS.get(status // 100, "")
    if status == 429 and is_daily(retry_after, text):
        advice = "Go on when the day is over."
    if lost and request.method != "GET":
        advice = f"{what_now(request, lost=lost)} {advice}"
    message = (
        f"{request.method} {request.path} answered {status}, {after(reply.attempts)}: {excerpt(text)} {advice}{note}"
    )
    if status == 429:
        return RateLimitError(message, **details, retry_after=retry_after, daily=is_daily(retry_after, text))
    return error_class(status)(message.rstrip(), **details)


def _json_or_text(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
