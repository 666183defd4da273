"""Runs: one handler (and endpoint) for one event, with its tries. The record owns the tries; RQ only carries ids.

The schedule is one sorted set: a run stands in it at the time at which it is looked at again. For a run
that waits that is its due time, for one that runs it is the end of its claim, which its worker keeps prolonging.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.core.clock import now_ms, rfc3339, time_of, to_ms
from app.core.event_kinds import TROUBLES
from app.redis.scripts import Call, decoded_all, in_turn, script, text_map
from app.settings.lanes import DEFAULT_LANE
from app.store.database import Database
from app.store.packing.packing import pack, unpack
from app.store.tallies.tallies import bucket_of

RunTarget = tuple[str, str | None]
"""The name of a handler, and of an endpoint for deliveries."""
OUTPUTS_HANDLER = "check_outputs"
"""The handler whose runs the relay performs: it only waits for COS."""
RunState = Literal["waiting", "running", "done", "failed", "dismissed"]
_WOULD_FAIL = -2
"""As start.lua answers where a run is out of tries."""


@dataclass(frozen=True, slots=True)
class Only:
    """One handler, or one endpoint of ``forward``, by its name; with neither, none."""

    handler: str | None = None
    endpoint: str | None = None

    def means(self, target: RunTarget) -> bool:
        handler, endpoint = target
        return handler == self.handler or endpoint == self.endpoint is not None

    def __str__(self) -> str:
        if self.handler:
            return f"handler {self.handler}"
        return f"endpoint {self.endpoint}" if self.endpoint else "none"

    @classmethod
    def read(cls, text: str) -> Only:
        """The inverse of ``str``."""
        kind, _, name = text.partition(" ")
        return cls(handler=name or None) if kind == "handler" else cls(endpoint=name or None)


@dataclass(frozen=True, slots=True)
class Event:
    """An entry that changed a job, or a replay. Handlers run at least once: be idempotent by ``event_id``. ``only`` is
    for whom alone it is; any other handler or endpoint ignores it."""

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
    labels: dict[str, str] = field(default_factory=dict)
    """Those of the submission."""
    only: Only | None = None
    details: dict[str, Any] | None = None
    """What went wrong, for an event about trouble (docs/events.md has the members by kind)."""
    submission: str | None = None
    """The submission's id where there is no job: then ``job_id`` is empty, and handlers get ``None`` as the job."""
    count: int = 1
    """How many events of this kind the handler is called for: in a burst, once a minute for all of them."""
    request_id: str | None = None
    """Of the request that brought the news: logs name it."""
    traceparent: str | None = None
    """The trace that this request was part of (W3C)."""

    @property
    def media(self) -> dict[str, Any] | None:
        """What CI says of the file that the job made."""
        return self.report.get("media")

    @property
    def result(self) -> dict[str, Any] | None:
        """What the job found out, for tags whose product is not only a file."""
        return self.report.get("result")


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it stands; ``tries`` are the tries so far, oldest first.

    ``forgiven`` is how many of them no longer count, since someone asked for new ones; ``acts`` says who did, and when.
    ``count`` is how many events of a burst it stands for. ``job_id`` is empty for that of a submission without a job.
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
    count: int = 1
    ended_at: str | None = None
    note: str | None = None
    acts: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is due and not handed out, and for how long (seconds) the oldest of it has been."""

    due: int
    oldest_s: float


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


_IN_LINE = ("kind", "state", "tag", "version", "at", "entry", "runs_handlers")


def line_of(event: Event) -> str:
    """What is kept of an event beside its job and its report."""
    values = [getattr(event, field) for field in _IN_LINE]
    at = to_ms(event.at)
    values[4] = at if at and rfc3339(at) == event.at else event.at
    return json.dumps(values[:-1] if event.runs_handlers else values, separators=(",", ":"))


def _event(
    event_id: str,
    line: bytes,
    job_id: bytes,
    replay_of: bytes,
    report: bytes,
    details: bytes,
    submission: bytes,
    request_id: bytes,
    traceparent: bytes,
) -> Event:
    """The inverse of ``line_of``."""
    fields = dict(zip(_IN_LINE, json.loads(line), strict=False))
    if isinstance(fields["at"], int):
        fields["at"] = rfc3339(fields["at"])
    return Event(
        event_id=event_id,
        job_id=job_id.decode(),
        report=json.loads(unpack(report)) if report else {},
        replay_of=replay_of.decode() or None,
        details=json.loads(details) if details else None,
        submission=submission.decode() or None,
        request_id=request_id.decode() or None,
        traceparent=traceparent.decode() or None,
        **fields,
    )


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
        return entry | ({"started_at": time_of(str(entry["started_at"]))} if "started_at" in entry else {})
    if len(entry) == 2:
        started, worker = entry
        return {"n": number, "started_at": time_of(str(started)), "worker": worker}
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
        self._declared = db.key("handlers")
        self._events, self._take = (script(db.client, name) for name in ("events", "take"))
        self._plan, self._beat, self._hand_back = (
            script(db.client, "run", name) for name in ("plan", "beat", "hand_back")
        )
        self._start, self._finish = (
            script(db.client, "run", "run_failed", name) for name in ("start", "finish")
        )

    def declare(self, handlers: Sequence[str]) -> None:
        """The handlers that this relay makes runs for; the newest relay's word counts."""
        pipe = self._redis.pipeline()
        pipe.delete(self._declared)
        if handlers:
            pipe.sadd(self._declared, *handlers)
        pipe.execute()

    def declared(self) -> list[str]:
        """Their names; none before a relay has started."""
        return sorted(decoded_all(self._redis.smembers(self._declared)))

    def plan(
        self, wanted: Sequence[tuple[Event, Sequence[RunTarget]]], lanes: Mapping[str, str] | None = None
    ) -> int:
        """Make the runs of events, for these (handler, endpoint) each; those already made stay as they are. ``lanes``
        are those of handlers that are not in the default one."""
        calls: list[Call] = [
            (self._plan, [], self._plan_arguments(event, each, lanes or {})) for event, each in wanted if each
        ]
        return sum(in_turn(self._db.client, calls))

    def _plan_arguments(
        self, event: Event, wanted: Sequence[RunTarget], lanes: Mapping[str, str]
    ) -> list[Any]:
        arguments: list[Any] = [
            self._db.prefix,
            now_ms(),
            event.event_id,
            bytes.fromhex(event.event_id),
            event.job_id,
            event.version,
            pack(json.dumps(event.report, ensure_ascii=False, separators=(",", ":")).encode()),
            event.replay_of or "",
            line_of(event),
            event.submission or "",
            json.dumps(event.details, ensure_ascii=False) if event.details else "",
            event.request_id or "",
            event.traceparent or "",
        ]
        for handler, endpoint in wanted:
            each = run_id(event.event_id, handler, endpoint)
            lane = "" if endpoint else lanes.get(handler, "")
            schedule = self._of_lane(lane) if lane else self._schedule_of(each)
            arguments += [each, endpoint or "", schedule, self._burst_of(event, each), lane]
        return arguments

    def take_due(self, count: int, put_off_s: float, lane: str = DEFAULT_LANE) -> list[str]:
        """Up to ``count`` runs whose time has come, put off so that another taker sees them only if we die."""
        schedule = self._of_lane(lane)
        taken = decoded_all(self._take(keys=[schedule], args=[count, int(put_off_s * 1000)]))
        if lane != DEFAULT_LANE:
            return taken
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
        return decoded_all(self._take(keys=[self._lookups], args=[count, int(put_off_s * 1000)]))

    def hand_back(self, ids: list[str]) -> int:
        """Of these runs, those that were handed out and never begun are due again at once; returns how many."""
        return int(self._hand_back(keys=[self._schedule], args=[self._db.prefix, *ids]))

    def started_before(self, ids: list[str]) -> list[bool]:
        """For each run, whether it has been tried already."""
        pipe = self._redis.pipeline(transaction=False)
        for each in ids:
            pipe.hget(event_key(self._db, each), _field("run", each))
        return [bool(run) and run != _FRESH for run in pipe.execute()]

    def next_due_s(self, lane: str = DEFAULT_LANE) -> float | None:
        """Seconds until the lane's next run is due; ``None`` if none is planned."""
        return self._first_s(self._of_lane(lane))

    def planned(self, lane: str) -> int:
        """How many runs of the lane are due, run now, or are tried again later."""
        return int(self._redis.zcard(self._of_lane(lane)))

    def _of_lane(self, lane: str) -> str:
        return self._schedule if lane == DEFAULT_LANE else self._db.key("lane", lane)

    def next_lookup_s(self) -> float | None:
        return self._first_s(self._lookups)

    def backlog(self, lane: str = DEFAULT_LANE) -> Backlog:
        """Of the runs for workers of that lane."""
        return self._backlog(self._of_lane(lane))

    def lookups_backlog(self) -> Backlog:
        """Of the look-ups, which wait for a free thread of a relay."""
        return self._backlog(self._lookups)

    def _backlog(self, schedule: str) -> Backlog:
        now = now_ms()
        pipe = self._redis.pipeline(transaction=False)
        pipe.zcount(schedule, "-inf", now)
        pipe.zrange(schedule, 0, 0, withscores=True)
        due, rows = pipe.execute()
        return Backlog(due, max(0.0, (now - rows[0][1]) / 1000) if rows else 0.0)

    def _first_s(self, schedule: str) -> float | None:
        rows: Any = self._redis.zrange(schedule, 0, 0, withscores=True)
        return max(0.0, (rows[0][1] - now_ms()) / 1000) if rows else None

    def start(self, start: Start) -> int:
        """The number of the try that has begun; 0: not to be started; -1: it has just become a failure."""
        return self._begun(start, int(in_turn(self._db.client, [self._start_call(start)])[0]))

    def finish(self, end: End) -> bool:
        """End a try; false if its claim was lost meanwhile."""
        return bool(in_turn(self._db.client, [self._finish_call(end)])[0])

    def finish_and_start(self, end: End, start: Start) -> int:
        """End one try and begin that of another run, in one round trip: what ``start`` says of the latter."""
        _, number = in_turn(self._db.client, [self._finish_call(end), self._start_call(start)])
        return self._begun(start, int(number))

    def _begun(self, start: Start, number: int) -> int:
        if number != _WOULD_FAIL:
            return number
        call, keys, arguments = self._start_call(start)
        return int(
            in_turn(self._db.client, [(call, keys, [*arguments, "fail", self.told_report(start.run_id)])])[0]
        )

    def told_report(self, each: str) -> str:
        """The report (JSON) that the event of this run's failure repeats; empty if it makes no event."""
        event = self.event(_parts(each)[0])
        return "" if event is None or event.kind in TROUBLES else json.dumps(event.report, ensure_ascii=False)

    def _start_call(self, start: Start) -> Call:
        held = int(start.claim_s * 1000)
        arguments = [start.run_id, held, start.tries, start.worker, rfc3339(now_ms())]
        return self._start, self.keys(start.run_id), arguments

    def _finish_call(self, end: End) -> Call:
        pause = int(end.again_in_s * 1000)
        arguments = [end.run_id, end.number, end.state, pause, _stored(end.entry), rfc3339(now_ms())]
        arguments.append(self.told_report(end.run_id) if end.state == "failed" else "")
        took = int(end.entry.get("ms") or 0)
        arguments += [took, bucket_of(took)]
        return self._finish, self.keys(end.run_id), arguments

    def beat(self, each: str, number: int, claim_s: float) -> bool:
        """Prolong the claim; false if it was lost."""
        return bool(self._beat(keys=self.keys(each)[:2], args=[each, number, int(claim_s * 1000)]))

    def get(self, each: str) -> Run | None:
        return self._found([each])[0]

    def event(self, event_id: str) -> Event | None:
        return self.events([event_id]).get(event_id)

    def events(self, event_ids: Iterable[str]) -> dict[str, Event]:
        """Those of these events that are kept because of their runs, by id."""
        ids = list(dict.fromkeys(event_ids))
        rows: Any = self._events(args=[self._db.prefix, *ids]) if ids else []
        found = zip(ids, zip(*[iter(rows)] * 8, strict=True), strict=True)
        return {each: _event(each, *row) for each, row in found if row[0]}

    def of_job(self, job_id: str) -> list[Run]:
        fields: Any = self._redis.hkeys(self._db.key("job", job_id))
        events = [field[2:].hex() for field in fields if field.startswith(b"e:")]
        kept = self._hashes(events)
        runs = [_run(each, kept[event]) for event in events for each in _ids(event, kept[event])]
        return sorted(runs, key=lambda run: run.id)

    def of_event(self, event_id: str) -> list[Run]:
        kept = self._hashes([event_id])[event_id]
        return [_run(each, kept) for each in sorted(_ids(event_id, kept))]

    def many(self, ids: list[str]) -> list[Run]:
        """Those of these runs that are (still) there."""
        return [run for run in self._found(ids) if run]

    def _found(self, ids: list[str]) -> list[Run | None]:
        kept = self._hashes(_parts(each)[0] for each in ids)
        return [
            _run(each, row) if _field("run", each) in (row := kept[_parts(each)[0]]) else None for each in ids
        ]

    def _hashes(self, event_ids: Iterable[str]) -> dict[str, dict[str, str]]:
        """Events with their runs, as they are stored."""
        ids = list(dict.fromkeys(event_ids))
        pipe = self._redis.pipeline(transaction=False)
        for each in ids:
            pipe.hgetall(self._db.key("runs_of", each))
        return dict(zip(ids, map(text_map, pipe.execute() if ids else ()), strict=True))

    def keys(self, each: str) -> list[str]:
        """Of the event that holds the run, of its schedule, and of the failures: what the scripts work on."""
        return [event_key(self._db, each), self._schedule_of(each), self._failures]

    def _schedule_of(self, each: str) -> str:
        """Each endpoint has a schedule of its own, so that one that is broken does not delay the others."""
        _, handler, endpoint = _parts(each)
        if endpoint:
            return schedule_of(self._db, endpoint)
        return self._lookups if handler == OUTPUTS_HANDLER else self._schedule

    def _burst_of(self, event: Event, each: str) -> str:
        """The key under which runs for events of that kind are merged; empty for news, of which each one counts. Runs
        that fail are merged for each handler by itself."""
        if event.kind not in TROUBLES:
            return ""
        source = [(event.details or {}).get(name) for name in ("handler", "endpoint")]
        name = json.dumps([event.kind, *source, each.partition("|")[2]])
        return self._db.key("burst", hashlib.sha256(name.encode()).hexdigest()[:16])


