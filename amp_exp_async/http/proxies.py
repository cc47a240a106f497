"""The proxy of the environment, and the rules for the URL of any proxy.

A proxy is `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, unless `NO_PROXY` excludes the host, or the host is this machine,
which a proxy would look for on its own side. Its URL may contain a password, so it is in no message and in no local
variable of an error's traceback.
"""

from __future__ import annotations

import ipaddress
import os
import re
from binascii import b2a_base64
from urllib.parse import unquote, urlsplit

from attrs import frozen

from amp_exp_async.config import Secret, is_loopback
from amp_exp_async.errors import ConfigurationError

# Without control characters, white space and others that URLs do not have.
_HTTP_URL_RE = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_SOCKS_RE = re.compile(r"socks[0-9]?[ah]?:", re.IGNORECASE)


@frozen
class ProxySetting:
    """A proxy, and the setting that names it.

    Attributes:
        name: the argument `proxy`, or a variable of the environment.
        url: the URL.
    """

    name: str
    url: Secret

    @property
    def address(self) -> tuple[str | None, int]:
        """The host and the port."""
        parts = urlsplit(self.url.reveal())
        return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def require_http_proxy(argument: str, proxy: Secret, *, advice: str = "") -> None:
    """Reject what is not the URL of an HTTP proxy.

    Args:
        argument: the argument or variable that names the proxy.
        proxy: the URL.
        advice: further advice, as a sentence.

    Raises:
        ConfigurationError: If it is not.
    """
    if _is_http_url(proxy.reveal()):
        if ":" in unquote(urlsplit(proxy.reveal()).username or ""):
            rule = "has a user name with a colon, which HTTP cannot send"
            raise ConfigurationError(argument=argument, rule=rule, advice=f"Pass another user. {advice}".rstrip())
        return
    is_socks = _SOCKS_RE.match(str(proxy.reveal())) is not None
    rule = "is a SOCKS proxy, which is not supported" if is_socks else "is not the URL of an HTTP proxy"
    hints = ["Pass a URL like http://host:3128."]
    if not is_socks and "@" in str(proxy.reveal()):
        hints.append("Percent-encode special characters of its password.")
    raise ConfigurationError(argument=argument, rule=rule, advice=" ".join(filter(None, [*hints, advice])))


def _is_http_url(text: object) -> bool:
    from yarl import URL  # noqa: PLC0415 - slow to import, and needed only with a proxy

    if not isinstance(text, str) or not _HTTP_URL_RE.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError if the port is invalid
        host = URL(text).host  # aiohttp parses it so
        unquote(f"{parts.username}:{parts.password}").encode("latin-1")  # as it is sent
    except ValueError:
        return False
    # An "@" behind the host is a part of a password that contains "/", "?" or "#".
    return bool(parts.hostname and host) and "@" not in f"{parts.path}{parts.query}{parts.fragment}"


def environment_proxy(url: str) -> ProxySetting | None:
    """Return the proxy for a URL; None without one. Without a scheme, it is one for HTTP.

    Raises:
        ConfigurationError: If it is not the URL of an HTTP proxy.
    """
    found = _find_proxy(url)
    if found is not None:
        require_http_proxy(found.name, found.url, advice="To use no proxy for the host, name it in NO_PROXY.")
    return found


def _find_proxy(url: str) -> ProxySetting | None:
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to import, and seldom needed

    parts = urlsplit(url)
    if is_loopback(parts.hostname or ""):
        return None
    proxies = getproxies()
    if proxy_bypass(parts.netloc) or _is_in_networks(parts.hostname or "", proxies.get("no", "")):
        return None
    name = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(name)
    if not proxy:
        return None
    return ProxySetting(_variable(f"{name}_proxy"), Secret(proxy if "://" in proxy else f"http://{proxy}"))


def _variable(name: str) -> str:
    """Return the name of a variable as it is set: the one in lower case comes first."""
    return name if os.environ.get(name) else name.upper()


def _is_in_networks(host: str, excluded: str) -> bool:
    """Return whether a host is an address in one of the networks or addresses of `NO_PROXY`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in map(_network, excluded.split(",")) if network is not None)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network that an entry of `NO_PROXY` describes: `10.0.0.0/8`, `127.0.0.1`, `fd00::/8` or `[::1]`."""
    try:
        return ipaddress.ip_network(re.sub(r"[\[\]]", "", text.strip()), strict=False)
    except ValueError:
        return None


def secrets_of(proxy: Secret) -> list[str]:
    """Return the texts that show the password of a proxy: its URL, the password, and what is sent of it."""
    try:
        userinfo, found, _ = urlsplit(proxy.reveal()).netloc.rpartition("@")
    except ValueError:  # that of a caller's session was not checked
        return [proxy.reveal()]
    user, _, password = userinfo.partition(":")
    return [proxy.reveal(), *secrets_of_login(unquote(user), unquote(password))] if found else []


def secrets_of_login(user: str, password: str) -> list[str]:
    """Return the texts that show a password: it, it with its user, and the forms in which both may be sent."""
    login = f"{user}:{password}"
    forms = {login.encode(encoding, "replace") for encoding in ("utf-8", "latin-1")}
    return [password, login, *(b2a_base64(form, newline=False).decode() for form in forms)]
