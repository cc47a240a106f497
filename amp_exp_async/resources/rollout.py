"""Decisions that end an experiment: the changes of a rollout and of a rollback."""

from __future__ import annotations

from typing import Any

import attrs

from amp_exp_async import validation
from amp_exp_async.formatting import format_value
from amp_exp_async.models import Experiment, Maybe, Segment


def with_rollout(experiment: Experiment, variant: str, reason: str, *, everyone: bool) -> Experiment:
    """Return the experiment with one variant for all targeted users, or for everyone.

    Raises:
        InvalidInputError: If the variant does not exist, or if users whom no segment targets would get another variant:
            an edit cannot set their weights.
    """
    keys = [known.key for known in experiment.variants or ()]
    if keys and variant not in keys:
        validation.reject("variant", f"must be a variant of the experiment ({', '.join(keys)})", variant)
    percentage = 100 if everyone else experiment.rollout_percentage
    _require_weights(experiment, variant, percentage)
    return attrs.evolve(
        experiment,
        decision="rollout",
        decision_reason=reason,
        rolled_out_variant=variant,
        sticky_bucketing=False,
        rollout_percentage=percentage,
        target_segments=_each_segment(experiment, percentage=100, rollout_weights={variant: 1}),
    )


def with_rollback(experiment: Experiment, reason: str) -> Experiment:
    """Return the experiment inactive, with no variant for any user."""
    return attrs.evolve(
        experiment,
        decision="rollback",
        decision_reason=reason,
        rolled_out_variant=None,
        enabled=False,
        rollout_percentage=0,
        target_segments=_each_segment(experiment, percentage=0),
    )


def _require_weights(experiment: Experiment, variant: str, percentage: Any) -> None:
    """Raise `InvalidInputError` if users whom no segment targets would get another variant."""
    weights = experiment.rollout_weights or {}
    others = [key for key, weight in weights.items() if key != variant and weight]
    if not percentage or (weights.get(variant) and not others):
        return
    needed = dict.fromkeys(others, 0) | ({} if weights.get(variant) else {variant: 1})
    assignments = [f"{format_value(key)} to {weight}" for key, weight in needed.items()]
    calls = [
        f'variants.edit("{experiment.id}", {format_value(key)}, rollout_weight={weight})'
        for key, weight in needed.items()
    ]
    validation.reject(
        "rollout_weights",
        f"{percentage} % of the users whom no segment targets would still get other variants, because their share is "
        "set by the weights of the variants",
        advice=f"First set the weights of the variants: {', '.join(assignments)}.",
        code_advice=f"Call {', '.join(calls)}.",
    )


def _each_segment(experiment: Experiment, **changes: Any) -> Maybe[list[Segment]]:
    segments = experiment.target_segments
    return [attrs.evolve(segment, **changes) for segment in segments] if segments else segments
