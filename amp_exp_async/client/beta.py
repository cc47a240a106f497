"""The async client of the Beta API."""

from __future__ import annotations

from amp_exp_async.config import BETA
from amp_exp_async.http import Transport
from amp_exp_async.resources import AsyncBetaDeployments, AsyncBetaExperiments, AsyncBetaFlags

from .base import AsyncClient


class AsyncBetaClient(AsyncClient):
    """The client of the Beta API, for asyncio. It exists for accounts that are still on that API.

    New code belongs on `AsyncExperimentClient`, which has a successor for each operation (docs/beta.md). It takes the
    same arguments; the environment's variable for another base URL is `AMPLITUDE_EXPERIMENT_BETA_BASE_URL`. Waits,
    retries, the rate limit, models, lists and errors are those of `AsyncExperimentClient`.

    Attributes:
        flags: flags, to read.
        experiments: experiments.
        deployments: deployments, to read.

    Raises:
        ConfigurationError: it cannot work as configured; the message says what to set.

    Example::

        async with AsyncBetaClient() as client:
            await client.experiments.activate("123")
    """

    flags: AsyncBetaFlags
    experiments: AsyncBetaExperiments
    deployments: AsyncBetaDeployments

    api = BETA

    def _hang(self, transport: Transport) -> None:
        """Make the sections of the API."""
        self.flags = AsyncBetaFlags(transport)
        self.experiments = AsyncBetaExperiments(transport)
        self.deployments = AsyncBetaDeployments(transport)
