"""Metrics that are read from Redis: every server shows the same figures.

While Redis is away, only ``ci_redis_up`` is exported.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError, ResponseError

from app.core.clock import now_ms
from app.metrics import urls
from app.settings import Settings
from app.store import Store
from app.store.deliveries.deliveries import OUTCOMES
from app.store.runs.run import OUTPUTS_HANDLER
from app.store.schedules.schedules import Backlog
from app.store.tallies.tallies import BOUNDS_S

_ROLES = ("relay", "worker")
_BOUNDS = (*map(str, map(float, BOUNDS_S)), "+Inf")


class _Family(Struct, frozen=True):
    """One metric without its values."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    type: type[CounterMetricFamily] | type[GaugeMetricFamily] = GaugeMetricFamily

    def of(self, values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
        """With these values, by the values of its labels."""
        family = self.type(self.name, self.help, labels=self.labels)
        for labels, value in values:
            family.add_metric(labels, value)
        return family

    def alone(self, value: float) -> Metric:
        """The metric without labels."""
        return self.of([((), value)])


def _counter(name: str, documentation: str, *labels: str) -> _Family:
    return _Family(name, documentation, labels, CounterMetricFamily)


_REDIS_UP = _Family("ci_redis_up", "1 if Redis answers this process")
_REDIS_MEMORY = _Family("ci_redis_memory_bytes", "Memory that Redis uses, in bytes")
_REDIS_LIMIT = _Family(
    "ci_redis_memory_limit_bytes", "maxmemory of Redis, in bytes; +Inf if there is no limit"
)
_PROCESSES = _Family("ci_processes", "Processes that have reported within 15 s, by role", ("role",))
_JOBS = _Family("ci_jobs", "Stored jobs, by state; `none` if the state is unknown", ("state",))
_NEWEST = _Family(
    "ci_newest_callback_timestamp_seconds",
    "When the newest callback was stored, by any web server (seconds since 1970; some 5 s late); 0 if none was",
)
_OUTBOX = _Family("ci_outbox_waiting", "Events in the outbox that no relay has processed yet")
_OUTBOX_AGE = _Family("ci_outbox_age_seconds", "Seconds that the oldest event in the outbox has waited")
_RUNS_DUE = _Family(
    "ci_runs_due",
    "Due runs that no process has started: runs of handlers (by workers), look-ups of outputs in COS (by the relay)",
    ("kind",),
)
_RUNS_DUE_AGE = _Family(
    "ci_runs_due_age_seconds", "Seconds that the oldest due run of a kind has waited", ("kind",)
)
_LANE_DUE = _Family("ci_lane_runs_due", "Due runs that no worker has started, by lane", ("lane",))
_LANE_DUE_AGE = _Family(
    "ci_lane_runs_due_age_seconds", "Seconds that the oldest due run of a lane has waited", ("lane",)
)
_HANDLER_RUNS = _counter(
    "ci_handler_runs_total",
    "Tries of handlers, by result: done, retried, failed (out of tries), died (lease expired); `forward`: deliveries",
    "handler",
    "result",
)
_FAILURES = _Family("ci_failures_open", "Runs that are out of tries and were neither retried nor dismissed")
_DELIVERIES = _counter(
    "ci_deliveries_total",
    "Tries to deliver an event, by the endpoint's host and by outcome: delivered, retried, failed",
    "host",
    "outcome",
)
_DELIVERIES_WAITING = _Family(
    "ci_deliveries_waiting", "Pending deliveries, by the endpoint's host", ("host",)
)
_QUESTIONS = _counter(
    "ci_questions_total",
    "Jobs about which CI was asked, by result: answered, unknown (to CI), unreadable, throttled, failed",
    "result",
)
_UNREADABLE = _counter(
    "ci_answers_unreadable_total", "CI's answers about a job that could not be parsed; the log names each job"
)
_OVERDUE = _counter("ci_jobs_overdue_total", "Jobs whose deadline passed without news")
_REFUSED = _Family(
    "ci_refusals_open",
    "Refused callbacks with a valid token that were neither retried nor dismissed",
)
_REFUSED_BYTES = _Family("ci_refusals_open_bytes", "Bytes of Redis that open refusals use")


def _handler_seconds() -> HistogramMetricFamily:
    documentation = "Duration of one try of a handler, in seconds"
    return HistogramMetricFamily("ci_handler_seconds", documentation, labels=["handler"])


FAMILIES: tuple[Metric, ...] = (
    *(each.of(()) for each in list(globals().values()) if isinstance(each, _Family)),
    _handler_seconds(),
    *urls.families((), 0),
)
"""Every metric of this module, without values."""


class StoredMetrics(Collector):
    """Asks Redis at each scrape."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def describe(self) -> Iterable[Metric]:
        """The names without values: registration then sends nothing to Redis."""
        return FAMILIES

    def collect(self) -> Iterable[Metric]:
        parts: tuple[Callable[[], list[Metric]], ...] = (
            self._processes, self._jobs, self._outbox, self._runs, self._handlers, self._deliveries,
            self._questions, self._refusals, self._callback_urls, self._memory,
        )  # fmt: skip
        try:
            found = [metric for part in parts for metric in part()]
        except RedisError:
            return [_REDIS_UP.alone(0)]
        return [_REDIS_UP.alone(1), *found]

    def _processes(self) -> list[Metric]:
        return [_PROCESSES.of(((role,), self._store.presence.seen(role)) for role in _ROLES)]

    def _jobs(self) -> list[Metric]:
        counts = self._store.stats.by_state()
        newest = self._store.tallies.newest_callback() or 0
        return [
            _JOBS.of(((state,), number) for state, number in counts.items()),
            _NEWEST.alone(newest / 1000),
        ]

    def _outbox(self) -> list[Metric]:
        lag = self._store.outbox.lag()
        return [_OUTBOX.alone(lag.due), _OUTBOX_AGE.alone(lag.oldest_s)]

    def _runs(self) -> list[Metric]:
        schedules = self._store.schedules
        by_lane = {each: schedules.backlog(each) for each in self._store.lanes.names()}
        together = Backlog(
            sum(each.due for each in by_lane.values()), max(each.oldest_s for each in by_lane.values())
        )
        kinds = {"handlers": together, "look-ups": schedules.lookups_backlog()}
        return [
            _RUNS_DUE.of(((kind,), each.due) for kind, each in kinds.items()),
            _RUNS_DUE_AGE.of(((kind,), each.oldest_s) for kind, each in kinds.items()),
            _LANE_DUE.of(((lane,), each.due) for lane, each in by_lane.items()),
            _LANE_DUE_AGE.of(((lane,), each.oldest_s) for lane, each in by_lane.items()),
            _FAILURES.alone(self._store.failures.count()),
        ]

    def _handlers(self) -> list[Metric]:
        names = dict.fromkeys([*self._store.runs.declared(), OUTPUTS_HANDLER])
        tallies = self._store.tallies.handlers(names)
        seconds = _handler_seconds()
        for name, tally in tallies.items():
            total, buckets = 0, []
            for bound, number in zip(_BOUNDS, tally.buckets, strict=True):
                total += number
                buckets.append((bound, float(total)))
            seconds.add_metric([name], buckets, tally.seconds)
        runs = (
            ((name, result), number)
            for name, tally in tallies.items()
            for result, number in tally.results.items()
        )
        return [_HANDLER_RUNS.of(runs), seconds]

    def _deliveries(self) -> list[Metric]:
        counted: Counter[tuple[str, str]] = Counter()
        waiting: Counter[str] = Counter()
        for endpoint in self._settings.endpoints:
            state = self._store.deliveries.state(endpoint.name)
            for outcome in OUTCOMES:
                counted[endpoint.host, outcome] += state.outcomes[outcome]
            waiting[endpoint.host] += state.waiting
        return [
            _DELIVERIES.of(counted.items()),
            _DELIVERIES_WAITING.of(((host,), number) for host, number in waiting.items()),
        ]

    def _questions(self) -> list[Metric]:
        asked = self._store.tallies.questions()
        return [
            _QUESTIONS.of(((result,), number) for result, number in asked.items()),
            _UNREADABLE.alone(asked["unreadable"]),
            _OVERDUE.alone(self._store.tallies.overdue()),
        ]

    def _refusals(self) -> list[Metric]:
        count, size = self._store.refusals.open()
        return [_REFUSED.alone(count), _REFUSED_BYTES.alone(size)]

    def _callback_urls(self) -> list[Metric]:
        return list(urls.families(self._store.callback_urls.list(), now_ms()))

    def _memory(self) -> list[Metric]:
        """Empty if our user may not run INFO."""
        try:
            used, limit = self._store.presence.memory()
        except ResponseError:
            return []
        return [_REDIS_MEMORY.alone(used), _REDIS_LIMIT.alone(limit or math.inf)]
