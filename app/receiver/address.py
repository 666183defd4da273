"""Who is calling, behind proxies that were declared."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from app.settings import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def caller(peer: str | None, forwarded_for: str, proxies: Iterable[Network]) -> Address | None:
    """The nearest address that is not a trusted proxy, reading ``X-Forwarded-For`` from right to left.

    What an untrusted peer writes there is ignored, and so is everything to the left of the first address that is
    not a proxy of ours: a caller can write what it likes there.
    """
    trusted = tuple(proxies)
    current = _address(peer)
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if current is None or not is_in(current, trusted):
            return current
        current = _address(hop)
    return current


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _address(text: str | None) -> Address | None:
    try:
        address = ipaddress.ip_address((text or "").strip("[]"))
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
