"""Our service and its peers, each under its own gunicorn."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings
from harness.servers import Process, as_environment, eventually, free_port, is_up

PEERS = {"bare": "bench.peers.bare:app", "usual": "bench.peers.usual:app", "floor": "bench.peers.submit:app"}


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    pid: int


@contextmanager
def serve(
    settings: Settings, folder: Path, names: tuple[str, ...] = ("bare", "usual", "ours"), **environment: str
) -> Iterator[dict[str, Server]]:
    """Run these servers for the duration of the block; yields them by name."""
    with ExitStack() as stack:
        yield {name: _start(stack, name, settings, folder, environment) for name in names}


def _start(stack: ExitStack, name: str, settings: Settings, folder: Path, more: dict[str, str]) -> Server:
    port = free_port()
    environment = os.environ | as_environment(settings) | {"HOST": "127.0.0.1", "PORT": str(port)} | more
    configuration = "gunicorn.conf.py" if name == "ours" else "bench/peers/gunicorn.conf.py"
    target = PEERS.get(name, "app:create_app()")
    command = [sys.executable, "-m", "gunicorn", "--config", configuration, target]
    process = stack.enter_context(Process(command, folder / f"{name}-{port}.log", environment))
    eventually(lambda: is_up(f"http://127.0.0.1:{port}/healthz"), lambda: f"{name}: {process.text()}")
    return Server(port, process.pid)