def event_key(db: Database, each: str) -> str:
    """The key of the event whose hash holds that run."""
    return db.key("runs_of", _parts(each)[0])


def _field(name: str, each: str) -> str:
    """The field of an event's hash: as run.lua."""
    return f"{name}|{each.partition('|')[2]}"


def _ids(event: str, kept: dict[str, str]) -> list[str]:
    return [f"{event}{field.removeprefix('run')}" for field in kept if field.startswith("run|")]


_FRESH = b"waiting 0"
"""A run as plan.lua makes it."""
_STORED = re.compile(
    r"(?P<state>\w+) (?P<tries>\d+)(?: e(?P<ended>\d+))?(?: f(?P<forgiven>\d+))?(?: (?P<last>.*))?",
    re.DOTALL,
)
"""As run.lua writes it."""


def stored_run(each: str, run: dict[str, str]) -> dict[str, str]:
    """The fields of an event's hash for a run that an earlier release stored in a hash of its own."""
    state, number = run["state"], int(run["tries"])
    words = [state, str(number)]
    for letter, name in (("e", "ended"), ("f", "forgiven")):
        if run.get(name, "0") != "0" and not (name == "ended" and state == "done"):
            words.append(letter + run[name])
    if last := run.get(f"try:{number}"):
        words.append(last)
    others = {f"try:{n}": f"try:{n}" for n in range(1, number)}
    others |= {"acts": "acts", "note": "note", "until": "lease"}
    return {_field("run", each): " ".join(words)} | {
        _field(others[name], each): value for name, value in run.items() if name in others
    }


def _run(each: str, kept: dict[str, str]) -> Run:
    """A run, from the hash of its event."""
    event, handler, endpoint = _parts(each)
    stored = _STORED.fullmatch(kept[_field("run", each)])
    if stored is None:
        raise ValueError(f"the run {each} cannot be read")
    number, state = int(stored["tries"]), stored["state"]
    earlier = ((n, kept.get(_field(f"try:{n}", each))) for n in range(1, number))
    tries = [_try(n, found) for n, found in (*earlier, (number, stored["last"])) if found]
    ended = rfc3339(int(stored["ended"])) if stored["ended"] else None
    return Run(
        id=each,
        event_id=event,
        job_id=kept["job"],
        handler=handler,
        endpoint=endpoint or None,
        state=state,  # type: ignore[arg-type]
        tries=tuple(tries),
        tag=json.loads(kept["line"])[_IN_LINE.index("tag")] if "line" in kept else None,
        forgiven=int(stored["forgiven"] or 0),
        count=1 + int(kept.get(_field("more", each), 0)),
        ended_at=tries[-1].get("ended_at") if state == "done" and tries else ended,
        note=kept.get(_field("note", each)),
        acts=tuple(json.loads(kept.get(_field("acts", each), "[]"))),
    )
