"""The proxy in the environment: `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, unless `NO_PROXY` excludes the host."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from amp_exp_async.errors import ConfigurationError


def environment_proxy(url: str) -> str | None:
    """Return the URL of the proxy for a URL; None without one. A proxy without a scheme is one for HTTP.

    Raises:
        ConfigurationError: If the proxy has another scheme than `http` or `https`.
    """
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to import, and seldom needed

    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    name = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(name)
    if not proxy:
        return None
    scheme, separator, _ = proxy.partition("://")
    if not separator:
        return f"http://{proxy}"
    if scheme.lower() not in {"http", "https"}:
        # Without the value, which may contain a password.
        raise ConfigurationError(
            argument=f"{name.upper()}_PROXY",
            rule=f"must be an HTTP proxy, but it is one of the scheme {scheme.lower()}",
            advice="Name an HTTP proxy, or exclude the host with NO_PROXY.",
        )
    return proxy


def encoded_credentials(proxy: str) -> list[str]:
    """Return the user and password of a proxy's URL in the form in which they are sent, if it has any."""
    from base64 import b64encode  # noqa: PLC0415 - seldom needed

    userinfo, found, _ = urlsplit(proxy).netloc.rpartition("@")
    return [b64encode(unquote(userinfo).encode()).decode()] if found else []
