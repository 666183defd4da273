"""gunicorn's ``gevent`` worker, with bounds on what one client may cost: time for a head, a body and an answer, bytes
of a head, and a place that the client who has been silent longest must give up when others need it.

The promise: ``tests/receiver/hostile/test_slow_and_idle.py``, ``test_hostile_http.py``, ``tests/server``.
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
"""For each head, and for a kept connection to send another: gunicorn.conf.py's ``keepalive``."""
BODY_SECONDS = 20.0
"""For the whole body of a request."""
SEND_SECONDS = 20.0
"""For each piece of an answer that the client is slow to take."""
HEAD_BYTES = 32 * 1024
"""As nginx has it. gunicorn's own bounds, of each field and of their number, would allow 800 KB."""
_NEVER = float("inf")
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 16 * 2**20
"""What is read of a refused body so that the client, or the proxy in front, reads the answer: some 10 ms of work."""
_REST_SECONDS = 0.05
_REST_BYTES = 64 * 1024
_PAUSE_SECONDS = 0.01
_NO_MORE_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Connection(GeventSocket):
    """A client's socket that reads against one clock and within one bound; ``waiting`` holds those that read now,
    longest silent first."""

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
        """Any number of bytes, as long as they come within ``seconds``."""
        self._until, self._room = time.monotonic() + seconds, 2**63

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises ``TimeoutError`` in a body that is late; an evicted connection ends as if the client had gone."""
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
        """What is sent next waits for what is sent after it, or for ``flush``."""
        self._holds = True

    def flush(self) -> None:
        self._holds = False
        if self._held:
            self.sendall(b"")

    def sendall(self, data: Any, flags: int = 0) -> None:
        """gunicorn sends head and body of an answer one by one: held, they are one packet and one system call."""
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
        """Its reader reads the end of the stream; a body counts as late."""
        self._waiting.pop(self, None)
        self._evicted = True
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Gracefully: closing with unread bytes would reset the connection, and the client lose the answer."""
        self.allow(_LINGER_SECONDS)
        self._held, left = b"", _LINGER_BYTES
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_WR)
            while left > 0 and (read := self.recv(_REST_BYTES)):
                left -= len(read)
        super().close()


class Server(StreamServer):
    """Makes room where no more files may be opened."""

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
    """``worker_class`` of gunicorn.conf.py, whose hooks set what the application has to say."""

    problem: Callable[[str, str], tuple[int, str]]
    """Reason and detail -> status and document."""
    stopping: Callable[[], None]
    """Called once when the worker is to stop, so that clients who wait are answered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server_class = partial(Server, self)
        self._open = 0
        self._waiting: dict[Connection, float] = {}
        self._said_no_more_files = 0.0
        self._told = False

    def patch(self) -> None:
        """A sync of the disk would stop all clients: it runs on a thread."""
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
            # Before the pool is full: then no connection would be accepted.
            if self._open > self.worker_connections - max(1, self.worker_connections // 10):
                self._make_room(1)
            # Not GeventWorker's, which would make the socket wait without end.
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
            # The client does not take its answer. For gunicorn that is a client that has gone.
            raise OSError(errno.EPIPE, "the client stopped reading") from None
        finally:
            sock.await_head()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """A request that is no HTTP is answered as everything else is: with a problem document."""
        reason = _REASONS.get(type(exc).__name__, "bad_request")
        if type(exc).__module__ != ParseException.__module__ or reason == "internal":
            reason = "internal"
            self.log.error("a request failed outside of the application", exc_info=exc)
        else:
            # The words of the exception quote the request, and a request line may hold a token.
            self.log.warning("not HTTP: %s", type(exc).__name__)
        status, text = self.problem(reason, _WORDS.get(reason, "The request is not valid HTTP."))
        answer = (
            f"HTTP/1.1 {status} Error\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}"
        )
        with contextlib.suppress(OSError):
            client.sendall(answer.encode())

    def notify(self) -> None:
        """Called once a second, also while the worker stops: then it does not wait for clients that send nothing."""
        super().notify()
        if self.alive:
            return
        if not self._told:
            self._told = True
            self.stopping()
        silent = time.monotonic() - _LINGER_SECONDS
        self._make_room(sum(since < silent for since in self._waiting.values()))

    def no_more_files(self) -> None:
        """Said once a second."""
        now = time.monotonic()
        if now - self._said_no_more_files >= 1:
            self._said_no_more_files = now
            self.log.warning(
                "no more files may be opened: the oldest connections that wait are dropped; raise the limit (ulimit -n)"
            )
        self._make_room(max(1, len(self._waiting) // 10))

    def _make_room(self, places: int) -> None:
        for connection in list(self._waiting)[:places]:
            connection.evict()


def _on_a_thread(call: Callable[[int], None], file: int) -> None:
    gevent.get_hub().threadpool.apply(call, (file,))


class _Body:
    """The body of a request; what cannot be read of it is an ``OSError``, whatever gunicorn calls it."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int | None = None) -> bytes:
        try:
            read: bytes = self._body.read(size)
        except ParseException as error:
            raise OSError(errno.EBADMSG, type(error).__name__) from None
        return read

    def is_whole(self, sock: Connection) -> bool:
        """What is left is skipped if it is here already, never waited for."""
        sock.allow(_REST_SECONDS)
        left = _REST_BYTES
        try:
            while left > 0 and (read := self.read(1024)):
                left -= len(read)
        except OSError:
            return False
        return left > 0


def _serve(application: Any, environ: dict[str, Any], start_response: Any) -> Any:
    """An answer to a request whose body was not read to its end says that the connection closes: a client that
    read ``keep-alive`` would send its next callback into a connection that is not read."""
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
    "address_too_long": "The request line is longer than any address of this service.",
    "head_too_large": "The head of the request has too many fields, or too long ones.",
    "internal": "The error was logged. Try again later.",
}
