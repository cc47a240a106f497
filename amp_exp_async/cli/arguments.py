"""The arguments of the program: text in UTF-8, whatever the locale is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable


def ensure_utf8() -> None:
    """Run the program again in Python's UTF-8 mode if the locale cannot hold its arguments.

    In the C locale without that mode, Python takes letters beyond ASCII for bytes that are not text, in arguments and
    in names of files. The mode can only be chosen when the interpreter starts.
    """
    if sys.getfilesystemencoding() == "ascii" and sys.executable and not all(map(str.isascii, sys.argv)):
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - no shell is wanted


def find_invalid_text(arguments: Iterable[str]) -> str | None:
    r"""Return the first argument that is not Unicode text, with escapes such as `\udcfc`; None without one."""
    for argument in arguments:
        escaped = argument.encode("utf-8", "backslashreplace").decode()
        if escaped != argument:
            return escaped
    return None
