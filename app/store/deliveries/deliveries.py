"""Deliveries that wait, by endpoint, and how each endpoint has answered lately."""

from __future__ import annotations

from typing import Any, Literal, get_args

from msgspec import Struct

from app.core.backoff import delays
from app.core.clock import now_ms, rfc3339
from app.redis.scripts import decoded_all, script, text_map
from app.store.database import Database, ms_of_time
from app.store.runs.runs import Runs, event_key
from app.store.schedules.schedules import Schedules

TROUBLE = 3
"""Failures in a row after which an endpoint is paused: fewer may be due to one event."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 600.0


DeliveryOutcome = Literal["delivered", "retried", "failed"]
OUTCOMES: tuple[DeliveryOutcome, ...] = get_args(DeliveryOutcome)


class EndpointState(Struct, frozen=True):
    """``paused_until`` is set while the endpoint gets no deliveries; ``waiting`` counts deliveries, due or not;
    ``outcomes`` counts tries by outcome. ``failures_in_a_row`` counts every kind of failure; only those that
    ``in_trouble`` notes lead to a pause."""

    name: str
    waiting: int
    failures_in_a_row: int
    paused_until: str | None
    last_error: str | None
    last_failure_at: str | None
    last_success_at: str | None
    outcomes: dict[DeliveryOutcome, int]


class Deliveries:
    """The schedules of all endpoints."""

    def __init__(self, db: Database, runs: Runs, schedules: Schedules) -> None:
        self._db = db
        self._runs = runs
        self._schedules = schedules
        self._redis = db.client
        self._take, self._note = (script(db.client, name) for name in ("take_delivery", "endpoint"))
        self._give_up = script(db.client, "record", "event", "run", "run_failed", "give_up")

    def take(self, endpoint: str, count: int, put_off_s: float) -> list[str]:
        """Up to ``count`` due runs of this endpoint: none while it is paused, one to probe it after a pause. Each is
        put off by ``put_off_s``, so that it is due again if the caller dies."""
        keys = [self._schedules.of_endpoint(endpoint), self._state(endpoint)]
        return decoded_all(self._take(keys=keys, args=[count, int(put_off_s * 1000), TROUBLE]))

    def succeeded(self, endpoint: str) -> None:
        self._noted(endpoint, "", 0)

    def refused(self, endpoint: str, error: str) -> None:
        """The endpoint refused an event, or its address is not allowed. This is shown, and does not lead to a pause."""
        self._noted(endpoint, error[:300] or "?", 0)

    def in_trouble(self, endpoint: str, error: str, not_before_s: float | None = None) -> None:
        """The endpoint is unreachable or failing. ``not_before_s`` is its own ``Retry-After``, in seconds from now."""
        self._noted(endpoint, error[:300] or "?", int((not_before_s or 0) * 1000), trouble=True)

    def count(self, endpoint: str, outcome: DeliveryOutcome, number: int = 1) -> None:
        """Count a try by its outcome, for metrics."""
        self._redis.hincrby(self._state(endpoint), f"n:{outcome}", number)

    def next_due_s(self, endpoint: str) -> float | None:
        """Seconds until a run may be due; ``None`` if none waits."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrange(self._schedules.of_endpoint(endpoint), 0, 0, withscores=True)
        pipe.hget(self._state(endpoint), "not_before")
        pipe.time()
        rows, paused, now = pipe.execute()
        return max(0.0, (max(rows[0][1], float(paused or 0)) - ms_of_time(now)) / 1000) if rows else None

    def expire(self, endpoint: str, waiting_s: float, why: str) -> int:
        """Make failures of runs that have been due for ``waiting_s`` seconds. Returns how many."""
        schedule = self._schedules.of_endpoint(endpoint)
        due_before = self._db.now_ms() - int(waiting_s * 1000)
        ids = decoded_all(self._redis.zrange(schedule, 0, due_before, byscore=True, offset=0, num=500))
        failures = self._db.key("failures")
        now = rfc3339(now_ms())
        given_up = sum(
            int(
                self._give_up(
                    keys=[event_key(self._db, each), schedule, failures],
                    args=[each, why, now, self._runs.repeated_report(each)],
                )
            )
            for each in ids
        )
        if given_up:
            self.count(endpoint, "failed", given_up)
        return given_up

    def endpoints(self) -> list[str]:
        """Every endpoint that ever had a run, whether or not FORWARD_URLS still names it."""
        return sorted(decoded_all(self._redis.smembers(self._db.key("endpoints"))))

    def forget(self, endpoint: str) -> None:
        """Remove what is stored of an endpoint that is no longer configured and has no waiting runs."""
        if not self._redis.zcard(self._schedules.of_endpoint(endpoint)):
            self._redis.srem(self._db.key("endpoints"), endpoint)
            self._redis.delete(self._state(endpoint))

    def state(self, endpoint: str) -> EndpointState:
        kept = text_map(self._redis.hgetall(self._state(endpoint)))
        paused = int(kept.get("not_before", 0))
        return EndpointState(
            name=endpoint,
            waiting=int(self._redis.zcard(self._schedules.of_endpoint(endpoint))),
            failures_in_a_row=int(kept.get("failures", 0)),
            paused_until=rfc3339(paused) if paused > now_ms() else None,
            last_error=kept.get("error"),
            last_failure_at=rfc3339(int(kept["failed"])) if "failed" in kept else None,
            last_success_at=rfc3339(int(kept["succeeded"])) if "succeeded" in kept else None,
            outcomes={each: int(kept.get(f"n:{each}", 0)) for each in OUTCOMES},
        )

    def _noted(self, endpoint: str, error: str, wait_ms: int, *, trouble: bool = False) -> None:
        pauses = [int(each * 1000) for each in delays(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)]
        arguments: list[Any] = [error, wait_ms, TROUBLE, int(trouble), *pauses]
        self._note(keys=[self._state(endpoint)], args=arguments)

    def _state(self, endpoint: str) -> str:
        return self._db.key("endpoint", endpoint)
