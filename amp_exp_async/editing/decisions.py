"""Ending an experiment: what is to be changed when it is rolled out, or rolled back."""

from __future__ import annotations

from typing import Any

import attrs

from amp_exp_async import validation
from amp_exp_async.models import Experiment, Maybe, Segment


def rolled_out(experiment: Experiment, variant: str, reason: str, *, everyone: bool) -> Experiment:
    """The experiment with one variant for all whom it targets, or for everyone.

    Raises:
        InvalidInputError: there is no such variant; or users whom no segment targets would still get another, since an
            edit cannot set their weights.
    """
    keys = [known.key for known in experiment.variants or ()]
    if keys and variant not in keys:
        validation.reject("variant", f"there is no such variant; there are {', '.join(keys)}", variant)
    percentage = 100 if everyone else experiment.rollout_percentage
    others = {key: weight for key, weight in (experiment.rollout_weights or {}).items() if key != variant and weight}
    alone = bool((experiment.rollout_weights or {}).get(variant)) and not others
    if percentage and not alone:
        steps = [f"variants.edit({experiment.id!r}, {key!r}, rollout_weight=0)" for key in others]
        if not (experiment.rollout_weights or {}).get(variant):
            steps.append(f"variants.edit({experiment.id!r}, {variant!r}, rollout_weight=1)")
        validation.reject(
            "rollout_weights",
            f"{percentage} % of the users whom no segment targets would still be spread by the variants' own weights, "
            f"which an edit cannot set; first {', '.join(steps)}",
        )
    return attrs.evolve(
        experiment,
        decision="rollout",
        decision_reason=reason,
        rolled_out_variant=variant,
        sticky_bucketing=False,
        rollout_percentage=percentage,
        target_segments=_each(experiment, percentage=100, rollout_weights={variant: 1}),
    )


def rolled_back(experiment: Experiment, reason: str) -> Experiment:
    """The experiment inactive, with no variant for anybody."""
    return attrs.evolve(
        experiment,
        decision="rollback",
        decision_reason=reason,
        rolled_out_variant=None,
        enabled=False,
        rollout_percentage=0,
        target_segments=_each(experiment, percentage=0),
    )


def _each(experiment: Experiment, **changes: Any) -> Maybe[list[Segment]]:
    """Each segment with these changes; what the service did not show stays so."""
    segments = experiment.target_segments
    return [attrs.evolve(segment, **changes) for segment in segments] if segments else segments
