"""gunicorn's threaded worker, for clients that mean no good: a thread works only for a request that has arrived.

gunicorn 27 gives a thread to each new connection (for 5 s, even if nothing is ever said on it), reads slow heads and
bodies in it for as long as they trickle, and lingers up to 2 s on its only accepting thread over a connection that
the other side does not close. A few dozen connections were enough to keep every callback waiting for minutes.
Here requests are gathered, up to 64 KiB of each, and closing connections are waited for on the accepting thread, which
never blocks; what is read afterwards is read against the clock. The promise: ``tests/receiver/test_slow_and_idle.py``.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, NoMoreData, ParseException
from gunicorn.workers import gthread

HEAD_SECONDS = 10.0
"""From the first moment of a connection to the end of a request's head."""
BODY_SECONDS = 20.0
"""For the whole body of a request, from when it is first asked for."""
SEND_SECONDS = 20.0
"""For each piece of an answer that the client is slow to take."""
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 64 * 1024
_BREATH_SECONDS = 0.01
_GATHERED_BYTES = 64 * 1024
_HEAD_BYTES = 32 * 1024
"""As nginx has it. gunicorn's own bounds, of each line and of their number, would allow 800 KB."""
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,7})[ \t]*(?=\r\n)", re.IGNORECASE)
_UNFORESEEN = re.compile(rb"\r\n(?:transfer-encoding|expect):", re.IGNORECASE)
_DECLARED_MOST = 2**20
_NO_MORE_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Clock:
    """Stands for a socket where it is read: no byte comes after the time is up."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._until = 0.0
        self._in_body = False

    def start(self, seconds: float, *, in_body: bool = False) -> None:
        self._until = time.monotonic() + seconds
        self._in_body = in_body

    def recv(self, size: int) -> bytes:
        """Raises ``TimeoutError`` in a body; a head that is late ends as if the client had gone."""
        left = self._until - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            return self._sock.recv(size)
        except TimeoutError:
            if self._in_body:
                raise
            return b""
        finally:
            self._sock.settimeout(SEND_SECONDS)


class Connection(gthread.TConn):
    """One connection, with what has arrived of its next request. ``late``: the rest of its body took too long."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.begin()
        self.in_body = False
        self.late = False
        self.drained = 0
        self.clock = Clock(sock)

    def begin(self, ahead: bytes = b"") -> None:
        """The next request; ``ahead`` came with the one before."""
        self.arrived = bytearray(ahead)
        self.searched = 0
        self.head_ends = -1
        self.awaits = 0

    def find_head(self) -> bool:
        """Whether its end is there. Only what is new is searched: a head that comes byte by byte costs no more."""
        begin = max(0, self.searched - len(_END_OF_HEAD) + 1)
        self.head_ends = self.arrived.find(_END_OF_HEAD, begin)
        self.searched = len(self.arrived)
        return self.head_ends >= 0

    def open(self) -> None:
        """Ready to be read by the thread that calls this."""
        if not self.initialized:
            self.init()
            self.parser.unreader.sock = self.clock
        self.sock.settimeout(SEND_SECONDS)
        self.clock.start(HEAD_SECONDS)
        self.parser.unreader.unread(bytes(self.arrived))
        self.begin()


