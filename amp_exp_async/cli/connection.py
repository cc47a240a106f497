"""The connection of a command: the client that its options and the environment describe."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from attrs import frozen

import amp_exp_async

from .errors import describe_os_error
from .options import KEY_VARIABLE, SECOND_KEY_VARIABLE

# OpenSSL reads SSL_CERT_FILE by itself.
_CA_VARIABLE = "REQUESTS_CA_BUNDLE"


@frozen(kw_only=True)
class Connection:
    """The options of a command that concern its connection; None for the default.

    Attributes:
        api_key_file: the file that holds the key.
        region: `us` or `eu`, in any case.
        base_url: the service's URL instead of a region.
        proxy: the URL of an HTTP proxy; by default that of the environment.
        ca_bundle: the file with the certificates to trust, in addition to those of the system.
        allow_insecure_http: whether to allow plain HTTP to any host.
        timeout: seconds for one attempt.
        deadline: seconds for one call with its retries.
    """

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
        values = {"--api-key-file": self.api_key_file, "--region": self.region, "--base-url": self.base_url}
        for name, value in values.items():
            if value:
                yield name
                yield str(value)

    def create_client(self, *, ask: bool) -> amp_exp_async.ExperimentClient:
        """Return a client whose key comes from a file, the environment or a hidden prompt.

        Args:
            ask: whether to ask for a missing key.

        Raises:
            ConfigurationError: If there is no key, or the configuration is invalid.
        """
        if self.region is not None and self.base_url is not None:
            raise amp_exp_async.ConfigurationError("--region and --base-url exclude each other. Pass one of them.")
        seconds = {"timeout": self.timeout, "deadline": self.deadline}
        settings: dict[str, Any] = {name: value for name, value in seconds.items() if value is not None}
        return amp_exp_async.ExperimentClient(
            _find_key(self.api_key_file, ask=ask),
            region=None if self.region is None else self.region.lower(),
            base_url=self.base_url,
            allow_insecure_http=self.allow_insecure_http,
            proxy=self.proxy,
            trust_env=self.proxy is None,
            ssl=_create_context(self.ca_bundle),
            **settings,
        )


def _create_context(file: Path | None) -> ssl.SSLContext | bool:
    """Return a context that also trusts the certificates of a file; True for the certificates of the system."""
    option, path = ("--ca-bundle", file) if file else (_CA_VARIABLE, os.environ.get(_CA_VARIABLE))
    if not path:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        reason = "it contains no certificate" if isinstance(error, ssl.SSLError) else describe_os_error(error)
        raise amp_exp_async.ConfigurationError(
            f"{option} {path}: cannot be used ({reason}). Pass a file in PEM format."
        ) from error
    return context


def _find_key(file: Path | None, *, ask: bool) -> str | None:
    """Return the key, or None if the client finds it in the environment."""
    if file is not None:
        return _read_key(file)
    if os.environ.get(KEY_VARIABLE) or os.environ.get(SECOND_KEY_VARIABLE):
        return None
    if not ask:
        raise amp_exp_async.ConfigurationError(
            f"no management API key: set {KEY_VARIABLE}, or pass --api-key-file. "
            "Create a key in Amplitude under Experiment > Management API."
        )
    key: str = typer.prompt("Management API key (input is hidden)", hide_input=True, err=True)
    return key


def _read_key(file: Path) -> str:
    try:
        words = file.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise amp_exp_async.ConfigurationError(
            f"--api-key-file {file}: cannot be read ({describe_os_error(error)})."
        ) from error
    if len(words) != 1:
        fact = "contains more than one word" if words else "is empty"
        raise amp_exp_async.ConfigurationError(
            f"--api-key-file {file}: file {fact}. It must contain the management API key only."
        )
    return words[0]
