"""Settings, from arguments and the environment. What cannot work is refused here, with what to set instead."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from attrs import field, frozen

from .errors import ConfigurationError

KEY_VARIABLE = "AMPLITUDE_MANAGEMENT_API_KEY"
REGION_VARIABLE = "AMPLITUDE_EXPERIMENT_REGION"


# Shorter keys are only met in tests; taking them out of a text would maul its words.
_LEAST_KEY = 8


@frozen
class Api:
    """A version of the API.

    Attributes:
        hosts: region to scheme and host.
        prefix: what stands before every path.
        base_url_variable: the environment's variable for another base URL.
    """

    hosts: Mapping[str, str]
    prefix: str
    base_url_variable: str


V1 = Api(
    {"us": "https://experiment.amplitude.com", "eu": "https://experiment.eu.amplitude.com"},
    "/api/1",
    "AMPLITUDE_EXPERIMENT_BASE_URL",
)
BETA = Api(
    {
        "us": "https://management-api.experiment.amplitude.com",
        "eu": "https://management-api.experiment.eu.amplitude.com",
    },
    "",
    "AMPLITUDE_EXPERIMENT_BETA_BASE_URL",
)


class Secret:
    """A management API key that shows itself to nobody who does not ask for it by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def redact(self, text: str) -> str:
        """A text without the key, should somebody have put it there."""
        return text.replace(self._value, "***") if len(self._value) >= _LEAST_KEY else text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a management API key is never pickled: give it to each process by its environment")


@frozen
class Endpoint:
    """Where requests go, and in whose name.

    Attributes:
        base_url: scheme, host and path prefix, up to and with that of the API.
        key: the management API key.
    """

    base_url: str
    key: Secret = field(repr=False)


def endpoint(
    api_key: Secret | None,
    region: str | None,
    base_url: str | None,
    *,
    allow_insecure_http: bool,
    api: Api = V1,
) -> Endpoint:
    """Settle the endpoint from what was passed, else from the environment.

    Raises:
        ConfigurationError: the key is missing, or the region or URL cannot work.
    """
    key = _key(api_key)
    try:
        url = _checked_url(_base_url(api, region, base_url), api, allow_insecure_http=allow_insecure_http)
    except ConfigurationError as error:
        raise ConfigurationError(key.redact(str(error))) from None
    return Endpoint(url + api.prefix, key)


def _key(given: Secret | None) -> Secret:
    key = Secret(os.environ.get(KEY_VARIABLE, "")) if given is None else given
    where = KEY_VARIABLE if given is None else "api_key"
    if type(key.reveal()) is not str:
        raise ConfigurationError(f"{where} must be a string: the management API key")
    if not key.reveal():
        raise ConfigurationError(
            f"no management API key: pass api_key, or set {KEY_VARIABLE}. "
            "Keys are made in Amplitude under Experiment > Management API."
        )
    if not key.reveal().isascii() or any(character <= " " or character == "\x7f" for character in key.reveal()):
        raise ConfigurationError(f"{where} holds white space or a character that no key has: copy it again")
    return key


def _base_url(api: Api, region: str | None, base_url: str | None) -> str:
    if region is not None and base_url is not None:
        raise ConfigurationError("region and base_url exclude each other: pass one of them")
    if region is not None:
        return _host(api, region, "region")
    if base_url is not None:
        return base_url
    url, name = os.environ.get(api.base_url_variable, ""), os.environ.get(REGION_VARIABLE, "")
    if url and name:
        raise ConfigurationError(f"{api.base_url_variable} and {REGION_VARIABLE} exclude each other: unset one of them")
    return url or _host(api, name or "us", REGION_VARIABLE)


def _host(api: Api, region: object, where: str) -> str:
    if not isinstance(region, str) or region not in api.hosts:
        raise ConfigurationError(f"{where}: there is no region {region!r}: set it to 'us' or 'eu'")
    return api.hosts[region]


def _checked_url(url: str, api: Api, *, allow_insecure_http: bool) -> str:
    say = f"base_url {url!r}: "
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # reading it is what checks it
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"{say}not a URL ({error}): set it to something like 'https://host'") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(f"{say}needs a scheme and a host: set it to something like 'https://host'")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url holds a user name or password: set it without; the key is the api_key")
    if "?" in url or "#" in url:
        raise ConfigurationError(f"{say}has a query or fragment: set it to the scheme, the host and a path prefix")
    if any(character <= " " for character in url):
        raise ConfigurationError(f"{say}holds white space: remove it")
    if api.prefix and parts.path.rstrip("/").endswith(api.prefix):
        raise ConfigurationError(f"{say}ends with {api.prefix}, which is added to every path: leave it out")
    if parts.scheme == "http" and not allow_insecure_http and not _is_loopback(host):
        raise ConfigurationError(
            f"{say}plain http would send the key in clear text: use https, or set allow_insecure_http=True"
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
