"""The settings of the rate limiter."""

from __future__ import annotations

from typing import Any, Self
from urllib.parse import urlsplit

import attrs
from attrs import field, frozen

from amp_exp_async.config import Secret
from amp_exp_async.errors import ConfigurationError
from amp_exp_async.formatting import format_value
from amp_exp_async.validation.settings import optional_positive_int, positive_int


@frozen(kw_only=True)
class RateLimit:
    """The rate limits of one client.

    All clients of one process that use the same key on the same host share one limiter, in every thread and event
    loop. If their limits differ, the strictest limit of all open clients applies.

    Attributes:
        per_second: the maximum number of requests in any one second; None for no limit.
        per_day: the maximum number of requests in a UTC day; None for no limit.
    """

    per_second: int | None = field(default=100, validator=optional_positive_int)
    per_day: int | None = field(default=100_000, validator=optional_positive_int)


def _non_empty_string(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(argument=field.name, rule="must be a non-empty string", got=format_value(value))


def _redis_url(_: object, field: attrs.Attribute[Any], value: Secret) -> None:
    argument = field.alias or field.name
    # No message shows the value: a URL may contain a password.
    if type(value.reveal()) is not str or not value.reveal():
        raise ConfigurationError(argument=argument, rule="must be a non-empty string")
    if not _is_redis_url(value.reveal()):
        hint = " Percent-encode special characters of its password." if "@" in value.reveal() else ""
        advice = f"Use a URL like redis://host:6379/0.{hint}"
        raise ConfigurationError(argument=argument, rule="is not a Redis URL", advice=advice)


def _is_redis_url(text: str) -> bool:
    """Return whether redis-py would connect to what the text says: it takes much, such as `redis:password`."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError if the port is invalid
    except ValueError:
        return False
    if text.startswith("unix://"):
        return bool(parts.path)
    # An "@" behind the host is a part of a password that contains "/" or "#".
    return text.startswith(("redis://", "rediss://")) and "@" not in f"{parts.path}{parts.fragment}"


@frozen(kw_only=True, init=False)
class RedisRateLimit(RateLimit):
    """Rate limits that several processes share through Redis. They need the extra `redis`.

    They apply to all clients, in any process and on any machine, that have the same Redis, namespace, key and host.
    If the limits per second differ, the strictest applies. While Redis is unavailable, each process keeps to a limit
    of its own.

    It cannot be pickled, because the URL may contain a password.

    Attributes:
        url: the URL of Redis: `redis://`, `rediss://` or `unix://`, as in redis-py.
        per_second: the maximum number of requests in any one second.
        per_day: the maximum number of requests in a UTC day; None for no limit.
        fallback_per_second: the maximum number of requests in any one second of this process while Redis is
            unavailable.
        namespace: the prefix of the names in Redis.

    Example:
        `AsyncExperimentClient(rate_limit=RedisRateLimit("redis://localhost:6379/0"))`
    """

    _url: Secret = field(repr=False, eq=Secret.reveal, validator=_redis_url)
    per_second: int = field(validator=positive_int)
    fallback_per_second: int = field(validator=positive_int)
    namespace: str = field(validator=_non_empty_string)

    def __init__(
        self,
        url: str,
        *,
        per_second: int = 100,
        per_day: int | None = 100_000,
        fallback_per_second: int = 10,
        namespace: str = "amp_exp_async",
    ) -> None:
        """Check the settings. Nothing connects yet.

        Raises:
            ConfigurationError: If a setting is invalid. The options in the URL are checked by the client.
        """
        secret = url if isinstance(url, Secret) else Secret(url)  # `attrs.evolve` passes the secret
        del url  # a traceback may show local variables
        # pyright does not know the method.
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
            url=secret,
            per_second=per_second,
            per_day=per_day,
            fallback_per_second=fallback_per_second,
            namespace=namespace,
        )

    @property
    def url(self) -> str:
        """The URL of Redis, with its password."""
        return self._url.reveal()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> str:
        raise TypeError(
            "a RedisRateLimit cannot be pickled, because its URL may contain a password. Create one in each process."
        )
