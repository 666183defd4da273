"""gunicorn's ``gevent`` worker, with limits for each client: time for a head, a body and an answer, and bytes of a
head. If connections run out, the client that has been silent longest is dropped.

Its tests: ``tests/receiver/hostile/test_slow_and_idle.py``, ``test_hostile_http.py``, ``tests/server``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
from gevent.server import StreamServer
from gevent.socket import socket as GeventSocket  # noqa: N812 - a class
from gunicorn.http.errors import LimitRequestHeaders, ParseException
from gunicorn.workers.ggevent import GeventWorker

HEAD_SECONDS = 10.0
"""For each head, and for the next head on a kept connection: gunicorn.conf.py's ``keepalive``."""
BODY_SECONDS = 20.0
"""For the whole body of a request."""
SEND_SECONDS = 20.0
"""For each piece of an answer that a slow client reads."""
HEAD_BYTES = 32 * 1024
"""The limit of nginx. gunicorn's own limits, on each field and on their number, would allow 800 KB."""
_NEVER = float("inf")
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 16 * 2**20
"""Bytes read of a refused body, so that the client, or the proxy in front, reads the answer: some 10 ms of work."""
_REST_SECONDS = 0.05
_REST_BYTES = 64 * 1024
_PAUSE_SECONDS = 0.01
_NO_MORE_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Connection(GeventSocket):
    """A client's socket with one deadline and one limit for all its reads. ``waiting``: the sockets that are reading,
    the longest silent first."""

    def __init__(self, accepted: Any, waiting: dict[Connection, float]) -> None:
        family, kind, proto = accepted.family, accepted.type, accepted.proto
        super().__init__(family, kind, proto, fileno=accepted.detach())
        self._waiting = waiting
        self._evicted = False
        self._holds = False
        self._held = b""
        self.settimeout(SEND_SECONDS)
        self.await_head()

    def await_head(self) -> None:
        """gunicorn bounds the time itself (``keepalive``)."""
        self._until, self._room = _NEVER, HEAD_BYTES

    def allow(self, seconds: float) -> None:
        """Allow any number of bytes that arrive within ``seconds``."""
        self._until, self._room = time.monotonic() + seconds, 2**63

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises ``TimeoutError`` for a late body; an evicted connection ends as if the client had closed it."""
        if self._room <= 0:
            raise LimitRequestHeaders(f"head exceeds {HEAD_BYTES} bytes")
        now = time.monotonic()
        self.settimeout(None if self._until == _NEVER else max(0.0, self._until - now))
        self._waiting[self] = now
        try:
            read: bytes = super().recv(size, flags)
        except BlockingIOError:
            raise TimeoutError from None
        except OSError:
            if not self._evicted:
                raise
            read = b""
        finally:
            self._waiting.pop(self, None)
            self.settimeout(SEND_SECONDS)
        self._room -= len(read)
        if not read and self._evicted and self._until < _NEVER:
            raise TimeoutError
        return read

    def hold(self) -> None:
        """Hold back the next send until the one after it, or until ``flush``."""
        self._holds = True

    def flush(self) -> None:
        self._holds = False
        if self._held:
            self.sendall(b"")

    def sendall(self, data: Any, flags: int = 0) -> None:
        """gunicorn sends head and body of an answer separately; joined, they are one packet and one system call."""
        if self._holds and not self._held:
            self._held = data
            return
        data, self._held, self._holds = self._held + data, b"", False
        try:
            sent = self._sock.send(data, flags)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            super().sendall(memoryview(data)[sent:], flags)

    def sendfile(self, *args: Any, **options: Any) -> Any:
        self.flush()
        return super().sendfile(*args, **options)

    def evict(self) -> None:
        """End its reads: the reader gets the end of the stream, and a body counts as late."""
        self._waiting.pop(self, None)
        self._evicted = True
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close gracefully: closing with unread bytes would reset the connection, and lose the answer."""
        self.allow(_LINGER_SECONDS)
        self._held, left = b"", _LINGER_BYTES
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_WR)
            while left > 0 and (read := self.recv(_REST_BYTES)):
                left -= len(read)
        super().close()


class Server(StreamServer):
    """Drops idle connections when no more files can be opened."""

    def __init__(self, worker: Worker, listener: Any, *, spawn: Any, **_: Any) -> None:
        super().__init__(listener, handle=partial(worker.handle, listener), spawn=spawn)
        self.max_accept = 1  # workers share one listener
        self._worker = worker

    def do_read(self) -> Any:
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in _NO_MORE_FILES:
                raise
            self._worker.no_more_files()
            self.stop_accepting()
            gevent.spawn_later(_PAUSE_SECONDS, self._resume)
            return None

    def _resume(self) -> None:
        if self.started:
            self.start_accepting()


