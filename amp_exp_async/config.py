"""The key and the endpoint, from arguments and the environment."""

from __future__ import annotations

import inspect
import ipaddress
import os
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from .errors import ConfigurationError
from .formatting import format_value, redact_userinfo
from .redaction import Redactor

KEY_VARIABLE = "AMPLITUDE_MANAGEMENT_API_KEY"
SECOND_KEY_VARIABLE = "AMPLITUDE_EXPERIMENT_MANAGEMENT_API_KEY"
REGION_VARIABLE = "AMPLITUDE_EXPERIMENT_REGION"

_MAX_REPLACED = 4  # keys that were replaced, and are still removed from texts
_QUOTES = "\"'`"
_DEPLOYMENT_PREFIXES = ("client-", "server-")


@frozen
class ApiVersion:
    """A version of the API.

    Attributes:
        hosts: scheme and host of each region.
        prefix: the beginning of every path.
        base_url_variable: the environment variable for another base URL.
    """

    hosts: Mapping[str, str]
    prefix: str
    base_url_variable: str


V1 = ApiVersion(
    {"us": "https://experiment.amplitude.com", "eu": "https://experiment.eu.amplitude.com"},
    "/api/1",
    "AMPLITUDE_EXPERIMENT_BASE_URL",
)
BETA = ApiVersion(
    {
        "us": "https://management-api.experiment.amplitude.com",
        "eu": "https://management-api.experiment.eu.amplitude.com",
    },
    "",
    "AMPLITUDE_EXPERIMENT_BETA_BASE_URL",
)


class Secret:
    """An API key, or a URL with a password, that is hidden in reprs; call `reveal()` to read it.

    Args:
        value: the secret.
        others: further texts that `redact` removes.
    """

    __slots__ = ("_others", "_redactor", "_value")

    def __init__(self, value: str, *others: str) -> None:
        self._value = value
        self._others = others
        self._redactor: Redactor | None = None

    def reveal(self) -> str:
        """Return the secret."""
        return self._value

    def after(self, previous: Secret) -> Secret:
        """Return the secret, and let `redact` also remove those that it replaces, which may still be valid."""
        replaced = [secret for secret in (previous._value, *previous._others) if secret not in {"", self._value}]
        return Secret(self._value, *replaced[:_MAX_REPLACED])

    def beside(self, *others: str) -> Secret:
        """Return the secret, and let `redact` also remove others."""
        return Secret(self._value, *self._others, *others) if others else self

    def redact(self, text: str) -> str:
        """Return a text with `***` in place of the secret, in all forms that `Redactor` knows."""
        if self._redactor is None:
            self._redactor = Redactor((self._value, *self._others))
        return self._redactor(text)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a management API key or a password cannot be pickled. Pass it in the environment.")


class KeyFunction:
    """A function of the user that returns the key. Its repr hides it, because a `functools.partial` shows arguments.

    Args:
        function: the function, async or not.

    Attributes:
        is_async: whether calling it does not block.
    """

    __slots__ = ("_function", "is_async")

    def __init__(self, function: Callable[[], str | Awaitable[str]]) -> None:
        self._function = function
        self.is_async = any(map(inspect.iscoroutinefunction, (function, getattr(function, "__call__", None))))  # noqa: B004

    def __call__(self) -> str | Awaitable[str]:
        """Return the key, or what to await for it."""
        return self._function()

    def __repr__(self) -> str:
        return "<function that returns the key>"

    def __reduce__(self) -> str:
        raise TypeError("a function that returns a management API key cannot be pickled. Pass it in each process.")


