"""The settings of a command: from an option, else from the environment, else from the profile, else the default."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from attrs import field, frozen

import amp_exp_async

from .keys import KeySource, command_source, file_source
from .options import BASE_URL_VARIABLE, KEY_VARIABLE, PROJECT_VARIABLE, REGION_VARIABLE, SECOND_KEY_VARIABLE
from .profiles import KEY_SETTINGS, Profile

_VARIABLES = (KEY_VARIABLE, SECOND_KEY_VARIABLE, REGION_VARIABLE, BASE_URL_VARIABLE, PROJECT_VARIABLE)
_DEFAULT = "default"
_CA_VARIABLE = "REQUESTS_CA_BUNDLE"


@frozen
class Setting:
    """The value of a setting, and where it comes from.

    Attributes:
        value: the value; None for the library's default.
        source: an option, a variable, a profile, or `default`.
    """

    value: Any = field(default=None, repr=False)
    source: str = _DEFAULT


Layer: TypeAlias = Mapping[str, Setting | None]


@frozen
class Settings:
    """The settings of a command.

    Attributes:
        profile: the active profile; None without one.
        values: the settings by name.
        key: where the key comes from; None if it is missing.
    """

    profile: Profile | None
    values: Mapping[str, Setting]
    key: KeySource | None

    def value(self, name: str) -> Any:
        """Return the value of a setting; None for the default."""
        return self.values[name].value

    @property
    def overridden(self) -> Iterator[str]:
        """Messages about settings of the profile that variables override."""
        if self.profile is None:
            return
        for name in self.profile.settings:
            if name in KEY_SETTINGS:
                source = "" if self.key is None else self.key.name
            elif name in {"region", "base_url"}:
                source = self.values["region"].source if self.value("region") else self.values["base_url"].source
            else:
                source = self.values[name].source
            if source in _VARIABLES:
                yield f"Note: {source} takes precedence over {name} of profile {self.profile.name}."

    @property
    def sources(self) -> dict[str, str]:
        """The sources of the settings that have one, by name, for messages about invalid values."""
        sources = {name: setting.source for name, setting in self.values.items() if setting.source != _DEFAULT}
        return sources if self.key is None else {**sources, "api_key": self.key.name}


def resolve_settings(options: Mapping[str, Any], profile: Profile | None) -> Settings:
    """Return the settings of a command.

    Args:
        options: the options of the connection by their names; None for those that were not given.
        profile: the active profile; None without one.

    Raises:
        ConfigurationError: If a region and a URL are given in the same place.
    """
    environment = {
        "region": _from_environment(REGION_VARIABLE),
        "base_url": _from_environment(BASE_URL_VARIABLE),
        "project_id": _from_environment(PROJECT_VARIABLE),
    }
    layers: list[Layer] = [
        {name: Setting(value, f"--{name.replace('_', '-')}") for name, value in options.items() if _is_given(value)},
        environment,
        {} if profile is None else _profile_layer(profile),
        # These variables, and HTTPS_PROXY, are the machine's and not of this program, so a profile overrides them.
        {"ca_bundle": _from_environment(_CA_VARIABLE)},
    ]
    names = ("project_id", "proxy", "ca_bundle", "allow_insecure_http", "timeout", "deadline")
    values = {name: _first(layers, name) or Setting() for name in names}
    return Settings(profile, {**_endpoint(layers), **values}, _key_source(options["api_key_file"], profile))


def _first(layers: Sequence[Layer], name: str) -> Setting | None:
    return next((setting for layer in layers if (setting := layer.get(name)) is not None), None)


def _is_given(value: object) -> bool:
    return value is not None and value is not False


def _from_environment(name: str) -> Setting | None:
    value = os.environ.get(name)
    return Setting(value, name) if value else None


def _profile_layer(profile: Profile) -> dict[str, Setting]:
    values = {**profile.settings, "ca_bundle": profile.path("ca_bundle")}
    if "project_id" in values:
        values["project_id"] = str(values["project_id"])
    return {
        name: Setting(value, f"{name} of profile {profile.name}") for name, value in values.items() if value is not None
    }


def _endpoint(layers: Sequence[Layer]) -> dict[str, Setting]:
    """Return the region and the URL: both from the first place that has one of them."""
    for layer in layers:
        given = {name: setting for name in ("region", "base_url") if (setting := layer.get(name)) is not None}
        if len(given) > 1:
            sources = " and ".join(setting.source for setting in given.values())
            raise amp_exp_async.ConfigurationError(f"{sources} exclude each other. Keep one of them.")
        if given:
            break
    else:
        given = {}
    return {name: given.get(name, Setting()) for name in ("region", "base_url")}


def _key_source(file: Path | None, profile: Profile | None) -> KeySource | None:
    if file is not None:
        return file_source("--api-key-file", file)
    for variable in (KEY_VARIABLE, SECOND_KEY_VARIABLE):
        if os.environ.get(variable):
            return KeySource(variable, partial(os.environ.__getitem__, variable))
    return None if profile is None else _profile_key(profile)


def _profile_key(profile: Profile) -> KeySource | None:
    name = next((name for name in KEY_SETTINGS if name in profile.settings), None)
    if name is None:
        return None
    source, value = f"{name} of profile {profile.name}", profile.settings[name]
    if name == "api_key_command":
        return command_source(source, value)
    path = profile.path("api_key_file")
    return KeySource(source, lambda: profile.settings["api_key"]) if path is None else file_source(source, path)
