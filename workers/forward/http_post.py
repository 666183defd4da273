"""One POST to an address that we were given: bounded in time and size, and never into a network that is not meant.

The name is resolved once, every address is judged, and the connection goes to a judged address, so that a name that
is resolved differently a moment later leads nowhere. Redirects are answers like any other: they are not followed.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from typing import Final, Self
from urllib.parse import urlsplit

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from app.core.networks import Address, inner, is_public
from app.settings.types import Network

_CONNECT_S: Final = 5.0
_ANSWER_MAX: Final = 2048
"""Bytes of an answer's body that are read at all; what is in it matters to people only."""


class Blocked(Exception):
    """The address leads into a network that may not be forwarded to."""


class Unreachable(Exception):
    """There was no answer, or not in time."""


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """What came back. ``text`` is the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class PostLimits:
    """``total_s`` is from connecting to the end of the answer; ``allowed`` are networks that are meant after all."""

    total_s: float
    allowed: tuple[Network, ...] = ()


def post(url: str, body: bytes, headers: Mapping[str, str], bounds: PostLimits) -> EndpointAnswer:
    """POST once. Raises ``Blocked`` or ``Unreachable``; any answer, of whatever status, is returned."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    addresses = permitted(host, _resolve(host, port), bounds.allowed)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with _Deadline(bounds.total_s) as deadline:
        try:
            connection = _connect(parts.scheme, addresses, host, port, deadline)
            try:
                return _exchange(connection, deadline, target, body, dict(headers) | {"Host": parts.netloc})
            finally:
                connection.close()
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            # Which of the two clocks is first, the socket's or ours, is chance.
            if deadline.over or isinstance(error, TimeoutError):
                raise Unreachable(f"no answer within {bounds.total_s:g} s") from error
            raise Unreachable(f"{type(error).__name__}: {error}") from error


def permitted(host: str, addresses: Sequence[str], allowed: Sequence[Network]) -> list[str]:
    """Those of these addresses that may be connected to. Raises ``Blocked`` if no address may be."""
    good = [each for each in addresses if _may(ipaddress.ip_address(each.partition("%")[0]), allowed)]
    if good:
        return good
    raise Blocked(
        f"{host} is at {addresses[0]}, which is no public address; FORWARD_ALLOW_PRIVATE can name its network"
    )


def _may(address: Address, allowed: Sequence[Network]) -> bool:
    meant = any(one in network for network in allowed for one in (address, inner(address)))
    return meant or is_public(address)


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} cannot be resolved: {error}") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _connect(
    scheme: str, addresses: Sequence[str], host: str, port: int, deadline: _Deadline
) -> HTTPConnection:
    """A connection to the first address that takes one."""
    for left, address in enumerate(addresses, 1 - len(addresses)):
        connection = _connection(scheme, address, host, port, min(_CONNECT_S, deadline.seconds))
        try:
            connection.connect()
            deadline.guard(connection.sock)
            return connection
        except (HTTPError, OSError):
            connection.close()
            if left == 0 or deadline.over:
                raise
    raise ValueError("no address")


def _connection(scheme: str, address: str, host: str, port: int, connect_s: float) -> HTTPConnection:
    if scheme != "https":
        return HTTPConnection(address, port, timeout=connect_s)
    # The certificate is checked for the name, wherever the connection goes.
    return HTTPSConnection(address, port, timeout=connect_s, server_hostname=host, ssl_context=_tls())


@cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes longer than a request, so once for all."""
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())


def _exchange(
    connection: HTTPConnection, deadline: _Deadline, target: str, body: bytes, headers: dict[str, str]
) -> EndpointAnswer:
    connection.timeout = deadline.seconds
    connection.request(
        "POST", target, body=body, headers=headers, preload_content=False, decode_content=False
    )
    response = connection.getresponse()
    text = response.read(_ANSWER_MAX, decode_content=False)
    if deadline.over:
        raise TimeoutError
    return EndpointAnswer(response.status, response.headers, text.decode("utf-8", "replace"))


class _Deadline:
    """Breaks a connection off when the time is up. Time-outs of sockets count silence, so an answer that comes byte by
    byte would last for ever."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._break_off)
        self._timer.daemon = True

    def guard(self, connected: socket.socket | None) -> None:
        self._socket = connected
        if self.over:
            raise TimeoutError

    def _break_off(self) -> None:
        self.over = True
        if self._socket is not None:
            with suppress(OSError):
                # Of the socket below TLS: nothing is to be said to a peer that does not listen.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
