"""The package `manifests`, imported when one of its names is first used: most clients read no files."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .manifests import *  # noqa: F403 - every name is forwarded
else:
    from .errors import program_ends
    from .lazy_imports import lazy_module

    __getattr__ = lazy_module("amp_exp_async.manifests", program_ends)
