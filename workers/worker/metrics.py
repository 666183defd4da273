"""Serves a worker's metrics from a process of its own, because the worker forks and must have no threads."""

from __future__ import annotations

import os
import signal
import time

from app.redis.outage import OUTAGE
from app.settings import Settings
from workers.worker.parent import begin_child, stop_held

_LOOK_S, _AGAIN_S = 1.0, 10.0


class MetricsProcess:
    """A forked process, if METRICS_PORT is set; it is started again if it ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pid = 0
        self._next = 0.0

    def keep(self) -> None:
        """Start it if it is not running."""
        if self._settings.metrics_port is None or time.monotonic() < self._next:
            return
        if self._pid and os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            self._next = time.monotonic() + _LOOK_S
            return
        self._next = time.monotonic() + _AGAIN_S
        parent = os.getpid()
        with stop_held():
            self._pid = os.fork()
            if self._pid == 0:
                try:
                    _serve(self._settings, self._settings.metrics_port, parent)
                finally:
                    os._exit(1)

    def stop(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)
            os.waitpid(self._pid, 0)
            self._pid = 0


def _serve(settings: Settings, port: int, parent: int) -> None:
    """Serve until the parent ends."""
    begin_child()
    # The workers log an outage.
    OUTAGE.silent = True
    # Imported only here: it takes 2 MB.
    from app.metrics.port import serve_metrics  # noqa: PLC0415

    serve_metrics(settings, port, lambda: parent)
    while os.getppid() == parent:
        time.sleep(1)
