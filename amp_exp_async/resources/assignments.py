"""The deployments that a flag or experiment is assigned to."""

from __future__ import annotations

from collections.abc import Iterable

from amp_exp_async import validation
from amp_exp_async.http import Idempotency
from amp_exp_async.models import Deployment, FlagConfig
from amp_exp_async.pagination import AsyncPager

from ._base import KindResource


class AsyncFlagDeployments(KindResource[FlagConfig]):
    """`client.flags.deployments` and `client.experiments.deployments`."""

    def list(self, id: str) -> AsyncPager[Deployment]:
        """The deployments that it is assigned to: `GET /{kind}/{id}/deployments`, one request.

        Args:
            id: the flag's or experiment's id.
        """
        return self._array(Deployment, self._path(id, "deployments"))

    async def add(self, id: str, deployments: Iterable[str]) -> None:
        """Assign it to more deployments: `POST /{kind}/{id}/deployments`.

        Args:
            id: the flag's or experiment's id.
            deployments: deployment ids, at least one.
        """
        fields = {"deployments": validation.ids("deployments", deployments)}
        await self._send("POST", self._path(id, "deployments"), fields)

    async def remove(self, id: str, deployment: str) -> None:
        """Take it from a deployment: `DELETE /{kind}/{id}/deployments/{deployment}`.

        Args:
            id: the flag's or experiment's id.
            deployment: the deployment's id.

        Raises:
            NotFoundError: there is no such flag, or it is not assigned to that deployment.
        """
        path = self._path(id, "deployments", validation.identifier("deployment", deployment))
        await self._send("DELETE", path, idempotency=Idempotency.DELETE)
