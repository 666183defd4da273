"""The only place that knows Redis keys."""

from __future__ import annotations

from dataclasses import dataclass

from app.store.accept import Acceptor, Limits, News, NotBelieved, NotDurable, Outcome, Unavailable
from app.store.apikeys import ApiKeys
from app.store.breaker import Breaker
from app.store.checks import Checks
from app.store.connection import UNAVAILABLE, Database, connect
from app.store.deliveries import Deliveries
from app.store.due import Due
from app.store.durable import Durable
from app.store.failures import Failures
from app.store.floods import Floods
from app.store.jobs import Job, Jobs
from app.store.marks import Marks
from app.store.offer import Level, NotOffered
from app.store.outbox import Outbox
from app.store.presence import Presence
from app.store.refusals import Refusals
from app.store.replays import Replays
from app.store.retention import Retention
from app.store.runs import Event, Runs
from app.store.submissions import Submissions

__all__ = [
    "UNAVAILABLE",
    "Acceptor",
    "Database",
    "Durable",
    "Event",
    "Job",
    "Level",
    "Limits",
    "News",
    "NotBelieved",
    "NotDurable",
    "NotOffered",
    "Outcome",
    "Store",
    "Unavailable",
    "connect",
]


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that is kept, by concept."""

    db: Database
    durable: Durable
    acceptor: Acceptor
    jobs: Jobs
    submissions: Submissions
    outbox: Outbox
    runs: Runs
    deliveries: Deliveries
    failures: Failures
    replays: Replays
    checks: Checks
    due: Due
    floods: Floods
    refusals: Refusals
    api_keys: ApiKeys
    presence: Presence
    marks: Marks
    retention: Retention

    @classmethod
    def open(
        cls,
        url: str,
        prefix: str,
        *,
        timeout: float | None,
        limits: Limits | None = None,
        durability: Level = "process",
        breaker: Breaker | None = None,
        trust_outputs: frozenset[str] = frozenset(),
    ) -> Store:
        """A store at ``url``; nothing is sent before the first use. ``timeout`` (seconds) bounds each call.

        ``trust_outputs`` are buckets whose objects need no word of CI's own."""
        db = Database(connect(url, timeout=timeout, breaker=breaker), prefix)
        limits = limits or Limits()
        durable = Durable(db, durability, timeout or 2.0)
        runs = Runs(db)
        return cls(
            db=db,
            durable=durable,
            acceptor=Acceptor(db, limits, durable),
            jobs=Jobs(db, trust_outputs),
            submissions=Submissions(db, durable),
            outbox=Outbox(db, limits.outbox),
            runs=runs,
            deliveries=Deliveries(db),
            failures=Failures(db, runs),
            replays=Replays(db, limits),
            checks=Checks(db),
            due=Due(db),
            floods=Floods(db),
            refusals=Refusals(db, limits, durable),
            api_keys=ApiKeys(db),
            presence=Presence(db),
            marks=Marks(db),
            retention=Retention(db),
        )
