"""Raw HTTP over a socket, for requests that no well-behaved client sends."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer. ``status`` is 0 if the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


def connect(port: int, timeout: float = 40) -> socket.socket:
    """A connection that gives up after ``timeout`` seconds of silence."""
    return socket.create_connection(("127.0.0.1", port), timeout)


def head(method: str, path: str, *headers: str, version: str = "1.1") -> bytes:
    """A request head; ``Host`` is added."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: x", *headers, "", ""]).encode("latin-1")


def exchange(port: int, *parts: bytes, timeout: float = 40) -> Answer:
    """Send the parts on a fresh connection and read one answer."""
    with connect(port, timeout) as link:
        return converse(link, *parts)


def converse(link: socket.socket, *parts: bytes) -> Answer:
    """Send the parts until the server closes its side, and read one answer."""
    started = time.monotonic()
    try:
        for part in parts:
            link.sendall(part)
    except (BrokenPipeError, ConnectionResetError):
        pass  # The server stopped reading; it may still have answered.
    return read_answer(link, started)


def read_answer(link: socket.socket, started: float | None = None) -> Answer:
    """One answer from the connection, by its Content-Length."""
    started = time.monotonic() if started is None else started
    seen = b""
    while b"\r\n\r\n" not in seen:
        more = _receive(link)
        if not more:
            return Answer(0, {}, seen, time.monotonic() - started)
        seen += more
        if seen.startswith(b"HTTP/1.1 100"):
            seen = seen.partition(b"\r\n\r\n")[2]
    top, _, body = seen.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        more = _receive(link)
        if not more:
            break
        body += more
    return Answer(int(first.split()[1]), headers, body, time.monotonic() - started)


def _receive(link: socket.socket) -> bytes:
    try:
        return link.recv(65536)
    except ConnectionResetError:
        return b""
