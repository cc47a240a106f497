"""The package `bulk`, imported when one of its names is first used: clients that run single calls do not need it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bulk import *  # noqa: F403 - every name is forwarded
else:
    from .errors import program_ends
    from .lazy_imports import lazy_module

    __getattr__ = lazy_module("amp_exp_async.bulk", program_ends)
