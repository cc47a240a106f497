"""Decisions that end an experiment: the changes of a rollout and of a rollback."""

from __future__ import annotations

from typing import Any

import attrs

from amp_exp_async import validation
from amp_exp_async.models import UNSET, Experiment, Maybe, Segment


def with_rollout(experiment: Experiment, variant: str, reason: str, *, everyone: bool) -> Experiment:
    """Return the experiment enabled, with one variant for all targeted users, or for everyone.

    Raises:
        InvalidInputError: If the reason is empty, the variant does not exist, no user would get it, or the experiment
            cannot be enabled.
    """
    _require_reason(reason)
    keys = [known.key for known in experiment.variants or ()]
    if keys and variant not in keys:
        validation.reject("variant", f"must be a variant of the experiment ({', '.join(keys)})", variant)
    percentage = 100 if everyone else experiment.rollout_percentage
    if percentage == 0 and experiment.target_segments == []:
        validation.reject(
            "everyone",
            "no user would get the variant, because the experiment has no segments and rollout_percentage is 0",
            advice="Roll it out to everyone.",
            code_advice="Pass everyone=True.",
        )
    if experiment.enabled is False and experiment.deployments == []:
        rule = "no user would get the variant, because the experiment is disabled and has no deployment"
        validation.reject("deployments", rule, advice="Add a deployment to it first.")
    return attrs.evolve(
        experiment,
        decision="rollout",
        decision_reason=reason,
        rolled_out_variant=variant,
        sticky_bucketing=False,
        enabled=True,
        rollout_percentage=percentage,
        rollout_weights=_winning_weights(experiment, variant, percentage),
        target_segments=_each_segment(experiment, percentage=100, rollout_weights={variant: 1}),
    )


def weight_changes(before: Experiment, after: Experiment) -> dict[str, float]:
    """Return the weights of variants to write, in an order in which some variant always has a weight."""
    old, new = before.rollout_weights or {}, after.rollout_weights or {}
    changes = {key: weight for key, weight in new.items() if weight != old.get(key)}
    return dict(sorted(changes.items(), key=lambda change: change[1], reverse=True))


def with_rollback(experiment: Experiment, reason: str) -> Experiment:
    """Return the experiment inactive, with no variant for any user.

    Raises:
        InvalidInputError: If the reason is empty.
    """
    _require_reason(reason)
    return attrs.evolve(
        experiment,
        decision="rollback",
        decision_reason=reason,
        rolled_out_variant=None,
        enabled=False,
        rollout_percentage=0,
        target_segments=_each_segment(experiment, percentage=0),
    )


def _require_reason(reason: str) -> None:
    if not reason.strip():
        validation.reject("reason", "must say why", reason)


def _winning_weights(experiment: Experiment, variant: str, percentage: Any) -> Maybe[dict[str, float]]:
    """Return the weights of the variants, which apply to users whom no segment targets: only the winner has one."""
    weights = experiment.rollout_weights or {}
    if not percentage or experiment.rollout_weights is UNSET:
        return experiment.rollout_weights
    return {**dict.fromkeys(weights, 0), variant: weights.get(variant) or 1}


def _each_segment(experiment: Experiment, **changes: Any) -> Maybe[list[Segment]]:
    segments = experiment.target_segments
    return [attrs.evolve(segment, **changes) for segment in segments] if segments else segments
