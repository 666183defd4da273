"""One POST to a URL from the settings: bounded in time and size, and never into a private network by accident (SSRF).

The name is resolved once, its addresses are checked, and the connection goes to a checked address: a name that resolves
to something else a moment later (DNS rebinding) changes nothing. Redirects are returned and not followed.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from typing import Final, Self
from urllib.parse import urlsplit

from msgspec import Struct
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from app.core.network.outward import Unreachable, permitted, resolved, tls
from app.settings.types import Network

_CONNECT_S: Final = 5.0
_ANSWER_MAX: Final = 2048
"""Bytes of an answer's body that are read: it is shown to people and means nothing else."""


class EndpointAnswer(Struct, frozen=True):
    """The endpoint's answer. ``text`` is the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    text: str


class PostLimits(Struct, frozen=True):
    """``total_s``: seconds from connecting to the end of the answer; ``allowed``: networks that are allowed although
    they are not public (``FORWARD_ALLOW_PRIVATE``)."""

    total_s: float
    allowed: tuple[Network, ...] = ()


def post(url: str, body: bytes, headers: Mapping[str, str], bounds: PostLimits) -> EndpointAnswer:
    """POST once. Raises ``Blocked`` or ``Unreachable``; any answer, of whatever status, is returned."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    addresses = permitted(host, resolved(host, port), bounds.allowed)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with _Deadline(bounds.total_s) as deadline:
        try:
            connection = _connect(parts.scheme, addresses, host, port, deadline)
            try:
                return _exchange(connection, deadline, target, body, dict(headers) | {"Host": parts.netloc})
            finally:
                connection.close()
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            # The socket's timeout and ours may end in either order.
            if deadline.over or isinstance(error, TimeoutError):
                raise Unreachable(f"no answer within {bounds.total_s:g} s") from error
            raise Unreachable(f"{type(error).__name__}: {error}") from error


def _connect(
    scheme: str, addresses: Sequence[str], host: str, port: int, deadline: _Deadline
) -> HTTPConnection:
    """A connection to the first address that accepts one."""
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
    return HTTPSConnection(address, port, timeout=connect_s, server_hostname=host, ssl_context=tls())


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
    """Closes a connection when the time is up. A socket's timeout starts again with each byte, and would not end an
    answer that arrives byte by byte."""

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
                # On the plain socket: a TLS shutdown would wait for the peer.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
