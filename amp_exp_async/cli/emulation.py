"""`amp-exp demo` and `amp-exp emulator`. The emulator and aiohttp are imported when they run, not for their help."""

from __future__ import annotations

import asyncio
import dataclasses
import json as json_text
import shutil
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .documented_objects import PROJECT, add_documented_objects
from .errors import describe_os_error
from .exit_codes import ExitCode
from .help import HelpCommand
from .output import make_console, make_reporter

if TYPE_CHECKING:
    from amp_exp_async.emulator import Emulator

    from .demo import DemoSummary

_NAMES = 16  # columns for the names in the summary

app = typer.Typer()


@app.command(cls=HelpCommand)
def demo(json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON only.")] = False) -> None:
    """Edit many flags on an embedded emulator, over HTTP. Needs no account and no network.

    Example: amp-exp demo
    """
    from .demo import run_demo  # noqa: PLC0415

    summary = run_demo(make_reporter(make_console(), silent=json))
    if json:
        typer.echo(json_text.dumps(dataclasses.asdict(summary), indent=2))
    else:
        _show_summary(summary)
    raise typer.Exit(ExitCode.OK if summary.ok else ExitCode.FAILED)


def _show_summary(summary: DemoSummary) -> None:
    rows = {
        "requests sent": f"{summary.requests}",
        "seconds": f"{summary.seconds:.2f}",
        "rate limit used": f"{summary.share_of_limit:.0%} while editing; "
        f"at most {summary.peak_per_second} of {summary.limit_per_second} in any second",
        "429 responses": f"{summary.rate_limited}",
        "retries": f"{summary.retries}",
        "check": f"{summary.changes_checked} changes read back ({summary.fields_checked} fields, "
        f"{summary.users_checked} users, {summary.cohorts_checked} cohorts), {len(summary.faults)} missing or wrong",
    }
    typer.echo()
    width = shutil.get_terminal_size().columns
    for name, value in rows.items():
        typer.echo(textwrap.fill(f"{name:>{_NAMES}}  {value}", width, subsequent_indent=" " * (_NAMES + 2)))
    for fault in summary.faults:
        typer.echo(f"{'wrong':>{_NAMES}}  {fault}", err=True)
    typer.echo()
    typer.echo("All changes were applied." if summary.ok else "The check failed.")


@app.command(cls=HelpCommand)
def emulator(
    *,
    port: Annotated[int, typer.Option(help="Port; 0 for any free one.", min=0, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Serve requests to this host name too, such as the name of a container; * for all. Repeatable.",
        ),
    ] = None,
    state: Annotated[Path | None, typer.Option(help="JSON file: loaded if it exists, saved at exit.")] = None,
    latency: Annotated[
        str | None, typer.Option(help="Seconds per round trip, such as 0.05, or a range, such as 0.02-0.08.")
    ] = None,
    strictness: Annotated[
        Literal["live", "documented"],
        typer.Option(help="Refuse what the live service was seen to refuse, or only what the API reference says."),
    ] = "live",
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help=f"Serve the account of the demo, and project {PROJECT} of the documentation's examples."
        ),
    ] = False,
) -> None:
    """Serve an emulator of the API until Ctrl-C.

    Example: amp-exp emulator --demo

    Example: amp-exp emulator --port 9000 --state state.json --latency 0.02-0.08

    Example: amp-exp emulator --host 0.0.0.0 --allowed-host emulator
    """
    from amp_exp_async.emulator import Emulator, StateError, serve  # noqa: PLC0415

    from .demo_account import make_account  # noqa: PLC0415

    _check_names(allowed_host or ())
    running: list[Emulator] = []

    def on_ready(emulator: Emulator) -> None:
        running.append(emulator)
        _show_address(emulator, is_demo=demo)

    place = str(state)
    try:
        saved = state if state is not None and state.exists() else None
        emulator = Emulator(
            make_account() if demo and saved is None else saved,
            host=host,
            port=port,
            allowed_hosts=allowed_host or (),
            strictness=strictness,
        )
        if demo and saved is None:
            add_documented_objects(emulator.state)
        if latency is not None:
            _set_latency(emulator, latency)
        place = f"{host}:{port}"
        asyncio.run(serve(emulator, state_file=state, on_ready=on_ready))
    except (StateError, OSError) as error:
        if running and isinstance(error, OSError) and error.filename is None:
            raise  # of standard output
        fact = "The state cannot be saved" if running else "The emulator cannot start"
        reason = str(error)
        if isinstance(error, OSError):
            reason = f"{error.filename or place}: {describe_os_error(error)}."
        typer.echo(f"{fact}: {reason}", err=True)
        raise typer.Exit(ExitCode.FAILED) from None
    typer.echo("Stopped." if state is None else f"Stopped. The state was saved to {state}.")


def _check_names(names: Iterable[str]) -> None:
    from amp_exp_async.emulator import Emulator  # noqa: PLC0415

    for name in names:
        try:
            Emulator(allowed_hosts=[name])
        except ValueError:
            raise typer.BadParameter(
                f"{json_text.dumps(name)} must be a name or an address, without scheme, or *.",
                param_hint="--allowed-host",
            ) from None


def _set_latency(emulator: Emulator, text: str) -> None:
    min_seconds, dash, max_seconds = text.partition("-")
    try:
        emulator.latency = (float(min_seconds), float(max_seconds)) if dash else float(min_seconds)
    except ValueError:
        raise typer.BadParameter(
            f"{json_text.dumps(text)} must be a number of seconds, or a range from a lower to a higher number, "
            "such as 0.02-0.08.",
            param_hint="--latency",
        ) from None


def _show_address(emulator: Emulator, *, is_demo: bool) -> None:
    """Print what a client needs. No punctuation follows a value, so that each can be copied."""
    typer.echo(f"Emulator running at {emulator.base_url}")
    typer.echo("In another terminal, run:\n")
    typer.echo(f"  export AMPLITUDE_EXPERIMENT_BASE_URL={emulator.base_url}")
    typer.echo(f"  export AMPLITUDE_MANAGEMENT_API_KEY={emulator.api_key}")
    if is_demo:
        typer.echo(f"\nThe examples of the documentation use project {PROJECT}:\n")
        typer.echo(f"  amp-exp flags list --project-id {PROJECT}")
    typer.echo("\nPress Ctrl-C to stop.")
