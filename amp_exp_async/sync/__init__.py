"""The blocking facade: the async client on an event loop of its own."""

from .base import Pager
from .bulk import BulkRun
from .client import BetaClient, ExperimentClient
from .resources import Experiments, Flags

__all__ = ["BetaClient", "BulkRun", "ExperimentClient", "Experiments", "Flags", "Pager"]
