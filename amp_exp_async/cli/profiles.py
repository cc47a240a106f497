"""The configuration file: named profiles of settings, so that commands need no options for an account."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from attrs import field, frozen

import amp_exp_async

from .errors import describe_os_error
from .options import PROFILE_VARIABLE
from .streams import read_bounded

FILE_VARIABLE = "AMP_EXP_CONFIG_FILE"
KEY_SETTINGS = ("api_key", "api_key_file", "api_key_command")

_OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_project(value: object) -> bool:
    return _is_text(value) or (isinstance(value, int) and not isinstance(value, bool))


def _is_command(value: object) -> bool:
    return _is_text(value) or (_is_list(value) and bool(value) and all(map(_is_text, value)))


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


# The settings of a profile: how their values are checked, and what they must be.
_SETTINGS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "region": (_is_text, 'a string, such as "eu"'),
    "base_url": (_is_text, 'a string, such as "https://host"'),
    "project_id": (_is_project, 'a string or an integer, such as "123"'),
    "api_key": (_is_text, "a string that is not empty"),
    "api_key_file": (_is_text, "the path of a file, as a string"),
    "api_key_command": (_is_command, "a command, as a string or as an array of strings"),
    "proxy": (_is_text, 'a string, such as "http://host:3128"'),
    "ca_bundle": (_is_text, "the path of a file, as a string"),
    "allow_insecure_http": (lambda value: isinstance(value, bool), "true or false"),
    "timeout": (_is_number, "a number of seconds"),
    "deadline": (_is_number, "a number of seconds"),
}


@frozen
class Profile:
    """The settings of one profile.

    Attributes:
        name: the name.
        settings: the values by name; they may contain the key.
        folder: the folder that relative paths start from.
    """

    name: str
    settings: Mapping[str, Any] = field(repr=False)
    folder: Path

    def path(self, name: str) -> Path | None:
        """Return a setting that is a path: `~` is the user's home, and the path may be relative to the file."""
        text = self.settings.get(name)
        return None if text is None else self.folder / Path(text).expanduser()


@frozen
class ConfigFile:
    """The configuration file, or the place where it would be.

    Attributes:
        path: where it is.
        exists: whether it exists.
        profiles: the profiles by name, in the order of the file.
        default_profile: the name of the profile that is used if none is named; None without one.
    """

    path: Path
    exists: bool
    profiles: Mapping[str, Profile] = field(factory=dict[str, Profile])
    default_profile: str | None = None

    def select(self, option: str | None) -> tuple[Profile | None, str]:
        """Return the active profile, or None, and what selects it.

        Args:
            option: the name that `--profile` gives; None without it.

        Raises:
            ConfigurationError: If the selected profile does not exist.
        """
        variable = os.environ.get(PROFILE_VARIABLE)
        choices = {"--profile": option, PROFILE_VARIABLE: variable, "default_profile": self.default_profile}
        source, name = next(((source, name) for source, name in choices.items() if name), ("", None))
        if option == "":
            source, name = "--profile", ""
        if name is None:
            return None, ""
        if name not in self.profiles:
            raise self._unknown(source, name)
        return self.profiles[name], source

    def _unknown(self, source: str, name: str) -> amp_exp_async.ConfigurationError:
        from .output import format_value  # noqa: PLC0415 - not needed for completion

        if not self.exists:
            problem = f"there is no profile {format_value(name)}, because {self.path} does not exist. Create the file."
        else:
            known = ", ".join(map(format_value, self.profiles)) or "none"
            problem = f"there is no profile {format_value(name)} in {self.path}. Its profiles: {known}."
        return amp_exp_async.ConfigurationError(f"{source}: {problem}")


def config_path() -> Path:
    """Return where the configuration file is: `$AMP_EXP_CONFIG_FILE`, or the platform's place for such files."""
    if path := os.environ.get(FILE_VARIABLE):
        return Path(path).expanduser()
    from platformdirs import user_config_path  # noqa: PLC0415 - not needed for help

    return user_config_path("amp-exp", appauthor=False) / "config.toml"


