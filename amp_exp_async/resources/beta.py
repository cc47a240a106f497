"""The resources of the Beta API: fewer operations, on paths of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypedDict, Unpack

from amp_exp_async import validation
from amp_exp_async.formatting import format_value
from amp_exp_async.http import AmbiguousWrite, Idempotency, Response, Transport
from amp_exp_async.models import UNSET, Deployment, Experiment, Flag, UnsetType
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import FLAG_CREATE_PARAMS, RequestOptions, SegmentLike, VariantLike
from amp_exp_async.validation import Validator

from .base import EXPERIMENTS, FLAGS, Collection, CollectionResource, FlagConfigT_co, Resource, operation
from .reconcile import could_be_ours, list_matching, send_creation
from .versions import AsyncVersions


class BetaExperimentCreateParams(TypedDict, total=False):
    """The fields that `experiments.create` of the Beta API takes in addition to `project_id` and `key`.

    Attributes:
        description: the experiment's purpose.
        variants: the variants, each with its `key`.
        bucketing_key: the user property that assigns users to buckets.
        rollout_weights: variant key to integer weight, for users whom no segment targets.
        target_segments: the targeted users, in the order of evaluation.
        sticky_bucketing: whether users keep their first variant.
        deployments: the IDs of the deployments to assign the experiment to.
    """

    description: str | UnsetType | None
    variants: Iterable[VariantLike] | UnsetType
    bucketing_key: str | UnsetType | None
    rollout_weights: Mapping[str, float] | UnsetType
    target_segments: Iterable[SegmentLike] | UnsetType
    sticky_bucketing: bool | UnsetType
    deployments: Iterable[str] | UnsetType


class BetaExperimentCreateArguments(BetaExperimentCreateParams, RequestOptions, total=False):
    """The keywords of `experiments.create` of the Beta API, in addition to `project_id` and `key`."""


_SHARED = ("description", "variants", "bucketing_key", "rollout_weights", "target_segments", "deployments")
_CREATE: dict[str, Validator] = {name: FLAG_CREATE_PARAMS[name] for name in _SHARED} | {
    "sticky_bucketing": validation.boolean
}


class AsyncBetaFlagConfigs(CollectionResource[FlagConfigT_co]):
    """The operations that flags and experiments of the Beta API share.

    Attributes:
        versions: the versions.
    """

    def __init__(self, transport: Transport, collection: Collection[FlagConfigT_co]) -> None:
        super().__init__(transport, collection)
        self.versions = AsyncVersions(transport, collection)

    @operation("GET", "/{kind}/list")
    def list(
        self, *, limit: int | UnsetType = UNSET, cursor: str | int | None = None, **options: Unpack[RequestOptions]
    ) -> AsyncPager[FlagConfigT_co]:
        """List flags or experiments, newest first: `GET /{kind}/list`, page by page.

        API reference: https://www.docs.developers.amplitude.com/experiment/apis/management-api/api-beta/#list-flags

        Args:
            limit: the page size, 1 to 1,000. By default the service decides.
            cursor: the `next_cursor` of a page, to continue from there.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.list, options)
        query = validation.fields({"limit": validation.limit}, {"limit": limit})
        return resource._paginate(self.list, self._collection.model, self._kind, query, cursor)

    @operation("GET", "/{kind}/{id}")
    async def get(self, id: str, **options: Unpack[RequestOptions]) -> FlagConfigT_co:
        """Get a flag or experiment by ID: `GET /{kind}/{id}`.

        API reference: https://www.docs.developers.amplitude.com/experiment/apis/management-api/api-beta/#get-flag-details

        Args:
            id: the ID, as in the URL of the app.
            **options: see `RequestOptions`.

        Raises:
            NotFoundError: If no flag or experiment has this ID.
        """
        return await self._for_call(self.get, options)._get(self.get, self._collection.model, id=id)


