"""The deployments of the projects."""

from __future__ import annotations

from functools import partial
from typing import Literal

from amp_exp_async import validation
from amp_exp_async.http import AmbiguousWrite, AmbiguousWriteError, build_path
from amp_exp_async.models import UNSET, Created, Deployment, UnsetType
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import DEPLOYMENT_CHANGES

from ._base import Resource, created_by
from .reconcile import poll

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

        async with self._transport.serialized(self._creation(build_path(_NAME), fields)) as write:
            try:
                return await write.send(created_by)
            except AmbiguousWriteError as error:
                ambiguous = error.write
            return await poll(ambiguous, partial(_find_created, ambiguous, project, label), f"deployment {label!r}")

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


async def _find_created(write: AmbiguousWrite, project_id: str, label: str) -> Created | None:
    """Return the deployment that an ambiguous creation has made, or None if no deployment has its label."""
    deployments = [
        deployment
        async for deployment in AsyncDeployments(write.transport()).list(limit=validation.MAX_PAGE)
        if deployment.label == label and deployment.project_id in (project_id, UNSET) and not deployment.deleted
    ]
    if len(deployments) > 1:
        raise write.error(f"There are {len(deployments)} deployments of that label.")
    return Created(deployments[0].id) if deployments else None
