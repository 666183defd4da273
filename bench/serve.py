"""The three endpoints, each under its own gunicorn with the same number of workers and threads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.settings import Settings
from harness.servers import Process, as_environment, eventually, free_port, is_up

ENDPOINTS = {"bare": "bench.bare:app", "usual": "bench.usual:app", "ours": "app:create_app()"}


@contextmanager
def serve(settings: Settings, folder: Path) -> Iterator[dict[str, int]]:
    """The port of each endpoint."""
    ports = {name: free_port() for name in ENDPOINTS}
    with ExitStack() as stack:
        for name, target in ENDPOINTS.items():
            environment = (
                os.environ | as_environment(settings) | {"HOST": "127.0.0.1", "PORT": str(ports[name])}
            )
            configuration = "gunicorn.conf.py" if name == "ours" else "bench/gunicorn.conf.py"
            command = [sys.executable, "-m", "gunicorn", "--config", configuration, target]
            process = stack.enter_context(Process(command, folder / f"{name}.log", environment))
            url = f"http://127.0.0.1:{ports[name]}/healthz"
            eventually(lambda url=url: is_up(url), f"{name}: {process.text()}")  # type: ignore[misc]
        yield ports
