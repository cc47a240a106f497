"""What a failed TLS handshake means, and which setting corrects it."""

from __future__ import annotations

import ssl

import aiohttp

from .certificate_variables import describe_ignored
from .error_mapping import TransportFailure

# The numbers of OpenSSL. See the manual of `openssl-verification-options`.
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21, 27})
_OTHER_HOST = frozenset({62, 64})
_CONTEXT_ADVICE = 'Pass ssl=ssl.create_default_context(cafile="ca.pem").'


def tls_failure(error: Exception, details: str, peer: str, address: str) -> TransportFailure:
    """Return what an exception says that was raised in a handshake.

    Args:
        error: the exception.
        details: its type and text, for one that is not known.
        peer: the words for the other side.
        address: the setting that names its host.
    """
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return _failure(f"{peer} has a certificate with another fingerprint").with_setting("ssl", "Check")
    cause = getattr(error, "certificate_error", error)
    if not isinstance(cause, ssl.SSLCertVerificationError) or not hasattr(cause, "verify_code"):
        return _failure(_reason(error) or details).with_setting(address, "Check the host and the port in")
    code, message = cause.verify_code, cause.verify_message.rstrip(".")
    if code in _UNKNOWN_ISSUER:
        ignored = describe_ignored()
        failure = _failure("; ".join(filter(None, [f"the certificate of {peer} is not trusted: {message}", ignored])))
        correction = f"correct {ignored.partition(',')[0]}, or " if ignored else ""
        advice = f"If a private CA has issued it, {correction}name that CA with"
        return failure.with_setting("ssl", advice, _CONTEXT_ADVICE)
    if code in _OTHER_HOST:
        failure = _failure(f"the certificate of {peer} is for another host: {message}")
        return failure.with_setting(address, "Check the host in")
    failure = _failure(f"the certificate of {peer} is not valid: {message}")
    return failure.with_setting(address, "Check the clock of this machine, and the host in")


def _failure(reason: str) -> TransportFailure:
    return TransportFailure(f"TLS failed ({reason})", sent=False, retryable=False)


def _reason(error: Exception) -> str:
    """Return the reason of OpenSSL, in words, if it gives one."""
    reason = getattr(getattr(error, "os_error", error), "reason", None)
    return reason.replace("_", " ").lower() if isinstance(reason, str) else ""
