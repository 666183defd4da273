"""An endpoint that events are forwarded to: counts the deliveries of each event id, and fails some of them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_FAILS = 0.05


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Silent: killed relays break connections, as expected."""


class CountingEndpoint:
    """Listens on a free port of ``address``; ``seen`` counts the answers of 200 for each event id."""

    def __init__(self, chance: random.Random, address: str = "127.0.0.1") -> None:
        self.seen: Counter[str] = Counter()
        self.failed = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    fails = chance.random() < _FAILS
                    if fails:
                        outer.failed += 1
                    else:
                        outer.seen[self.headers["webhook-id"]] += 1
                self.send_response(500 if fails else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it that
                """Silent: one line for each request would hide the report."""

        self._server = _Server((address, 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
