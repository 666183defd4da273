"""Which hosts we connect to because a setting names them: a name is resolved once, its addresses are checked (SSRF)."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from functools import cache

import certifi

from app.core.network.networks import Address, inner, is_public

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Blocked(Exception):
    """The host is in a network that FORWARD_ALLOW_PRIVATE does not allow."""


class Unreachable(Exception):
    """There was no answer in time."""


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, in the resolver's order. Raises ``Unreachable``."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} cannot be resolved: {error}") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def permitted(host: str, addresses: Sequence[str], allowed: Sequence[_Network]) -> list[str]:
    """The addresses among these that are allowed. Raises ``Blocked`` if none is."""
    good = [each for each in addresses if _may(as_address(each), allowed)]
    if good:
        return good
    raise Blocked(
        f"{host} is at {addresses[0]}, which is not public; to allow it, add its network to FORWARD_ALLOW_PRIVATE"
    )


def as_address(text: str) -> Address:
    """An address as the resolver writes it, without its zone."""
    return ipaddress.ip_address(text.partition("%")[0])


def _may(address: Address, allowed: Sequence[_Network]) -> bool:
    meant = any(one in network for network in allowed for one in (address, inner(address)))
    return meant or is_public(address)


@cache
def tls() -> ssl.SSLContext:
    """Reading the certificates takes longer than a request, so they are read once."""
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())
