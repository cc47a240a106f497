"""The check of the `Host` header: without it, a web page could reach the emulator by rebinding a name of its own."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from amp_exp_async.emulator.documents import format_json

HostFilter: TypeAlias = Callable[[str | None], bool]
"""Returns whether a request with this `Host` header is served; `None` stands for no header."""

_HEADER: Final = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(:[0-9]{0,5})?", re.IGNORECASE | re.ASCII)
_ALL: Final = "*"


def parse_allowed(allowed: Iterable[str]) -> frozenset[str]:
    """Return the allowed names and addresses in the form that `parse_host` returns.

    Raises:
        ValueError: If one of them is not a name or an address.
    """
    if isinstance(allowed, str):
        raise ValueError(f"allowed_hosts must be a list of names, not {format_json(allowed)}")  # noqa: TRY004 - as all settings
    names: set[str] = set()
    for item in allowed:
        name = item if item == _ALL else parse_host(f"[{item}]") or parse_host(item)
        if name is None:
            raise ValueError(f"allowed_hosts must contain names and addresses, not {format_json(item)}")
        names.add(name)
    return frozenset(names)


def make_host_filter(allowed: frozenset[str], listens_on: str, bound: Iterable[str]) -> HostFilter:
    """Return the filter of an emulator.

    Args:
        allowed: Further names and addresses that are served, from `parse_allowed`.
        listens_on: The name or address that the emulator was told to listen on.
        bound: The addresses that it is bound to.
    """
    if _ALL in allowed:
        return lambda _: True
    is_for_others = not all(is_loopback(address) for address in bound)
    own_name = parse_host(listens_on)

    def is_allowed(header: str | None) -> bool:
        name = parse_host(header or "")
        if name is None:
            return False
        # A page can rebind only a name: an address in the header is the one that the browser connected to.
        is_ours = is_for_others and (name == own_name or _parse_address(name) is not None)
        return is_ours or is_loopback(name) or name in allowed

    return is_allowed


def parse_host(header: str) -> str | None:
    """Return the name or address in a `Host` header without its port, in one spelling; `None` if it is malformed."""
    match = _HEADER.fullmatch(header)
    if match is None:
        return None
    host = match[1].lower()
    if host.startswith("["):
        address = _parse_address(host[1:-1]) if ":" in host else None
        return str(address) if address else None
    return host.removesuffix(".") or None


def is_loopback(name: str | None) -> bool:
    """Return whether a name or address is one of this machine for itself alone."""
    address = _parse_address(name or "")
    return name == "localhost" if address is None else address.is_loopback


def _parse_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
