"""GET /metrics of a process that answers no other request: METRICS_PORT of relays and workers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from app.metrics.stored import StoredMetrics
from app.settings import Settings
from app.store import Store

log = logging.getLogger(__name__)


def serve_metrics(settings: Settings, port: int, pid: Callable[[], int] = os.getpid) -> None:
    """Serve, on a thread, the metrics of Redis and the process metrics of ``pid``. If the port cannot be bound, that is
    logged, and the process goes on without metrics."""
    registry = CollectorRegistry()
    registry.register(
        StoredMetrics(Store.open(settings.redis_url, settings.key_prefix, timeout=2.0), settings)
    )
    ProcessCollector(pid=pid, registry=registry)
    host = os.environ.get("HOST", "127.0.0.1")
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        log.error("METRICS_PORT: cannot listen at %s:%d (%s); going on without metrics", host, port, error)
