"""Real servers for the provider: the emulator as a process, and a server with scripted answers."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from app.provider import Provider, ProviderConfig

BUCKET, REGION = "demo-1250000000", "ap-chongqing"


def config(endpoint: str, token: str | None = None, timeout: float = 60.0) -> ProviderConfig:
    return ProviderConfig("emulator", "emulator", token=token, endpoint=endpoint, timeout=timeout)


def start_emulator(data: Path, *options: str) -> Iterator[str]:
    """Starts the emulator on a free port, and yields its address."""
    command = [sys.executable, "-m", "emulator", "--port", "0", "--data", str(data), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield _address(process.stderr)
        finally:
            process.terminate()
            process.wait(60)


def _address(log: IO[str]) -> str:
    for line in log:
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            threading.Thread(target=log.read, daemon=True).start()  # so that it never blocks on a full pipe
            return found[0]
    raise RuntimeError("the emulator did not start")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    options = ["--queue-seconds", "0.05", "--run-seconds", "0.05"]
    yield from start_emulator(tmp_path_factory.mktemp("emulator"), *options)


@pytest.fixture
def provider(emulator: str) -> Provider:
    return Provider(config(emulator))


class Scripted:
    """A server that accepts one connection after another and gives each the next of `answers`. An answer is bytes,
    sent as they are; None closes after reading the request; "hang" sends nothing."""

    def __init__(self) -> None:
        self.answers: list[bytes | str | None] = []
        self.received: list[bytes] = []
        self._held: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        for one in (self._socket, *self._held):
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.received.append(_request(connection))
            answer = self.answers.pop(0) if self.answers else None
            if answer == "hang":
                self._held.append(connection)
                continue
            if isinstance(answer, bytes):
                connection.sendall(answer)
            connection.close()


def _request(connection: socket.socket) -> bytes:
    """One request, body included."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            return got
        got += more
    length = re.search(rb"(?i)content-length: *(\d+)", got)
    while length and len(got.partition(b"\r\n\r\n")[2]) < int(length[1]):
        got += connection.recv(65536)
    return got


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


def answer(status: int, body: str = "", *headers: str) -> bytes:
    """An HTTP answer, byte for byte; the connection ends with it."""
    raw = body.encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw
