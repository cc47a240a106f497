"""The mapping of aiohttp's exceptions and HTTP statuses to the errors of this library."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from attrs import evolve, frozen

from amp_exp_async import serialization
from amp_exp_async.config import V1, ApiVersion
from amp_exp_async.errors import (
    NOTHING_SENT,
    NOTHING_WRITTEN,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConflictError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
    program_ends,
)
from amp_exp_async.formatting import format_value
from amp_exp_async.interruption import is_shutdown_error
from amp_exp_async.ratelimit import SECONDS_PER_DAY
from amp_exp_async.serialization import MalformedDocumentError

from .observers import AttemptErrorType
from .refusals import KnownRefusal, RefusalKind, find_refusal
from .request import Request, Response, truncate_body
from .retry import AttemptResult, Idempotency, RequestedWait

_MAX_CLOCK_ERROR = 5  # seconds: a `Retry-After` has whole seconds, and clocks differ

_ID_IN_PATH = re.compile(r"/(flags|experiments)/(?!\d+(?:/|$))([^/]+)")  # not a number, so probably a key

_ERROR_CLASSES: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    409: ConflictError,
    429: RateLimitError,
}
_ADVICE = {
    400: "Correct the input as the response says.",
    401: "Check the management API key (not a deployment key) and the region: keys of the EU need the region eu.",
    403: "Use a key that has access to this project. A key has the permissions of the user who created it.",
    404: "Check the ID (not the key), the region, and whether the object was deleted.",
    407: "Check the user and the password of the proxy.",
    405: "Check the method: the path may not have it. Web experiments, guides and surveys are edited in the app.",
    409: "Read the object again and repeat the change.",
    429: "Wait, and lower rate_limit if others use the same key.",
}
_RETRY_ADVICE = {
    Idempotency.IDEMPOTENT: "The change may have been applied. Retrying is safe unless the object was changed since.",
    Idempotency.DELETE: "The removal may have been applied. Retrying is safe: 'not found' then confirms it.",
    Idempotency.EXCLUDE: "The removal may have been applied. Retrying is safe.",
    Idempotency.RENAME: "The change may have been applied. Look for the new key before you retry.",
    Idempotency.ARCHIVE: "The object may have been archived. Look at it before you retry.",
    Idempotency.CREATE: "The object may have been created. Look for it before you retry.",
    Idempotency.NON_IDEMPOTENT: "The request may have been applied. Check the object before you retry.",
}


def error_class(status: int, refusal: KnownRefusal | None = None) -> type[APIStatusError]:
    """Return the class of error for an HTTP status and the refusal that the body contains."""
    if refusal is not None and status == HTTPStatus.BAD_REQUEST:
        return refusal.error
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError
    return _ERROR_CLASSES.get(status, APIStatusError)


@frozen
class TransportFailure:
    """An attempt without a complete response.

    Attributes:
        reason: what happened, in words.
        sent: whether the service may have received the request.
        retryable: whether another attempt may succeed.
        timeout: whether a timeout expired.
        unexpected: whether a response arrived that differs from the API reference.
        malformed: whether a response arrived that is not HTTP, or does not have the encoding of its headers.
        advice: what to do, if there is something special. It ends with `setting`, if there is one.
        setting: the setting that corrects it; empty if it is not known.
        code_advice: further advice, which names arguments in Python.
        cause: the underlying exception.
    """

    reason: str
    sent: bool
    retryable: bool = True
    timeout: bool = False
    unexpected: bool = False
    malformed: bool = False
    advice: str = ""
    setting: str = ""
    code_advice: str = ""
    cause: BaseException | None = None

    def with_setting(self, setting: str, advice: str, code_advice: str = "") -> TransportFailure:
        """Return the failure with the setting that corrects it, and with advice, whose last word that is."""
        return evolve(self, setting=setting, advice=f"{advice} {setting}.", code_advice=code_advice)

    @property
    def error_type(self) -> AttemptErrorType:
        """What kind of failure it is."""
        if self.timeout:
            return "timeout"
        return "response" if self.unexpected or self.malformed else "connection"

    @property
    def attempt_result(self) -> AttemptResult:
        """The result for `decide`."""
        return AttemptResult(None, sent=self.sent, retryable=self.retryable)


LOST_BY_SERVER = TransportFailure("the connection was lost (the service answered 408)", sent=True)
"""A 408. Load balancers send it over an idle connection, so it may have crossed the request."""


def shutdown_error(error: BaseException) -> ClientClosedError | None:
    """Return the error for a call that needs a thread when the interpreter starts none; None for any other error."""
    return program_ends(f"Python starts no thread any longer ({error})") if is_shutdown_error(error) else None


def retry_advice(request: Request) -> str:
    """Return what an ambiguous request may have done, and how to continue."""
    return _RETRY_ADVICE[request.idempotency]


def format_attempts(attempts: int) -> str:
    """Return how many attempts were made, if several were."""
    return f" after {attempts} attempts" if attempts > 1 else ""


def reset_advice(time: float) -> str:
    """Return the advice for a daily limit that resets at a POSIX time. A time close to midnight is rounded."""
    midnight = round(time / SECONDS_PER_DAY) * SECONDS_PER_DAY
    reset = midnight if abs(time - midnight) < _MAX_CLOCK_ERROR else round(time)
    return f"Continue after the daily limit resets at {datetime.fromtimestamp(reset, UTC):%Y-%m-%dT%H:%M:%SZ}."


def make_connection_error(
    request: Request,
    failure: TransportFailure,
    attempts: int,
    *,
    received: bool,
    ambiguous: bool,
    note: str = "",
) -> APIConnectionError | UnexpectedResponseError:
    """Return the error for a call without a complete response, or with one that is not accepted.

    Args:
        request: the request.
        failure: how the last attempt failed.
        attempts: the number of attempts.
        received: whether the service may have received any of them.
        ambiguous: whether any of them may have been applied.
        note: why no further attempt was made, as a sentence, unless the policy forbids it.
    """
    consequence = ""
    if ambiguous and request.method != "GET":
        advice = retry_advice(request)
    elif failure.unexpected:
        advice = failure.advice or "Check base_url and proxy."
    elif failure.sent or ambiguous:
        advice = failure.advice or "Try again, or raise timeout, deadline or retry."
    else:
        consequence = NOTHING_WRITTEN if received else NOTHING_SENT
        advice = failure.advice or "Check the network, base_url, proxy and ssl."
    fact = f"{request.method} {request.path} failed{format_attempts(attempts)}: {failure.reason}"
    message = _join(fact, note, consequence)
    details: dict[str, Any] = {"method": request.method, "path": request.path, "attempts": attempts}
    error: APIConnectionError | UnexpectedResponseError
    if failure.unexpected:
        error = UnexpectedResponseError(message, **details)
    else:
        error = (APITimeoutError if failure.timeout else APIConnectionError)(message, **details, sent=ambiguous)
    error.advice = advice
    if isinstance(error, APIConnectionError) and advice == failure.advice:
        error.setting, error.code_advice = failure.setting or None, failure.code_advice
    error.__cause__ = failure.cause
    return error


def make_status_error(
    response: Response,
    wait: RequestedWait,
    *,
    ambiguous: bool,
    note: str = "",
    api: ApiVersion = V1,
) -> APIStatusError:
    """Return the error for a response that rejects the request.

    Args:
        response: the response.
        wait: the wait that it asks for.
        ambiguous: whether any attempt may have been applied.
        note: why no further attempt was made, as a sentence, unless the policy forbids it.
        api: the version of the API, whose client has the methods that advice may name.
    """
    request, status, text = response.request, response.status, response.text
    details: dict[str, Any] = {
        "status": status,
        "body": _json_or_text(text),
        "headers": response.redacted_headers,
        "method": request.method,
        "path": request.path,
        "attempts": response.attempts,
    }
    refusal = find_refusal(status, text, request.path)
    advice = _status_advice(status) if refusal is None else refusal.advice
    code_advice = "" if refusal is None else _code_advice(refusal, request.path, api)
    if response.refusal_kind is RefusalKind.NOT_FOUND:
        code_advice = _find_advice(request.path, api)
    if response.refusal_kind is RefusalKind.ARCHIVED and request.idempotency is Idempotency.ARCHIVE:
        advice, code_advice = "If the object is archived already, there is nothing to do.", ""
    if status == HTTPStatus.NOT_FOUND and "/versions/" in request.path:
        advice = "Check the number of the version, the ID (not the key), and the region."
    if wait.daily:
        advice = reset_advice(wait.ends_at)
    facts = [note]
    if wait.seconds and status == HTTPStatus.TOO_MANY_REQUESTS and not wait.daily:
        facts.append(f"The service asks for {f'{wait.seconds:.1f}'.removesuffix('.0')} s.")
    if request.method != "GET":
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            advice = retry_advice(request) if ambiguous else advice
            facts += [] if ambiguous else [NOTHING_WRITTEN]
        elif ambiguous:
            facts.append("An earlier attempt may have been applied.")
    body = f": {truncate_body(text)}" if text.strip() else ""
    fact = f"{request.method} {request.path} failed with {status}{format_attempts(response.attempts)}{body}"
    message = _join(fact, *facts)
    error: APIStatusError
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        error = RateLimitError(message, **details, retry_after=wait.seconds, daily=wait.daily)
    else:
        error = error_class(status, refusal)(message, **details)
    error.advice, error.code_advice, error.request_id = advice, code_advice, response.request_id
    return error


def _code_advice(refusal: KnownRefusal, path: str, api: ApiVersion) -> str:
    """Return the advice on a refusal that names what helps in Python."""
    if not refusal.method:
        return refusal.code_advice
    if api is V1:
        return f"Call {refusal.method}. {refusal.code_advice}".rstrip()
    return f"The Beta API cannot do this: call {path.split('/')[1]}.{refusal.method} of an ExperimentClient."


def _find_advice(path: str, api: ApiVersion) -> str:
    """Return the advice to look up a key, if the path has one in the place of an ID."""
    match = _ID_IN_PATH.match(path)
    if match is None:
        return ""
    client = "" if api is V1 else " of an ExperimentClient"
    return f"To look up a key, call {match[1]}.find({format_value(unquote(match[2]))}){client}."


def _status_advice(status: int) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "Try again later."
    if 300 <= status < 400:
        return "Redirects are not followed. Check base_url."
    return _ADVICE.get(status, "")


def _join(fact: str, *sentences: str) -> str:
    """Return a fact, with a full stop, and the sentences that are not empty."""
    return " ".join([fact if fact.endswith((".", "!", "?")) else f"{fact}.", *filter(None, sentences)])


def _json_or_text(text: str) -> Any:
    try:
        return serialization.decode(text.encode())
    except MalformedDocumentError:
        return text
