"""The deployments of the projects."""

from __future__ import annotations

from typing import Literal

from amp_exp_async import serialization, validation
from amp_exp_async.http import AmbiguousWrite, Idempotency, Request, build_path
from amp_exp_async.models import UNSET, Created, Deployment, UnsetType
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import DEPLOYMENT_CHANGES

from ._base import Resource, created_by
from .settling import read_back

_NAME = "deployments"


class AsyncDeployments(Resource):
    """`client.deployments`: what flags and experiments can be assigned to."""

    def list(self, *, limit: int | UnsetType = UNSET, cursor: str | int | None = None) -> AsyncPager[Deployment]:
        """All deployments of the projects that the key sees: `GET /deployments`, page by page.

        Args:
            limit: the size of a page, 1 to 1,000.
            cursor: a page's `next_cursor`, to go on from there.
        """
        query = validation.fields({"limit": validation.limit}, {"limit": limit})
        return self._paged(Deployment, _NAME, build_path(_NAME), query, cursor)

    async def create(self, *, project_id: str, label: str, type: Literal["client", "server"]) -> Created:
        """Create a deployment: `POST /deployments`.

        It is never sent twice. When the reply is lost, the deployments are read back to settle whether it was created.
        The service tells neither age nor type of a deployment: use a label that the project does not have yet, since
        one of the same label cannot be told apart then.

        Args:
            project_id: the project's id.
            label: letters, digits, `_` and `-`.
            type: `client` or `server`.

        Returns:
            The new deployment's id; the service tells no URL.

        Raises:
            OutcomeUnknownError: the reply was lost and reading back could not settle it.
        """
        project = validation.identifier("project_id", project_id)
        label = validation.key("label", label)
        fields = {
            "project_id": project,
            "label": label,
            "type": validation.one_of("client", "server")("type", type),
        }

        async def settle(loss: AmbiguousWrite) -> Created:
            async def look() -> Created | None:
                deployments = AsyncDeployments(loss.reader()).list(limit=validation.MAX_PAGE)
                found = [
                    deployment
                    async for deployment in deployments
                    if deployment.label == label
                    and deployment.project_id in (project, UNSET)
                    and not deployment.deleted
                ]
                if len(found) > 1:
                    raise loss.unknown(f"There are {len(found)} deployments of that label.")
                return Created(found[0].id) if found else None

            return await read_back(loss, look, f"deployment {label!r}")

        request = Request(
            "POST", build_path(_NAME), body=serialization.encode(fields), repeat=Idempotency.NON_IDEMPOTENT
        )
        return await self._transport.send_settled(request, created_by, settle)

    async def edit(self, id: str, *, label: str | UnsetType = UNSET, archive: bool | UnsetType = UNSET) -> None:
        """Change a deployment: `PATCH /deployments/{id}`. A field left out is unchanged.

        Args:
            id: the deployment's id.
            label: a new label: letters, digits, `_` and `-`.
            archive: True archives it, False restores it.

        Raises:
            InvalidInputError: nothing would change.
            NotFoundError: there is no such deployment.
        """
        fields = validation.changes(DEPLOYMENT_CHANGES, {"label": label, "archive": archive})
        await self._send("PATCH", build_path(_NAME, validation.identifier("id", id)), fields)

    async def archive(self, id: str) -> None:
        """Archive a deployment: `PATCH /deployments/{id}` with `archive`.

        Args:
            id: the deployment's id.
        """
        await self.edit(id, archive=True)

    async def restore(self, id: str) -> None:
        """Take a deployment out of the archive: `PATCH /deployments/{id}` with `archive`.

        Args:
            id: the deployment's id.
        """
        await self.edit(id, archive=False)
