"""The variables that name certificates to trust. OpenSSL ignores them without a word if they name nothing of use."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

from amp_exp_async.formatting import format_os_error

_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")  # that `openssl rehash` gives


def describe_ignored() -> str:
    """Return which variables OpenSSL ignores, and why, for a message; empty if it ignores none."""
    problems = {
        "SSL_CERT_FILE": _file_problem(os.environ.get("SSL_CERT_FILE", "")),
        "SSL_CERT_DIR": _folders_problem(os.environ.get("SSL_CERT_DIR", "")),
    }
    return "; ".join(
        f"{name}, which names {os.environ[name]}, is ignored: {problem}"
        for name, problem in problems.items()
        if problem
    )


def _file_problem(path: str) -> str:
    """Return why a file adds no certificate; empty if it adds some. The command line also takes a folder."""
    if not path:
        return ""
    if Path(path).is_dir():
        return _folders_problem(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "it contains no certificate in PEM format"
    except OSError as error:
        return format_os_error(error)
    return ""


def _folders_problem(paths: str) -> str:
    """Return why none of some folders adds a certificate; empty if one does."""
    problem = ""
    for path in filter(None, paths.split(os.pathsep)):
        try:
            if any(_HASHED_NAME.fullmatch(entry.name) for entry in Path(path).iterdir()):
                return ""
            problem = problem or "it has no file with a name that openssl rehash gives to certificates"
        except OSError as error:
            problem = problem or format_os_error(error)
    return problem
