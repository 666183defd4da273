"""The migration of schemas 2 to 5: fewer keys, short forms, and long values compressed with the dictionary.

A job's report and history become one list, and its hash gets short values; runs become fields of their event (4);
indexes get short names (6). Values that earlier releases compressed with zlib stay as they are: ``unpack`` reads both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from app.ci.report import Report
from app.core.clock import to_ms
from app.redis.scripts import Call, decoded, decoded_all, in_turn, script
from app.store.accept.identity import seen_as
from app.store.database import Database
from app.store.events.event import Event, line_of
from app.store.jobs import index
from app.store.jobs.entries import number_of, stored_entry
from app.store.members import member_of
from app.store.packing.packing import pack, unpack
from app.store.runs.run import stored_run
from app.store.submissions.submissions import request_of

_TRIES = 5
_WAITING_MAX = 1000
Hash = dict[bytes, bytes]


class StoredLayout:
    """The steps of the migration. Each is idempotent; what changes during a step is read again."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._submission = script(db.client, "migrate_submission")
        self._index_names = script(db.client, "record", "migrate_indexes")
        self._record, self._runs = (
            script(db.client, "unchanged", name) for name in ("migrate_record", "migrate_runs")
        )

    def migrate_submissions(self, ids: list[str]) -> None:
        self._until_done(lambda: self._submission_calls(ids))

    def migrate_jobs(self, ids: list[str]) -> None:
        self._until_done(lambda: self._record_calls(ids))
        self._until_done(lambda: self._run_calls(ids))
        in_turn(self._db.client, [(self._index_names, [], [self._db.prefix, each]) for each in ids])

    def jobs_with_earlier_runs(self) -> Iterator[list[str]]:
        """Jobs with waiting runs that a process of an earlier release has planned since."""
        endpoints = decoded_all(self._db.client.smembers(self._db.key("endpoints")))
        for schedule in (self._db.key("runs"), *(self._db.key("deliveries", each) for each in endpoints)):
            pipe = self._db.client.pipeline(transaction=False)
            for run in decoded_all(self._db.client.zrange(schedule, 0, _WAITING_MAX - 1)):
                pipe.hget(self._earlier("run", run), "job_id")
            if ids := sorted({decoded(found) or "" for found in pipe.execute()} - {""}):
                yield ids

    def _until_done(self, calls: Callable[[], Iterable[Call]]) -> None:
        for _ in range(_TRIES):
            if all(in_turn(self._db.client, list(calls()))):
                return

    def _earlier(self, kind: str, each: str) -> str:
        """A key of earlier releases."""
        return f"{self._db.prefix}{kind}:{each}"

    def _submission_calls(self, ids: list[str]) -> Iterator[Call]:
        pipe = self._db.client.pipeline(transaction=False)
        for each in ids:
            pipe.hmget(self._db.key("submission", each), "labels", "facts")
        for each, (labels, facts) in zip(ids, pipe.execute() if ids else (), strict=True):
            if labels is not None and facts is not None:
                request = request_of(json.loads(facts)) | {"labels": json.loads(labels)}
                yield self._submission, [], [self._db.prefix, each, labels, facts, pack(_json(request))]

    def _record_calls(self, ids: list[str]) -> Iterator[Call]:
        pipe = self._db.client.pipeline(transaction=False)
        for each in ids:
            pipe.hgetall(self._db.key("job", each))
            pipe.lrange(self._earlier("history", each), 0, -1)
            pipe.lrange(self._db.key("record", each), 0, -1)
            pipe.get(self._earlier("report", each))
        answers = pipe.execute() if ids else []
        for each, job, lines, record, packed in zip(ids, *(answers[n::4] for n in range(4)), strict=True):
            if b"report" in job or lines or packed is not None:
                was = _flat(job), lines, record, [] if packed is None else [packed]
                words = _listed([member_of(each)], *was, *_record(job, lines, record, packed))
                yield self._record, [], [self._db.prefix, each, *words]

    def _run_calls(self, ids: list[str]) -> Iterator[Call]:
        pipe = self._db.client.pipeline(transaction=False)
        for each in ids:
            pipe.smembers(self._earlier("job_runs", each))
        for each, runs in zip(ids, pipe.execute() if ids else (), strict=True):
            if runs:
                yield self._runs, [], [self._db.prefix, each, *self._of_runs(each, sorted(runs))]

    def _of_runs(self, job_id: str, runs: list[bytes]) -> Iterator[Any]:
        pipe = self._db.client.pipeline(transaction=False)
        for each in runs:
            pipe.hgetall(self._earlier("run", each.decode()))
            pipe.get(self._earlier("event", _event_of(each)))
        pipe.lindex(self._db.key("record", job_id), 0)
        *answers, of_job = pipe.execute()
        for each, run, event in zip(runs, answers[::2], answers[1::2], strict=True):
            kept, report = _kept(job_id, event, of_job)
            event_id = _event_of(each)
            fields = stored_run(each.decode(), _text(run)) if run else {}
            yield from _listed(
                [each, bytes.fromhex(event_id), event_id], _flat(run), _flat(fields), _flat(kept), report
            )


