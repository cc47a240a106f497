"""The mapping of aiohttp's exceptions to failures of an attempt, without what they lead to."""

from __future__ import annotations

import re
import ssl
from http import HTTPStatus

import aiohttp
import attrs
from aiohttp.http_exceptions import HttpProcessingError

from amp_exp_async.config import Secret
from amp_exp_async.formatting import format_os_error, redact_userinfo

from .error_mapping import TransportFailure
from .response_body import ResponseTooLargeError, UnreadableBodyError
from .timeouts import AttemptLimits

# These mean that the request was not sent, wherever they come from.
_CONNECTION_ERRORS = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.ServerFingerprintMismatch,
    ssl.SSLError,
)
_HEADERS_TOO_LARGE_RE = re.compile(r"\s*(Got more than \d+ bytes|Too many headers)")
_SIZE_ADVICE = "Check base_url, raise max_response_bytes, or read lists with a smaller limit."
FAILURES = (
    aiohttp.ClientError,
    aiohttp.EofStream,
    HttpProcessingError,
    OSError,
    TimeoutError,
    UnreadableBodyError,
    ValueError,
)
"""The exceptions that `map_exception` takes."""


def map_exception(error: Exception, key: Secret, limits: AttemptLimits, *, sent: bool) -> TransportFailure:
    """Return what an exception of aiohttp says about an attempt.

    Args:
        error: the exception.
        key: the key to remove from its text.
        limits: the limits of the attempt.
        sent: whether there was a connection to send the request over.
    """
    hide_frames(error)
    # The text of a response error is the head of the request, with its headers.
    text = error.message if isinstance(error, HttpProcessingError | aiohttp.ClientResponseError) else str(error)
    text = redact_userinfo(key.redact(" ".join(text.split())))
    details = f"{type(error).__name__}: {text}" if text else type(error).__name__
    map_error = _map_response_error if sent and not isinstance(error, _CONNECTION_ERRORS) else _map_connection_error
    failure = map_error(error, details, limits)
    return failure if _shows_secrets(error, key) else attrs.evolve(failure, cause=error)


def _map_connection_error(error: Exception, details: str, limits: AttemptLimits) -> TransportFailure:
    """Return what an exception says that was raised before the request was sent."""
    match error:
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch() | ssl.SSLError():
            return TransportFailure(f"TLS failed ({details})", sent=False, retryable=False)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return TransportFailure(f"invalid URL ({details})", sent=False, retryable=False)
        case TimeoutError():
            return limits.connect_failure()
        case aiohttp.ClientConnectorError():
            # A proxy that closes the tunnel leaves an error without a text.
            reason = redact_userinfo(format_os_error(error.os_error)) or type(error.os_error).__name__
            return TransportFailure(f"could not connect ({reason})", sent=False)
        case aiohttp.ClientHttpProxyError():
            is_retryable = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            return TransportFailure(f"the proxy answered {error.status}", sent=False, retryable=is_retryable)
        case _:
            return TransportFailure(f"could not connect ({details})", sent=False)


def _map_response_error(error: Exception, details: str, limits: AttemptLimits) -> TransportFailure:  # noqa: PLR0911 - one for each kind
    """Return what an exception says that was raised after the request was sent, or while it was."""
    match error:
        case aiohttp.SocketTimeoutError():
            return limits.read_failure()
        case TimeoutError():
            return limits.total_failure(sent=True)
        case UnreadableBodyError():
            advice = _SIZE_ADVICE if isinstance(error, ResponseTooLargeError) else ""
            reason = f"the response {error}"
            return TransportFailure(reason, sent=True, retryable=False, unexpected=True, advice=advice)
        case HttpProcessingError() | aiohttp.ClientResponseError() if _HEADERS_TOO_LARGE_RE.match(error.message):
            reason = f"the headers of the response are too large ({details})"
            return TransportFailure(reason, sent=True, retryable=False, unexpected=True)
        case HttpProcessingError() | aiohttp.ClientResponseError():
            return TransportFailure(f"the response is not HTTP ({details})", sent=True)
        case aiohttp.ClientPayloadError():
            return TransportFailure(f"the response was cut off ({details})", sent=True)
        case aiohttp.ClientError() | OSError() | aiohttp.EofStream():
            return TransportFailure(f"the connection was lost ({details})", sent=True)
        case _:
            return TransportFailure(f"the session rejected it ({details})", sent=False, retryable=False)


def hide_frames(error: BaseException) -> None:
    """Remove what leads from an exception to the frames of aiohttp: they show the key and the proxy's password."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    error.__suppress_context__ = False
    # aiohttp's error of a certificate has another attribute, and its `os_error` fails until aiohttp 3.12.
    os_error = getattr(error, "os_error", None)
    if isinstance(os_error, OSError):
        hide_frames(os_error)


def _shows_secrets(error: Exception, key: Secret) -> bool:
    if isinstance(error, aiohttp.ClientResponseError):  # it holds the headers of the request
        return True
    text = repr((error, error.args, vars(error)))
    return "BasicAuth(" in text or redact_userinfo(key.redact(text)) != text