class Worker(gthread.ThreadWorker):
    """``worker_class`` of gunicorn.conf.py."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Connections that wait for something on the accepting thread, oldest first: until when.
        self._parked: dict[Connection, float] = {}
        self._said_no_more_files = 0.0

    # ── a connection comes in ──────────────────────────────────────────────

    def accept(self, listener: Any) -> None:
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in _NO_MORE_FILES:
                self._no_more_files()
            elif error.errno not in {errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK}:
                raise
            return
        self.nr_conns += 1
        self.enqueue_req(Connection(self.cfg, sock, client, listener.getsockname()))

    def _no_more_files(self) -> None:
        """Comes again at once for as long as somebody wants to connect: said once a second, and the threads that
        hold the files get a moment to finish."""
        now = time.monotonic()
        if now - self._said_no_more_files >= 1:
            self._said_no_more_files = now
            self.log.warning(
                "no more files may be opened: the oldest connections that wait are dropped; raise the limit (ulimit -n)"
            )
        self._make_room()
        time.sleep(_BREATH_SECONDS)

    def enqueue_req(self, conn: Connection) -> None:
        """A new connection, or one kept alive that has become readable: its next request is gathered."""
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.in_body = conn.late = False
        self._gather_head(conn, HEAD_SECONDS)

    def _gather_head(self, conn: Connection, seconds: float) -> None:
        """Read what is there; park the connection until more comes or the time is up."""
        if not self._receive(conn):
            self._drop(conn)
        elif (conn.head_ends if conn.find_head() else len(conn.arrived)) > _HEAD_BYTES:
            self._refuse_head(conn)
        elif conn.head_ends >= 0:
            conn.awaits = _awaited(bytes(conn.arrived[: conn.head_ends]))
            self._wait_for_body(conn, BODY_SECONDS)
        else:
            self._park(conn, seconds, self._gather_head)

    def _refuse_head(self, conn: Connection) -> None:
        """Said from here, by a send that never blocks; no thread reads such a request."""
        line = conn.arrived.find(b"\n", 0, _HEAD_BYTES)
        short = 0 <= line <= self.cfg.limit_request_line
        fault = LimitRequestHeaders("") if short else LimitRequestLine(line, self.cfg.limit_request_line)
        self.handle_error(None, conn.sock, conn.client, fault)
        self._linger(conn)

    def _gather_body(self, conn: Connection, seconds: float) -> None:
        if self._receive(conn):
            self._wait_for_body(conn, seconds)
        else:
            # It is incomplete, and gets the answer for that.
            super().enqueue_req(conn)

    def _wait_for_body(self, conn: Connection, seconds: float) -> None:
        body = len(conn.arrived) - conn.head_ends - len(_END_OF_HEAD)
        if len(conn.arrived) < _GATHERED_BYTES and body < conn.awaits:
            conn.in_body = True
            self._park(conn, seconds, self._gather_body)
        else:
            super().enqueue_req(conn)

    @staticmethod
    def _receive(conn: Connection) -> bool:
        """Whether the other side has not ended it."""
        try:
            more = conn.sock.recv(_GATHERED_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        conn.arrived += more
        return bool(more)

    def _park(self, conn: Connection, seconds: float, then: Callable[[Connection, float], None]) -> None:
        until = time.monotonic() + seconds
        self._parked[conn] = until
        self.poller.register(conn.sock, EVENT_READ, partial(self._wake, conn, then))

    def _wake(self, conn: Connection, then: Callable[[Connection, float], None], _sock: Any) -> None:
        self.poller.unregister(conn.sock)
        then(conn, max(0.0, self._parked.pop(conn) - time.monotonic()))

    # ── a thread works for it ──────────────────────────────────────────────

    def handle(self, conn: Connection) -> Any:
        if not self.cfg.is_ssl:
            conn.open()
        return super().handle(conn)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi.wsgi_app = _honest(self.wsgi.wsgi_app)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        req.is_whole = partial(self._is_whole, conn)
        conn.clock.start(0.0 if conn.late else BODY_SECONDS, in_body=True)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            # The client does not take its answer. For gunicorn that is a client that has gone.
            raise OSError(errno.EPIPE, "the client stopped reading") from None

    def _keepalive_after(self, conn: Connection, keepalive: Any) -> bool:
        return bool(keepalive) and self._is_whole(conn)

    @staticmethod
    def _is_whole(conn: Connection) -> bool:
        """What is left of an unread body is skipped if it is here already, never waited for."""
        conn.clock.start(0.05, in_body=True)
        try:
            return bool(conn.parser.finish_body(deadline=time.monotonic() + 0.05))
        except (OSError, NoMoreData, ParseException):
            return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """A request that is no HTTP is answered as everything else is: with a problem document."""
        from app.web.problems import document  # noqa: PLC0415 - see the package

        reason = _REASONS.get(type(exc).__name__, "bad_request")
        if type(exc).__module__ != LimitRequestLine.__module__ or reason == "internal":
            reason = "internal"
            self.log.error("a request failed outside of the application", exc_info=exc)
        else:
            # The words of the exception quote the request, and a request line may hold a token.
            self.log.warning("not HTTP: %s", type(exc).__name__)
        status, text = document(reason, _WORDS.get(type(exc), "The request is not valid HTTP."))
        answer = (
            f"HTTP/1.1 {status} Error\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}"
        )
        with contextlib.suppress(OSError):
            client.sendall(answer.encode())

    # ── and it is done ─────────────────────────────────────────────────────

    def finish_request(self, conn: Connection, fs: Future[Any]) -> None:
        try:
            keep = not fs.cancelled() and fs.result()
        except Exception:
            self._drop(conn)
            return
        if self.cfg.is_ssl:
            super().finish_request(conn, fs)
        elif not keep:
            self._linger(conn)
        elif ahead := conn.parser.unreader.take_buffered():
            conn.begin(ahead)
            self.enqueue_req(conn)
        else:
            super().finish_request(conn, fs)

    def _linger(self, conn: Connection) -> None:
        """Close gracefully: closing with unread bytes would reset the connection and lose the end of the answer. Its
        request is over: an eviction drops it now, and does not hand it to a thread again."""
        conn.in_body = False
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        self._drain(conn, _LINGER_SECONDS)

    def _drain(self, conn: Connection, seconds: float) -> None:
        try:
            more = conn.sock.recv(_LINGER_BYTES)
        except BlockingIOError:
            self._park(conn, seconds, self._drain)
            return
        except OSError:
            more = b""
        conn.drained += len(more)
        if more and seconds > 0 and conn.drained < _LINGER_BYTES:
            self._park(conn, seconds, self._drain)
        else:
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Called about once a second: the time of those that wait may be up, or their place needed."""
        super().murder_pending()
        now = time.monotonic()
        patience = 0.0 if self.alive else HEAD_SECONDS - _LINGER_SECONDS
        for conn in [conn for conn, until in self._parked.items() if until - patience <= now]:
            self._evict(conn)
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def _make_room(self) -> None:
        for conn in list(self._parked)[: max(1, self.worker_connections // 10)]:
            self._evict(conn)
        self.murder_keepalived(force=True)

    def _evict(self, conn: Connection) -> None:
        del self._parked[conn]
        self.poller.unregister(conn.sock)
        if conn.in_body:
            conn.late = True
            super().enqueue_req(conn)
        else:
            self._drop(conn)


def _honest(application: Any) -> Any:
    """An answer to a request whose body was not read to its end says that the connection closes.

    A client that was told ``keep-alive`` would send its next callback into a connection that nobody reads.
    """

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        def start(*args: Any, **more: Any) -> Any:
            response = start_response.__self__
            if not response.req.is_whole():
                response.force_close()
            return start_response(*args, **more)

        return application(environ, start)

    return serve


def _awaited(head: bytes) -> int:
    """How many bytes of body to wait for here. An estimate that only decides who waits: the parser decides what the
    request means. A request with Expect, a chunked body or an excessive length goes to a thread at once.
    """
    head += b"\r\n"
    lengths = _LENGTH.findall(head)
    if len(lengths) != 1 or _UNFORESEEN.search(head) or int(lengths[0]) > _DECLARED_MOST:
        return 0
    return int(lengths[0])


_REASONS = {
    "LimitRequestLine": "address_too_long",
    "LimitRequestHeaders": "head_too_large",
    "ExpectationFailed": "expectation_failed",
    "ConfigurationProblem": "internal",
    "InvalidResponseHeader": "internal",
    "InvalidResponseHeaderName": "internal",
}
_WORDS: dict[type[Exception], str] = {
    LimitRequestLine: "The request line is longer than any address of this service.",
    LimitRequestHeaders: "The head of the request has too many fields, or too long ones.",
}
