"""The rules by name, and the search by all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from amp_exp_async import validation
from amp_exp_async.errors import Problem
from amp_exp_async.manifests.dump import validated_values
from amp_exp_async.manifests.spec import KINDS, ExperimentSpec, FlagConfigSpec, Manifest
from amp_exp_async.models import UNSET

from .finding import Finding, Rule, Whole
from .flags import email_inclusion, enabled_without_deployment, settled_rollout, unknown_variant_weight, unused_variant
from .segments import segment_never_matches
from .tags import stale_tag

_RULES: dict[str, tuple[Rule, str]] = {
    "enabled-without-deployment": (
        enabled_without_deployment,
        "It is enabled and has no deployment, so no application gets it.",
    ),
    "settled-rollout": (
        settled_rollout,
        "It is enabled, everybody gets the same or nobody gets any, and nothing has changed for more than `days` days.",
    ),
    "unknown-variant-weight": (unknown_variant_weight, "A weight names a variant that is not there."),
    "segment-never-matches": (segment_never_matches, "A segment gives nobody a variant."),
    "email-inclusion": (email_inclusion, "Ids that look like e-mail addresses are included in a variant."),
    "unused-variant": (unused_variant, "A variant has no weight and includes nobody."),
    "stale-tag": (stale_tag, "A tag holds a date that has passed, or only what is archived carries it."),
}

LINT_RULES: Mapping[str, str] = MappingProxyType({name: says for name, (_, says) in _RULES.items()})
"""The rules of `lint`: what each finds, by its name."""


def lint(
    state: Manifest, *, disable: Iterable[str] = (), days: float = 30, now: datetime | None = None
) -> list[Finding]:
    """Find what is likely a mistake in a state, or is there for nothing. Nothing is sent.

    A field that is left out is not known, and a rule that needs it finds nothing. What is archived is looked at by
    `stale-tag` only. `docs/lint.md` tells of each rule.

    Args:
        state: what to look at, from `load`, `client.export` or code. `settled-rollout` needs `last_modified_at`, which
            an export has with `server_fields=True`.
        disable: the names of rules that are switched off.
        days: after how many days without a change a rollout counts as settled.
        now: the moment that counts as now; left out, the present one.

    Returns:
        The findings, in the order of files and lines.

    Raises:
        InvalidInputError: there is no rule of a name in `disable`, or another argument is none.
        InvalidManifestError: a value in the state cannot be.

    Example:
        `for finding in lint(load("flags.yaml"), disable=["stale-tag"]): print(finding)`
    """
    off = validation.strings("disable", disable)
    validation.known_names("disable", LINT_RULES, off, noun="rule")
    state = validated_values("state", state)
    whole = Whole(
        tuple(toggle for kind in KINDS for toggle in state.of(kind)),
        datetime.now(UTC) if now is None else validation.aware_datetime("now", now),
        validation.number("days", days),
    )
    findings = [
        _finding(name, toggle, problem)
        for name, (rule, _) in _RULES.items()
        if name not in off
        for toggle, problem in rule(whole)
    ]
    return sorted(findings, key=lambda one: (one.file, one.line, one.kind != "flags", one.project_id or "", one.key))


def _finding(rule: str, toggle: FlagConfigSpec, problem: Problem) -> Finding:
    return Finding(
        problem.file,
        problem.line,
        problem.field,
        problem.message,
        rule=rule,
        kind="experiments" if isinstance(toggle, ExperimentSpec) else "flags",
        key=toggle.key,
        project_id=None if toggle.project_id is UNSET else toggle.project_id,
    )
