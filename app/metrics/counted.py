"""The counters of a web process. No label ever holds a job id, a path, a token or the name of a process.

Each series exists from the start, with 0: ``increase()`` cannot see a first event that creates its series.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from app.ci.tags import KNOWN
from app.store.accept.outcomes import Outcome

OTHER = "other"
"""The label of jobs with an unknown tag, which may be a stranger's text."""
CALLBACK_OUTCOMES: tuple[str, ...] = (*get_args(Outcome), "spooled")

CALLBACKS = Counter(
    "ci_callbacks_total",
    "Jobs reported by callbacks, by outcome and tag (`other`: a tag that CI does not have)",
    ["outcome", "tag"],
)
SPOOL_DRAINED = Counter("ci_spool_drained_total", "Reports drained from the spool, by outcome", ["outcome"])
SPOOL_BYTES = Gauge("ci_spool_bytes", "Bytes waiting in the spool", multiprocess_mode="mostrecent")
SPOOL_AGE = Gauge(
    "ci_spool_age_seconds",
    "Seconds that the oldest spooled callback has waited",
    multiprocess_mode="mostrecent",
)
SPOOL_SET_ASIDE = Gauge(
    "ci_spool_set_aside",
    "Records set aside by the spool: Redis refuses them, or they cannot be read",
    multiprocess_mode="mostrecent",
)
SPOOL_SET_ASIDE_BYTES = Gauge(
    "ci_spool_set_aside_bytes",
    "Bytes of the records that the spool has set aside",
    multiprocess_mode="mostrecent",
)
INSTALLATION_LOST = Gauge(
    "ci_installation_lost",
    "1 while Redis does not have the installation id that SPOOL_DIR has",
    multiprocess_mode="mostrecent",
)
REFUSALS = Counter("ci_refusals_total", "Callbacks refused, by reason", ["reason"])
PROBES = Counter("ci_probes_total", "Test messages of CI's console")
ACCEPT_SECONDS = Histogram(
    "ci_callback_seconds",
    "Time to answer a callback",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
PROCESSES = Gauge("ci_web_processes", "Running web processes", multiprocess_mode="livesum")
LISTENERS = Gauge("ci_listeners", "Clients that are listening to /v1/events", multiprocess_mode="livesum")
WAITING = Gauge(
    "ci_waiting", "Clients that are waiting for a job to end (?wait=)", multiprocess_mode="livesum"
)


@cache
def callbacks(outcome: str, tag: str) -> Counter:
    """The counter of one outcome and tag."""
    return CALLBACKS.labels(outcome, tag)


def count_callbacks(outcomes: Sequence[str], tags: Iterable[str | None]) -> None:
    """A callback was stored: the outcome and the tag of each of its jobs."""
    for outcome, tag in zip(outcomes, tags, strict=True):
        callbacks(outcome, tag if tag in KNOWN else OTHER).inc()


def make_series(reasons: Iterable[str]) -> None:
    """Make every series of this process. ``reasons``: for which callbacks are refused."""
    for outcome in CALLBACK_OUTCOMES:
        for tag in (*sorted(KNOWN), OTHER):
            callbacks(outcome, tag)
        SPOOL_DRAINED.labels(outcome)
    for reason in reasons:
        REFUSALS.labels(reason)
