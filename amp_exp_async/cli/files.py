"""`amp-exp export`, `plan`, `apply`, `lint` and `diff`: flags as files."""

from __future__ import annotations

import json as json_text
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

import amp_exp_async

from .completion import complete_rule
from .context import CommandContext, command
from .errors import Exit
from .exit_codes import ExitCode
from .github import github_annotation
from .inputs import FILES_HELP, STDIN, export_manifest, load_manifest, writing
from .options import PROJECT_VARIABLE, IncludeArchived, ProjectFilter
from .output import TEXT_WIDTH, format_count, printable
from .plan import DetailedExitcode, Markdown, apply, plan, reject_both

Format: TypeAlias = Literal["yaml", "json"]

_FORMATS: dict[str, Format] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
_PROJECT_PREFIX = "project:"
_SIDE_HELP = "File, folder, - for standard input, or project:ID."

WithInclusions: TypeAlias = Annotated[
    bool, typer.Option("--with-inclusions", help="Include users and cohorts: two requests per variant.")
]
WithVariants: TypeAlias = Annotated[
    bool, typer.Option("--with-variants", help="Include all fields of variants: one request per flag.")
]

app = typer.Typer()


@command(app, "export")
def _export(
    ctx: CommandContext,
    *,
    project_id: ProjectFilter = None,
    key: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Only this key. Repeatable.")] = None,
    include_archived: IncludeArchived = False,
    with_inclusions: WithInclusions = False,
    with_variants: WithVariants = False,
    server_fields: Annotated[
        bool, typer.Option("--server-fields", help="Include IDs, salts, authors and times.")
    ] = False,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="File or folder; - for standard output.")
    ] = STDIN,
    format: Annotated[Format | None, typer.Option(help="Default: by the name of PATH, else YAML.")] = None,
) -> None:
    """Export flags and experiments to a file, a folder or standard output.

    Example: amp-exp export --project-id 123 --output flags.yaml
    """
    output_format = _output_format(output, format)
    manifest = export_manifest(
        ctx,
        project_id,
        keys=key or None,
        include_archived=include_archived,
        users=with_inclusions,
        cohorts=with_inclusions,
        variants=with_variants,
        server_fields=server_fields,
    )
    if output == STDIN:
        _print_manifest(ctx, manifest, output_format)
        return
    folder = Path(output).parent
    is_new_folder = bool(Path(output).suffix) and not folder.exists()
    with writing("--output", output):
        amp_exp_async.save(manifest, output, format=output_format)
    counts = {"flags": len(manifest.flags or ()), "experiments": len(manifest.experiments or ())}
    ctx.result = {**counts, "output": output}
    flags, experiments = format_count(counts["flags"], "flag"), format_count(counts["experiments"], "experiment")
    ctx.echo(f"Wrote {flags} and {experiments} to {output}.")
    if is_new_folder:
        ctx.echo_err(f"Created the folder {folder}.")


def _print_manifest(ctx: CommandContext, manifest: amp_exp_async.Manifest, format: Format) -> None:
    if ctx.json:
        ctx.result = json_text.loads(amp_exp_async.dumps(manifest, format="json"))
    else:
        ctx.write(amp_exp_async.dumps(manifest, format=format).rstrip("\n"))


def _output_format(output: str, format: Format | None) -> Format:
    """Return the format to write.

    Raises:
        InvalidInputError: If the file's name does not match it.
    """
    suffix = Path(output).suffix.lower()
    named = _FORMATS.get(suffix)
    if output == STDIN or Path(output).is_dir() or not suffix:
        return format or "yaml"
    if named is None:
        raise amp_exp_async.InvalidInputError(
            f"--output {output}: must be a folder, or end with .yaml, .yml or .json. Nothing was written."
        )
    if format not in {None, named}:
        raise amp_exp_async.InvalidInputError(
            f"--output {output} is a name for {named}, but --format is {format}. Nothing was written. Omit --format."
        )
    return named


command(app, "plan")(plan)
command(app, "apply")(apply)


