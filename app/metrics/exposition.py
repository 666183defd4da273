"""The page that Prometheus reads, in its text format."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

MIMETYPE = "text/plain; version=0.0.4"


def exposition(stored: Collector) -> bytes:
    """The metrics of all processes of this server together, and those of Redis."""
    elsewhere = CollectorRegistry()
    elsewhere.register(stored)
    return generate_latest(_of_this_server()) + generate_latest(elsewhere)


def _of_this_server() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
