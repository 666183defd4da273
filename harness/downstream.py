"""A downstream endpoint, independent of the service: it verifies with the library of Standard Webhooks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_KEY = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One verified request; ``at`` is in seconds of ``time.monotonic()``."""

    path: str
    event: dict[str, Any]
    headers: dict[str, str]
    at: float


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0  # pause before the answer
    drip: bool = False  # an endless body, one byte at a time


Behaviour = Callable[[Delivery, int], Reply]
"""Returns the reply to a delivery; the number counts earlier deliveries on that path."""


class Downstream:
    """Listens on a free port; each path has a behaviour, by default 204 for everything."""

    def __init__(self, key: str = KEY) -> None:
        self._key = key
        self._lock = threading.Lock()
        self.deliveries: list[Delivery] = []
        self.unverified: list[str] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def on(self, path: str) -> list[Delivery]:
        with self._lock:
            return [each for each in self.deliveries if each.path == path]

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        try:
            event = Webhook(self._key).verify(body, headers)
        except Exception as error:
            with self._lock:
                self.unverified.append(f"{path}: {error!r}")
            return Reply(401)
        delivery = Delivery(path, event, headers, time.monotonic())
        with self._lock:
            before = sum(each.path == path for each in self.deliveries)
            self.deliveries.append(delivery)
        behaviour = self.behaviours.get(path)
        return behaviour(delivery, before) if behaviour else Reply()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        downstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = downstream.take(self.path, body, headers)
                downstream.stopping.wait(reply.seconds)
                with suppress(OSError):
                    self._answer(reply)

            def _answer(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(10_000_000 if reply.drip else len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                while reply.drip and not downstream.stopping.wait(0.05):
                    self.wfile.write(b".")

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
