"""Which hosts we connect to on the word of a setting: a name is resolved once, and its addresses are judged (SSRF)."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from functools import cache

import certifi

from app.core.networks import Address, inner, is_public

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Blocked(Exception):
    """The host is in a network to which nothing may be delivered."""


class Unreachable(Exception):
    """There was no answer, or not in time."""


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, in the resolver's order. Raises ``Unreachable``."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} cannot be resolved: {error}") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def permitted(host: str, addresses: Sequence[str], allowed: Sequence[_Network]) -> list[str]:
    """Those of these addresses that may be connected to. Raises ``Blocked`` if no address may be."""
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
