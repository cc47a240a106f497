"""Secrets in texts of others: they are removed in each form in which a server may quote them."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from itertools import product
from urllib.parse import quote, quote_plus

import pytest

from amp_exp_async.config import Secret
from amp_exp_async.redaction import MIN_LENGTH, Redactor

SECRETS = [
    "a3f9" * 10,
    "Sup3r-S3cret!",
    'p"a\\s&s/w<o>r%d +',
    "%41%42:%2F",
    "pässwört",
    "pass€word",
    "пароль",
    "\U0001f600" * 6,
    "......",
]
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, all escaped": lambda text: "".join(f"\\u{unit:04X}" for unit in _utf16(text)),
    "JSON with slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded as a form": quote_plus,
    "percent-encoded, all": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent-encoded Latin-1": lambda text: quote(text, safe="", encoding="latin-1"),
    "HTML": html.escape,
    "HTML, decimal": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(char):04X};" for char in text),
    "bytes of Python": lambda text: repr(text.encode())[2:-1],
    "bytes of Python, all escaped": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "decoded wrongly": lambda text: text.encode().decode("ascii", "surrogateescape"),
    "not decoded": lambda text: text.encode().decode("ascii", "replace"),
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64 with a user": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "Base64 between others": lambda text: base64.b64encode(f"Bearer {text}, ok".encode()).decode(),
    "Base64 for URLs": lambda text: base64.urlsafe_b64encode(f"x:{text}".encode()).decode(),
    "Base64, percent-encoded": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "mixed": lambda text: quote(text[:3], safe="") + "".join(f"\\u{unit:04x}" for unit in _utf16(text[3:6])) + text[6:],
}


def _utf16(text: str) -> list[int]:
    data = text.encode("utf-16-be")
    return [int.from_bytes(data[index : index + 2]) for index in range(0, len(data), 2)]


def _is_latin_1(text: str) -> bool:
    return all(ord(char) < 256 for char in text)


@pytest.mark.parametrize(
    ("secret", "form"),
    [case for case in product(SECRETS, FORMS) if _is_latin_1(case[0]) or case[1] != "percent-encoded Latin-1"],
)
def test_each_form(secret: str, form: str) -> None:
    """Nothing but the edges of Base64, which depend on what is beside the secret, is left."""
    quoted = FORMS[form](secret)
    shown = Redactor([secret])(f"it was <{quoted}>!")
    assert shown.startswith("it was <")
    assert shown.endswith(">!")
    assert "***" in shown
    shown = shown.removeprefix("it was <").removesuffix(">!").replace("***", "")
    assert len(shown) <= (20 if "Base64" in form else 0)
    assert secret not in shown


@pytest.mark.parametrize("form", ["plain", "JSON, all escaped", "percent-encoded, all", "HTML, decimal"])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_cut(secret: str, form: str) -> None:
    """What an ellipsis leaves of a secret is removed too, wherever it was cut, except for a few characters."""
    quoted = FORMS[form](secret)
    redact = Redactor([secret])
    for length in range(len(FORMS[form](secret[:5])), len(quoted)):
        assert redact(f"it was {quoted[:length]}… of") == "it was ***… of"


@pytest.mark.parametrize(
    "text", ["", "the flag is archived", "50% & more + …", "a3f9a3f9", "\\u0061\\\\", "Süden 😀", "область"]
)
def test_other_texts(text: str) -> None:
    """They stay as they are."""
    assert Redactor(SECRETS)(text) == text


def test_short_secrets() -> None:
    """They stay, because words would become unreadable; one of the minimal length is removed."""
    assert MIN_LENGTH == 6
    assert Redactor(["", "flag", "users"])("the flag of five users, 100%") == "the flag of five users, 100%"
    assert Redactor(["s3cret"])("the s3cret, 100%") == "the ***, 100%"


def test_several_secrets() -> None:
    """The longest is removed first, and so are those that a key has replaced or that belong to a proxy."""
    secret = Secret("new-key-1").after(Secret("old-key")).beside("password", "user:password")
    assert secret.redact("new-key-1 old-key user:password password") == "*** *** *** ***"
    assert secret.reveal() == "new-key-1"
    assert "key" not in repr(secret) + repr(Redactor(["new-key-1"]))
