"""Reading jobs: one, or a page of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from app.ci.matching.asked import Asked
from app.ci.matching.bound import are_in, were_asked_for
from app.ci.report import Input, Output, Report, Template, Workflow
from app.core.clock import now_ms, time_of, to_ms
from app.redis.cursors import decode_cursor, encode_cursor
from app.redis.scripts import decoded
from app.store.database import Database
from app.store.jobs import index
from app.store.jobs.entries import read_entry
from app.store.members import job_of, member_of
from app.store.outputs.checks import LOOKED_UP, merged
from app.store.packing.packing import unpack
from app.store.runs.runs import Event

# How many index entries one page may look at before it is handed out short.
_SCAN_MAX = 2000
_CHUNK = 200
_FIELDS = (
    "submission", "verification", "source", "version", "updated", "raw", "deadline", "created", "rank",
    "check", "doubt", "digest", "outputs_unasked",
)  # fmt: skip
_OF_SUBMISSION = ("submitted_at", "callback", "deadline")
_IN_LIST = 100
"""Outputs of a job that a list shows."""

BodyView = Callable[[bytes, int], dict[str, Any]]
"""Makes the JSON view of the JobsDetail at that position of a body."""


class Submitted(BaseModel):
    """What a job's record says of our own submission. ``deadline`` is when its silence becomes ``overdue``."""

    model_config = ConfigDict(frozen=True)

    id: str
    submitted_at: str | None
    callback: Literal["own", "foreign", "no", "queue"] | None
    deadline: str | None
    overdue: bool


class Reported(BaseModel):
    """What a callback reported that contradicts what is known."""

    model_config = ConfigDict(frozen=True)

    state: str | None
    code: str | None
    ended_at: str | None


class Doubt(BaseModel):
    """Two sources contradict each other: ``reason`` says how. CI is asked; until it has answered, or a person has
    settled it, the job keeps the state that was known. ``asked_at`` is when CI was asked last."""

    model_config = ConfigDict(frozen=True)

    reason: str
    since: str
    reported: Reported
    asked_at: str | None


Unchecked = Literal["not_confirmed", "not_askable", "unknown_to_ci", "too_many"]
"""Why outputs are not looked up: only a callback named them, and CI is being asked (``not_confirmed``), cannot be asked
about them, or does not know the job; or they are more than are looked up."""