@command(app, "lint")
def _lint(
    ctx: CommandContext,
    *,
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help=FILES_HELP)] = None,
    project_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help=f"Check this project instead of files. Default without files: ${PROJECT_VARIABLE}."
        ),
    ] = None,
    disable: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Disable a rule. Repeatable.", autocompletion=complete_rule)
    ] = None,
    days: Annotated[float, typer.Option(help="Days without a change after which a rollout counts as settled.")] = 30,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules only.")] = False,
    format: Annotated[
        Literal["text", "github"], typer.Option(help="github: annotations in the files of a pull request.")
    ] = "text",
) -> None:
    """Check files or a project for likely mistakes. Exits with 1 if any are found.

    Example: amp-exp lint flags.yaml

    Example: amp-exp lint --project-id 123 --disable stale-tag

    Example: amp-exp lint flags/ --format github
    """
    if ctx.json and format != "text":
        raise amp_exp_async.InvalidInputError("--json and --format exclude each other. Pass one of them.")
    if rules:
        ctx.result = dict(amp_exp_async.LINT_RULES)
        ctx.table(("rule", "finds"), amp_exp_async.LINT_RULES.items(), wrapped={"finds": TEXT_WIDTH})
        return
    amp_exp_async.lint(
        amp_exp_async.Manifest(), disable=disable or (), days=days
    )  # rejects invalid options before anything is read
    try:
        manifest = _manifest_to_lint(ctx, files or [], project_id)
    except amp_exp_async.InvalidManifestError as error:
        if format == "github":
            for problem in error.problems:
                ctx.echo(github_annotation(problem))
        raise
    findings = amp_exp_async.lint(manifest, disable=disable or (), days=days)
    ctx.result = {"findings": [finding.as_json() for finding in findings]}
    for finding in findings:
        ctx.echo(github_annotation(finding) if format == "github" else printable(finding))
    if not findings:
        ctx.echo("No findings.")
        return
    if not ctx.json:
        ctx.echo_err(f"{format_count(len(findings), 'finding')}.")
    raise Exit(None, ExitCode.FAILED)


def _manifest_to_lint(ctx: CommandContext, files: Sequence[str], project_id: str | None) -> amp_exp_async.Manifest:
    if not files and project_id is None:
        project_id = ctx.default_project("project_id", is_required=False)
    if bool(files) == (project_id is not None):
        raise amp_exp_async.InvalidInputError("lint takes either files or --project-id ID.")
    if files:
        return load_manifest(files)
    options = {"include_archived": True, "users": True, "cohorts": True, "server_fields": True}
    return export_manifest(ctx, project_id, allow_empty=False, **options)  # a mistyped ID must not pass


@command(app, "diff")
def _diff(
    ctx: CommandContext,
    *,
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE_HELP)],
    b: Annotated[str, typer.Argument(metavar="B", help=_SIDE_HELP)],
    include_archived: IncludeArchived = False,
    with_inclusions: WithInclusions = False,
    with_variants: WithVariants = False,
    markdown: Markdown = False,
    detailed_exitcode: DetailedExitcode = False,
) -> None:
    """Show the changes that turn A into B.

    Example: amp-exp diff project:123 flags.yaml
    """
    reject_both(ctx, markdown=markdown)
    if a == b == STDIN:
        raise amp_exp_async.InvalidInputError("A and B cannot both be standard input.")
    options = {
        "server_fields": False,
        "include_archived": include_archived,
        "users": with_inclusions,
        "cohorts": with_inclusions,
        "variants": with_variants,
    }
    difference = amp_exp_async.diff(*_load_sides(ctx, (a, b), options))
    ctx.result = json_text.loads(difference.to_json())
    text = str(difference) if difference else "No differences."
    ctx.write(difference.to_markdown().rstrip("\n") if markdown else text)
    if difference and detailed_exitcode:
        raise Exit(None, ExitCode.CHANGES)


def _load_sides(ctx: CommandContext, sides: Sequence[str], options: Mapping[str, bool]) -> list[amp_exp_async.Manifest]:
    """Return both sides. Files are read first, so that no request is sent if they are invalid."""
    manifests = {side: load_manifest([side]) for side in sides if _project_of(side) is None}
    for manifest in manifests.values():
        options = {name: options[name] or is_needed for name, is_needed in _needed_options(manifest).items()}
    for side in sides:
        if side not in manifests:
            manifests[side] = export_manifest(ctx, _project_of(side), **options)
    return [manifests[side] for side in sides]


def _project_of(side: str) -> str | None:
    """Return the ID of the project that a side names; None if it names a file."""
    if side.startswith(_PROJECT_PREFIX):
        return side.removeprefix(_PROJECT_PREFIX)
    is_id = side.isascii() and side.isdigit() and not Path(side).exists()
    return side if is_id else None


def _needed_options(manifest: amp_exp_async.Manifest) -> dict[str, bool]:
    """Return the options of an export that reads all fields which a manifest declares."""
    flags = [*(manifest.flags or ()), *(manifest.experiments or ())]
    variants = [variant for flag in flags for variant in flag.variants or ()]
    return {
        "include_archived": any(flag.archived for flag in flags),
        "server_fields": any(flag.bucketing_salt is not amp_exp_async.UNSET for flag in flags),
        "users": any(variant.users is not amp_exp_async.UNSET for variant in variants),
        "cohorts": any(variant.cohorts is not amp_exp_async.UNSET for variant in variants),
        "variants": any(amp_exp_async.UNSET not in (variant.name, variant.description) for variant in variants),
    }
