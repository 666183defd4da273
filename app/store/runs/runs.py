"""Runs: one handler (and endpoint) for one event, with its tries. The record owns the tries; RQ only carries ids.

The schedule is one sorted set: a run stands in it at the time at which it is looked at again. For a run
that waits that is its due time, for one that runs it is the end of its claim, which its worker keeps prolonging.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.core.clock import now_ms, rfc3339, to_ms
from app.redis.scripts import Call, in_turn, script, text_map, texts
from app.store.database import Database
from app.store.packing.packing import pack, unpack

Wanted = tuple[str, str | None]
"""The name of a handler, and of an endpoint for deliveries."""
LOOKUP = "check_outputs"
"""The handler whose runs the relay performs: it only waits for COS."""
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


@dataclass(frozen=True, slots=True)
class Start:
    """The wish to begin a try: claimed for ``claim_s`` seconds, if fewer than ``tries`` were made."""

    run_id: str
    claim_s: float
    tries: int
    worker: str


@dataclass(frozen=True, slots=True)
class End:
    """How try ``number`` ended: ``state`` is ``waiting`` for another one, in ``again_in_s`` seconds."""

    run_id: str
    number: int
    state: RunState
    entry: dict[str, Any]
    again_in_s: float = 0


def run_id(event_id: str, handler: str, endpoint: str | None = None) -> str:
    return "|".join(filter(None, (event_id, handler, endpoint)))


def _parts(each: str) -> tuple[str, str, str]:
    """Event, handler and endpoint (or '') of a run."""
    event, handler, endpoint = (*each.split("|", 2), "", "")[:3]
    return event, handler, endpoint


def schedule_of(db: Database, endpoint: str) -> str:
    """The key of an endpoint's own schedule."""
    return db.key("deliveries", endpoint)


_IN_LINE = ("job_id", "kind", "state", "tag", "version", "at", "entry", "replay_of", "runs_handlers")


def _event(event_id: str, row: bytes, report: bytes) -> Event:
    """``row`` is a line of JSON and behind it the packed report, unless that is still the job's own ``report``."""
    if not row.startswith(b"["):
        return Event(**json.loads(unpack(row)))  # as earlier releases stored it
    line, _, own = row.partition(b"\n")
    fields = dict(zip(_IN_LINE, json.loads(line), strict=True))
    return Event(event_id=event_id, report=json.loads(unpack(own or report)), **fields)


def _stored(entry: dict[str, Any]) -> str:
    """A try as it is stored. One that succeeded is short, so that the run's hash stays small: start (ms), duration (ms)
    and worker."""
    short = [to_ms(entry.get("started_at")), entry.get("ms"), entry.get("worker")]
    is_usual = None not in short and _try(entry["n"], json.dumps(short)) == entry
    return json.dumps(short if is_usual else entry, separators=(",", ":"))


def _try(number: int, stored: str) -> dict[str, Any]:
    """The inverse of ``_stored``, and of what start.lua writes."""
    entry = json.loads(stored)
    if isinstance(entry, dict):
        return entry
    if len(entry) == 2:
        return {"n": number, "started_at": entry[0], "worker": entry[1]}
    started, took, worker = entry
    times = {"started_at": rfc3339(started), "ended_at": rfc3339(started + (took or 0)), "ms": took}
    return {"n": number, **times, "worker": worker, "error": None}


