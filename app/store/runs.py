"""Runs: one handler (and endpoint) for one event, with its tries. The record owns the tries; RQ only carries ids.

The schedule is one sorted set: a run stands in it at the time at which somebody has to look at it again. For a run
that waits that is its due time, for one that runs it is the end of its claim, which its worker keeps prolonging.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from app.store.clock import now_ms, rfc3339
from app.store.connection import Database
from app.store.scripts import script, text_map, texts

RunState = Literal["waiting", "running", "done", "failed", "dismissed"]


@dataclass(frozen=True, slots=True)
class Event:
    """An entry that changed a job, or a replay. Handlers run at least once: be idempotent by ``event_id``."""

    event_id: str
    job_id: str
    kind: str
    state: str | None
    tag: str | None
    version: int
    at: str
    entry: int
    report: dict[str, Any]
    replay_of: str | None = None
    runs_handlers: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it stands; ``tries`` are the tries so far, oldest first.

    ``forgiven`` is how many of them no longer count, since someone asked for new ones; ``acts`` says who did, and when.
    """

    id: str
    event_id: str
    job_id: str
    handler: str
    endpoint: str | None
    state: RunState
    tries: tuple[dict[str, Any], ...]
    tag: str | None = None
    forgiven: int = 0
    ended_at: str | None = None
    note: str | None = None
    acts: tuple[dict[str, Any], ...] = ()


def run_id(event_id: str, handler: str, endpoint: str | None = None) -> str:
    return "|".join(filter(None, (event_id, handler, endpoint)))


def schedule_of(db: Database, endpoint: str) -> str:
    """The key of an endpoint's own schedule."""
    return db.key("endpoint", endpoint, "runs")


class Runs:
    """The runs in the store."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._schedule = db.key("runs")
        self._failures = db.key("failures")
        self._plan, self._take, self._start, self._finish, self._beat = (
            script(db, name) for name in ("plan", "take", "start", "finish", "beat")
        )

    def plan(self, event: Event, wanted: list[tuple[str, str | None]]) -> int:
        """Make the runs of an event for these (handler, endpoint); those already made stay as they are."""
        kept = {field: getattr(event, field) for field in Event.__slots__}
        arguments: list[Any] = [self._db.prefix, now_ms(), event.event_id, event.job_id]
        arguments += [json.dumps(kept), event.tag or ""]
        for handler, endpoint in wanted:
            each = run_id(event.event_id, handler, endpoint)
            arguments += [each, handler, endpoint or "", self._schedule_of(each)]
        return int(self._plan(args=arguments))

    def take_due(self, count: int, put_off_s: float) -> list[str]:
        """Up to ``count`` runs whose time has come, put off so that another taker sees them only if we die."""
        now = now_ms()
        rows = self._take(keys=[self._schedule], args=[now, count, now + int(put_off_s * 1000)])
        return texts(rows)

    def started_before(self, ids: list[str]) -> list[bool]:
        """For each run, whether it has been tried already."""
        pipe = self._redis.pipeline(transaction=False)
        for each in ids:
            pipe.hget(self._db.key("run", each), "tries")
        return [bool(int(tries or 0)) for tries in pipe.execute()]

    def waiting(self) -> int:
        """How many runs are due now."""
        return int(self._redis.zcount(self._schedule, "-inf", now_ms()))

    def next_due_s(self) -> float | None:
        """Seconds until the next run is due; ``None`` if none is planned."""
        rows: Any = self._redis.zrange(self._schedule, 0, 0, withscores=True)
        return max(0.0, (rows[0][1] - now_ms()) / 1000) if rows else None

    def start(self, each: str, *, claim_s: float, tries: int, worker: str) -> int:
        """The number of the try that has begun; 0: not to be started; -1: it has just become a failure."""
        now = now_ms()
        arguments: list[Any] = [each, now, now + int(claim_s * 1000), tries, worker, rfc3339(now)]
        return int(self._start(keys=self.keys(each), args=arguments))

    def beat(self, each: str, number: int, claim_s: float) -> bool:
        """Prolong the claim; false if it was lost."""
        until = now_ms() + int(claim_s * 1000)
        return bool(self._beat(keys=self.keys(each)[:2], args=[each, number, until]))

    def finish(
        self, each: str, number: int, state: RunState, entry: dict[str, Any], again_in_s: float = 0
    ) -> bool:
        """End try ``number`` with ``state`` (``waiting``: again later); false if the claim was lost meanwhile."""
        now = now_ms()
        arguments: list[Any] = [each, now, number, state, now + int(again_in_s * 1000), json.dumps(entry)]
        return bool(self._finish(keys=self.keys(each), args=arguments))

    def get(self, each: str) -> Run | None:
        row = self._redis.hgetall(self._db.key("run", each))
        return _run(each, row) if row else None

    def event(self, event_id: str) -> Event | None:
        kept = self._redis.get(self._db.key("event", event_id))
        return Event(**json.loads(kept)) if isinstance(kept, bytes) else None

    def of_job(self, job_id: str) -> list[Run]:
        return self.many(sorted(texts(self._redis.smembers(self._db.key("job", job_id, "runs")))))

    def many(self, ids: list[str]) -> list[Run]:
        """Those of these runs that are (still) there."""
        pipe = self._redis.pipeline(transaction=False)
        for each in ids:
            pipe.hgetall(self._db.key("run", each))
        return [_run(each, row) for each, row in zip(ids, pipe.execute() if ids else (), strict=True) if row]

    def keys(self, each: str) -> list[str]:
        """Of the run itself, of its schedule, and of the failures: what the scripts work on."""
        return [self._db.key("run", each), self._schedule_of(each), self._failures]

    def _schedule_of(self, each: str) -> str:
        """Each endpoint has a schedule of its own, so that one that is out of order holds up nobody else."""
        _, _, endpoint = (*each.split("|", 2), "")[:3]
        return schedule_of(self._db, endpoint) if endpoint else self._schedule


def _run(each: str, row: Any) -> Run:
    kept = text_map(row)
    numbers = sorted(int(name[4:]) for name in kept if name.startswith("try:"))
    return Run(
        id=each,
        event_id=kept["event_id"],
        job_id=kept["job_id"],
        handler=kept["handler"],
        endpoint=kept["endpoint"] or None,
        state=kept["state"],  # type: ignore[arg-type]
        tries=tuple(json.loads(kept[f"try:{n}"]) for n in numbers),
        tag=kept.get("tag") or None,
        forgiven=int(kept.get("forgiven", 0)),
        ended_at=rfc3339(int(kept["ended"])) if "ended" in kept else None,
        note=kept.get("note"),
        acts=tuple(json.loads(kept.get("acts", "[]"))),
    )
