"""Which addresses are public: for URLs that CI calls, and for URLs that we call ourselves."""

from __future__ import annotations

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_IPV4_COMPATIBLE: Final = ipaddress.ip_network("::/96")
_TRANSLATED: Final = ipaddress.ip_network("::ffff:0:0:0/96")
"""IPv4 addresses as SIIT writes them (RFC 2765), one group further left than mapped ones."""
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "168.63.129.16/32",  # in the public range, and reachable only from inside Azure
        "64:ff9b:1::/48",  # NAT64 inside a network (RFC 8215)
        "fec0::/10",  # site-local, which fc00::/7 replaced (RFC 3879)
        "5f00::/16",  # segment routing inside one network (RFC 9602)
    )
)
"""Networks that are not public although ``ipaddress`` of the oldest Python that we support calls them global."""


def is_public(address: Address) -> bool:
    """Whether it is public. An IPv6 address that embeds an IPv4 address is judged by that."""
    meant = inner(address)
    closed = any(meant in network for network in _NOT_PUBLIC)
    return meant.is_global and not meant.is_multicast and not closed


def inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address embeds, in any of the standard forms; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or address in _TRANSLATED or (address in _IPV4_COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
