"""The blocking facade: the async client on an event loop of its own."""

from .bulk import BlockingBulkRun
from .client import BetaClient, ExperimentClient
from .facade import BlockingPager

__all__ = ["BetaClient", "BlockingBulkRun", "BlockingPager", "ExperimentClient"]