@frozen
class Endpoint:
    """The URL that requests go to, and the key that they are sent with.

    Attributes:
        base_url: scheme, host and path prefix, including the prefix of the API.
        key: the management API key; empty until the function has returned one.
        api: the version of the API.
        key_function: returns the key, which may change; None for a key that does not.
    """

    base_url: str
    key: Secret = field(repr=False)
    api: ApiVersion = field(default=V1, repr=False)
    key_function: KeyFunction | None = field(default=None, repr=False)

    @property
    def has_key(self) -> bool:
        """Whether the key is known."""
        return bool(self.key.reveal())

    @property
    def origin(self) -> str:
        """The URL without the prefix of the API."""
        return self.base_url.removesuffix(self.api.prefix)


def resolve_endpoint(
    api_key: Secret | KeyFunction | None,
    region: str | None,
    base_url: Secret | None,
    *,
    allow_insecure_http: object,
    api: ApiVersion = V1,
) -> Endpoint:
    """Return the endpoint from the arguments, or from the environment for those that are None.

    Raises:
        ConfigurationError: If the key is missing, or if the key, region or URL is invalid.
    """
    if not isinstance(allow_insecure_http, bool):  # the text "false" is true
        raise ConfigurationError(
            argument="allow_insecure_http", rule="must be true or false", got=format_value(allow_insecure_http)
        )
    function = api_key if isinstance(api_key, KeyFunction) else None
    key, source = (Secret(""), "api_key") if isinstance(api_key, KeyFunction) else _resolve_key(api_key)
    try:
        # No local variable of this function contains the URL.
        endpoint = _make_endpoint(
            key, source, _resolve_base_url(api, region, base_url), api, allow_insecure_http=allow_insecure_http
        )
        return evolve(endpoint, key_function=function)
    except ConfigurationError as error:
        invalid = error
    # The frames and the cause show the URL, which may contain the key or a password.
    invalid.subject, invalid.rule = redact_userinfo(invalid.subject), redact_userinfo(invalid.rule)
    invalid.__cause__ = invalid.__context__ = None
    raise invalid.with_traceback(None)


def _resolve_key(api_key: Secret | None) -> tuple[Secret, str]:
    """Return the key, and the name of the argument or variable that it comes from."""
    if api_key is None:
        source = KEY_VARIABLE if os.environ.get(KEY_VARIABLE) else SECOND_KEY_VARIABLE
        key = Secret(os.environ.get(source, ""))
    else:
        source, key = "api_key", api_key
        if type(key.reveal()) is not str:
            raise ConfigurationError(argument=source, rule="must be a string, or a function that returns one")
    if key.reveal() == "":
        raise ConfigurationError(
            f"no management API key. Pass api_key or set {KEY_VARIABLE}. "
            "You create keys in Amplitude under Experiment > Management API."
        )
    _reject_malformed_key(key, source)
    return key, source


def validate_key(key: Secret, source: str, url: object, api: ApiVersion) -> None:
    """Reject what cannot be a management API key for a URL.

    Args:
        key: the key.
        source: the name of the argument or variable that it comes from.
        url: the URL without the prefix of the API.
        api: the version of the API.

    Raises:
        ConfigurationError: If it is rejected.
    """
    if key.reveal() == "":
        raise ConfigurationError(argument=source, rule="is empty")
    _reject_malformed_key(key, source)
    _reject_key_for_url(key, source, url, api)


def _reject_malformed_key(key: Secret, source: str) -> None:
    if type(key.reveal()) is not str:
        raise ConfigurationError(argument=source, rule="must be a string")
    if not key.reveal().isascii() or any(character <= " " or character == "\x7f" for character in key.reveal()):
        raise ConfigurationError(
            argument=source,
            rule="contains white space or a character that is not allowed in a key",
            advice="Copy the key again.",
        )
    if key.reveal()[0] in _QUOTES or key.reveal()[-1] in _QUOTES:
        raise ConfigurationError(argument=source, rule="begins or ends with a quotation mark", advice="Remove it.")


