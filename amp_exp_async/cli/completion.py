"""What a TAB proposes: keys of flags and experiments, and lint rules. It prints no error and does not hang."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

RULES = (
    "enabled-without-deployment",
    "settled-rollout",
    "unknown-variant-weight",
    "segment-never-matches",
    "condition-never-matches",
    "email-inclusion",
    "unused-variant",
    "stale-tag",
)
"""The lint rules. The library's own table takes a quarter of a second to import."""

_KINDS = ("flags", "experiments")
_MAX_AGE = 300.0  # seconds
_MAX_WAIT = 1.5  # seconds for each kind; a TAB that hangs is worse than one that proposes nothing
_MAX_KEYS = 5000
_WORD = re.compile(r"[\w.-]+", re.ASCII)  # other keys would need quotes, which differ between shells
_OWN_VARIABLES = ("AMPLITUDE_", "AMP_EXP_")
_ACCOUNT_OPTIONS = ("profile", "api_key_file", "region", "base_url")


def complete_rule(incomplete: str) -> list[str]:
    """Return the lint rules that begin with a text."""
    return [rule for rule in RULES if rule.startswith(incomplete)]


def complete_flag(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the keys that begin with a text, of what the command takes: flags, experiments, or both.

    They are read from the service, at most once in five minutes.
    """
    words = ctx.command_path.split()
    kinds = [kind for kind in _KINDS if kind in words] or _KINDS
    try:
        keys = _load_keys(ctx.params)
    except Exception:  # noqa: BLE001 - whatever is wrong, the command itself will say it
        return []
    return sorted({key for kind in kinds for key in keys.get(kind, ()) if key.startswith(incomplete)})


def _load_keys(options: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """Return the keys by kind: those of the cache, or of the service if they are old."""
    path = _cache_path(options)
    cached = _read_cache(path)
    if cached is not None and time.time() - path.stat().st_mtime < _MAX_AGE:
        return cached
    keys = _fetch_keys(options)
    if keys is None:
        return cached or {}
    _write_cache(path, keys)
    return keys


def _cache_path(options: Mapping[str, Any]) -> Path:
    """Return the cache of the account that the options and the environment select."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - not needed for help

    account = {name: str(options.get(name)) for name in _ACCOUNT_OPTIONS}
    account |= {name: value for name, value in os.environ.items() if name.startswith(_OWN_VARIABLES)}
    digest = hashlib.sha256(json.dumps(account, sort_keys=True).encode()).hexdigest()[:16]
    return user_cache_path("amp-exp", appauthor=False) / f"keys-{digest}.json"


def _read_cache(path: Path) -> dict[str, list[str]] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {kind: [str(key) for key in document[kind]] for kind in _KINDS}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_cache(path: Path, keys: Mapping[str, list[str]]) -> None:
    """Replace the cache. Only its owner may read it."""
    import tempfile  # noqa: PLC0415 - not needed if the cache is fresh

    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, draft = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(keys, stream)
        Path(draft).replace(path)


def _fetch_keys(options: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """Return the keys of active flags and experiments; None if the service did not answer in time."""
    import logging  # noqa: PLC0415 - not needed if the cache is fresh

    import amp_exp_async  # noqa: PLC0415

    from .connection import Connection  # noqa: PLC0415

    given: dict[str, Any] = {name: options.get(name) for name in (*_ACCOUNT_OPTIONS, "proxy", "ca_bundle")}
    for name in ("api_key_file", "ca_bundle"):  # values are as they were typed
        given[name] = None if given[name] is None else Path(given[name])
    connection = Connection(
        **given,
        allow_insecure_http=bool(options.get("allow_insecure_http")),
        timeout=_MAX_WAIT,
        deadline=_MAX_WAIT,
    )
    if connection.settings.key is not None and connection.settings.key.is_command:
        return None  # it may ask for a password
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # a warning would be printed on the line that is being typed
    try:
        with connection.create_client(ask=False) as client:
            project = connection.settings.value("project_id") or amp_exp_async.UNSET
            keys = {
                "flags": _keys_of(client.flags.list(project_id=project, limit=1000)),
                "experiments": _keys_of(client.experiments.list(project_id=project, limit=1000)),
            }
    except amp_exp_async.AmpExpError:
        return None
    finally:
        logging.disable(disabled)
    return keys


def _keys_of(flags: Any) -> list[str]:
    """Return the keys of a listing that can be typed without quotes; not of all pages if they take too long."""
    deadline = time.monotonic() + _MAX_WAIT
    keys: list[str] = []
    for flag in flags:
        if time.monotonic() > deadline or len(keys) == _MAX_KEYS:
            break
        if _WORD.fullmatch(flag.key):
            keys.append(flag.key)
    return keys
