"""The resources that bulk operations use, as protocols, so that this package need not import them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from amp_exp_async.http import Transport
from amp_exp_async.models import Created, Deployment, FlagConfig, UnsetType, Variant
from amp_exp_async.pagination import AsyncPager

from .operations import KindName


class VariantResource(Protocol):
    """The variants of flags or experiments."""

    async def get(self, id: str, variant: str, /) -> Variant:
        """Return a variant."""
        ...

    @property
    def create(self) -> Callable[..., Coroutine[Any, Any, None]]:
        """The method that creates a variant."""
        ...

    @property
    def edit(self) -> Callable[..., Coroutine[Any, Any, None]]:
        """The method that changes fields of a variant."""
        ...

    async def remove(self, id: str, variant: str, /) -> None:
        """Remove a variant."""
        ...


class InclusionResource(Protocol):
    """The users or cohorts that variants include."""

    def list(self, id: str, variant: str, /) -> AsyncPager[str]:
        """Return the included IDs."""
        ...

    async def add(self, id: str, variant: str, ids: Iterable[str], /) -> None:
        """Include IDs."""
        ...

    async def remove(self, id: str, variant: str, ids: Iterable[str], /) -> None:
        """Remove IDs."""
        ...


class UserResource(InclusionResource, Protocol):
    """The users that variants include."""

    async def remove_all(self, id: str, variant: str, /) -> None:
        """Remove all users of a variant."""
        ...


class FlagDeploymentResource(Protocol):
    """The deployments that flags or experiments are assigned to."""

    def list(self, id: str, /) -> AsyncPager[Deployment]:
        """Return the assigned deployments."""
        ...

    async def add(self, id: str, deployments: Iterable[str], /) -> None:
        """Assign a flag or experiment to deployments."""
        ...

    async def remove(self, id: str, deployment: str, /) -> None:
        """Remove a flag or experiment from a deployment."""
        ...


class FlagResource(Protocol):
    """Flags or experiments."""

    @property
    def variants(self) -> VariantResource:
        """The variants."""
        ...

    @property
    def users(self) -> UserResource:
        """The included users."""
        ...

    @property
    def cohorts(self) -> InclusionResource:
        """The included cohorts."""
        ...

    @property
    def deployments(self) -> FlagDeploymentResource:
        """The assigned deployments."""
        ...

    def list(
        self,
        *,
        key: str | UnsetType = ...,
        project_id: str | UnsetType = ...,
        include_archived: bool | UnsetType = ...,
        limit: int | UnsetType = ...,
        cursor: str | int | None = ...,
    ) -> AsyncPager[Any]:
        """List flags or experiments. The items are `FlagConfig`; a pager is invariant, so its type cannot say so."""
        ...

    async def get(self, id: str, /) -> FlagConfig:
        """Return a flag or experiment."""
        ...

    @property
    def create(self) -> Callable[..., Coroutine[Any, Any, Created]]:
        """The method that creates a flag or experiment."""
        ...

    @property
    def edit(self) -> Callable[..., Coroutine[Any, Any, None]]:
        """The method that changes fields of a flag or experiment."""
        ...


Resources: TypeAlias = Mapping[KindName, FlagResource]
"""Flags and experiments."""

ResourceFactory: TypeAlias = Callable[[Transport], Resources]
"""Creates resources that send their requests through a transport."""