class Worker(GeventWorker):
    """``worker_class`` of gunicorn.conf.py, whose hooks set the attributes below."""

    problem: Callable[[str, str], tuple[int, str]]
    """Makes status and problem document of a reason and a detail."""
    stopping: Callable[[], None]
    """Called once when the worker begins to stop, so that waiting clients are answered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server_class = partial(Server, self)
        self._open = 0
        self._waiting: dict[Connection, float] = {}
        self._logged_no_more_files = 0.0
        self._is_stopping = False

    def patch(self) -> None:
        """Run ``fsync`` on a native thread: it would block all greenlets."""
        super().patch()
        for name in ("fsync", "fdatasync"):
            if call := getattr(os, name, None):
                setattr(os, name, partial(_on_a_thread, call))

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.application: Any = self.app.wsgi()
        self.wsgi: Any = partial(_serve, self.application)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        connection = Connection(client, self._waiting)
        self._open += 1
        try:
            # Before the pool is full, because then no connection would be accepted.
            if self._open > self.worker_connections - max(1, self.worker_connections // 10):
                self._make_room(1)
            # Not GeventWorker's own, which sets the socket to wait without a time-out.
            super(GeventWorker, self).handle(listener, connection, addr)
        finally:
            self._open -= 1

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        sock.allow(BODY_SECONDS)
        try:
            try:
                return super().handle_request(listener_name, req, sock, addr)
            finally:
                sock.flush()
        except TimeoutError:
            # The client does not read its answer. EPIPE makes gunicorn treat it as disconnected.
            raise OSError(errno.EPIPE, "the client stopped reading") from None
        finally:
            sock.await_head()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer an invalid HTTP request with a problem document."""
        reason = _REASONS.get(type(exc).__name__, "bad_request")
        if type(exc).__module__ != ParseException.__module__ or reason == "internal":
            reason = "internal"
            self.log.error("a request failed outside of the application", exc_info=exc)
        else:
            # The exception's text quotes the request, and a request line may contain a token.
            self.log.warning("not HTTP: %s", type(exc).__name__)
        status, text = self.problem(reason, _WORDS.get(reason, "The request is not valid HTTP."))
        answer = (
            f"HTTP/1.1 {status} Error\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}"
        )
        with contextlib.suppress(OSError):
            client.sendall(answer.encode())

    def notify(self) -> None:
        """Called by gunicorn once a second. While the worker stops, it drops clients that send nothing."""
        super().notify()
        if self.alive:
            return
        if not self._is_stopping:
            self._is_stopping = True
            self.stopping()
        silent = time.monotonic() - _LINGER_SECONDS
        self._make_room(sum(since < silent for since in self._waiting.values()))

    def no_more_files(self) -> None:
        """Log it, at most once a second."""
        now = time.monotonic()
        if now - self._logged_no_more_files >= 1:
            self._logged_no_more_files = now
            self.log.warning(
                "no more files can be opened; dropping the connections that have waited longest; raise ulimit -n"
            )
        self._make_room(max(1, len(self._waiting) // 10))

    def _make_room(self, places: int) -> None:
        for connection in list(self._waiting)[:places]:
            connection.evict()


def _on_a_thread(call: Callable[[int], None], file: int) -> None:
    gevent.get_hub().threadpool.apply(call, (file,))


class _Body:
    """The body of a request. Every error in reading it is an ``OSError``, whatever gunicorn raises."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int | None = None) -> bytes:
        try:
            read: bytes = self._body.read(size)
        except ParseException as error:
            raise OSError(errno.EBADMSG, type(error).__name__) from None
        return read

    def is_whole(self, sock: Connection) -> bool:
        """Whether the body was read to its end. The rest is skipped if it has arrived, and not waited for."""
        sock.allow(_REST_SECONDS)
        left = _REST_BYTES
        try:
            while left > 0 and (read := self.read(1024)):
                left -= len(read)
        except OSError:
            return False
        return left > 0


def _serve(application: Any, environ: dict[str, Any], start_response: Any) -> Any:
    """Answer with ``Connection: close`` if the body was not read to its end: after ``keep-alive`` the client would send
    its next callback on a connection that is no longer read."""
    body = environ["wsgi.input"] = _Body(environ["wsgi.input"])

    def start(*args: Any, **more: Any) -> Any:
        connection = environ["gunicorn.socket"]
        if not body.is_whole(connection):
            start_response.__self__.force_close()
        write = start_response(*args, **more)
        # A stream has no length, and its client waits for the head.
        if start_response.__self__.response_length is not None:
            connection.hold()
        return write

    return application(environ, start)


_REASONS = {
    "LimitRequestLine": "address_too_long",
    "LimitRequestHeaders": "head_too_large",
    "ExpectationFailed": "expectation_failed",
    "ConfigurationProblem": "internal",
    "InvalidResponseHeader": "internal",
    "InvalidResponseHeaderName": "internal",
}
_WORDS = {
    "address_too_long": "The request line is longer than any URL of this service.",
    "head_too_large": "The request has too many header fields, or too long ones.",
    "internal": "The error was logged. Try again later.",
}
