"""The Beta API: the few operations that it has, on paths of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypedDict, Unpack

from amp_exp_async import validation
from amp_exp_async.http import AmbiguousWrite, AmbiguousWriteError, Response, Transport, build_path
from amp_exp_async.models import UNSET, Deployment, Experiment, Flag, UnsetType
from amp_exp_async.pagination import AsyncPager
from amp_exp_async.params import NEW_FLAG, SegmentLike, VariantLike
from amp_exp_async.validation import Validator

from ._base import EXPERIMENTS, FLAGS, FlagConfigT_co, Kind, KindResource, Resource
from .reconcile import could_be_ours, list_matching, poll
from .versions import AsyncVersions


class BetaExperimentCreateParams(TypedDict, total=False):
    """What `experiments.create` of the Beta API takes besides `project_id` and `key`.

    Attributes:
        description: what it is for.
        variants: the variants, each with its `key`.
        bucketing_key: the user property that decides who falls into which bucket.
        rollout_weights: variant key to integer weight, for users whom no segment targets.
        target_segments: who is targeted, in the order of evaluation.
        sticky_bucketing: whether users keep the variant that they got first.
        deployments: ids of the deployments to assign it to.
    """

    description: str | UnsetType | None
    variants: Iterable[VariantLike] | UnsetType
    bucketing_key: str | UnsetType | None
    rollout_weights: Mapping[str, float] | UnsetType
    target_segments: Iterable[SegmentLike] | UnsetType
    sticky_bucketing: bool | UnsetType
    deployments: Iterable[str] | UnsetType


_NAMES = ("description", "variants", "bucketing_key", "rollout_weights", "target_segments", "deployments")
_NEW: dict[str, Validator] = {name: NEW_FLAG[name] for name in _NAMES} | {"sticky_bucketing": validation.boolean}


class AsyncBetaFlagConfigs(KindResource[FlagConfigT_co]):
    """What flags and experiments of the Beta API have in common.

    Attributes:
        versions: its versions.
    """

    def __init__(self, transport: Transport, kind: Kind[FlagConfigT_co]) -> None:
        super().__init__(transport, kind)
        self.versions = AsyncVersions(transport, kind)

    def list(self, *, limit: int | UnsetType = UNSET, cursor: str | int | None = None) -> AsyncPager[FlagConfigT_co]:
        """All of them, newest first: `GET /{kind}/list`, page by page.

        Args:
            limit: the size of a page, 1 to 1,000; without it the service decides.
            cursor: a page's `next_cursor`, to go on from there.
        """
        query = validation.fields({"limit": validation.limit}, {"limit": limit})
        return self._paged(self._kind.model, self._kind.name, build_path(self._kind.name, "list"), query, cursor)

    async def get(self, id: str) -> FlagConfigT_co:
        """One of them: `GET /{kind}/{id}`.

        Args:
            id: the id, as in the URL of the app.

        Raises:
            NotFoundError: there is none of this id.
        """
        return await self._get(self._kind.model, self._path(id))


class AsyncBetaFlags(AsyncBetaFlagConfigs[Flag]):
    """`flags` of the Beta API."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, FLAGS)


class AsyncBetaExperiments(AsyncBetaFlagConfigs[Experiment]):
    """`experiments` of the Beta API."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, EXPERIMENTS)

    async def create(self, *, project_id: str, key: str, **fields: Unpack[BetaExperimentCreateParams]) -> Experiment:
        """Create an experiment: `POST /experiments/new`.

        It is never sent twice. When the reply is lost, the experiments are read back to settle whether it was created.

        Args:
            project_id: the project's id.
            key: letters, digits, `_` and `-`.
            **fields: see `BetaExperimentCreateParams`.

        Returns:
            The new experiment.

        Raises:
            BadRequestError: the service refused it, for example since the key exists.
            OutcomeUnknownError: the reply was lost and reading back could not settle it.
        """
        project, key = validation.identifier("project_id", project_id), validation.key("key", key)
        values = {"project_id": project, "key": key, **validation.fields(_NEW, fields)}

        async with self._transport.serialized(self._creation(build_path("experiments", "new"), values)) as write:
            try:
                return await write.send(_experiment)
            except AmbiguousWriteError as error:
                ambiguous = error.write
            find_created = partial(_find_created, ambiguous, values)
            return await poll(ambiguous, find_created, f"key {key!r} in project {project}")

    async def activate(self, id: str) -> None:
        """Activate an experiment: `POST /experiments/{id}/activate`.

        Args:
            id: the experiment's id.
        """
        await self._send("POST", self._path(id, "activate"))

    async def deactivate(self, id: str) -> None:
        """Deactivate an experiment: `POST /experiments/{id}/deactivate`.

        Args:
            id: the experiment's id.
        """
        await self._send("POST", self._path(id, "deactivate"))

    async def set_rollout_weights(self, id: str, rollout_weights: Mapping[str, float]) -> None:
        """Set the weights of the variants: `POST /experiments/{id}/rollout-weights`.

        Args:
            id: the experiment's id.
            rollout_weights: variant key to integer weight.
        """
        fields = {"rollout_weights": validation.weights("rollout_weights", rollout_weights)}
        await self._send("POST", self._path(id, "rollout-weights"), fields)


class AsyncBetaDeployments(Resource):
    """`deployments` of the Beta API."""

    def list(self, *, limit: int | UnsetType = UNSET, cursor: str | int | None = None) -> AsyncPager[Deployment]:
        """All deployments of the projects that the key sees: `GET /deployments/list`, page by page.

        Args:
            limit: the size of a page, 1 to 1,000.
            cursor: a page's `next_cursor`, to go on from there.
        """
        query = validation.fields({"limit": validation.limit}, {"limit": limit})
        return self._paged(Deployment, "deployments", build_path("deployments", "list"), query, cursor)


async def _find_created(write: AmbiguousWrite, values: Mapping[str, Any]) -> Experiment | None:
    """Return the experiment that an ambiguous creation has made, or None if no experiment has its key."""
    key, project = values["key"], values["project_id"]

    def is_match(experiment: Experiment) -> bool:
        return experiment.key == key and experiment.project_id in (project, UNSET)

    path = build_path("experiments", "list")
    experiments, date = await list_matching(write, Experiment, "experiments", path, is_match)
    candidates = [item for item in experiments if could_be_ours(item, values, date, write.elapsed)]
    if experiments and len(candidates) != 1:
        ids = ", ".join(experiment.id for experiment in experiments)
        raise write.error(f"The key {key!r} exists in project {project} with id {ids}.")
    return candidates[0] if candidates else None


def _experiment(reply: Response) -> Experiment:
    return reply.parse_object(Experiment)
