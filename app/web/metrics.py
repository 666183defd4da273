"""What Prometheus sees. No label ever holds a job id, a path, a token or the name of a process."""

from __future__ import annotations

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

CALLBACKS = Counter(
    "ci_callbacks_total", "Jobs reported by callbacks, by what became of the report", ["outcome"]
)
SPOOL_DRAINED = Counter(
    "ci_spool_drained_total", "Reports taken from the spool, by what became of them", ["outcome"]
)
SPOOL_BYTES = Gauge("ci_spool_bytes", "Bytes waiting in the spool", multiprocess_mode="mostrecent")
SPOOL_SET_ASIDE = Gauge(
    "ci_spool_set_aside",
    "Records set aside by the spool: Redis refuses them, or they cannot be read",
    multiprocess_mode="mostrecent",
)
SPOOL_SET_ASIDE_BYTES = Gauge(
    "ci_spool_set_aside_bytes", "Bytes set aside by the spool", multiprocess_mode="mostrecent"
)
INSTALLATION_LOST = Gauge(
    "ci_installation_lost",
    "1 while Redis does not have the installation id that SPOOL_DIR has",
    multiprocess_mode="mostrecent",
)
REFUSALS = Counter("ci_refusals_total", "Callbacks refused, by reason", ["reason"])
ANSWERS_UNREADABLE = Counter(
    "ci_answers_unreadable_total", "Answers of CI about one job that could not be read; the log names each"
)
PROBES = Counter("ci_probes_total", "Test messages of the console")
ACCEPT_SECONDS = Histogram(
    "ci_callback_seconds",
    "Time to answer a callback",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


LISTENERS = Gauge("ci_listeners", "Clients that listen to /v1/events now", multiprocess_mode="livesum")
WAITING = Gauge("ci_waiting", "Clients that wait for a job to end now (?wait=)", multiprocess_mode="livesum")


def deliveries() -> CounterMetricFamily:
    """Counted in Redis, by the relays: they serve no page."""
    said = "Tries to deliver an event, by the endpoint's host and by what became of them: delivered, retried, failed"
    return CounterMetricFamily("ci_deliveries_total", said, labels=["host", "outcome"])


def deliveries_waiting() -> GaugeMetricFamily:
    said = "Events that wait to be delivered, by the endpoint's host"
    return GaugeMetricFamily("ci_deliveries_waiting", said, labels=["host"])


def runs_due() -> GaugeMetricFamily:
    said = "Runs that are due and not handed out: of handlers by workers, look-ups (of outputs in COS) by the relay"
    return GaugeMetricFamily("ci_runs_due", said, labels=["kind"])


def runs_due_age() -> GaugeMetricFamily:
    said = "Seconds for which the oldest of these has been due"
    return GaugeMetricFamily("ci_runs_due_age_seconds", said, labels=["kind"])


def lane_runs_due() -> GaugeMetricFamily:
    said = "Runs that are due and not handed out, by lane"
    return GaugeMetricFamily("ci_lane_runs_due", said, labels=["lane"])


def lane_runs_due_age() -> GaugeMetricFamily:
    said = "Seconds for which the oldest of these has been due, by lane"
    return GaugeMetricFamily("ci_lane_runs_due_age_seconds", said, labels=["lane"])


def refusals() -> GaugeMetricFamily:
    """Counted in Redis, as the next one."""
    said = "Callbacks that were refused although their token was good, and that are neither retried nor dismissed yet"
    return GaugeMetricFamily("ci_refusals_open", said)


def refusals_bytes() -> GaugeMetricFamily:
    return GaugeMetricFamily("ci_refusals_open_bytes", "Bytes of Redis that these fill")


def callback_url_expiry() -> GaugeMetricFamily:
    said = "Seconds until the callback URL of that name expires, of several the first; +Inf where none does"
    return GaugeMetricFamily("ci_callback_url_expires_seconds", said, labels=["name"])


def callback_url_idle() -> GaugeMetricFamily:
    said = "Seconds since a callback URL of that name was last used, or else since it was made"
    return GaugeMetricFamily("ci_callback_url_idle_seconds", said, labels=["name"])


def exposition(*others: Metric) -> bytes:
    """All processes of this server together, in Prometheus' text format; ``others`` were counted elsewhere."""
    elsewhere = CollectorRegistry()
    elsewhere.register(_Given(others))
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY) + generate_latest(elsewhere)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(elsewhere)


class _Given(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families