def load_config() -> ConfigFile:
    """Return the checked configuration file.

    Raises:
        ConfigurationError: If it cannot be read or has a mistake, or if it holds a key and others may read it.
    """
    path = config_path()
    try:
        document, mode = _read(path)
    except FileNotFoundError:
        if os.environ.get(FILE_VARIABLE):
            raise amp_exp_async.ConfigurationError(
                f"{FILE_VARIABLE}: the file {path} does not exist. Correct the path, or unset the variable."
            ) from None
        return ConfigFile(path, exists=False)
    unknown = [name for name in document if name not in {"profile", "default_profile"}]
    if unknown:
        raise _mistake(path, unknown[0], f"is unknown; {_suggest(unknown[0], ('profile', 'default_profile'))}")
    tables = document.get("profile", {})
    if not _is_table(tables):
        raise _mistake(path, "profile", "must be a table for each profile, such as [profile.prod]")
    profiles = {name: _parse_profile(path, name, table) for name, table in tables.items()}
    if any("api_key" in profile.settings for profile in profiles.values()):
        _require_private(path, mode)
    default = document.get("default_profile")
    if default is not None and (not isinstance(default, str) or default not in profiles):
        raise _mistake(path, "default_profile", "must be the name of a profile in the file")
    return ConfigFile(path, exists=True, profiles=profiles, default_profile=default)


def complete_profile(incomplete: str) -> list[str]:
    """Return the names of profiles that begin with a text, for a TAB."""
    try:
        names = _read(config_path())[0].get("profile", {})
    except (OSError, amp_exp_async.ConfigurationError):
        return []
    return [name for name in names if name.startswith(incomplete)] if _is_table(names) else []


def _read(path: Path) -> tuple[dict[str, Any], int]:
    """Return the document of a file, and its mode.

    Raises:
        FileNotFoundError: If it does not exist.
        ConfigurationError: If it cannot be read, or is not TOML.
    """
    import tomllib  # noqa: PLC0415 - not needed for help

    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            return tomllib.loads(read_bounded(stream).decode("utf-8-sig")), mode
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise amp_exp_async.ConfigurationError(f"{path}: cannot be read ({describe_os_error(error)}).") from error
    except tomllib.TOMLDecodeError as error:
        raise amp_exp_async.ConfigurationError(f"{path}: is not TOML. {error}.") from None


def _parse_profile(path: Path, name: str, table: object) -> Profile:
    """Return a profile whose settings are known and of the right type. No message shows a value: it may be the key."""
    where = f"[profile.{name}]"
    if not _is_table(table):
        raise _mistake(path, where, "must be a table of settings")
    for setting, value in table.items():
        if setting not in _SETTINGS:
            raise _mistake(path, where, f'has an unknown setting "{setting}"; {_suggest(setting, _SETTINGS)}')
        is_valid, rule = _SETTINGS[setting]
        if not is_valid(value):
            raise _mistake(path, f"{where} {setting}", f"must be {rule}")
    for names in (KEY_SETTINGS, ("region", "base_url")):
        given = [setting for setting in names if setting in table]
        if len(given) > 1:
            raise _mistake(path, where, f"has {' and '.join(given)}, which exclude each other: keep one of them")
    return Profile(name, table, path.parent)


def _require_private(path: Path, mode: int) -> None:
    """Reject a file with a key that other users may read. Windows has no such mode."""
    if os.name != "nt" and mode & _OTHERS_MAY_READ:
        raise amp_exp_async.ConfigurationError(
            f"{path}: contains an api_key, and other users may read it (mode {stat.S_IMODE(mode):o}). "
            f"Run: chmod 600 {path}"
        )


def _is_table(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _mistake(path: Path, subject: str, rule: str) -> amp_exp_async.ConfigurationError:
    return amp_exp_async.ConfigurationError(f"{path}: {subject} {rule}{'' if rule.endswith('?') else '.'}")


def _suggest(name: str, names: Iterable[str]) -> str:
    known = list(names)
    similar = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{similar[0]}"?' if similar else f"expected one of: {', '.join(known)}"
