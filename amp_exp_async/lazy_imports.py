"""Names of packages, and modules, that are imported when they are first used.

Importing all modules takes longer than importing aiohttp, and most programs need only some of them.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module

TYPE_CHECKING = False  # importing it from typing takes longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

# Otherwise one thread may import a package while another imports one of its modules, which Python takes for a deadlock.
# Reentrant: a module that is imported may use such a name.
_lock = threading.RLock()


def lazy_imports(
    package: str, names_of: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions `__getattr__` and `__dir__` of a package (PEP 562).

    No name may also be the name of a module of the package: importing that module would replace the name's value.

    Args:
        package: the name of the package.
        names_of: the names that each module of the package provides.
    """
    module_of = {name: module for module, names in names_of.items() for name in names}

    def get(name: str) -> Any:
        namespace = sys.modules[package]
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=namespace)
        with _lock:
            value = getattr(import_module(f"{package}.{module_of[name]}"), name)
        setattr(namespace, name, value)  # this function is not called for the name again
        return value

    def list_names() -> list[str]:
        # The public names only: completion shows neither modules nor what they import.
        return sorted(vars(sys.modules[package]).get("__all__", module_of))

    return get, list_names


def lazy_module(name: str, exit_error: Callable[[str], Exception] = ImportError) -> Callable[[str], Any]:
    """Return the function `__getattr__` of a module that stands for another one, which it imports on demand.

    Args:
        name: the name of the other module.
        exit_error: makes the error to raise, from the reason, if the program ends and Python imports nothing.
    """

    def get(attribute: str) -> Any:
        try:
            with _lock:
                return getattr(import_module(name), attribute)
        except ImportError as error:
            if sys.meta_path is not None:  # pyright: ignore[reportUnnecessaryComparison] - the interpreter clears it
                raise
            raise exit_error(f"Python imports nothing any longer ({error})") from error

    return get
