"""Webhooks: checks the signature of a notification, and parses it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

from . import serialization, validation
from .config import Secret
from .errors import InvalidInputError, WebhookVerificationError
from .models import WebhookEvent
from .serialization import MalformedDocumentError

_SIGNATURE_HEADER = "x-knock-signature"


def parse_webhook(
    body: bytes | str, headers: Mapping[str, str], key: str, *, tolerance: float | None = 300.0
) -> WebhookEvent:
    """Check the signature of a notification about a flag, and return it. This sends no request.

    An alert of Amplitude Experiment sends it to the URL that you entered. The vendor describes the
    [alerts](https://amplitude.com/docs/feature-experiment/notifications), and refers to
    [Knock](https://docs.knock.app/developer-tools/outbound-webhooks/overview#verifying-the-signature) for the
    signature: the header `x-knock-signature` has a time and the HMAC-SHA256 of the time and the body.

    Args:
        body: the request body as it was received. JSON that was parsed and written again has another signature.
        headers: the request headers; the case of their names does not matter.
        key: the signing key that you entered for the alert.
        tolerance: seconds that the signature may be older or newer than the local time, against notifications that
            someone recorded and sends again; None for any age.

    Raises:
        WebhookVerificationError: If the signature is missing, invalid, or not from the time that `tolerance` allows.
            Reject the request, such as with 400.
        InvalidInputError: If an argument breaks a rule, or if the body has a valid signature and differs from the
            vendor's page.

    Example::

        event = parse_webhook(await request.read(), request.headers, signing_key)
        print(event, event.flag)  # flag new-checkout (123) updated by jane
    """
    # A traceback could show the variable.
    text = key if isinstance(key, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance] - of untyped callers
    secret, text, key = Secret(text), "", ""
    try:
        return _parse_verified(body, headers, secret, tolerance)
    except InvalidInputError as error:
        error.consequence = ""  # a parser sends nothing anyway
        raise


def _parse_verified(
    body: bytes | str, headers: Mapping[str, str], secret: Secret, tolerance: float | None
) -> WebhookEvent:
    if not secret.reveal():
        validation.reject("key", "must be the signing key of the alert, as a string")
    content = body.encode(errors="replace") if isinstance(body, str) else body
    if not isinstance(content, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        validation.reject("body", "must be the request body as it was received, in bytes")
    if tolerance is not None:
        tolerance = validation.number("tolerance", tolerance)
    _verify(content, _find_signature(headers), secret, tolerance)
    return _parse(content)


def _find_signature(headers: Mapping[str, str]) -> str:
    for name, value in validation.mapping("headers", headers).items():
        if name.lower() == _SIGNATURE_HEADER:
            return str(value)
    raise WebhookVerificationError(
        f"the request has no header {_SIGNATURE_HEADER}. Reject it. If it comes from your alert, pass all its headers."
    )


def _verify(content: bytes, signature: str, secret: Secret, tolerance: float | None) -> None:
    """Raise an error unless a signature fits the body, the key and the time."""
    parts = {name.strip(): value for name, _, value in (part.partition("=") for part in signature.split(","))}
    sent_at, received = parts.get("t", ""), parts.get("s", "")
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 15):
        raise WebhookVerificationError(
            f"the header {_SIGNATURE_HEADER} is not of the form 't=<milliseconds>,s=<signature>'. Reject the request."
        )
    signed = sent_at.encode() + b"." + content
    expected = base64.b64encode(hmac.digest(secret.reveal().encode(errors="replace"), signed, hashlib.sha256))
    if not hmac.compare_digest(expected, received.encode(errors="replace")):
        raise WebhookVerificationError(
            "the signature does not fit the body and the key. Reject the request. If it comes from your alert, compare "
            "the signing keys, and pass the body as it was received."
        )
    age = time.time() - int(sent_at) / 1000
    if tolerance is not None and abs(age) > tolerance:
        found = f"{age:.0f} s old" if age > 0 else f"from {-age:.0f} s in the future"
        raise WebhookVerificationError(
            f"the signature is {found}, and at most {tolerance:g} s are allowed. Reject the request. If it is new, set "
            "the clock of this machine."
        )


def _parse(content: bytes) -> WebhookEvent:
    try:
        return serialization.parse_object(WebhookEvent, content)
    except MalformedDocumentError as error:
        where = f" at {error.location}" if error.location else ""
        validation.reject("body", f"differs from the vendor's description of webhooks{where}: {error.reason}")
