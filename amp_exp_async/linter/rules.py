"""The lint rules, and `lint`, which runs them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from amp_exp_async import validation
from amp_exp_async.errors import Problem
from amp_exp_async.formatting import format_value
from amp_exp_async.manifests.parse import problem_at, unknown_variants, validated_values
from amp_exp_async.manifests.spec import KINDS, ExperimentSpec, FlagConfigSpec, Manifest, VariantSpec
from amp_exp_async.models import UNSET, Condition, Maybe, Segment, UnsetType

from .conditions import contradiction
from .context import Finding, LintContext, Matches, Rule
from .values import doubts

_ALL_USERS = 100
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_DATE = re.compile(r"(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)")
_QUARTER = re.compile(r"(?<!\d)(?:(\d{4})-[qQ]([1-4])|(?<![a-zA-Z])[qQ]([1-4])-(\d{4}))(?!\d)")
_QUARTER_ENDS = {"1": (3, 31), "2": (6, 30), "3": (9, 30), "4": (12, 31)}
_START_WORD = re.compile(r"(?<![a-z])(?:since|from|created|added|started|launched|released)(?![a-z])", re.IGNORECASE)


def find_emails(ids: Iterable[str]) -> list[str]:
    """Return the IDs that look like e-mail addresses.

    Inclusions match user IDs and device IDs. An e-mail address matches no user, unless your user IDs are e-mail
    addresses.

    Args:
        ids: user IDs or device IDs.
    """
    return [id for id in validation.existing_strings("ids", ids) if _EMAIL.fullmatch(id)]


def describe_emails(emails: Sequence[str]) -> str:
    """Return a warning about IDs that look like e-mail addresses; the list is not empty."""
    count = len(emails)
    fact = "1 ID looks like an e-mail address" if count == 1 else f"{count} IDs look like e-mail addresses"
    return (
        f"{fact}, such as {emails[0]}. Inclusions match user IDs and device IDs: an e-mail address matches only if "
        "your user IDs are e-mail addresses"
    )


def _enabled_without_deployment(context: LintContext) -> Matches:
    for spec in context.active:
        if spec.enabled and spec.deployments is not UNSET and not spec.deployments:
            message = "is true without a deployment, so no application receives it: assign a deployment or disable it"
            yield spec, problem_at(spec, "enabled", message)


def _settled_rollout(context: LintContext) -> Matches:
    for spec in context.active:
        if spec.enabled is UNSET or not spec.last_modified_at:
            continue
        age = (context.now - spec.last_modified_at) / timedelta(days=1)
        unchanged = f"and nothing has changed for {int(age)} days"
        if age <= context.days:
            continue
        if not spec.enabled:
            message = f"is false, so no user gets a variant, {unchanged}: enable the flag, or remove it from your code"
            yield spec, problem_at(spec, "enabled", f"{message} and archive it")
        elif rollout_message := _settled_message(spec, unchanged):
            yield spec, problem_at(spec, "rollout_percentage", rollout_message)


def _settled_message(spec: FlagConfigSpec, unchanged: str) -> str | None:
    """Return a message if all users get the same variant, or none; None if users may get different variants."""
    if spec.target_segments is UNSET:
        return None
    if spec.rollout_percentage == 0 and not spec.target_segments:
        has_inclusions = _has_inclusions(spec)
        users = "no user" if has_inclusions is False else "no user except included users"
        return None if has_inclusions else f"{users} gets a variant {unchanged}: roll it out or archive it"
    variant = _only_weighted(spec.rollout_weights)
    if spec.rollout_percentage != _ALL_USERS or variant is None or (spec.dependencies and spec.dependencies.flags):
        return None
    if spec.variants is not UNSET and variant not in _variant_keys(spec):
        return None
    has_other_inclusions = _has_inclusions(spec, except_variant=variant)
    if has_other_inclusions or not all(_gives_only(segment, variant) for segment in spec.target_segments):
        return None
    users = "all users" if has_other_inclusions is False else "all users except those included in other variants"
    return f"{users} get {format_value(variant)} {unchanged}: remove the flag from your code, then archive it"


def _only_weighted(weights: Mapping[str, float] | UnsetType | None) -> str | None:
    """Return the only variant with a weight; None if there are several or none."""
    weighted = [key for key, weight in (weights or {}).items() if weight]
    return weighted[0] if len(weighted) == 1 else None


def _gives_only(segment: Segment, variant: str) -> bool:
    return segment.percentage == _ALL_USERS and _only_weighted(segment.rollout_weights) == variant


def _variant_keys(spec: FlagConfigSpec) -> list[str]:
    return [variant.key for variant in spec.variants or ()]


def _has_inclusions(spec: FlagConfigSpec, except_variant: str | None = None) -> bool | None:
    """Return whether variants include users or cohorts; None if that is not declared."""
    if spec.variants is UNSET:
        return None
    included = [_includes_users(variant) for variant in spec.variants if variant.key != except_variant]
    return True if True in included else None if None in included else False


def _includes_users(variant: VariantSpec) -> bool | None:
    if variant.users or variant.cohorts:
        return True
    return None if UNSET in (variant.users, variant.cohorts) else False


def _unknown_variant_weight(context: LintContext) -> Matches:
    for spec in context.active:
        if spec.variants is not UNSET:
            for problem in unknown_variants(spec, _variant_keys(spec)):
                yield spec, problem


def _segment_never_matches(context: LintContext) -> Matches:
    for spec in context.active:
        for index, segment in enumerate(spec.target_segments or ()):
            if reason := _never_matches(segment) or _is_preempted(spec, index):
                field, message = reason
                yield spec, problem_at(spec, f"target_segments[{index}].{field}", message)


def _condition_never_matches(context: LintContext) -> Matches:
    for spec in context.active:
        if doubt := _share_doubt(spec.rollout_percentage):
            yield spec, problem_at(spec, "rollout_percentage", doubt)
        for number, segment in enumerate(spec.target_segments or ()):
            path = f"target_segments[{number}]"
            if doubt := _share_doubt(segment.percentage):
                yield spec, problem_at(spec, f"{path}.percentage", doubt)
            for index, condition in enumerate(segment.conditions or ()):
                for field, message in doubts(condition):
                    yield spec, problem_at(spec, f"{path}.conditions[{index}].{field}", message)


def _share_doubt(percentage: Maybe[float]) -> str | None:
    """Return a message if a percentage looks like a share from 0 to 1."""
    if not percentage or percentage >= 1:
        return None
    percent = f"{percentage * 100:g}"
    return f"is {percentage:g} percent of the users: if you mean {percent} percent, write {percent}"


def _never_matches(segment: Segment) -> tuple[str, str] | None:
    """Return the field that keeps a segment from giving a variant to any user, and a message."""
    if segment.percentage == 0:
        advice = "raise it, or remove the segment unless it excludes these users on purpose"
        return "percentage", f"is 0, so no user gets a variant: {advice}"
    if segment.rollout_weights and not any(segment.rollout_weights.values()):
        return "rollout_weights", "all weights are 0, so no user gets a variant: raise a weight"
    reason = contradiction(segment.conditions or ())
    return ("conditions", f"{reason}: correct the conditions or remove the segment") if reason else None


def _is_preempted(spec: FlagConfigSpec, index: int) -> tuple[str, str] | None:
    """Return a field and a message if an earlier segment matches all users of a segment."""
    segments = spec.target_segments or ()
    for earlier, other in enumerate(segments[:index]):
        if _gives_all_a_variant(spec, other) and _covers(other, segments[index]):
            fact = f"target_segments[{earlier}] matches all these users first, at 100 percent"
            return "conditions", f"{fact}: move this segment up or remove it"
    return None


def _gives_all_a_variant(spec: FlagConfigSpec, segment: Segment) -> bool:
    """Return whether a segment gives a variant to all users that match its conditions."""
    weighted = {key for key, weight in (segment.rollout_weights or {}).items() if weight}
    keys = weighted if spec.variants is UNSET else set(_variant_keys(spec))
    return segment.percentage == _ALL_USERS and bool(weighted) and weighted <= keys


def _covers(segment: Segment, other: Segment) -> bool:
    """Return whether all users that match the other segment also match this one, by the same bucketing key."""
    if segment.bucketing_key != other.bucketing_key or not isinstance(segment.conditions, list):
        return False
    required = {_condition_identity(condition) for condition in segment.conditions}
    return None not in required and required <= {_condition_identity(item) for item in other.conditions or ()}


def _condition_identity(condition: Condition) -> Hashable | None:
    """Return a value that is equal for equal conditions; None if a condition is not complete."""
    if condition.prop and condition.op and isinstance(condition.values, list):
        return condition.type, condition.prop, condition.op, frozenset(condition.values)
    return None


def _email_inclusion(context: LintContext) -> Matches:
    for spec in context.active:
        for index, variant in enumerate(spec.variants or ()):
            users = variant.users or ()
            if emails := find_emails(users):
                path = f"variants[{index}].users[{users.index(emails[0])}]"
                yield spec, problem_at(spec, path, describe_emails(emails))


def _unused_variant(context: LintContext) -> Matches:
    for spec in context.active:
        used = _used_variants(spec)
        for index, variant in enumerate(spec.variants or ()):
            includes_users = _includes_users(variant)
            if used is None or variant.key in used or includes_users:
                continue
            users = "no user gets it" if includes_users is False else "only included users get it"
            is_declared = variant.key in (spec.rollout_weights or {})
            fact = f"has no weight, so {users}" if is_declared else f"has no declared weight: if it is 0, {users}"
            advice = "set a weight or remove the variant"
            yield spec, problem_at(spec, f"variants[{index}].key", f"{format_value(variant.key)} {fact}; {advice}")


def _used_variants(spec: FlagConfigSpec) -> set[str] | None:
    """Return the keys of variants that have a weight or are rolled out; None if some weights are not declared."""
    if spec.rollout_weights is UNSET or spec.target_segments is UNSET:
        return None
    all_weights: list[Mapping[str, float]] = [spec.rollout_weights]
    for segment in spec.target_segments:
        if not isinstance(segment.rollout_weights, dict):
            return None
        all_weights.append(segment.rollout_weights)
    used = {key for weights in all_weights for key, weight in weights.items() if weight}
    if isinstance(spec, ExperimentSpec) and spec.rolled_out_variant:
        names = (spec.rolled_out_variant, *(v.key for v in spec.variants or () if v.name == spec.rolled_out_variant))
        used.update(names)  # the service has the key or the name there
    return used


def _stale_tag(context: LintContext) -> Matches:
    today = context.now.astimezone(UTC).date()
    for spec in context.active:
        for index, tag in enumerate(spec.tags or ()):
            last = _last_day(tag)
            if last is not None and last < today:
                message = f"{last} has passed for tag {format_value(tag)}: do what the tag asks for, or remove it"
                yield spec, problem_at(spec, f"tags[{index}]", message)
    yield from _tags_of_archived(context)


def _last_day(tag: str) -> date | None:
    """Return the last day that a tag names; None if it names no day, or the day when something started."""
    days = [] if _START_WORD.search(tag) else list(_days(tag))
    return max(days, default=None)


def _days(tag: str) -> Iterator[date]:
    for year, quarter, quarter_first, year_last in _QUARTER.findall(tag):
        with suppress(ValueError):  # the year 0 does not exist
            yield date(int(year or year_last), *_QUARTER_ENDS[quarter or quarter_first])
    for day in _DATE.findall(tag):
        with suppress(ValueError):  # 2026-02-30 does not exist
            yield date(*map(int, day))


def _tags_of_archived(context: LintContext) -> Matches:
    """Find tags that only archived flags of a project have; report each once, at the first flag."""
    archived: dict[tuple[object, str], list[tuple[FlagConfigSpec, int]]] = {}
    for spec in context.specs:
        for index, tag in enumerate(spec.tags or ()) if spec.archived else ():
            archived.setdefault((spec.project_id, tag), []).append((spec, index))
    active_tags = {(spec.project_id, tag) for spec in context.active for tag in spec.tags or ()}
    # A flag without declared tags may have any tag. A flag without a declared project may be in any project.
    projects_with_unknown_tags = {spec.project_id for spec in context.active if spec.tags is UNSET}
    for (project_id, tag), occurrences in archived.items():
        projects = {project_id, UNSET}
        if project_id is UNSET:
            projects |= {spec.project_id for spec in context.active}
        if projects & projects_with_unknown_tags or any((project, tag) in active_tags for project in projects):
            continue
        spec, index = occurrences[0]
        fact = f"only archived flags ({len(occurrences)}) have the tag {format_value(tag)}"
        yield spec, problem_at(spec, f"tags[{index}]", f"{fact}: remove it, unless you use it to find archived flags")


_RULES: dict[str, tuple[Rule, str]] = {
    "enabled-without-deployment": (
        _enabled_without_deployment,
        "A flag is enabled without a deployment, so no application receives it.",
    ),
    "settled-rollout": (
        _settled_rollout,
        "A flag is disabled, or gives all users the same variant or none, and is unchanged for over `days` days.",
    ),
    "unknown-variant-weight": (_unknown_variant_weight, "A weight names a variant that does not exist."),
    "segment-never-matches": (_segment_never_matches, "A segment gives no user a variant."),
    "condition-never-matches": (
        _condition_never_matches,
        "A condition has a property, operator or value that no user has, or a percentage is below 1.",
    ),
    "email-inclusion": (_email_inclusion, "A variant includes IDs that look like e-mail addresses."),
    "unused-variant": (_unused_variant, "A variant has no weight and includes no users."),
    "stale-tag": (_stale_tag, "A tag has a date that has passed, or only archived flags have it."),
}

LINT_RULES: Mapping[str, str] = MappingProxyType({name: summary for name, (_, summary) in _RULES.items()})
"""The rules of `lint`: what each finds, by its name."""


def lint(
    manifest: Manifest, *, disable: Iterable[str] = (), days: float = 30, now: datetime | None = None
) -> list[Finding]:
    """Find likely mistakes and leftovers in a manifest. No request is sent.

    A missing field is unknown, and a rule that needs it finds nothing. Only `stale-tag` checks archived flags.
    `docs/lint.md` describes the rules.

    Args:
        manifest: the manifest, from `load`, `client.export` or code. `settled-rollout` needs `last_modified_at`, which
            an export has with `server_fields=True`.
        disable: the names of rules not to run.
        days: the number of days without a change after which a rollout counts as settled.
        now: the current time; the clock's time by default.

    Returns:
        The findings, sorted by file and line.

    Raises:
        InvalidInputError: If `disable` has an unknown rule, or another argument is invalid.
        InvalidManifestError: If a value in the manifest is invalid.

    Example:
        `for finding in lint(load("flags.yaml"), disable=["stale-tag"]): print(finding)`
    """
    disabled = validation.strings("disable", disable)
    validation.known_names("disable", LINT_RULES, disabled, noun="rule")
    manifest = validated_values("manifest", manifest)
    context = LintContext(
        tuple(spec for kind in KINDS for spec in manifest.of(kind)),
        datetime.now(UTC) if now is None else validation.aware_datetime("now", now),
        validation.number("days", days),
    )
    findings = [
        _finding(name, spec, problem)
        for name, (rule, _) in _RULES.items()
        if name not in disabled
        for spec, problem in rule(context)
    ]
    return sorted(
        findings, key=lambda item: (item.file, item.line, item.kind != "flags", item.project_id or "", item.key)
    )


def _finding(rule: str, spec: FlagConfigSpec, problem: Problem) -> Finding:
    return Finding(
        problem.file,
        problem.line,
        problem.field,
        problem.message,
        rule=rule,
        kind="experiments" if isinstance(spec, ExperimentSpec) else "flags",
        key=spec.key,
        project_id=None if spec.project_id is UNSET else spec.project_id,
    )
