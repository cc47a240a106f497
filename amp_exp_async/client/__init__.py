"""The async clients: their lifetime, and the sections of the API that hang on them."""

from .base import AsyncClient
from .beta import AsyncBetaClient
from .experiment import AsyncExperimentClient

__all__ = ["AsyncBetaClient", "AsyncClient", "AsyncExperimentClient"]
