"""`parse_webhook`: only a notification with a valid, recent signature is parsed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from amp_exp_async import (
    UNSET,
    Experiment,
    Flag,
    InvalidInputError,
    WebhookEvent,
    WebhookVerificationError,
    parse_webhook,
)
from tests.serialization.sample_documents import EXPERIMENT, FLAG

KEY = "whsec-canary"
DOCUMENT: dict[str, Any] = {
    "flagId": 12,
    "flagName": "new-checkout",
    "scope": "exp_tags",
    "scopeParam": 5,
    "scopeParamName": "payments",
    "action": "updated",
    "modifiedBy": "jane",
    "flag": FLAG | {"enabled": True},
    "oldFlag": FLAG | {"enabled": False},
    "sentBy": "alert",
}


def sign(body: bytes, *, age: float = 0.0, key: str = KEY) -> dict[str, str]:
    """Return the headers of a notification that was signed some seconds ago."""
    sent_at = int((time.time() - age) * 1000)
    digest = hmac.new(key.encode(), f"{sent_at}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "X-Knock-Signature": f"t={sent_at},s={base64.b64encode(digest).decode()}",
    }


def test_a_notification() -> None:
    """All fields of the vendor's page are typed, and unknown ones are kept."""
    body = json.dumps(DOCUMENT).encode()
    for event in (parse_webhook(body, sign(body), KEY), parse_webhook(body.decode(), sign(body), KEY)):
        assert (event.flag_id, event.flag_key, event.action, event.modified_by) == (
            "12",
            "new-checkout",
            "updated",
            "jane",
        )
        assert (event.scope, event.scope_param, event.scope_param_name) == ("exp_tags", "5", "payments")
        assert isinstance(event.flag, Flag)
        assert isinstance(event.old_flag, Flag)
        assert (event.flag.enabled, event.old_flag.enabled, event.extra) == (True, False, {"sentBy": "alert"})
        assert str(event) == "flag new-checkout (12) updated by jane"


def test_a_creation() -> None:
    """A notification without the parts that a creation or a project alert leaves out is complete."""
    body = json.dumps({"flagId": 1, "flagName": "a", "action": "created", "flag": EXPERIMENT, "oldFlag": None}).encode()
    event = parse_webhook(body, sign(body), KEY)
    assert isinstance(event.flag, Experiment)
    assert (event.old_flag, event.scope_param, str(event)) == (None, UNSET, "experiment a (1) created")


BODY = json.dumps(DOCUMENT).encode()
SIGNATURE = sign(BODY)["X-Knock-Signature"]


@pytest.mark.parametrize(
    ("body", "headers", "problem"),
    [
        (BODY, {}, "has no header x-knock-signature"),
        (BODY, {"x-knock-signature": ""}, "is not of the form"),
        (BODY, {"x-knock-signature": "t=١٢,s=AA=="}, "is not of the form"),
        (BODY, {"x-knock-signature": f"t={'9' * 400},s=AA=="}, "is not of the form"),
        (BODY, {"x-knock-signature": SIGNATURE.split(",", maxsplit=1)[0]}, "does not fit"),
        (BODY, {"x-knock-signature": "t=1,s=é\udcff"}, "does not fit"),
        (BODY + b" ", {"x-knock-signature": SIGNATURE}, "does not fit"),
        (BODY, sign(BODY, key="another"), "does not fit"),
        (BODY, sign(BODY, age=400), " s old, and at most 300 s are allowed"),
        (BODY, sign(BODY, age=-4000), "the signature is from [34][0-9]{3} s in the future, and at most 300 s"),
    ],
)
def test_a_forged_notification(body: bytes, headers: dict[str, str], problem: str) -> None:
    """A missing, malformed, wrong or old signature is rejected, and the key is in no frame of the error."""
    with pytest.raises(WebhookVerificationError, match=problem) as caught:
        parse_webhook(body, headers, KEY)
    frames = [entry.frame.f_locals for entry in caught.traceback[1:]]
    assert frames
    assert KEY not in repr(frames) + str(caught.value)


def test_any_age() -> None:
    """Without a tolerance, an old notification is accepted."""
    assert isinstance(parse_webhook(BODY, sign(BODY, age=1e6), KEY, tolerance=None), WebhookEvent)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[]", "body: differs from the vendor's description of webhooks: expected an object"),
        (b"{", "not JSON"),
        (json.dumps({**DOCUMENT, "flag": {**FLAG, "enabled": "yes"}}).encode(), "at flag.enabled: expected a boolean"),
        (json.dumps({**DOCUMENT, "action": None}).encode(), "at action"),
    ],
)
def test_a_body_of_another_form(body: bytes, problem: str) -> None:
    """A signed body that differs from the vendor's page is rejected, with the location."""
    with pytest.raises(InvalidInputError, match=problem) as caught:
        parse_webhook(body, sign(body), KEY)
    assert "sent" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((DOCUMENT, {}, KEY), "body: must be the request body as it was received, in bytes"),
        ((BODY, {}, b"whsec-canary"), r"key: must be the signing key of the alert, as a string\."),
        ((BODY, {}, ""), "key: must be the signing key"),
        ((BODY, [], KEY), "headers: must be"),
        ((BODY, {}, [KEY]), "key: must be the signing key"),
    ],
)
def test_wrong_arguments(arguments: Any, problem: str) -> None:
    """A wrong argument is named, without its value if that is the key."""
    with pytest.raises(InvalidInputError, match=problem) as caught:
        parse_webhook(*arguments)
    assert "sent" not in str(caught.value)
    frames = [entry.frame.f_locals for entry in caught.traceback[1:]]
    assert frames
    assert KEY not in repr(frames)


async def test_the_documented_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler of the documentation accepts a signed notification, and answers 400 to another."""
    page = (Path(__file__).parent.parent / "docs/changes.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "parse_webhook" in block]
    names: dict[str, Any] = {"print": str}
    exec(code, names)
    monkeypatch.setenv("AMPLITUDE_SIGNING_KEY", KEY)
    app = web.Application()
    app.router.add_post("/", names["flag_changed"])
    async with TestClient(TestServer(app)) as client:
        for headers, status in ((sign(BODY), 204), (sign(BODY, key="another"), 400)):
            async with client.post("/", data=BODY, headers=headers) as response:
                assert response.status == status
