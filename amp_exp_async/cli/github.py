"""Annotations of GitHub Actions: a workflow command on a line, which GitHub shows at the place in the file."""

from __future__ import annotations

import amp_exp_async

_ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY_ESCAPES = {**_ESCAPES, ":": "%3A", ",": "%2C"}


def github_annotation(finding: amp_exp_async.Problem) -> str:
    """Return the workflow command that annotates the place of a finding or problem; without a file, the whole run."""
    place = {"file": finding.file, "line": str(finding.line)} if finding.file else {}
    if not finding.line:
        place.pop("line", None)
    title = finding.rule if isinstance(finding, amp_exp_async.Finding) else "invalid file"
    properties = {**place, "title": title}.items()
    text = ",".join(f"{name}={_escape(value, _PROPERTY_ESCAPES)}" for name, value in properties)
    message = f"{finding.field}: {finding.message}" if finding.field else finding.message
    return f"::error {text}::{_escape(message, _ESCAPES)}"


def _escape(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)
