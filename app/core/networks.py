"""Which addresses are on the internet: for what we tell CI to call, and for what we call ourselves."""

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
        "168.63.129.16/32",  # of the public range, and reachable from inside a cloud only
        "64:ff9b:1::/48",  # NAT64 of some local network
        "fec0::/10",  # site-local, before there was fc00::/7
        "5f00::/16",  # segment routing inside one network (RFC 9602)
    )
)
"""What the library takes for global, in the oldest version that we run on."""


def is_public(address: Address) -> bool:
    """Whether everybody on the internet may reach it; one that holds an IPv4 address is judged as that one."""
    meant = inner(address)
    closed = any(meant in network for network in _NOT_PUBLIC)
    return meant.is_global and not meant.is_multicast and not closed


def inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, in any of the ways to write one; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or address in _TRANSLATED or (address in _IPV4_COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
