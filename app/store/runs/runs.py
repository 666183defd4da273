"""Runs: one handler (and endpoint) for one event, with its tries. Tries are counted here; RQ only carries ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.core.clock import now_ms, rfc3339
from app.core.event_kinds import TROUBLES
from app.redis.scripts import Call, decoded_all, in_turn, script, text_map
from app.store.database import Database
from app.store.events.event import Event, RunTarget, line_of, read_event, short_request
from app.store.members import job_of, member_of
from app.store.packing.packing import pack
from app.store.runs.run import (
    FRESH,
    End,
    Run,
    Start,
    field_of,
    parts_of,
    read_run,
    run_id,
    runs_in,
    stored_try,
)
from app.store.schedules.schedules import Schedules
from app.store.tallies.tallies import bucket_of

_WOULD_FAIL = -2
"""The answer of start.lua if the run is out of tries."""


class Runs:
    """The runs in the store."""

    def __init__(self, db: Database, schedules: Schedules) -> None:
        self._db = db
        self._redis = db.client
        self._schedules = schedules
        self._failures = db.key("failures")
        self._declared = db.key("handlers")
        self._events = script(db.client, "record", "events")
        self._plan, self._beat = (script(db.client, "run", name) for name in ("plan", "beat"))
        self._start, self._finish = (
            script(db.client, "record", "event", "run", "run_failed", name) for name in ("start", "finish")
        )

    def declare(self, handlers: Sequence[str]) -> None:
        """Store the names of the handlers that this relay makes runs for, in place of those of earlier relays."""
        pipe = self._redis.pipeline()
        pipe.delete(self._declared)
        if handlers:
            pipe.sadd(self._declared, *handlers)
        pipe.execute()

    def declared(self) -> list[str]:
        """The names of these handlers; none before a relay has started."""
        return sorted(decoded_all(self._redis.smembers(self._declared)))

    def plan(
        self, wanted: Sequence[tuple[Event, Sequence[RunTarget]]], lanes: Mapping[str, str] | None = None
    ) -> int:
        """Make a run for each event and target; runs that exist already stay as they are. ``lanes``: the lane by
        handler, for those that are not in the default one. Returns how many were made."""
        calls: list[Call] = [
            (self._plan, [], self._plan_arguments(event, each, lanes or {})) for event, each in wanted if each
        ]
        return sum(in_turn(self._db.client, calls))

    def _plan_arguments(
        self, event: Event, wanted: Sequence[RunTarget], lanes: Mapping[str, str]
    ) -> list[Any]:
        arguments: list[Any] = [
            self._db.prefix,
            event.event_id,
            bytes.fromhex(event.event_id),
            event.job_id,
            member_of(event.job_id),
            event.version,
            pack(json.dumps(event.report, ensure_ascii=False, separators=(",", ":")).encode()),
            event.replay_of or "",
            line_of(event),
            event.submission or "",
            json.dumps(event.details, ensure_ascii=False) if event.details else "",
            short_request(event.request_id or ""),
            event.traceparent or "",
        ]
        for handler, endpoint in wanted:
            each = run_id(event.event_id, handler, endpoint)
            lane = "" if endpoint else lanes.get(handler, "")
            schedule = self._schedules.of_lane(lane) if lane else self._schedules.of_run(each)
            arguments += [each, endpoint or "", schedule, self._burst_of(event, each), lane]
        return arguments

    def started_before(self, ids: list[str]) -> list[bool]:
        """For each run, whether it has been tried before."""
        pipe = self._redis.pipeline(transaction=False)
        for each in ids:
            pipe.hget(event_key(self._db, each), field_of("run", each))
        return [bool(run) and run != FRESH for run in pipe.execute()]

    def start(self, start: Start) -> int:
        """Begin a try. Returns its number; 0 if it may not start now; -1 if it has just become a failure."""
        return self._begun(start, int(in_turn(self._db.client, [self._start_call(start)])[0]))

    def finish(self, end: End) -> bool:
        """End a try; false if its lease was lost before."""
        return bool(in_turn(self._db.client, [self._finish_call(end)])[0])

    def finish_and_start(self, end: End, start: Start) -> int:
        """End one try and begin that of another run, in one round trip. Returns what ``start`` returns."""
        _, number = in_turn(self._db.client, [self._finish_call(end), self._start_call(start)])
        return self._begun(start, int(number))

    def _begun(self, start: Start, number: int) -> int:
        if number != _WOULD_FAIL:
            return number
        call, keys, arguments = self._start_call(start)
        return int(
            in_turn(
                self._db.client, [(call, keys, [*arguments, "fail", self.repeated_report(start.run_id)])]
            )[0]
        )

    def repeated_report(self, each: str) -> str:
        """The report (JSON) that the event of this run's failure repeats; empty if it makes no event."""
        event = self.event(parts_of(each)[0])
        return "" if event is None or event.kind in TROUBLES else json.dumps(event.report, ensure_ascii=False)

    def _start_call(self, start: Start) -> Call:
        held = int(start.lease_s * 1000)
        arguments = [start.run_id, held, start.tries, start.worker, rfc3339(now_ms()), start.holder]
        return self._start, self.keys(start.run_id), arguments

    def _finish_call(self, end: End) -> Call:
        pause = int(end.again_in_s * 1000)
        arguments = [end.run_id, end.number, end.state, pause, stored_try(end.entry), rfc3339(now_ms())]
        arguments.append(self.repeated_report(end.run_id) if end.state == "failed" else "")
        took = int(end.entry.get("ms") or 0)
        arguments += [took, bucket_of(took)]
        return self._finish, self.keys(end.run_id), arguments

    def beat(self, each: str, number: int, lease_s: float) -> bool:
        """Renew the lease; false if it was lost."""
        return bool(self._beat(keys=self.keys(each)[:2], args=[each, number, int(lease_s * 1000)]))

    def get(self, each: str) -> Run | None:
        return self._found([each])[0]

    def event(self, event_id: str) -> Event | None:
        return self.events([event_id]).get(event_id)

    def events(self, event_ids: Iterable[str]) -> dict[str, Event]:
        """The events among these that are still stored, which they are while they have runs; by id."""
        ids = list(dict.fromkeys(event_ids))
        rows: Any = self._events(args=[self._db.prefix, *ids]) if ids else []
        found = zip(ids, zip(*[iter(rows)] * 8, strict=True), strict=True)
        return {each: read_event(each, *row) for each, row in found if row[0]}

    def of_job(self, job_id: str) -> list[Run]:
        fields: Any = self._redis.hkeys(self._db.key("job", job_id))
        events = [field[2:].hex() for field in fields if field.startswith(b"e:")]
        kept = self._hashes(events)
        runs = [read_run(each, kept[event]) for event in events for each in runs_in(event, kept[event])]
        return sorted(runs, key=lambda run: run.id)

    def of_event(self, event_id: str) -> list[Run]:
        kept = self._hashes([event_id])[event_id]
        return [read_run(each, kept) for each in sorted(runs_in(event_id, kept))]

    def many(self, ids: list[str]) -> list[Run]:
        """The runs among these that exist."""
        return [run for run in self._found(ids) if run]

    def _found(self, ids: list[str]) -> list[Run | None]:
        kept = self._hashes(parts_of(each)[0] for each in ids)
        return [
            read_run(each, row) if field_of("run", each) in (row := kept[parts_of(each)[0]]) else None
            for each in ids
        ]

    def _hashes(self, event_ids: Iterable[str]) -> dict[str, dict[str, str]]:
        """The hashes of events with their runs, by event id."""
        ids = list(dict.fromkeys(event_ids))
        pipe = self._redis.pipeline(transaction=False)
        for each in ids:
            pipe.hgetall(self._db.key("runs_of", each))
        return dict(zip(ids, map(_as_text, pipe.execute() if ids else ()), strict=True))

    def keys(self, each: str) -> list[str]:
        """The keys of the scripts: the event that holds the run, its schedule, and the failures."""
        return [event_key(self._db, each), self._schedules.of_run(each), self._failures]

    def _burst_of(self, event: Event, each: str) -> str:
        """The key under which runs for events of that kind are merged; empty for news, which is never merged. Events
        ``run_failed`` are merged by the handler that failed."""
        if event.kind not in TROUBLES:
            return ""
        source = [(event.details or {}).get(name) for name in ("handler", "endpoint")]
        name = json.dumps([event.kind, *source, each.partition("|")[2]])
        return self._db.key("burst", hashlib.sha256(name.encode()).hexdigest()[:16])


def _as_text(row: dict[bytes, bytes]) -> dict[str, str]:
    """The hash of an event, its runs with it, but for its request."""
    job = {"job": job_of(row[b"job"])} if b"job" in row else {}
    return text_map({name: value for name, value in row.items() if name not in {b"job", b"request"}}) | job


def event_key(db: Database, each: str) -> str:
    """The key of the event whose hash holds that run."""
    return db.key("runs_of", parts_of(each)[0])
