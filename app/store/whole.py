"""The store, opened: every kind of thing that Redis holds, on one connection."""

from __future__ import annotations

from msgspec import Struct

from app.redis.breaker import Breaker
from app.redis.capabilities import Level
from app.redis.connection import connect
from app.redis.durable import Durable
from app.store.accept.acceptor import Acceptor
from app.store.accept.news import Limits
from app.store.access.api_keys import ApiKeys
from app.store.access.callback_urls import CallbackUrls
from app.store.access.sign_ins import SignIns
from app.store.audit.audit_list import AuditList
from app.store.database import Database
from app.store.deliveries.deliveries import Deliveries
from app.store.events.outbox import Outbox
from app.store.events.replays import Replays
from app.store.failures.failures import Failures
from app.store.jobs.doubts import Doubts
from app.store.jobs.jobs import BodyView, Jobs
from app.store.jobs.retention import Retention
from app.store.lanes.lanes import Lanes
from app.store.outputs.checks import Checks
from app.store.processes.presence import Presence
from app.store.questions.due import Due
from app.store.questions.floods import Floods
from app.store.refusals.refusals import Bounds, Refusals
from app.store.runs.runs import Runs
from app.store.schedules.schedules import Schedules
from app.store.schema.schema import Schema
from app.store.search.search import JobSearch
from app.store.search.values import Values
from app.store.stats.stats import Stats
from app.store.submissions.idempotency import IdempotencyRecords
from app.store.submissions.submissions import Submissions
from app.store.tallies.tallies import Tallies


class Store(Struct, frozen=True):
    """Everything that is kept, by concept."""

    db: Database
    durable: Durable
    acceptor: Acceptor
    jobs: Jobs
    submissions: Submissions
    outbox: Outbox
    runs: Runs
    schedules: Schedules
    lanes: Lanes
    deliveries: Deliveries
    failures: Failures
    replays: Replays
    checks: Checks
    due: Due
    refusals: Refusals
    callback_urls: CallbackUrls
    api_keys: ApiKeys
    sign_ins: SignIns
    presence: Presence
    idempotency: IdempotencyRecords
    retention: Retention
    schema: Schema
    doubts: Doubts
    floods: Floods
    stats: Stats
    tallies: Tallies
    audit: AuditList

    values: Values
    search: JobSearch

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
        refusals: Bounds | None = None,
        trust_outputs: frozenset[str] = frozenset(),
        view: BodyView | None = None,
    ) -> Store:
        """A store at ``url``; nothing is sent before the first use. ``timeout`` (seconds) bounds each call.

        ``trust_outputs`` are buckets whose objects need no confirmation by CI; ``view`` reads the bytes behind a job's
        ``raw``."""
        db = Database(connect(url, timeout=timeout, breaker=breaker), prefix)
        limits = limits or Limits()
        durable = Durable(db.client, db.key("probe"), durability, timeout or 2.0)
        schedules = Schedules(db)
        runs = Runs(db, schedules)
        presence = Presence(db)
        acceptor = Acceptor(db, limits, durable)
        jobs = Jobs(db, trust_outputs, view)
        values = Values(db)
        return cls(
            db=db,
            durable=durable,
            acceptor=acceptor,
            jobs=jobs,
            submissions=Submissions(db, durable),
            outbox=Outbox(db, limits.outbox),
            runs=runs,
            schedules=schedules,
            lanes=Lanes(db, schedules, presence),
            deliveries=Deliveries(db, runs, schedules),
            failures=Failures(db, runs),
            replays=Replays(db, limits, runs),
            checks=Checks(db),
            due=Due(db, limits.history),
            refusals=Refusals(db, limits, durable, refusals),
            callback_urls=CallbackUrls(db, durable),
            api_keys=ApiKeys(db),
            sign_ins=SignIns(db),
            presence=presence,
            idempotency=IdempotencyRecords(db),
            retention=Retention(db, values),
            schema=Schema(db, limits.raw_s),
            doubts=Doubts(db, acceptor),
            floods=Floods(db),
            stats=Stats(db),
            tallies=Tallies(db),
            audit=AuditList(db),
            values=values,
            search=JobSearch(db, jobs, values),
        )