class Runs:
    """The runs in the store."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._schedule = db.key("runs")
        self._lookups = db.key("lookups")
        self._failures = db.key("failures")
        self._plan, self._events, self._take, self._start, self._finish, self._beat, self._hand_back = (
            script(db.client, name)
            for name in ("plan", "events", "take", "start", "finish", "beat", "hand_back")
        )

    def plan(self, wanted: Sequence[tuple[Event, Sequence[Wanted]]]) -> int:
        """Make the runs of events, for these (handler, endpoint) each; those already made stay as they are."""
        calls: list[Call] = [
            (self._plan, [], self._plan_arguments(event, each)) for event, each in wanted if each
        ]
        return sum(in_turn(self._db.client, calls))

    def _plan_arguments(self, event: Event, wanted: Sequence[Wanted]) -> list[Any]:
        arguments: list[Any] = [
            self._db.prefix,
            now_ms(),
            event.event_id,
            event.job_id,
            event.version,
            json.dumps([getattr(event, field) for field in _IN_LINE], separators=(",", ":")),
            pack(json.dumps(event.report, ensure_ascii=False, separators=(",", ":")).encode()),
            event.tag or "",
        ]
        for handler, endpoint in wanted:
            each = run_id(event.event_id, handler, endpoint)
            arguments += [each, endpoint or "", self._schedule_of(each)]
        return arguments

    def take_due(self, count: int, put_off_s: float) -> list[str]:
        """Up to ``count`` runs whose time has come, put off so that another taker sees them only if we die."""
        taken = texts(self._take(keys=[self._schedule], args=[count, int(put_off_s * 1000)]))
        if moved := [each for each in taken if self._schedule_of(each) != self._schedule]:
            self._move(moved)
        return [each for each in taken if each not in moved]

    def _move(self, ids: list[str]) -> None:
        """Earlier releases planned look-ups among the runs for workers."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(self._lookups, dict.fromkeys(ids, now_ms()), nx=True)
            pipe.zrem(self._schedule, *ids)
            pipe.execute()

    def take_lookups(self, count: int, put_off_s: float) -> list[str]:
        """As ``take_due``, of the look-ups that the relay performs itself."""
        return texts(self._take(keys=[self._lookups], args=[count, int(put_off_s * 1000)]))

    def hand_back(self, ids: list[str]) -> int:
        """Of these runs, those that were handed out and never begun are due again at once; returns how many."""
        return int(self._hand_back(keys=[self._schedule], args=[self._db.prefix, *ids]))

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
        return self._first_s(self._schedule)

    def next_lookup_s(self) -> float | None:
        return self._first_s(self._lookups)

    def _first_s(self, schedule: str) -> float | None:
        rows: Any = self._redis.zrange(schedule, 0, 0, withscores=True)
        return max(0.0, (rows[0][1] - now_ms()) / 1000) if rows else None

    def start(self, start: Start) -> int:
        """The number of the try that has begun; 0: not to be started; -1: it has just become a failure."""
        return int(in_turn(self._db.client, [self._start_call(start)])[0])

    def finish(self, end: End) -> bool:
        """End a try; false if its claim was lost meanwhile."""
        return bool(in_turn(self._db.client, [self._finish_call(end)])[0])

    def finish_and_start(self, end: End, start: Start) -> int:
        """End one try and begin that of another run, in one round trip: what ``start`` says of the latter."""
        return int(in_turn(self._db.client, [self._finish_call(end), self._start_call(start)])[1])

    def _start_call(self, start: Start) -> Call:
        held = int(start.claim_s * 1000)
        arguments = [start.run_id, held, start.tries, start.worker, rfc3339(now_ms())]
        return self._start, self.keys(start.run_id), arguments

    def _finish_call(self, end: End) -> Call:
        pause = int(end.again_in_s * 1000)
        arguments = [end.run_id, end.number, end.state, pause, _stored(end.entry)]
        return self._finish, self.keys(end.run_id), arguments

    def beat(self, each: str, number: int, claim_s: float) -> bool:
        """Prolong the claim; false if it was lost."""
        return bool(self._beat(keys=self.keys(each)[:2], args=[each, number, int(claim_s * 1000)]))

    def get(self, each: str) -> Run | None:
        row = self._redis.hgetall(self._db.key("run", each))
        return _run(each, row) if row else None

    def event(self, event_id: str) -> Event | None:
        return self.events([event_id]).get(event_id)

    def events(self, event_ids: Iterable[str]) -> dict[str, Event]:
        """Those of these events that are kept because of their runs, by id."""
        ids = list(dict.fromkeys(event_ids))
        rows: Any = self._events(args=[self._db.prefix, *ids]) if ids else []
        found = zip(ids, rows[::2], rows[1::2], strict=True)
        return {each: _event(each, row, report) for each, row, report in found if row}

    def of_job(self, job_id: str) -> list[Run]:
        return self.many(sorted(texts(self._redis.smembers(self._db.key("job_runs", job_id)))))

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
        """Each endpoint has a schedule of its own, so that one that is broken does not delay the others."""
        _, handler, endpoint = _parts(each)
        if endpoint:
            return schedule_of(self._db, endpoint)
        return self._lookups if handler == LOOKUP else self._schedule


def _run(each: str, row: Any) -> Run:
    kept = text_map(row)
    numbers = sorted(int(name[4:]) for name in kept if name.startswith("try:"))
    event, handler, endpoint = _parts(each)
    return Run(
        id=each,
        event_id=event,
        job_id=kept["job_id"],
        handler=handler,
        endpoint=endpoint or None,
        state=kept["state"],  # type: ignore[arg-type]
        tries=tuple(_try(n, kept[f"try:{n}"]) for n in numbers),
        tag=kept.get("tag") or None,
        forgiven=int(kept.get("forgiven", 0)),
        ended_at=rfc3339(float(kept["ended"])) if "ended" in kept else None,
        note=kept.get("note"),
        acts=tuple(json.loads(kept.get("acts", "[]"))),
    )
