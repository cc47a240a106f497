"""aiohttp, imported when one of its names is first used, which is when a client is created.

Importing it takes longer than importing all of this package. Import this module by `import lazy_aiohttp as aiohttp`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import *  # noqa: F403 - every name is forwarded  # pyright: ignore[reportWildcardImportFromLibrary]
    from aiohttp import __version__ as __version__  # noqa: PLC0414 - type checkers take this for an export
else:
    from amp_exp_async.errors import program_ends
    from amp_exp_async.lazy_imports import lazy_module

    __getattr__ = lazy_module("aiohttp", program_ends)
