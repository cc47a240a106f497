"""The connection of a command: the client that its options and the environment describe."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

import amp_exp_async

from .errors import describe_os_error
from .options import DefaultProject, as_integer
from .profiles import ConfigFile, load_config

if TYPE_CHECKING:
    from .settings import Setting, Settings


@frozen(kw_only=True)
class Connection:
    """The options of a command that concern its connection; None for the default.

    Attributes:
        profile: the name of a profile of the configuration file.
        api_key_file: the file that holds the key.
        region: `us` or `eu`, in any case.
        base_url: the service's URL instead of a region.
        proxy: the URL of an HTTP proxy; by default that of the environment.
        ca_bundle: the file or folder with the certificates to trust, in addition to those of the system.
        allow_insecure_http: whether to allow plain HTTP to any host.
        timeout: seconds for one attempt.
        deadline: seconds for one call with its retries.
    """

    profile: str | None
    api_key_file: Path | None
    region: str | None
    base_url: str | None
    proxy: str | None
    ca_bundle: Path | None
    allow_insecure_http: bool
    timeout: float | None
    deadline: float | None

    def options(self) -> Iterator[str]:
        """Yield the options of a command line for the same account."""
        values = {
            "--profile": self.profile,
            "--api-key-file": self.api_key_file,
            "--region": self.region,
            "--base-url": self.base_url,
        }
        for name, value in values.items():
            if value:
                yield name
                yield str(value)

    @cached_property
    def config(self) -> ConfigFile:
        """The configuration file.

        Raises:
            ConfigurationError: If it has a mistake.
        """
        return load_config()

    @cached_property
    def settings(self) -> Settings:
        """The settings, from the options, the environment and the profile.

        Raises:
            ConfigurationError: If the configuration file has a mistake, or if settings exclude each other.
        """
        from .settings import resolve_settings  # noqa: PLC0415 - not needed for help and completion

        return resolve_settings(asdict(self, recurse=False), self.config.select(self.profile)[0])

    def default_project(self) -> DefaultProject | None:
        """Return the project of the environment, or of the profile; None without one.

        Raises:
            ConfigurationError: If the configuration file has a mistake, or if settings exclude each other.
        """
        project = self.settings.values["project_id"]
        return DefaultProject(project.value, project.source) if project.value else None

    def create_client(self, *, ask: bool) -> amp_exp_async.ExperimentClient:
        """Return a client with the settings.

        Args:
            ask: whether to ask for a missing key.

        Raises:
            ConfigurationError: If there is no key, or the configuration is invalid.
        """
        from .keys import no_key_error, prompt_source  # noqa: PLC0415 - not needed for help and completion

        settings = self.settings
        source = settings.key or (prompt_source() if ask else None)
        if source is None:
            raise no_key_error([] if settings.profile else self.config.profiles)
        return self._client(source.read())

    def check(self) -> None:
        """Check the settings, without the key.

        Raises:
            ConfigurationError: If one is invalid.
        """
        self._client("a-key-in-place-of-yours").close()

    def _client(self, key: str) -> amp_exp_async.ExperimentClient:
        settings = self.settings
        times = {name: settings.value(name) for name in ("timeout", "deadline")}
        region, proxy = settings.value("region"), settings.value("proxy")
        options: dict[str, Any] = {name: as_integer(value) for name, value in times.items() if value is not None}
        if proxy is not None and "://" not in proxy:
            proxy = f"http://{proxy}"  # as in HTTPS_PROXY
        return amp_exp_async.ExperimentClient(
            key,
            region=None if region is None else region.lower(),
            base_url=settings.value("base_url"),
            allow_insecure_http=bool(settings.value("allow_insecure_http")),
            proxy=proxy,
            trust_env=proxy is None,
            ssl=_create_context(settings.values["ca_bundle"]),
            **options,
        )


def _create_context(setting: Setting) -> ssl.SSLContext | bool:
    """Return a context that also trusts the certificates of a file; True for the certificates of the system."""
    file = os.environ.get("SSL_CERT_FILE", "")
    if not setting.value and not Path(file).is_dir():
        return True  # OpenSSL reads SSL_CERT_FILE and SSL_CERT_DIR by itself
    context = ssl.create_default_context()
    try:
        for path in filter(None, (setting.value, file)):
            if Path(path).is_dir():  # its files have the names that `openssl rehash` gives them
                context.load_verify_locations(capath=path)
            elif path == setting.value:
                context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        reason = "it contains no certificate" if isinstance(error, ssl.SSLError) else describe_os_error(error)
        raise amp_exp_async.ConfigurationError(
            f"{setting.source} {setting.value}: cannot be used ({reason}). Pass a file in PEM format."
        ) from error
    return context
