"""The mapping of aiohttp's exceptions to failures of an attempt, without what they lead to."""

from __future__ import annotations

import re
import ssl
from http import HTTPStatus
from typing import cast

import aiohttp
import attrs
from aiohttp.http_exceptions import HttpProcessingError

from amp_exp_async.config import Secret
from amp_exp_async.formatting import format_os_error, redact_userinfo, truncate

from .error_mapping import TransportFailure
from .proxies import ProxySetting
from .response_body import CorruptBodyError, ResponseTooLargeError, UnreadableBodyError
from .timeouts import AttemptLimits
from .tls_errors import tls_failure

CONNECTION_ERRORS = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.ServerFingerprintMismatch,
)
"""What aiohttp raises only before it sends a request, for this one or for one that other code sends."""
_HEADERS_TOO_LARGE_RE = re.compile(r"\s*(Got more than \d+ bytes|Too many headers)")
_MAX_DETAILS = 300  # characters of the text of an exception, which may quote a header of many KiB
_OTHER_CODE = "code that the session calls failed"
_SESSION_ADVICE = "Check the middlewares and the trace_configs of the session."
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
"""The exceptions of aiohttp itself."""


def map_exception(
    error: Exception, key: Secret, limits: AttemptLimits, *, sent: bool, proxy: ProxySetting | None = None
) -> TransportFailure:
    """Return what an exception of aiohttp, or of code that its session calls, says about an attempt.

    Args:
        error: the exception.
        key: the key to remove from its text.
        limits: the limits of the attempt.
        sent: whether the service may have received the request.
        proxy: the proxy that the request goes to; None without one.
    """
    text = _excerpt(_text_of(error), key)
    details = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if sent:
        failure = _map_response_error(error, details, limits)
    else:
        failure = _map_connection_error(error, details, key, limits, proxy)
    return failure if _shows_secrets(error, key) else attrs.evolve(failure, cause=error)


def _text_of(error: Exception) -> str:
    if isinstance(error, HttpProcessingError | aiohttp.ClientResponseError):
        return error.message  # the text of a response error is the head of the request, with its headers
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the class may be the user's
        return ""


def _excerpt(text: str, key: Secret) -> str:
    """Return the beginning of a text on one line, without secrets."""
    # A secret that was cut first would not be found.
    return truncate(redact_userinfo(key.redact(" ".join(text.split()))), _MAX_DETAILS)


def _map_connection_error(
    error: Exception, details: str, key: Secret, limits: AttemptLimits, proxy: ProxySetting | None
) -> TransportFailure:
    """Return what an exception says that was raised before the request was sent."""
    at_proxy = proxy is not None and (getattr(error, "host", None), getattr(error, "port", None)) == proxy.address
    peer, address = ("the proxy", proxy.name) if proxy is not None and at_proxy else ("the service", "base_url")
    match error:
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch() | ssl.SSLError():
            failure = tls_failure(error, details, peer, address)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            failure = TransportFailure(f"invalid URL ({details})", sent=False, retryable=False)
        case TimeoutError():
            failure = limits.connect_failure()
        case aiohttp.ClientConnectorError():
            # A proxy that closes the tunnel leaves an error without a text.
            reason = _excerpt(format_os_error(error.os_error), key) or type(error.os_error).__name__
            failure = TransportFailure(f"could not connect ({reason})", sent=False)
            if at_proxy:
                failure = TransportFailure(f"could not connect to the proxy ({reason})", sent=False).with_setting(
                    address, "Check the host and the port in"
                )
        case aiohttp.ClientHttpProxyError():
            is_retryable = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            failure = TransportFailure(f"the proxy answered {error.status}", sent=False, retryable=is_retryable)
            if proxy is not None:
                needs_login = error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
                advice = "Check the user and the password in" if needs_login else "Name a proxy that allows the host in"
                failure = failure.with_setting(proxy.name, advice)
        case aiohttp.ClientError() | HttpProcessingError() | OSError():
            failure = TransportFailure(f"could not connect ({details})", sent=False)
        case _:
            failure = TransportFailure(f"the session rejected it ({details})", sent=False, retryable=False)
    return failure


def _map_response_error(error: Exception, details: str, limits: AttemptLimits) -> TransportFailure:  # noqa: PLR0911 - one for each kind
    """Return what an exception says that was raised after the request was sent, or while it was."""
    if isinstance(error, CONNECTION_ERRORS):
        return TransportFailure(f"{_OTHER_CODE} ({details})", sent=True, advice=_SESSION_ADVICE)
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
            return TransportFailure(f"the response is not HTTP ({details})", sent=True, malformed=True)
        case CorruptBodyError():
            return TransportFailure(f"the response is corrupt: {error}", sent=True, malformed=True)
        case aiohttp.ClientPayloadError():
            return TransportFailure(f"the response was cut off ({details})", sent=True)
        case aiohttp.ClientError() | OSError() | aiohttp.EofStream():
            return TransportFailure(f"the connection was lost ({details})", sent=True)
        case _:
            return TransportFailure(f"{_OTHER_CODE} ({details})", sent=True, retryable=False, advice=_SESSION_ADVICE)


def hide_frames(error: BaseException) -> None:
    """Remove what leads from an exception to the frames of aiohttp: they show the key and the proxy's password."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    error.__suppress_context__ = False
    # aiohttp's error of a certificate has another attribute, and its `os_error` fails until aiohttp 3.12.
    os_error = getattr(error, "os_error", None)
    if isinstance(os_error, OSError):
        hide_frames(os_error)
    if isinstance(error, BaseExceptionGroup):  # of a middleware that sends the request in a task group
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            hide_frames(inner)


def _shows_secrets(error: Exception, key: Secret) -> bool:
    if isinstance(error, aiohttp.ClientResponseError):  # it holds the headers of the request
        return True
    try:
        text = repr((error, error.args, vars(error)))
    except Exception:  # noqa: BLE001 - the class may be the user's
        return True
    return "BasicAuth(" in text or redact_userinfo(key.redact(text)) != text
