"""`amp-exp config`: the configuration file and the settings in effect."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import typer

import amp_exp_async

from .context import CommandContext, command
from .help import HelpGroup
from .options import KEY_VARIABLE, PROFILE_VARIABLE, as_integer
from .output import TEXT_WIDTH, format_cell
from .profiles import config_path

_USERINFO_RE = re.compile(r"^([a-z0-9+.-]+://)?.*@", re.IGNORECASE | re.DOTALL)

app = typer.Typer(name="config", help="Show the configuration file and the settings in effect.", cls=HelpGroup)


@command(app, "list")
def _list(ctx: CommandContext) -> None:
    """Show the profiles, which one is active, and where each setting comes from. Shows no key and sends nothing.

    An invalid setting is an error.

    Example: amp-exp config list --profile prod
    """
    config = ctx.connection.config
    profile, reason = config.select(ctx.connection.profile)
    settings = _describe_settings(ctx)
    ctx.result = {
        "file": str(config.path),
        "exists": config.exists,
        "profiles": list(config.profiles),
        "profile": None if profile is None else profile.name,
        "profile_source": reason or None,
        "settings": settings,
    }
    ctx.echo(f"File: {config.path}{'' if config.exists else ' (does not exist)'}")
    ctx.echo(f"Profiles: {', '.join(config.profiles) or 'none'}")
    if profile is None:
        ctx.echo(f"Active profile: none (--profile, {PROFILE_VARIABLE} or default_profile in the file selects one)")
    else:
        ctx.echo(f"Active profile: {profile.name} ({reason})")
    ctx.echo("")
    rows = ((name, format_cell(row["value"]), row["source"]) for name, row in settings.items())
    ctx.table(("setting", "value", "source"), rows, wrapped={"value": TEXT_WIDTH, "source": len(KEY_VARIABLE)})
    ctx.connection.check()


def _describe_settings(ctx: CommandContext) -> dict[str, dict[str, Any]]:
    """Return the value and the source of each setting, without keys and passwords."""
    settings, parameters = ctx.connection.settings, inspect.signature(amp_exp_async.AsyncExperimentClient).parameters
    key = settings.key
    missing = f"missing: set {KEY_VARIABLE}"
    rows: dict[str, dict[str, Any]] = {
        "api_key": {"value": key and "(hidden)", "source": missing if key is None else key.name}
    }
    for name, setting in settings.values.items():
        default = parameters[name].default if name in parameters else None
        rows[name] = {
            "value": _show(as_integer(default if setting.value is None else setting.value)),
            "source": setting.source,
        }
    if rows["base_url"]["value"] is None:
        rows["region"]["value"] = (rows["region"]["value"] or "us").lower()
        rows["base_url"]["source"] = "region"
    proxies = getproxies()
    if rows["proxy"]["value"] is None and (proxy := proxies.get("https") or proxies.get("all")):
        rows["proxy"] = {"value": _show(proxy), "source": "environment"}
    return rows


def _show(value: object) -> object:
    """Return a value without the user name and the password of a URL, which may contain any character."""
    if isinstance(value, Path):
        return str(value)
    return _USERINFO_RE.sub(r"\1***@", value) if isinstance(value, str) else value


@command(app, "path")
def _path(ctx: CommandContext) -> None:
    """Show where the configuration file is; AMP_EXP_CONFIG_FILE names another place.

    Example: amp-exp config path
    """
    path = config_path()
    ctx.result = {"file": str(path), "exists": path.exists()}
    ctx.echo(str(path))