class Job(BaseModel):
    """The normalized job: what CI reported (the fields of ``Report``), and what we know about how we know it. In a list
    ``outputs`` are the first hundred of ``outputs_count``."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    tag: str | None = None
    state: str | None = None
    terminal: bool = False
    progress: int | None = None
    code: str | None = None
    message: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    queue_id: str | None = None
    queue_type: str | None = None
    input: Input | None = None
    template: Template | None = None
    outputs: tuple[Output, ...] = ()
    outputs_ok: bool | None = None
    user_data: str | None = None
    job_level: int | None = None
    workflow: Workflow | None = None
    doubt: Doubt | None
    submission: Submitted | None
    verification: str | None
    source: str | None
    version: int
    updated_at: str
    outputs_count: int
    outputs_unchecked: Unchecked | None
    raw: dict[str, Any] | None

    @property
    def report(self) -> Report:
        """The part that CI reported."""
        return Report(**{name: getattr(self, name) for name in Report.__struct_fields__})


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds of one job: its report, its other fields, its submission's fields and what was asked there,
    and the JSON view of the bytes that its report was made of."""

    report: dict[str, Any] | None
    fields: dict[str, str | None]
    submission: dict[str, str | None]
    facts: dict[str, Any] | None
    raw: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs to list. Times are milliseconds since 1970; ``overdue`` is true, false or any."""

    equal: tuple[tuple[str, str], ...] = ()
    overdue: bool | None = None
    created_after: int | None = None
    created_before: int | None = None


class Page(BaseModel):
    """One page of jobs, newest first. It may be short; only a ``next_cursor`` of ``None`` is the end."""

    model_config = ConfigDict(frozen=True)

    jobs: tuple[Job, ...]
    next_cursor: str | None


class Jobs:
    """The jobs in the store."""

    def __init__(
        self, db: Database, trusted: frozenset[str] = frozenset(), view: BodyView | None = None
    ) -> None:
        """``trusted`` are buckets whose objects need no confirmation by CI. Without ``view`` jobs have no ``raw``."""
        self._db = db
        self._view = view
        self._redis = db.client
        self._trusted = trusted

    def exists(self, job_id: str) -> bool:
        return bool(self._redis.exists(self._db.key("job", job_id)))

    def get(self, job_id: str, *, raw: bool = True) -> Job | None:
        """The job, with its raw payload unless that is not wanted; ``None`` if it is not known."""
        known = self.known([job_id], raw=raw)[job_id]
        return self._record(known, known.report, known.raw) if known.report else None

    def known(self, job_ids: Iterable[str], *, raw: bool = True) -> dict[str, Known]:
        """All there is to know about these jobs, in few round trips, to be read with ``at``."""
        ids = list(dict.fromkeys(job_ids))
        found = self._read(ids)
        if raw and self._view:
            found = [
                replace(each, raw=each_raw) for each, each_raw in zip(found, self._raws(found), strict=True)
            ]
        return dict(zip(ids, found, strict=True))

    def at(self, event: Event, known: Known) -> Job:
        """The job as it was at the event, with what is known now about how we know it."""
        then: dict[str, str | None] = {"version": str(event.version), "updated": event.at}
        if event.kind != "check":
            then["check"] = None
        if event.kind == "poll":
            then["source"] = "poll"
        elif known.fields["source"] == "poll" and not _is_of(known.fields, event.report):
            # CI's word about the job as it is now says nothing of what a callback said before.
            then["source"] = "callback"
        return self._record(replace(known, fields=known.fields | then), event.report, known.raw)

    def lean(self, event: Event) -> Job:
        """The job as it was at the event, without its raw payload."""
        return self.at(event, self.known([event.job_id], raw=False)[event.job_id])

    def count(self) -> int:
        """How many there are: what ``JOBS_MAX`` bounds."""
        return int(self._redis.zcard(self._db.key("jobs")))

    def newest(self) -> str | None:
        """The id of the newest job."""
        rows: Any = self._redis.zrange(self._db.key("jobs"), 0, 0, desc=True)
        return job_of(rows[0]) if rows else None

    def page(self, wanted: Filter, limit: int, cursor: str | None = None) -> Page:
        """Up to ``limit`` jobs after ``cursor``, without raw payloads. A page may be short of matches."""
        found: list[Job] = []
        position = decode_cursor(cursor)
        scanned = 0
        for score, ids in self._walk(wanted, position):
            for (created, job_id), job in zip(score, self._many(ids), strict=True):
                position = (created, job_id)
                scanned += 1
                if job is not None and _matches(job, wanted):
                    found.append(job)
                if len(found) == limit or scanned >= _SCAN_MAX:
                    return Page(jobs=tuple(found), next_cursor=encode_cursor(position))
        return Page(jobs=tuple(found), next_cursor=None)

    def raw_bytes(self, job_id: str, entry: int) -> bytes | None:
        """The exact bytes that a history entry came from, while they are retained."""
        kept = next((each for each in self.history(job_id)[0] if each["entry"] == entry), {})
        body = self._redis.get(self._body_key(kept.get("body")))
        return unpack(body) if isinstance(body, bytes) else None

    def history(self, job_id: str) -> tuple[list[dict[str, Any]], int]:
        """The kept entries, oldest first, and how many there were in all."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.lrange(self._db.key("record", job_id), 1, -1)
        pipe.hget(self._db.key("job", job_id), "entries")
        lines, count = pipe.execute()
        return [read_entry(line) for line in lines], int(count or 0)

    def _walk(
        self, wanted: Filter, after: tuple[int, str] | None
    ) -> Iterator[tuple[list[tuple[int, str]], list[str]]]:
        """Chunks of (created, id), newest first, of the smallest index that serves the filter."""
        where = self._narrowest(wanted)
        end = (after[0], member_of(after[1])) if after else None
        top = min(wanted.created_before or 2**53, after[0] if after else 2**53)
        offset = 0
        while True:
            rows: Any = self._redis.zrange(
                where,
                top,
                wanted.created_after or 0,
                desc=True,
                byscore=True,
                withscores=True,
                offset=offset,
                num=_CHUNK,
            )
            found = [(int(score), member) for member, score in rows]
            fresh = [
                (score, job_of(member)) for score, member in found if end is None or (score, member) < end
            ]
            if fresh:
                yield fresh, [job_id for _, job_id in fresh]
            if len(found) < _CHUNK:
                return
            offset += _CHUNK

    def _narrowest(self, wanted: Filter) -> str:
        keys = [self._db.key("index", index.name(field, value)) for field, value in wanted.equal]
        if not keys:
            return self._db.key("jobs")
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.zcard(key)
        return min(zip(pipe.execute(), keys, strict=True))[1]

    def _many(self, ids: list[str]) -> list[Job | None]:
        return [
            _shortened(self._record(each, each.report, None)) if each.report else None
            for each in self._read(ids)
        ]

    def _read(self, ids: list[str]) -> list[Known]:
        """Jobs without raw payloads. A report and the fields beside it are of the same moment."""
        pipe = self._redis.pipeline()
        for job_id in ids:
            pipe.hmget(self._db.key("job", job_id), *_FIELDS)
            pipe.lindex(self._db.key("record", job_id), 0)
        answers = pipe.execute() if ids else []
        rows = [dict(zip(_FIELDS, map(decoded, values), strict=True)) for values in answers[::2]]
        # Without the job's own fields a report is a leftover of one that was removed.
        reports = [
            json.loads(unpack(packed)) if packed and row["updated"] else None
            for packed, row in zip(answers[1::2], rows, strict=True)
        ]
        asked = self._submissions(row["submission"] for row in rows)
        return [
            Known(report, row, *asked.get(row["submission"] or "", ({}, None)))
            for report, row in zip(reports, rows, strict=True)
        ]

    def _submissions(
        self, ids: Iterable[str | None]
    ) -> dict[str, tuple[dict[str, str | None], dict[str, Any] | None]]:
        """The fields of these submissions, and the facts of their requests."""
        wanted = list(dict.fromkeys(filter(None, ids)))
        pipe = self._redis.pipeline(transaction=False)
        for each in wanted:
            pipe.hmget(self._db.key("submission", each), *_OF_SUBMISSION)
            pipe.get(self._db.key("request", each))
        answers = pipe.execute() if wanted else []
        return {
            each: (
                dict(zip(_OF_SUBMISSION, map(decoded, values), strict=True)),
                json.loads(unpack(packed))["facts"] if packed else None,
            )
            for each, values, packed in zip(wanted, answers[::2], answers[1::2], strict=True)
        }

    def _raws(self, found: list[Known]) -> list[dict[str, Any] | None]:
        keys = [self._body_key(each.fields["raw"]) for each in found]
        bodies: Any = self._redis.mget(keys) if keys else []
        return [self._raw(body, each.fields["raw"] or "") for body, each in zip(bodies, found, strict=True)]

    def _raw(self, body: bytes | None, raw: str) -> dict[str, Any] | None:
        return self._view(unpack(body), int(raw.partition(":")[2])) if body and self._view else None

    def _body_key(self, raw: str | None) -> str:
        """``raw`` is the name of a body, and behind a colon the position of a JobsDetail in it."""
        return self._db.key("body", (raw or "").partition(":")[0])

    def _record(self, known: Known, reported: dict[str, Any] | None, raw: dict[str, Any] | None) -> Job:
        reported, fields = reported or {}, known.fields
        unconfirmed = self._unconfirmed(reported, known)
        report = reported if unconfirmed else merged(reported, fields["check"])
        outputs = report["outputs"]
        is_partly = not unconfirmed and len(outputs) > LOOKED_UP and report["state"] == "Success"
        return Job.model_validate(
            report
            | {
                "doubt": json.loads(fields["doubt"]) if fields["doubt"] else None,
                "outputs_count": len(outputs),
                "outputs_unchecked": unconfirmed or ("too_many" if is_partly else None),
                "submission": _submitted(fields, known.submission, bool(report["terminal"])),
                "verification": fields["verification"],
                "source": fields["source"],
                "version": int(fields["version"] or 0),
                "updated_at": time_of(fields["updated"]),
                "raw": raw,
            }
        )

    def _unconfirmed(self, reported: dict[str, Any], known: Known) -> str | None:
        """Why the outputs may not be looked up or linked; ``None`` where CI named them, the submission asked for
        them, or the bucket is trusted."""
        if not reported["outputs"] or known.fields["source"] == "poll":
            return None
        report = Report.from_dict(reported)
        if are_in(report.outputs, self._trusted):
            return None
        if (asked := _asked(known.facts)) and were_asked_for(report, asked):
            return None
        return known.fields["outputs_unasked"] or "not_confirmed"


