"""`python -m emulator`: serve until SIGTERM or SIGINT.

Werkzeug's threaded server has two advantages here. Each connection that hangs on purpose has a thread of its own
and takes none of a fixed pool, so the emulator stays responsive. And it is one process: after a kill no master or
worker holds the port.
"""

from __future__ import annotations

import logging
import signal
import socket
import ssl
import sys
import threading
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from emulator.faults import FaultError
from emulator.http import tls
from emulator.http.server import create_app
from emulator.settings import parse
from emulator.state import Emulator

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

_HANDSHAKE = b"\x16"
"""The first byte of TLS."""


class Server(ThreadedWSGIServer):
    """Speaks http, and with ``tls`` https on the same port: the first byte of a connection tells which."""

    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None or request.recv(1, socket.MSG_PEEK) != _HANDSHAKE:
            super().finish_request(request, client_address)
            return
        try:
            secured = self.tls.wrap_socket(request, server_side=True)
        except OSError as fault:  # a client that does not trust the certificate, say
            log.warning("a TLS connection failed (%s)", type(fault).__name__)
            return
        try:
            super().finish_request(secured, client_address)
        finally:
            self.shutdown_request(secured)


class Handler(WSGIRequestHandler):
    """One request, without Werkzeug's log line: it would contain the signature of a presigned URL."""

    disable_nagle_algorithm = True

    def make_environ(self) -> WSGIEnvironment:
        """Keeps the target as it was sent: http.server folds leading slashes, which an object's key may have."""
        environ = super().make_environ()
        environ["REQUEST_URI"] = self.requestline.split()[1]
        environ["wsgi.url_scheme"] = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        return environ

    def send_response(self, code: int, message: str | None = None) -> None:
        """The status line and the date; the application sets Server to CI's or COS's."""
        self.send_response_only(code, message)
        self.send_header("Date", self.date_time_string())

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """A warning of the server, without the parts of the request that it quotes."""
        log.warning("a connection failed (%s)", type)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def main() -> int:
    """Serve; the exit code is 0, or 2 for an invalid command line or port."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its warnings contain URLs
    options = parse()
    try:
        emulator = Emulator(options)
    except FaultError as fault:
        log.error("--fault: %s", fault)
        return 2
    server = Server(options.host, options.port, create_app(emulator), handler=Handler)
    server.tls = tls.context(options.data) if options.tls else None
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    emulator.engine.start()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    log.info("emulator: http://%s:%d, state in %s", options.host, server.server_port, options.data)
    if options.tls:
        log.info("emulator: https on the same port, with the certificate %s", tls.certificate(options.data))
    stop.wait()
    # Connections that hang on purpose end with the process; so does a callback in flight, which the next start
    # sends again.
    server.shutdown()
    server.server_close()
    emulator.database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
