"""The commands of `amp-exp`: arguments in, exit status out."""

from __future__ import annotations

import asyncio
import dataclasses
import json as json_text
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from amp_exp_async._version import __version__
from amp_exp_async.emulator import Emulator, StateError, serve

from .demo import Summary, run
from .deployments import app as deployments
from .files import app as files
from .progress import reporter
from .toggles import experiments, flags
from .usage import EXIT_STATUSES, Commands
from .users import app as users

app = typer.Typer(
    name="amp-exp",
    cls=Commands,
    help="Amplitude's Experiment Management API from the command line.",
    epilog=EXIT_STATUSES,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(files)
app.add_typer(flags)
app.add_typer(experiments)
app.add_typer(deployments)
app.add_typer(users)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"amp-exp {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Amplitude's Experiment Management API from the command line."""


@app.command()
def demo(
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
) -> None:
    """Bulk-sync many flags against the embedded emulator, over real HTTP. Needs no account and no network."""
    summary = run(reporter(Console(), silent=json))
    if json:
        typer.echo(json_text.dumps(dataclasses.asdict(summary), indent=2))
    else:
        _show(summary)
    raise typer.Exit(0 if summary.ok else 1)


def _show(summary: Summary) -> None:
    rows = {
        "requests sent": f"{summary.requests}",
        "seconds": f"{summary.seconds:.2f}",
        "share of the rate limit": f"{summary.share_of_limit:.0%} while editing, with the burst at its start; "
        f"at most {summary.peak_per_second} of {summary.limit_per_second} in any second",
        "429s": f"{summary.rate_limited}",
        "retries": f"{summary.retries}",
        "check": f"{summary.changes_checked} changes read back, {len(summary.faults)} missing or wrong",
    }
    typer.echo()
    for name, value in rows.items():
        typer.echo(f"{name:>24}  {value}")
    for fault in summary.faults:
        typer.echo(f"{'wrong':>24}  {fault}", err=True)
    typer.echo()
    typer.echo("Every change arrived." if summary.ok else "The check does not hold.")


@app.command()
def emulator(
    port: Annotated[int, typer.Option(help="The port; 0 for any free one.", min=0, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    state: Annotated[Path | None, typer.Option(help="A JSON file: loaded if it exists, saved at the end.")] = None,
    latency: Annotated[str | None, typer.Option(help="Seconds of a round trip: 0.05, or drawn from 0.02-0.08.")] = None,
) -> None:
    """Serve the API's emulator until Ctrl-C."""
    try:
        emulator = Emulator(state if state is not None and state.exists() else None, host=host, port=port)
        if latency is not None:
            _set_latency(emulator, latency)
        asyncio.run(serve(emulator, state_file=state, on_ready=_tell_ready))
    except (StateError, OSError) as error:
        typer.echo(f"The emulator cannot serve: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo("Stopped." if state is None else f"Stopped. The state is in {state}.")


def _set_latency(emulator: Emulator, text: str) -> None:
    least, dash, most = text.partition("-")
    try:
        emulator.latency = (float(least), float(most)) if dash else float(least)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither seconds nor a range of them, like 0.02-0.08.", param_hint="--latency"
        ) from None


def _tell_ready(emulator: Emulator) -> None:
    typer.echo(f"The emulator serves on {emulator.base_url}. In another terminal:\n")
    typer.echo(f"  export AMPLITUDE_EXPERIMENT_BASE_URL={emulator.base_url}")
    typer.echo(f"  export AMPLITUDE_MANAGEMENT_API_KEY={emulator.api_key}\n")
    typer.echo("Ctrl-C stops it.")