class AsyncBetaFlags(AsyncBetaFlagConfigs[Flag]):
    """`flags` of the Beta API."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, FLAGS)


class AsyncBetaExperiments(AsyncBetaFlagConfigs[Experiment]):
    """`experiments` of the Beta API."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, EXPERIMENTS)

    @operation("POST", "/{kind}/new", Idempotency.CREATE)
    async def create(self, *, project_id: str, key: str, **fields: Unpack[BetaExperimentCreateArguments]) -> Experiment:
        """Create an experiment: `POST /experiments/new`.

        It is never sent twice. If the response is lost, the experiments are read back to determine the outcome.

        API reference: https://www.docs.developers.amplitude.com/experiment/apis/management-api/api-beta/#create-experiment

        Args:
            project_id: the project's ID.
            key: letters, digits, `_` and `-`.
            **fields: see `BetaExperimentCreateParams` and `RequestOptions`.

        Returns:
            The new experiment.

        Raises:
            BadRequestError: If the service rejected it, for example because the key exists.
            OutcomeUnknownError: If the response was lost and reading back did not determine the outcome.
        """
        resource = self._with_options(fields)
        project_id, key = validation.project_id("project_id", project_id), validation.key("key", key)
        values = {"project_id": project_id, "key": key, **validation.fields(_CREATE, fields)}
        request = self._request(self.create, values)
        find = partial(_find_experiment, self._request(self.list).path, values)
        description = f"experiment with key {format_value(key)} in project {project_id}"
        experiment = await send_creation(resource.transport, request, _parse_experiment, find, description)
        self._record_creation(experiment.id)
        return experiment

    @operation("POST", "/{kind}/{id}/activate")
    async def activate(self, id: str, **options: Unpack[RequestOptions]) -> None:
        """Activate an experiment: `POST /experiments/{id}/activate`.

        API reference: https://www.docs.developers.amplitude.com/experiment/apis/management-api/api-beta/#activate-experiment

        Args:
            id: the experiment's ID.
            **options: see `RequestOptions`.
        """
        await self._for_call(self.activate, options)._send(self.activate, id=id)

    @operation("POST", "/{kind}/{id}/deactivate")
    async def deactivate(self, id: str, **options: Unpack[RequestOptions]) -> None:
        """Deactivate an experiment: `POST /experiments/{id}/deactivate`.

        API reference:
        https://www.docs.developers.amplitude.com/experiment/apis/management-api/api-beta/#deactivate-experiment

        Args:
            id: the experiment's ID.
            **options: see `RequestOptions`.
        """
        await self._for_call(self.deactivate, options)._send(self.deactivate, id=id)

    @operation("POST", "/{kind}/{id}/rollout-weights")
    async def set_rollout_weights(
        self, id: str, rollout_weights: Mapping[str, float], **options: Unpack[RequestOptions]
    ) -> None:
        """Set the weights of the variants: `POST /experiments/{id}/rollout-weights`.

        API reference: https://www.docs.developers.amplitude.com/experiment/apis/management-api/api-beta/#rollout-weights

        Args:
            id: the experiment's ID.
            rollout_weights: variant key to integer weight.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.set_rollout_weights, options)
        fields = {"rollout_weights": validation.weights("rollout_weights", rollout_weights)}
        await resource._send(self.set_rollout_weights, fields, id=id)


class AsyncBetaDeployments(Resource):
    """`deployments` of the Beta API."""

    @operation("GET", "/deployments/list")
    def list(
        self, *, limit: int | UnsetType = UNSET, cursor: str | int | None = None, **options: Unpack[RequestOptions]
    ) -> AsyncPager[Deployment]:
        """List deployments of all projects visible to the API key: `GET /deployments/list`, page by page.

        API reference: https://www.docs.developers.amplitude.com/experiment/apis/management-api/api-beta/#list-deployments

        Args:
            limit: the page size, 1 to 1,000.
            cursor: the `next_cursor` of a page, to continue from there.
            **options: see `RequestOptions`.
        """
        resource = self._for_call(self.list, options)
        query = validation.fields({"limit": validation.limit}, {"limit": limit})
        return resource._paginate(self.list, Deployment, "deployments", query, cursor)


async def _find_experiment(path: str, fields: Mapping[str, Any], write: AmbiguousWrite) -> Experiment | None:
    """Return the experiment that an ambiguous creation made, or None if no experiment has its key."""
    key, project_id = fields["key"], fields["project_id"]

    def is_match(experiment: Experiment) -> bool:
        return experiment.key == key and experiment.project_id in (project_id, UNSET)

    experiments, date = await list_matching(write, Experiment, "experiments", path, is_match)
    candidates = [experiment for experiment in experiments if could_be_ours(experiment, fields, date, write.elapsed)]
    if experiments and len(candidates) != 1:
        ids = ", ".join(experiment.id for experiment in experiments)
        raise write.error(f"The key {format_value(key)} exists in project {project_id} with ID {ids}.")
    return candidates[0] if candidates else None


def _parse_experiment(response: Response) -> Experiment:
    experiment = response.parse_object(Experiment)
    error = response.created_object_error(experiment.key)
    if error is not None:
        del experiment  # a traceback may show local variables
        raise error
    return experiment