def _event_of(run: bytes) -> str:
    return run.partition(b"|")[0].decode()


_IN_LINE = ("job_id", "kind", "state", "tag", "version", "at", "entry", "replay_of", "runs_handlers")
"""The fields of an event in schema 3. Its report follows that line, unless it is the job's."""


def _kept(job_id: str, stored: bytes | None, of_job: bytes | None) -> tuple[dict[str, str], list[bytes]]:
    """The fields of an event that are kept beside its runs, and its report; of an expired event only its job."""
    if stored is None:
        return {"job": job_id}, []
    if stored.startswith(b"["):
        line, _, own = stored.partition(b"\n")
        fields, report = dict(zip(_IN_LINE, json.loads(line), strict=True)), own or of_job or b""
    else:
        fields = json.loads(unpack(stored))
        report = pack(_json(fields["report"]))
    event = Event(**(fields | {"event_id": "", "report": {}}))
    replay = {"replay_of": event.replay_of} if event.replay_of else {}
    return {"job": job_id, "line": line_of(event), **replay}, [report]


_ELSEWHERE = {b"report", b"idx", b"claim", b"event"}


def _record(job: Hash, lines: list[bytes], record: list[bytes], packed: bytes | None) -> Iterator[list[Any]]:
    """The new hash and the new record, the indexes to remove the job from, and those to add it to."""
    short = {
        _renamed(name): value
        for name, value in job.items()
        if name not in _ELSEWHERE and not name.startswith(b"i:")
    }
    if updated := to_ms(job.get(b"updated", b"").decode()):
        short[b"updated"] = str(updated).encode()
    report = job.get(b"report") or (unpack(packed) if packed else None)
    left, places = _indexes(job)
    if report:
        places = index.places(Report.from_json(report))
    if claim := _claim(job):
        short[b"claim"] = claim
    if places:
        short[b"idx"] = places.encode()
    entries = [*record[1:], *(stored_entry(json.loads(line)) for line in lines)]
    first = packed or (pack(report) if report else record[0] if record else b"")
    yield _flat(short)
    yield [first, *sorted(entries, key=number_of)]
    yield [f"index:{name}" for name in left]
    yield [f"index:{name}" for name in index.names_at(places)]


def _indexes(job: Hash) -> tuple[list[str], str]:
    """The indexes that it is in: their names in earlier schemas, and in this one."""
    stored = job.get(b"idx", b"").decode()
    if stored.startswith("["):
        return json.loads(stored), ""
    earlier = {name.decode(): value.decode() for name, value in job.items() if name.startswith(b"i:")}
    return [f"{name.removeprefix('i:')}:{value}" for name, value in earlier.items()], stored


def _claim(job: Hash) -> bytes | None:
    """What remains of a job if its claim proves wrong."""
    if b"claim" not in job:
        return None
    claim = json.loads(job[b"claim"])
    return _json(claim | {"idx": index.places(Report.from_json(claim["report"]))})


def _renamed(field: bytes) -> bytes:
    """The short name of a field that remembers a content or an end."""
    is_seen = field.startswith(b"d:") and len(field) > len(b"d:") + 12
    return b"d:" + seen_as(field[2:].decode()).encode() if is_seen else field


def _listed(*lists: list[Any]) -> Iterator[Any]:
    """The items of each list, after its length."""
    for each in lists:
        yield len(each)
        yield from each


def _flat(fields: dict[Any, Any]) -> list[Any]:
    return [word for pair in fields.items() for word in pair]


def _text(fields: Hash) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
