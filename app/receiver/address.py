"""Who is calling, behind proxies that were declared."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from app.core.network.networks import Address
from app.settings.types import Network

UNIX = "unix"
"""In TRUSTED_PROXIES: any client on the Unix socket, which only processes on this host can reach."""

# As some proxies write them: 198.51.100.1:4711, [2001:db8::5], [2001:db8::5]:4711.
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d{1,5})?|(\d+\.\d+\.\d+\.\d+):\d{1,5}", re.ASCII)


def caller(peer: str | None, forwarded_for: str, proxies: Iterable[Network | str]) -> Address | None:
    """The nearest address that is not a trusted proxy, reading ``X-Forwarded-For`` from right to left.

    What an untrusted peer writes there is ignored, and so is everything to the left of the first address that is
    not a proxy of ours: a caller can write what it likes there. ``None`` is a caller without an address.
    """
    declared = tuple(proxies)
    networks = [each for each in declared if not isinstance(each, str)]
    current, trusted = _address(peer), not peer and UNIX in declared
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if not trusted and (current is None or not is_in(current, networks)):
            return current
        current, trusted = _address(hop), False
    return current


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _address(text: str | None) -> Address | None:
    found = _WITH_PORT.fullmatch(text or "")
    try:
        address = ipaddress.ip_address((found[1] or found[2]) if found else text or "")
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
