"""The blocking facade: the async client on an event loop of its own."""

from .bulk import BulkRun
from .client import BetaClient, ExperimentClient
from .facade import Pager

__all__ = ["BetaClient", "BulkRun", "ExperimentClient", "Pager"]