def _reject_deployment_key(key: Secret, source: str) -> None:
    prefix = next((prefix for prefix in _DEPLOYMENT_PREFIXES if key.reveal().lower().startswith(prefix)), None)
    if prefix is not None:
        raise ConfigurationError(
            argument=source,
            rule=f"is a deployment key (it begins with {prefix}), which this API does not accept",
            advice="Create a management API key in Amplitude under Experiment > Management API.",
        )


def _reject_key_for_url(key: Secret, source: str, url: object, api: ApiVersion) -> None:
    if url in api.hosts.values():  # another service may have keys of any form
        _reject_deployment_key(key, source)
    if isinstance(url, str) and key.redact(url) != url:
        raise ConfigurationError(
            argument="base_url", rule="contains the key", advice="Remove it: the key is sent separately."
        )


def _make_endpoint(key: Secret, source: str, url: object, api: ApiVersion, *, allow_insecure_http: bool) -> Endpoint:
    _reject_key_for_url(key, source, url, api)
    return Endpoint(_validate_url(url, api, allow_insecure_http=allow_insecure_http) + api.prefix, key, api)


def _resolve_base_url(api: ApiVersion, region: str | None, base_url: Secret | None) -> str:
    if region is not None and base_url is not None:
        raise ConfigurationError("region and base_url exclude each other. Pass one of them.")
    if region is not None:
        return _host(api, region, "region")
    if base_url is not None:
        return base_url.reveal()
    url, name = os.environ.get(api.base_url_variable, ""), os.environ.get(REGION_VARIABLE, "")
    if url and name:
        raise ConfigurationError(
            f"{api.base_url_variable} and {REGION_VARIABLE} exclude each other. Unset one of them."
        )
    return url or _host(api, name or "us", REGION_VARIABLE)


def _host(api: ApiVersion, region: object, source: str) -> str:
    if not isinstance(region, str) or region.lower() not in api.hosts:
        raise ConfigurationError(argument=source, rule='must be "us" or "eu"', got=format_value(region))
    return api.hosts[region.lower()]


def _validate_url(url: object, api: ApiVersion, *, allow_insecure_http: bool) -> str:
    subject = f"base_url {format_value(url)}"
    if not isinstance(url, str):
        raise ConfigurationError(
            argument="base_url", subject=subject, rule="is not a URL", advice="Pass a URL like https://host."
        )
    if "@" in url:  # also behind the host: a password may contain "/"
        raise ConfigurationError(
            argument="base_url",
            rule="contains a user name or password",
            advice="Remove it: the key is sent separately.",
        )
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises ValueError if the port is invalid
    except ValueError as error:
        raise ConfigurationError(
            argument="base_url", subject=subject, rule=f"is not a URL ({error})", advice="Pass a URL like https://host."
        ) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(
            argument="base_url", subject=subject, rule="has no scheme or host", advice="Pass a URL like https://host."
        )
    if "?" in url or "#" in url:
        raise ConfigurationError(
            argument="base_url",
            subject=subject,
            rule="has a query or fragment",
            advice="Pass only scheme, host and path prefix.",
        )
    if any(character <= " " for character in url):
        raise ConfigurationError(
            argument="base_url",
            subject=subject,
            rule="contains white space or a control character",
            advice="Remove it.",
        )
    if not url.isascii() or "\x7f" in url:
        raise ConfigurationError(
            argument="base_url",
            subject=subject,
            rule="contains a character that URLs do not have",
            advice="Write the host in its form xn--..., and the path percent-encoded.",
        )
    if api.prefix and parts.path.rstrip("/").endswith(api.prefix):
        raise ConfigurationError(
            argument="base_url",
            subject=subject,
            rule=f"ends with {api.prefix}, which is added to every path",
            advice="Leave it out.",
        )
    if parts.scheme == "http" and not allow_insecure_http and not is_loopback(host):
        raise ConfigurationError(
            argument="base_url",
            subject=subject,
            rule="would send the key unencrypted",
            advice="Use https.",
            code_advice="Only on a trusted network, set allow_insecure_http=True instead.",
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
