"""The removal of secrets from the texts of others, in all forms in which a server or a proxy may quote them.

A secret may come back as it is, percent-encoded, with the escapes of JSON, Python or HTML, or in Base64, and it may be
cut off. All patterns take a time that is proportional to the length of the text.
"""

from __future__ import annotations

import html
import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable

MIN_LENGTH = 6
"""Shorter secrets stay in texts: without them, words such as `flag` or `user` would become unreadable."""
_MIN_START = 5  # characters of a secret that are removed before an ellipsis, where the rest was cut off
_MAX_FORM = len(r"\xf0\x9f\x98\x80")  # characters in the place of one, in the longest form
_SPECIAL_RE = re.compile(r"[\\%&+]|[^\x00-\x7f]")  # a text without any of these contains no encoded and no cut secret
_REPLACEMENT = "***"


class Redactor:
    """A function that removes secrets from texts. Its repr shows nothing.

    Args:
        secrets: the secrets.
    """

    __slots__ = ("_base64", "_patterns", "_secrets")

    def __init__(self, secrets: Iterable[str]) -> None:
        # A secret may be a part of another one.
        self._secrets = _longest_first({secret for secret in secrets if len(secret) >= MIN_LENGTH})
        self._base64 = _longest_first({form for secret in self._secrets for form in _base64_forms(secret)})
        self._patterns: list[re.Pattern[str]] | None = None

    def __call__(self, text: str) -> str:
        """Return a text with `***` in place of the secrets."""
        for secret in (*self._secrets, *self._base64):
            text = text.replace(secret, _REPLACEMENT)
        if not self._secrets or _SPECIAL_RE.search(text) is None:
            return text
        if self._patterns is None:
            patterns = [_pattern(secret, _forms) for secret in self._secrets]
            patterns += [_pattern(text, _forms_in_base64) for text in self._base64]
            self._patterns = list(map(re.compile, patterns))
        for pattern in self._patterns:
            text = pattern.sub(_REPLACEMENT, text)
        return text

    def __repr__(self) -> str:
        return "<redactor>"


def _longest_first(texts: Iterable[str]) -> list[str]:
    return sorted(texts, key=lambda text: (-len(text), text))


def _base64_forms(secret: str) -> Iterable[str]:
    """Yield the Base64 of a secret, also as the part of a longer text, such as that of `Basic` and `Bearer`."""
    for data in {secret.encode("utf-8", "surrogatepass"), secret.encode("latin-1", "xmlcharrefreplace")}:
        for offset in range(3):
            size = offset + len(data)
            encoded = b2a_base64(b"\0" * offset + data, newline=False).decode()
            # Without the characters that depend on what stands before and behind it.
            inner = encoded[-(-offset * 8 // 6) : size * 8 // 6]
            for form in {inner, inner if offset else encoded}:
                yield form
                yield form.replace("+", "-").replace("/", "_")


def _pattern(secret: str, forms: Callable[[str], str]) -> str:
    """Return a pattern of a secret, from those of its characters. It also fits if the end is cut off."""
    start, rest = secret[:_MIN_START], secret[_MIN_START:]
    characters = re.escape("".join(sorted(set(rest))))
    cut = rf"[{characters}\\%&#;ux0-9a-fA-F]{{0,{_MAX_FORM * len(rest)}}}+(?=…)"
    return "".join(map(forms, start)) + f"(?:{''.join(map(forms, rest))}|{cut})"


def _forms_in_base64(char: str) -> str:
    return char if char.isalnum() else _forms(char)  # nothing escapes letters and digits there


def _forms(char: str) -> str:
    """Return a pattern of a character: as it is, or escaped."""
    units, data, number = char.encode("utf-16-be", "surrogatepass"), char.encode("utf-8", "surrogatepass"), ord(char)
    forms = [
        re.escape(char),
        rf"\\{re.escape(char)}",
        "".join(f"\\\\u(?i:{units[index : index + 2].hex()})" for index in range(0, len(units), 2)),
        "".join(f"(?:%|\\\\x)(?i:{byte:02x})" for byte in data),
        rf"&#(?:0*{number}|[xX]0*(?i:{number:x}));",
    ]
    if (named := html.escape(char)) != char:
        forms.append(named)
    if char == " ":
        forms.append(r"\+")
    if not char.isascii():
        # Decoded as ASCII, in the two ways of Python, or as Latin-1.
        forms += [r"\ufffd{1,4}", data.decode("ascii", "surrogateescape"), re.escape(data.decode("latin-1"))]
        if number < 256:
            forms += [f"(?:%|\\\\x)(?i:{number:02x})", chr(0xDC00 + number)]
    return f"(?:{'|'.join(forms)})"
