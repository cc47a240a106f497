"""The rules about deployments, rollouts, variants and inclusions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from amp_exp_async.manifests.parse import problem_at, unknown_variants
from amp_exp_async.manifests.spec import ExperimentSpec, FlagConfigSpec, VariantSpec
from amp_exp_async.models import UNSET, Segment, UnsetType

from .emails import describe_emails, find_emails
from .finding import Found, Whole

_ALL = 100


def enabled_without_deployment(whole: Whole) -> Found:
    """Enabled, and no application gets it."""
    for toggle in whole.live:
        if toggle.enabled and toggle.deployments is not UNSET and not toggle.deployments:
            why = "is true, and there is no deployment, so no application gets it: assign one, or disable it"
            yield toggle, problem_at(toggle, "enabled", why)


def settled_rollout(whole: Whole) -> Found:
    """Everybody gets the same, and nothing has changed for long."""
    for toggle in whole.live:
        if not (toggle.enabled and toggle.last_modified_at):
            continue
        age = (whole.now - toggle.last_modified_at) / timedelta(days=1)
        if age > whole.days and (why := _settled(toggle)):
            yield toggle, problem_at(toggle, "rollout_percentage", f"{why}. Nothing has changed for {int(age)} days")


def _settled(toggle: FlagConfigSpec) -> str | None:
    """What everybody gets, and what to do; None where users may get this or that."""
    if toggle.target_segments is UNSET:
        return None
    if toggle.rollout_percentage == 0 and not toggle.target_segments:
        included = _includes(toggle)
        but = "" if included is False else " but users who are included"
        return None if included else f"nobody{but} gets a variant: roll it out, or archive it"
    only = _only(toggle.rollout_weights)
    if toggle.rollout_percentage != _ALL or only is None or (toggle.dependencies and toggle.dependencies.flags):
        return None
    if toggle.variants is not UNSET and only not in _keys(toggle):
        return None
    elsewhere = _includes(toggle, but=only)
    if elsewhere or not all(_gives_all(segment, only) for segment in toggle.target_segments):
        return None
    but = "" if elsewhere is False else " but users who are included elsewhere"
    return f"everybody{but} gets {only!r}: remove it from the code, then archive it"


def _only(weights: Mapping[str, float] | UnsetType | None) -> str | None:
    """The one variant that has a weight."""
    weighted = [key for key, weight in (weights or {}).items() if weight]
    return weighted[0] if len(weighted) == 1 else None


def _gives_all(segment: Segment, variant: str) -> bool:
    return segment.percentage == _ALL and _only(segment.rollout_weights) == variant


def _keys(toggle: FlagConfigSpec) -> list[str]:
    return [variant.key for variant in toggle.variants or ()]


def _includes(toggle: FlagConfigSpec, but: str | None = None) -> bool | None:
    """Whether variants include users or cohorts; None where that is not declared."""
    if toggle.variants is UNSET:
        return None
    each = [_includes_any(variant) for variant in toggle.variants if variant.key != but]
    return True if True in each else None if None in each else False


def _includes_any(variant: VariantSpec) -> bool | None:
    if variant.users or variant.cohorts:
        return True
    return None if UNSET in (variant.users, variant.cohorts) else False


def unknown_variant_weight(whole: Whole) -> Found:
    """Weights for variants that are not there."""
    for toggle in whole.live:
        if toggle.variants is not UNSET:
            for problem in unknown_variants(toggle, _keys(toggle)):
                yield toggle, problem


def unused_variant(whole: Whole) -> Found:
    """Variants that nobody can get."""
    for toggle in whole.live:
        used = _used(toggle)
        for at, variant in enumerate(toggle.variants or ()):
            included = _includes_any(variant)
            if used is None or variant.key in used or included:
                continue
            who = "nobody gets it" if included is False else "only users who are included get it"
            owned = variant.key in (toggle.rollout_weights or {})
            so = "has no weight, so" if owned else "is given no weight here, and if it has none,"
            why = f"{variant.key!r} {so} {who}: give it one, or remove it"
            yield toggle, problem_at(toggle, f"variants[{at}].key", why)


def _used(toggle: FlagConfigSpec) -> set[str] | None:
    """The variants that have a weight, or are rolled out; None where that is not declared in full."""
    if toggle.rollout_weights is UNSET or toggle.target_segments is UNSET:
        return None
    weights: list[Mapping[str, float]] = [toggle.rollout_weights]
    for segment in toggle.target_segments:
        if not isinstance(segment.rollout_weights, dict):
            return None
        weights.append(segment.rollout_weights)
    used = {key for one in weights for key, weight in one.items() if weight}
    if isinstance(toggle, ExperimentSpec) and toggle.rolled_out_variant:
        used.add(toggle.rolled_out_variant)
    return used


def email_inclusion(whole: Whole) -> Found:
    """E-mail addresses where ids belong."""
    for toggle in whole.live:
        for at, variant in enumerate(toggle.variants or ()):
            users = variant.users or ()
            if found := find_emails(users):
                where = f"variants[{at}].users[{users.index(found[0])}]"
                yield toggle, problem_at(toggle, where, describe_emails(found))
