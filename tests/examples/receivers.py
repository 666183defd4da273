"""The example applications, served on a port of their own."""

from __future__ import annotations

import asyncio
import importlib
import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.downstream import KEY, OLD_KEY
from harness.servers import ROOT, Process, eventually, free_port

EXAMPLES = ROOT / "examples"
CLIENT = {"PYTHONPATH": str(ROOT / "client")}


def noted(events: Path) -> dict[str, str]:
    """What the example has acted on: event ids and its words for them."""
    if not events.exists():
        return {}
    with sqlite3.connect(events) as database:
        try:
            return dict(database.execute("SELECT event_id, what FROM events").fetchall())
        except sqlite3.OperationalError:
            return {}


@contextmanager
def flask_receiver(events: Path) -> Iterator[str]:
    """As its docstring starts it; the address for deliveries."""
    port = free_port()
    script = str(EXAMPLES / "flask_receiver.py")
    command = [sys.executable, "-m", "flask", "--app", script, "run", "--port", str(port)]
    environment = os.environ | CLIENT | {"FORWARD_KEY": f"{KEY},{OLD_KEY}", "EVENTS": str(events)}
    url = f"http://127.0.0.1:{port}/ci"
    with Process(command, events.with_suffix(".log"), environment) as process:
        process.cwd = events.parent
        eventually(lambda: _listens(url), process.text)
        yield url


def _listens(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 405
    except httpx.TransportError:
        return False


@contextmanager
def fastapi_receiver(events: Path) -> Iterator[str]:
    """The application itself, behind a small server: no ASGI server is among the requirements."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORWARD_KEY", f"{KEY},{OLD_KEY}")
        patch.setenv("EVENTS", str(events))
        patch.syspath_prepend(str(EXAMPLES))
        for name in ("inbox", "fastapi_receiver"):
            sys.modules.pop(name, None)  # it reads its settings when it is imported
        with _served(importlib.import_module("fastapi_receiver").app) as url:
            yield url


@contextmanager
def _served(application: Any) -> Iterator[str]:
    transport = httpx.ASGITransport(app=application)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _passing_on(transport))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/ci"
    finally:
        server.shutdown()
        server.server_close()


def _passing_on(transport: httpx.ASGITransport) -> type[BaseHTTPRequestHandler]:
    async def answer(path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            return await client.post(path, content=body, headers=headers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answered = asyncio.run(answer(self.path, body, dict(self.headers.items())))
            self.send_response(answered.status_code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


RECEIVERS = {"flask": flask_receiver, "fastapi": fastapi_receiver}
