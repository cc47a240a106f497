"""Deployments: of the projects, and those that a flag or experiment is assigned to."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Literal, Unpack

from amp_exp_async import validation
from amp_exp_async.formatting import format_value
from amp_exp_async.http import AmbiguousWrite, Idempotency
from amp_exp_async.matching import is_edited
from amp_exp_async.models import UNSET, Created, Deployment, FlagConfig, UnsetType
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import DEPLOYMENT_EDIT_PARAMS, RequestOptions

from .base import CollectionResource, Resource, operation, parse_created
from .reconcile import send_creation

_TYPES = ("client", "server")


class AsyncDeployments(Resource):
    """`client.deployments`: the deployments that flags and experiments can be assigned to."""

    @operation("GET", "/deployments")
    def list(
        self, *, limit: int | UnsetType = UNSET, cursor: str | int | None = None, **options: Unpack[RequestOptions]
    ) -> AsyncPager[Deployment]:
        """List deployments of all projects visible to the API key: `GET /deployments`, page by page.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-deployments#list-deployments

        Args:
            limit: the page size, 1 to 1,000.
            cursor: the `next_cursor` of a page, to continue from there.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.list, options)
        query = validation.fields({"limit": validation.limit}, {"limit": limit})
        return resource._paginate(self.list, Deployment, "deployments", query, cursor)

    @operation("POST", "/deployments", Idempotency.CREATE)
    async def create(
        self, *, project_id: str, label: str, type: Literal["client", "server"], **options: Unpack[RequestOptions]
    ) -> Created:
        """Create a deployment: `POST /deployments`.

        It is never sent twice. If the response is lost, the deployments are read back to determine the outcome. The
        service does not give the age of a deployment, so choose a label that the project does not have yet: an older
        deployment of the same type with the same label would be taken for the new one.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-deployments#create-deployment

        Args:
            project_id: the project's ID.
            label: letters, digits, `_` and `-`.
            type: `client` or `server`.
            **options: see `RequestOptions`.

        Returns:
            The new deployment's ID. The service gives no URL.

        Raises:
            OutcomeUnknownError: If the response was lost and reading back did not determine the outcome.
        """
        resource = self._for_call(self.create, options)
        project_id, label = validation.project_id("project_id", project_id), validation.key("label", label)
        side = validation.one_of(*_TYPES)("type", type)
        request = self._request(self.create, {"project_id": project_id, "label": label, "type": side})
        find = partial(_find_deployment, project_id, label, side)
        description = f"deployment {format_value(label)}"
        created = await send_creation(resource.transport, request, parse_created, find, description)
        self._record_creation(created.id)
        return created

    @operation("PATCH", "/deployments/{id}")
    async def edit(
        self,
        id: str,
        *,
        label: str | UnsetType = UNSET,
        archive: bool | UnsetType = UNSET,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Edit a deployment: `PATCH /deployments/{id}`. An omitted field is unchanged.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-deployments#edit-deployment

        Args:
            id: the deployment's ID.
            label: a new label: letters, digits, `_` and `-`.
            archive: true archives the deployment, false restores it.
            **options: see `RequestOptions`.

        Raises:
            InvalidInputError: If nothing would change.
            NotFoundError: If the deployment does not exist.
        """
        resource = self._for_call(self.edit, options)
        fields = validation.changes(DEPLOYMENT_EDIT_PARAMS, {"label": label, "archive": archive})
        await resource._send_edit(self.edit, fields, id)

    @operation("PATCH", "/deployments/{id}")
    async def archive(self, id: str, **options: Unpack[RequestOptions]) -> None:
        """Archive a deployment: `PATCH /deployments/{id}` with `archive`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-deployments#edit-deployment

        Args:
            id: the deployment's ID.
            **options: see `RequestOptions`.
        """
        await self._for_call(self.archive, options)._send_edit(self.archive, {"archive": True}, id)

    @operation("PATCH", "/deployments/{id}")
    async def restore(self, id: str, **options: Unpack[RequestOptions]) -> None:
        """Restore an archived deployment: `PATCH /deployments/{id}` with `archive`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-deployments#edit-deployment

        Args:
            id: the deployment's ID.
            **options: see `RequestOptions`.
        """
        await self._for_call(self.restore, options)._send_edit(self.restore, {"archive": False}, id)

    def _send_edit(
        self, method: Callable[..., object], fields: Mapping[str, Any], id: str
    ) -> Coroutine[Any, Any, None]:
        """Send an edit of a deployment."""
        return self._send_confirmed(method, partial(_is_deployment_edited, id, fields), fields, id=id)


async def _is_deployment_edited(id: str, fields: Mapping[str, Any], write: AmbiguousWrite) -> bool | None:
    """Return whether a deployment is as an edit makes it; None if the service does not list it."""
    pager = AsyncDeployments(write.transport()).list(limit=validation.MAX_PAGE)
    found = [deployment async for deployment in pager if deployment.id == id]
    return is_edited(found[0], fields) if found else None


async def _find_deployment(project_id: str, label: str, side: str, write: AmbiguousWrite) -> Created | None:
    """Return the deployment that an ambiguous creation made, or None if no deployment has its label."""
    deployments = [
        deployment
        async for deployment in AsyncDeployments(write.transport()).list(limit=validation.MAX_PAGE)
        if deployment.label == label and deployment.project_id in (project_id, UNSET) and not deployment.deleted
    ]
    if len(deployments) > 1:
        raise write.error(f"{len(deployments)} deployments have this label.")
    if deployments and _is_of_other_type(deployments[0], side):
        raise write.error("A deployment has this label, but is of the other type.")
    return Created(deployments[0].id) if deployments else None


def _is_of_other_type(deployment: Deployment, side: str) -> bool:
    """Return whether a deployment is not of a type, which the service shows only by the beginning of its key."""
    key = deployment.key or ""
    return any(key.startswith(f"{other}-") for other in _TYPES if other != side)


class AsyncFlagDeployments(CollectionResource[FlagConfig]):
    """`client.flags.deployments` and `client.experiments.deployments`."""

    @operation("GET", "/{kind}/{id}/deployments")
    def list(self, id: str, **options: Unpack[RequestOptions]) -> AsyncPager[Deployment]:
        """List the assigned deployments: `GET /{kind}/{id}/deployments`, one request.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#list-deployments

        Args:
            id: the flag's or experiment's ID.
            **options: see `RequestOptions`.
        """
        return self._for_call(self.list, options)._list(self.list, Deployment, id=id)

    @operation("POST", "/{kind}/{id}/deployments")
    async def add(self, id: str, deployments: Iterable[str], **options: Unpack[RequestOptions]) -> None:
        """Assign a flag or experiment to more deployments: `POST /{kind}/{id}/deployments`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#create-deployment

        Args:
            id: the flag's or experiment's ID.
            deployments: deployment IDs, at least one.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.add, options)
        ids = validation.ids("deployments", deployments)
        path = self._request(self.list, id=id).path
        write = resource._send_confirmed(self.add, partial(self._is_assigned, id, ids), {"deployments": ids}, id=id)
        await self._recorded(write, path, lambda recent: recent.change_list(path, added=ids))

    async def _is_assigned(self, id: str, deployments: Iterable[str], write: AmbiguousWrite) -> bool:
        return (await self._read(id, write)).issuperset(deployments)

    async def _is_removed(self, id: str, deployment: str, write: AmbiguousWrite) -> bool:
        return deployment not in await self._read(id, write)

    async def _read(self, id: str, write: AmbiguousWrite) -> set[str]:
        """Return the IDs of the assigned deployments after an ambiguous write."""
        async with write.transport().call(self._request(self.list, id=id)) as response:
            return {deployment.id for deployment in await response.parse_list(Deployment)}

    @operation("DELETE", "/{kind}/{id}/deployments/{deployment}", Idempotency.DELETE)
    async def remove(self, id: str, deployment: str, **options: Unpack[RequestOptions]) -> None:
        """Remove a flag or experiment from a deployment: `DELETE /{kind}/{id}/deployments/{deployment}`.

        API reference: https://amplitude.com/docs/apis/experiment/experiment-management-api-flags#remove-deployment

        Args:
            id: the flag's or experiment's ID.
            deployment: the deployment's ID.
            **options: see `RequestOptions`.

        Raises:
            NotFoundError: If the flag does not exist or is not assigned to the deployment.
        """
        resource = self._for_call(self.remove, options)
        is_applied = partial(self._is_removed, id, deployment)
        path = self._request(self.list, id=id).path
        write = resource._send_confirmed(self.remove, is_applied, id=id, deployment=deployment)
        await self._recorded(write, path, lambda recent: recent.change_list(path, removed=[deployment]))