def _asked(facts: dict[str, Any] | None) -> Asked | None:
    try:
        return Asked.model_validate(facts) if facts else None
    except ValidationError:
        return None  # A record of ours that says nothing of its request.


def _is_of(fields: dict[str, str | None], report: dict[str, Any]) -> bool:
    """Whether what is known of the job now is that report."""
    return Report.from_dict(report).digest == fields["digest"]


def _shortened(job: Job) -> Job:
    return job if len(job.outputs) <= _IN_LIST else job.model_copy(update={"outputs": job.outputs[:_IN_LIST]})


def _submitted(
    fields: dict[str, str | None], submission: dict[str, str | None], terminal: bool
) -> Submitted | None:
    if not fields["submission"]:
        return None
    deadline = time_of(fields["deadline"] or submission["deadline"])
    return Submitted(
        id=fields["submission"],
        submitted_at=time_of(submission["submitted_at"]),
        callback=submission["callback"],
        deadline=deadline,
        overdue=not terminal and (to_ms(deadline) or now_ms() + 1) < now_ms(),
    )


def _matches(job: Job, wanted: Filter) -> bool:
    known = index.values(job.report)
    if any(known[field] != value for field, value in wanted.equal):
        return False
    return wanted.overdue is None or wanted.overdue == bool(job.submission and job.submission.overdue)
