"""`amp-exp flags` and `amp-exp experiments`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import Annotated, Any, Literal, Protocol, TypeAlias

import attrs
import typer
from attrs import frozen

import amp_exp_async

from .context import CommandContext, command
from .edits import (
    ExperimentFieldOptions,
    FlagFieldOptions,
    OptionalText,
    apply_edits,
    changes_to_json,
    flag_edit,
    rename_fields,
    require_editable,
)
from .help import EXAMPLE_PREFIX, HelpGroup
from .options import (
    DryRun,
    IncludeArchived,
    NewProject,
    OptionGroup,
    ProjectFilter,
    Sets,
    Yes,
    distinct_names,
    format_filters,
    nothing_found,
)
from .output import KEY_WIDTH, TEXT_WIDTH, format_cell, format_fields, format_value, printable, to_json
from .targets import EXPERIMENTS, FLAGS, PAGE_SIZE, FlagKind, FlagTarget, Target, TargetOptions, Targets, load, resolve
from .times import parse_duration

_FIRST_COLUMNS = {"id": "id", "project": "project_id", "key": "key", "enabled": "enabled"}
_LAST_COLUMNS = {
    "rollout": "rollout_percentage",
    "last modified": "last_modified_at",
    "name": "name",
    "variants": "variants",
    "tags": "tags",
}
_IMPORTANCE = ("key", "id", "enabled", "rollout", "archived", "name", "last modified")
_WRAPPED = {"key": KEY_WIDTH, "name": TEXT_WIDTH, "variants": TEXT_WIDTH, "tags": TEXT_WIDTH}
_VERSION = typer.Argument(metavar="VERSION", min=1, help="Version number.")

NewKey: TypeAlias = Annotated[str, typer.Argument(metavar="KEY", help="New key: letters, digits, _ and -.")]
Reason: TypeAlias = Annotated[str, typer.Option(metavar="TEXT", help="Reason for the decision.")]


@frozen
class FlagSwitch:
    """A command that sets one field of any number of flags.

    Attributes:
        name: the command's name.
        help: the command's help, with the place of what is switched.
        values: the field that it sets, with its value.
        unchanged: the message about a flag that has this value already.
        asks: whether it asks for confirmation.
    """

    name: str
    help: str
    values: Mapping[str, Any]
    unchanged: str
    asks: bool = False


@frozen(kw_only=True)
class FlagFilters(OptionGroup):
    """Options that say which flags are listed; None for all."""

    project_id: ProjectFilter = None
    key: Annotated[OptionalText, typer.Option(metavar="KEY", help="Only this key.")] = None
    include_archived: IncludeArchived = False
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--disabled", help="Only enabled or only disabled ones.")
    ] = None
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Only with this tag. Repeatable: with all of them.")
    ] = None

    @property
    def query(self) -> dict[str, Any]:
        """The arguments of `list`."""
        values = {"project_id": self.project_id, "key": self.key, "include_archived": self.include_archived or None}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def filter_options(self) -> dict[str, object]:
        """The options that select, besides the project, by their names; None for those that were not given."""
        return {
            "--key": self.key,
            "--enabled": self.enabled or None,
            "--disabled": self.enabled is False or None,
            "--tag": self.tag,
        }

    def select(self, flags: Iterable[amp_exp_async.FlagConfig]) -> Iterator[amp_exp_async.FlagConfig]:
        """Yield the flags that match the filters that the service does not have."""
        tags = set(self.tag or ())
        for flag in flags:
            if self.enabled in {None, bool(flag.enabled)} and tags.issubset(flag.tags or ()):
                yield flag


@frozen(kw_only=True)
class ExperimentFilters(FlagFilters):
    """Options that say which experiments are listed; None for all."""

    delivery_method: Annotated[
        Literal["feature", "web"] | None, typer.Option(help="Only feature or only web experiments.")
    ] = None

    @property
    def query(self) -> dict[str, Any]:
        """The arguments of `list`."""
        own = {} if self.delivery_method is None else {"delivery_method": self.delivery_method}
        return super().query | own

    @property
    def filter_options(self) -> dict[str, object]:
        """The options that select; see `FlagFilters.filter_options`."""
        return super().filter_options | {"--delivery-method": self.delivery_method}


class FindOptions(OptionGroup):
    """Options that say which flags are found, and in which order.

    Args:
        prefix: the beginning of the keys, or a pattern with `*` and `?`; None for all.
        tag: tags that all must have.
        unchanged_for: the time without a change; None for any.
        enabled: only enabled or only disabled ones; None for both.
        sort: the order.
        project_id: the project; None for all.
        include_archived: whether to include archived ones.
    """

    def __init__(
        self,
        *,
        prefix: Annotated[
            OptionalText,
            typer.Option(metavar="PREFIX", help="Beginning of the key, or a pattern such as 'checkout-*'."),
        ] = None,
        tag: Annotated[
            list[str] | None, typer.Option(metavar="TAG", help="With this tag. Repeatable: all of them.")
        ] = None,
        unchanged_for: Annotated[
            OptionalText, typer.Option(metavar="TIME", help="Not changed for, such as 90d.")
        ] = None,
        enabled: Annotated[
            bool | None, typer.Option("--enabled/--disabled", help="Only enabled or only disabled ones.")
        ] = None,
        sort: Annotated[
            Literal["key", "name", "created", "modified", "rollout"], typer.Option(help="Order of the list.")
        ] = "key",
        project_id: ProjectFilter = None,
        include_archived: IncludeArchived = False,
    ) -> None:
        self.filters = FlagFilters(project_id=project_id, include_archived=include_archived, enabled=enabled, tag=tag)
        self.filter_options = {"--prefix": prefix, "--unchanged-for": unchanged_for, **self.filters.filter_options}
        self._pattern = None if prefix is None else prefix if {"*", "?"} & set(prefix) else f"{prefix}*"
        self._sort = _SORT_FIELDS[sort]
        self._changed_before: datetime | None = None
        if unchanged_for is not None:
            self._changed_before = datetime.now(UTC) - parse_duration("--unchanged-for", unchanged_for)

    def select(self, flags: Iterable[amp_exp_async.FlagConfig]) -> list[amp_exp_async.FlagConfig]:
        """Return the flags that match, in order. Those without a value to sort by come last."""
        found = sorted(filter(self._matches, self.filters.select(flags)), key=attrgetter("key"))
        valued = [flag for flag in found if getattr(flag, self._sort)]
        return sorted(valued, key=attrgetter(self._sort)) + [flag for flag in found if not getattr(flag, self._sort)]

    def _matches(self, flag: amp_exp_async.FlagConfig) -> bool:
        if self._pattern is not None and not fnmatchcase(flag.key, self._pattern):
            return False
        changed = flag.last_modified_at or flag.created_at
        if self._changed_before is None:
            return True
        return changed < self._changed_before if changed else False


_SORT_FIELDS = {
    "key": "key",
    "name": "name",
    "created": "created_at",
    "modified": "last_modified_at",
    "rollout": "rollout_percentage",
}
_SWITCHES = (
    FlagSwitch("enable", "Enable {}", {"enabled": True}, "already enabled"),
    FlagSwitch("disable", "Disable {}", {"enabled": False}, "already disabled"),
    FlagSwitch("restore", "Restore {} from the archive", {"deleted": False}, "not archived"),
)
_ARCHIVE = FlagSwitch("archive", "Archive {}", {"deleted": True}, "already archived", asks=True)


def _with_example(help: str, *examples: str) -> str:
    return "\n\n".join([help, *(f"{EXAMPLE_PREFIX}amp-exp {example}" for example in examples)])


def _make_app(kind: FlagKind) -> typer.Typer:
    app = typer.Typer(name=kind.name, help=f"Show and change {kind.name}.", cls=HelpGroup)
    _add_reading(app, kind)
    _add_create(app, kind)
    _add_switches(app, kind)
    _add_edit(app, kind)
    _add_versions(app, kind)
    return app


def _add_reading(app: typer.Typer, kind: FlagKind) -> None:
    help = _with_example(f"List {kind.name}.", f"{kind.name} list --project-id 123 --enabled --tag checkout")

    if kind is FLAGS:

        @command(app, "list", help=help)
        def list_flags(ctx: CommandContext, *, filters: FlagFilters) -> None:
            _list(ctx, kind, filters)

    else:

        @command(app, "list", help=help)
        def list_experiments(ctx: CommandContext, *, filters: ExperimentFilters) -> None:
            _list(ctx, kind, filters)

    @command(
        app,
        "find",
        help=_with_example(
            f"Find {kind.name} by key, tag and age.",
            f"{kind.name} find --prefix 'checkout-*' --unchanged-for 90d --sort modified",
        ),
    )
    def find(ctx: CommandContext, *, options: FindOptions) -> None:
        resource = kind.resource(ctx.client)
        flags = options.select(resource.list(**options.filters.query, limit=PAGE_SIZE))
        _show(ctx, kind, flags, options.filters, options.filter_options)

    @command(
        app,
        "get",
        help=_with_example(
            f"Show all fields of one {kind.noun}, as a file declares them.", f"{kind.name} get {kind.examples[0]}"
        ),
    )
    def get(ctx: CommandContext, *, flag: Target, options: TargetOptions) -> None:
        live = load(ctx.client, options.target(kind, flag))
        ctx.result = to_json(live)
        if ctx.json:
            return
        if document := _to_yaml(ctx, kind, live):
            ctx.write(document)
            return
        for line in format_fields(ctx.result):
            ctx.echo(line)
        ctx.echo_err(f"These lines are not a file for plan: a file cannot hold {kind.label(live)}.")


def _to_yaml(ctx: CommandContext, kind: FlagKind, flag: amp_exp_async.FlagConfig) -> str | None:
    """Return the file that declares a flag or experiment as it is; None if a file cannot hold it."""
    manifest = ctx.client.export(
        project_id=flag.project_id or None, keys=[flag.key], include_archived=True, variants=True, server_fields=True
    )
    specs = [spec for spec in getattr(manifest, kind.name) or () if spec.id == flag.id]
    if not specs:
        return None
    declared = amp_exp_async.Manifest(**{kind.name: specs})
    try:
        return amp_exp_async.dumps(declared, format="yaml").rstrip("\n")
    except amp_exp_async.InvalidInputError:
        return None


def _list(ctx: CommandContext, kind: FlagKind, filters: FlagFilters) -> None:
    flags = filters.select(kind.resource(ctx.client).list(**filters.query, limit=PAGE_SIZE))
    _show(ctx, kind, flags, filters, filters.filter_options)


def _show(
    ctx: CommandContext,
    kind: FlagKind,
    flags: Iterable[amp_exp_async.FlagConfig],
    filters: FlagFilters,
    filter_options: Mapping[str, object],
) -> None:
    columns = dict(_FIRST_COLUMNS)
    if filters.include_archived:
        columns["archived"] = "deleted"
    if kind is EXPERIMENTS:
        columns["delivery"] = "delivery_method"
    columns |= _LAST_COLUMNS
    if ctx.json:
        ctx.result = [to_json(flag) for flag in flags]
    else:
        rows = (_format_row(flag, list(columns.values())) for flag in flags)
        empty = nothing_found(
            kind.name, filters.project_id, format_filters(filter_options), include_archived=filters.include_archived
        )
        if joined := [tag for tag in filters.tag or () if "," in tag]:
            empty = f"{empty} {format_value(joined[0])} is one tag. Repeat --tag for several."
        ctx.table(list(columns), rows, importance=_IMPORTANCE, wrapped=_WRAPPED, empty=empty)


def _format_row(flag: amp_exp_async.FlagConfig, fields: Sequence[str]) -> list[str]:
    return [
        format_cell([variant.key for variant in flag.variants or ()] if field == "variants" else getattr(flag, field))
        for field in fields
    ]


class CreateOptions(OptionGroup):
    """Options that set the fields of a new flag or experiment; None leaves a field to the service."""

    def __init__(
        self,
        *,
        name: Annotated[OptionalText, typer.Option(help="Name shown in the app.")] = None,
        description: Annotated[OptionalText, typer.Option(help="Description shown in the app.")] = None,
        variant: Annotated[
            list[str] | None,
            typer.Option(metavar="KEY[=WEIGHT]", help="Variant, and its weight. Repeatable."),
            Sets("variants", "rollout_weights"),
        ] = None,
        deployment: Annotated[
            list[str] | None, typer.Option(metavar="ID", help="Deployment ID. Repeatable."), Sets("deployments")
        ] = None,
        evaluation_mode: Annotated[
            Literal["local", "remote"] | None, typer.Option(help="Where variants are assigned.")
        ] = None,
        bucketing_key: Annotated[OptionalText, typer.Option(help="Property that determines a user's bucket.")] = None,
    ) -> None:
        variants = distinct_names("--variant", map(_parse_variant, variant or ()))
        weights = {key: weight for key, weight in variants.items() if weight is not None}
        values = {
            "name": name,
            "description": description,
            "variants": [{"key": key} for key in variants] or None,
            "rollout_weights": weights or None,
            "deployments": deployment,
            "evaluation_mode": evaluation_mode,
            "bucketing_key": bucketing_key,
        }
        self.values: dict[str, Any] = {field: value for field, value in values.items() if value is not None}


def _parse_variant(text: str) -> tuple[str, int | None]:
    key, equals, weight = text.partition("=")
    if not equals:
        return key, None
    if not weight.isdigit():
        raise amp_exp_async.InvalidInputError(
            f"--variant takes KEY or KEY=WEIGHT, such as on=1; got {format_value(text)}."
        )
    return key, int(weight)


def _add_create(app: typer.Typer, kind: FlagKind) -> None:
    help = _with_example(
        f"Create a disabled {kind.noun} and print its ID.",
        f"{kind.name} create {kind.examples[2]} --project-id 123 --variant control=1 --variant treatment=1",
    )

    def create(ctx: CommandContext, key: str, project_id: str, values: Mapping[str, Any]) -> None:
        resource = kind.resource(ctx.client)
        with ctx.mutation(f"{kind.noun} {key}", "created"):
            created = resource.create(project_id=project_id, key=key, **values)
        ctx.result = to_json(created)
        ctx.echo(created.id)

    if kind is FLAGS:

        @command(app, "create", help=help)
        def create_flag(ctx: CommandContext, *, key: NewKey, project_id: NewProject, fields: CreateOptions) -> None:
            create(ctx, key, project_id, fields.values)

    else:

        @command(app, "create", help=help)
        def create_experiment(
            ctx: CommandContext,
            *,
            key: NewKey,
            project_id: NewProject,
            fields: CreateOptions,
            experiment_type: Annotated[
                OptionalText, typer.Option(help="hypothesis-testing, no-harm, multi-arm-bandit, or another.")
            ] = None,
        ) -> None:
            own = {} if experiment_type is None else {"experiment_type": experiment_type}
            create(ctx, key, project_id, fields.values | own)


def _add_switches(app: typer.Typer, kind: FlagKind) -> None:
    for switch in _SWITCHES:
        _add_switch(app, kind, switch)

    @command(
        app,
        _ARCHIVE.name,
        help=_with_example(
            f"{_ARCHIVE.help.format(kind.name)}. Asks for confirmation.", f"{kind.name} archive {kind.examples[1]}"
        ),
    )
    def archive(
        ctx: CommandContext, *, flag: Targets, options: TargetOptions, dry_run: DryRun = False, yes: Yes = False
    ) -> None:
        _switch(ctx, kind, _ARCHIVE, [options.target(kind, name) for name in flag], dry_run=dry_run, yes=yes)


def _add_switch(app: typer.Typer, kind: FlagKind, switch: FlagSwitch) -> None:
    @command(
        app,
        switch.name,
        help=_with_example(
            f"{switch.help.format(kind.name)}.", f"{kind.name} {switch.name} {kind.examples[0]} {kind.examples[1]}"
        ),
    )
    def run(ctx: CommandContext, *, flag: Targets, options: TargetOptions, dry_run: DryRun = False) -> None:
        _switch(ctx, kind, switch, [options.target(kind, name) for name in flag], dry_run=dry_run)


def _switch(
    ctx: CommandContext,
    kind: FlagKind,
    switch: FlagSwitch,
    targets: Sequence[FlagTarget],
    *,
    dry_run: bool,
    yes: bool = False,
) -> None:
    """Look up all targets, then edit them."""
    loaded = (load(ctx.client, target, prefer_archived=switch.name == "restore") for target in targets)
    flags = {flag.id: flag for flag in loaded}
    edits = [
        flag_edit(ctx, kind, flag, attrs.evolve(flag, **switch.values), unchanged=switch.unchanged)
        for flag in flags.values()
    ]
    count = sum(bool(edit.changes) for edit in edits)
    which = f"this {kind.noun}" if count == 1 else f"these {count} {kind.name}"
    question = f"{switch.help.format(which)}?" if switch.asks else None
    apply_edits(ctx, edits, dry_run=dry_run, question=question, yes=yes)


def _add_edit(app: typer.Typer, kind: FlagKind) -> None:
    help = _with_example(
        f"Edit fields of one {kind.noun}. Concurrent changes to other fields are kept.",
        f"{kind.name} edit {kind.examples[0]} --rollout-percentage 30 --add-tag beta",
        f"{kind.name} edit {kind.examples[0]} --set description=null",
    )

    def edit(ctx: CommandContext, target: FlagTarget, fields: FlagFieldOptions, *, dry_run: bool) -> None:
        change = fields.make_change(target)
        before = load(ctx.client, target)
        edited = kind.resource(ctx.client).guarded_edit(before.id, change, base=before, dry_run=True)
        apply_edits(ctx, [flag_edit(ctx, kind, before, edited)], dry_run=dry_run)

    if kind is FLAGS:

        @command(app, "edit", help=help)
        def edit_flag(
            ctx: CommandContext,
            *,
            flag: Target,
            fields: FlagFieldOptions,
            options: TargetOptions,
            dry_run: DryRun = False,
        ) -> None:
            edit(ctx, options.target(kind, flag), fields, dry_run=dry_run)

    else:

        @command(app, "edit", help=help)
        def edit_experiment(
            ctx: CommandContext,
            *,
            flag: Target,
            fields: ExperimentFieldOptions,
            options: TargetOptions,
            dry_run: DryRun = False,
        ) -> None:
            edit(ctx, options.target(kind, flag), fields, dry_run=dry_run)


def _add_versions(app: typer.Typer, kind: FlagKind) -> None:
    @command(
        app,
        "versions",
        help=_with_example(
            f"List the versions of one {kind.noun}, or show one version.",
            f"{kind.name} versions {kind.examples[0]}",
            f"{kind.name} versions {kind.examples[0]} 1",
        ),
    )
    def versions(
        ctx: CommandContext, *, flag: Target, version: Annotated[int | None, _VERSION] = None, options: TargetOptions
    ) -> None:
        id = resolve(ctx.client, options.target(kind, flag)).id
        if version is None:
            _list_versions(ctx, kind, id)
        else:
            _show_version(ctx, kind, id, version)

    @command(
        app,
        "history",
        help=_with_example(
            f"Show what each version of one {kind.noun} changed.", f"{kind.name} history {kind.examples[0]}"
        ),
    )
    def history(ctx: CommandContext, *, flag: Target, options: TargetOptions) -> None:
        changes = ctx.client.history(kind.name, resolve(ctx.client, options.target(kind, flag)).id)
        ctx.result = [_change_to_json(change) for change in changes]
        for change in changes:
            ctx.echo(_format_change(change))

    @command(
        app,
        "restore-version",
        help=_with_example(
            f"Restore the editable fields of one {kind.noun} from a version. Asks first.",
            f"{kind.name} restore-version {kind.examples[0]} 1 --dry-run",
        ),
    )
    def restore_version(
        ctx: CommandContext,
        *,
        flag: Target,
        version: Annotated[int, _VERSION],
        options: TargetOptions,
        dry_run: DryRun = False,
        yes: Yes = False,
    ) -> None:
        live = resolve(ctx.client, options.target(kind, flag))
        try:
            preview = ctx.client.restore_version(kind.name, live.id, version, dry_run=True)
        except amp_exp_async.InvalidInputError:
            require_editable(ctx, kind, live, ())
            raise
        values = {name: change.after for name, change in preview.differences.items()}
        edited = attrs.evolve(preview.flag_config, **values)
        for change in rename_fields(preview.not_restorable).values():
            ctx.echo_err(f"Not restored, because an edit cannot set it: {change}")
        edit = flag_edit(ctx, kind, preview.flag_config, edited, unchanged="all editable fields are as in this version")
        apply_edits(ctx, [edit], dry_run=dry_run, question=f"Restore version {version}?", yes=yes)


def _list_versions(ctx: CommandContext, kind: FlagKind, id: str) -> None:
    listed = list(kind.resource(ctx.client).versions.list(id))
    ctx.result = [to_json(item) for item in listed]
    rows = ([item.version, format_cell(item.created_at), format_cell(item.created_by)] for item in listed)
    ctx.table(["version", "when", "who"], rows, empty="No versions found.")


def _show_version(ctx: CommandContext, kind: FlagKind, id: str, version: int) -> None:
    document = ctx.result = to_json(kind.resource(ctx.client).versions.get(id, version))
    for line in format_fields({**_without_config(document), "config": document["config"]}):
        ctx.echo(line)
    again = ctx.command_line(kind.name, "restore-version", id, str(version))
    ctx.echo_err(f"These lines are not a file for plan. To restore the version: {again}")


def _without_config(version: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in version.items() if name != "config"}


def _format_change(change: amp_exp_async.VersionChange) -> str:
    author = f"  {printable(change.created_by)}" if change.created_by else ""
    time = f"  {change.created_at:%Y-%m-%d %H:%M:%S} UTC" if change.created_at else ""
    lines = [str(difference) for difference in rename_fields(change.differences).values()]
    return "\n  ".join([f"version {change.version}{time}{author}", *(lines or [change.summary])])


def _change_to_json(change: amp_exp_async.VersionChange) -> dict[str, object]:
    return {
        "version": change.version,
        "created_by": change.created_by or None,
        "created_at": to_json(change.created_at or None),
        "differences": changes_to_json(rename_fields(change.differences)),
    }


def _add_decisions(app: typer.Typer) -> None:
    @command(app, "roll-out")
    def roll_out(
        ctx: CommandContext,
        *,
        flag: Target,
        variant: Annotated[str, typer.Argument(metavar="VARIANT", help="Key of the winning variant.")],
        reason: Reason,
        everyone: Annotated[bool, typer.Option("--everyone", help="Include users that no segment targets.")] = False,
        options: TargetOptions,
        dry_run: DryRun = False,
        yes: Yes = False,
    ) -> None:
        """Enable an experiment and give one variant to all targeted users. Asks for confirmation.

        Example: amp-exp experiments roll-out price treatment --reason 'more orders'
        """

        def decide(before: amp_exp_async.FlagConfig, *, dry_run: bool) -> amp_exp_async.FlagConfig:
            experiments = ctx.client.experiments
            return experiments.roll_out(before.id, variant, reason, everyone=everyone, base=before, dry_run=dry_run)

        with _naming_options():
            _decide(
                ctx, options.target(EXPERIMENTS, flag), decide, describe=_describe_unserved, dry_run=dry_run, yes=yes
            )

    @command(app, "roll-back")
    def roll_back(
        ctx: CommandContext,
        *,
        flag: Target,
        reason: Reason,
        options: TargetOptions,
        dry_run: DryRun = False,
        yes: Yes = False,
    ) -> None:
        """End an experiment and disable it, so that no user gets a variant. Asks for confirmation.

        Example: amp-exp experiments roll-back price --reason 'slower checkout'
        """

        def decide(before: amp_exp_async.FlagConfig, *, dry_run: bool) -> amp_exp_async.FlagConfig:
            return ctx.client.experiments.roll_back(before.id, reason, base=before, dry_run=dry_run)

        _decide(ctx, options.target(EXPERIMENTS, flag), decide, dry_run=dry_run, yes=yes)


@contextmanager
def _naming_options() -> Generator[None, None, None]:
    """Tell the user to pass `--everyone`, or to add a deployment, if no user would get the variant without it."""
    try:
        yield
    except amp_exp_async.InvalidInputError as error:
        if error.argument == "everyone":
            raise amp_exp_async.InvalidInputError(
                f"{error.rule}. Nothing was written. Pass --everyone to give it to all users."
            ) from error
        if error.argument == "deployments":
            raise amp_exp_async.InvalidInputError(
                f"{error.rule}. Nothing was written. Add one with: amp-exp deployments add"
            ) from error
        raise


def _describe_unserved(experiment: amp_exp_async.FlagConfig) -> str:
    """Return which users do not get the variant that is rolled out; empty text if all get it."""
    percentage = experiment.rollout_percentage
    if not isinstance(percentage, int | float) or percentage >= 100:
        return ""
    users = "users that no segment targets" if experiment.target_segments else "users"
    return f"Note: {100 - percentage:g} % of the {users} get no variant. Pass --everyone to give it to all users."


class _Decision(Protocol):
    """A decision that ends an experiment, or its dry run."""

    def __call__(self, before: amp_exp_async.FlagConfig, *, dry_run: bool) -> amp_exp_async.FlagConfig: ...


def _decide(
    ctx: CommandContext,
    target: FlagTarget,
    decide: _Decision,
    *,
    describe: Callable[[amp_exp_async.FlagConfig], str] = lambda _: "",
    dry_run: bool,
    yes: bool,
) -> None:
    before = load(ctx.client, target)
    require_editable(ctx, EXPERIMENTS, before, ())
    edited = decide(before, dry_run=True)
    if note := describe(edited):
        ctx.echo_err(note)
    edit = flag_edit(ctx, EXPERIMENTS, before, edited, apply=lambda: decide(before, dry_run=False))
    apply_edits(ctx, [edit], dry_run=dry_run, question="End this experiment?", yes=yes)


flags = _make_app(FLAGS)
experiments = _make_app(EXPERIMENTS)
_add_decisions(experiments)
