"""Reading jobs: one, or a page of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import msgspec
from msgspec import to_builtins
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.ci.incoming.payload import Detail
from app.ci.matching.asked import Asked
from app.ci.matching.bound import are_in, were_asked_for
from app.ci.report import Input, JobResult, Media, Output, Report, Template, Workflow
from app.core.clock import now_ms, time_of, to_ms
from app.redis.cursors import decode_cursor, encode_cursor
from app.redis.scripts import decoded, evalsha, script
from app.store.database import Database
from app.store.jobs import index
from app.store.jobs.entries import read_entry
from app.store.members import job_of, member_of
from app.store.outputs.checks import LOOKED_UP, merged
from app.store.packing.packing import unpack
from app.store.reading.shown import Kept, Shown, Stored
from app.store.runs.runs import Event
from app.store.submissions.submissions import Submission

# How many index entries one page may look at before it is handed out short.
_SCAN_MAX = 2000
_CHUNK = 200
_FIELDS = (
    "submission", "verification", "source", "version", "updated", "raw", "deadline", "created", "rank",
    "check", "doubt", "digest", "outputs_unasked",
)  # fmt: skip
_OF_SUBMISSION = ("submitted_at", "callback", "deadline")
_NAMES = (len(_FIELDS), *_FIELDS, len(_OF_SUBMISSION), *_OF_SUBMISSION)
_UPDATED, _DEADLINE = map(_FIELDS.index, ("updated", "deadline"))
_KEPT_BYTES: Final = 8 * 2**20
"""For jobs in lists, and as much for single ones, in each process; it fills only where the API is used."""
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
    media: Media | None = None
    result: JobResult | None = None
    labels: dict[str, str] = Field(default_factory=dict, description="Those of its submission.")
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
    """What the store holds of one job: its report, its other fields, its submission's fields and what was asked there
    (``facts`` and ``labels``), and the JSON view of the bytes that its report was made of."""

    report: dict[str, Any] | None
    fields: dict[str, str | None]
    submission: dict[str, str | None]
    request: dict[str, Any]
    late: bool
    raw: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs to list. ``equal`` are values by an indexed field, or by ``label.<name>``. Times are milliseconds
    since 1970; ``overdue`` is true, false or any."""

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
        self._read_script = script(db.client, "read")
        self._edition = _edition(trusted)
        self._in_lists, self._single = Kept(_KEPT_BYTES), Kept(_KEPT_BYTES)

    def exists(self, job_id: str) -> bool:
        return bool(self._redis.exists(self._db.key("job", job_id)))

    def digest(self, job_id: str) -> tuple[str | None, bool]:
        """What its report is compared by, ``None`` for a job that is not known, and whether it has ended."""
        version, digest, rank = map(
            decoded, self._redis.hmget(self._db.key("job", job_id), "version", "digest", "rank")
        )
        return (digest or "") if version else None, rank == "3"

    def get(self, job_id: str, *, raw: bool = True) -> Job | None:
        """The job, with its raw payload unless that is not wanted; ``None`` if it is not known."""
        known = self.known([job_id], raw=raw)[job_id]
        return self._record(known, known.report) if known.report else None

    def submitted(self, details: Sequence[Detail], submission: Submission, new_at: str) -> list[Job]:
        """The jobs that CI named in its answer to ``submission``, as ``get`` reads them, without a round trip.

        Only for jobs that were new (``Acceptor.take``) at ``new_at``: nothing else is stored of them."""
        fields = dict.fromkeys(_FIELDS) | {
            "submission": submission.id,
            "verification": "confirmed",
            "source": "submit",
            "version": "1",
            "updated": new_at,
        }
        asked = {name: getattr(submission, name) for name in _OF_SUBMISSION}
        request = {"labels": submission.labels, "facts": submission.facts}
        late = (to_ms(submission.deadline) or now_ms()) < now_ms()
        return [
            self._record(Known(report, fields, asked, request, late, detail.raw), report)
            for detail in details
            for report in (to_builtins(detail.report),)
        ]

    def known(self, job_ids: Iterable[str], *, raw: bool = True) -> dict[str, Known]:
        """All there is to know about these jobs, in few round trips, to be read with ``at``."""
        ids = list(dict.fromkeys(job_ids))
        found = [self._known(stored) if stored else _UNKNOWN for stored in self._stored(ids)]
        return dict(zip(ids, self._with_raws(found) if raw else found, strict=True))

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
        return self._record(replace(known, fields=known.fields | then), event.report)

    def of_event(self, event: Event) -> Job | None:
        """As ``lean``; ``None`` for an event of a submission that has no job."""
        return self.lean(event) if event.job_id else None

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
        rows, position = self._page(wanted, limit, cursor)
        jobs = (_shortened(self._record(known := self._known(stored), known.report)) for _, stored, _ in rows)
        return Page(jobs=tuple(jobs), next_cursor=position)

    def page_json(self, wanted: Filter, limit: int, cursor: str | None = None) -> bytes:
        """``page`` as JSON: as ``Page`` would be written, of jobs that are written already where they are unchanged."""
        rows, position = self._page(wanted, limit, cursor)
        texts = b",".join([shown.text for _, _, shown in rows])
        return b'{"jobs":[%b],"next_cursor":%b}' % (texts, msgspec.json.encode(position))

    def stored(self, job_id: str) -> Stored | None:
        """What is stored of the job, in one round trip; ``None`` if it is not known."""
        return self._stored([job_id])[0]

    def shown(self, job_id: str, stored: Stored) -> Shown:
        """The record of that, with its raw payload."""
        if (found := self._single.find(job_id, stored)) is None:
            (known,) = self._with_raws([self._known(stored)])
            found = _shown(self._record(known, known.report))
            # The body may have expired since then: that answer belongs to another ETag.
            if stored.has_body == (known.raw is not None):
                self._single.put(job_id, stored, found)
        return found

    def etag(self, stored: Stored) -> str:
        """What changes whenever the record of the job does, found without making the record."""
        return f"{self._edition}{stored.digest}"

    def _page(
        self, wanted: Filter, limit: int, cursor: str | None
    ) -> tuple[list[tuple[str, Stored, Shown]], str | None]:
        found: list[tuple[str, Stored, Shown]] = []
        position = decode_cursor(cursor)
        scanned = 0
        for score, ids in self._walk(wanted, position, limit):
            for (created, job_id), stored in zip(score, self._stored(ids), strict=True):
                position = (created, job_id)
                scanned += 1
                if stored is not None and _matches(shown := self._in_list(job_id, stored), wanted):
                    found.append((job_id, stored, shown))
                if len(found) == limit or scanned >= _SCAN_MAX:
                    return found, encode_cursor(position)
        return found, None

    def _in_list(self, job_id: str, stored: Stored) -> Shown:
        if (found := self._in_lists.find(job_id, stored)) is None:
            known = self._known(stored)
            found = _shown(_shortened(self._record(known, known.report)))
            self._in_lists.put(job_id, stored, found)
        return found

    def every(self, wanted: Filter) -> Iterator[Job]:
        """All that match, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = self.page(wanted, _CHUNK, cursor)
            yield from page.jobs
            cursor = page.next_cursor
            if cursor is None:
                return

    def matching(self, wanted: Filter) -> int:
        """How many match. One value is counted by its index, without reading jobs."""
        if wanted.overdue is None and len(wanted.equal) <= 1:
            top = "+inf" if wanted.created_before is None else wanted.created_before
            return int(self._redis.zcount(self._narrowest(wanted), wanted.created_after or 0, top))
        return sum(1 for _ in self.every(wanted))

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
        self, wanted: Filter, after: tuple[int, str] | None, limit: int
    ) -> Iterator[tuple[list[tuple[int, str]], list[str]]]:
        """Chunks of (created, id), newest first, of the smallest index that serves the filter."""
        where = self._narrowest(wanted)
        end = (after[0], member_of(after[1])) if after else None
        top = min(wanted.created_before or 2**53, after[0] if after else 2**53)
        # Usually all match; after a cursor the first row is the one that it names.
        offset, count = 0, min(limit + bool(after), _CHUNK)
        while True:
            rows: Any = self._redis.zrange(
                where,
                top,
                wanted.created_after or 0,
                desc=True,
                byscore=True,
                withscores=True,
                offset=offset,
                num=count,
            )
            found = [(int(score), member) for member, score in rows]
            fresh = [
                (score, job_of(member)) for score, member in found if end is None or (score, member) < end
            ]
            if fresh:
                yield fresh, [job_id for _, job_id in fresh]
            if len(found) < count:
                return
            offset, count = offset + count, _CHUNK

    def _narrowest(self, wanted: Filter) -> str:
        keys = [self._db.key("index", index.name(field, value)) for field, value in wanted.equal]
        if not keys:
            return self._db.key("jobs")
        if len(keys) == 1:
            return keys[0]
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.zcard(key)
        return min(zip(pipe.execute(), keys, strict=True))[1]

    def _stored(self, ids: Sequence[str]) -> list[Stored | None]:
        """What is stored of these jobs: what belongs to one of them is of one moment."""
        found: list[Stored | None] = []
        for start in range(0, len(ids), _CHUNK):
            arguments = [self._db.prefix, *_NAMES, *ids[start : start + _CHUNK]]
            found += map(_as_stored, evalsha(self._redis, self._read_script, arguments))
        return found

    def _known(self, stored: Stored) -> Known:
        fields = dict(zip(_FIELDS, map(decoded, stored.fields), strict=True))
        submission = dict(zip(_OF_SUBMISSION, map(decoded, stored.submission), strict=False))
        return Known(
            json.loads(unpack(stored.report)) if stored.report else None,
            fields,
            submission,
            json.loads(unpack(stored.request)) if stored.request else {},
            stored.late,
        )

    def _with_raws(self, found: list[Known]) -> list[Known]:
        if not self._view:
            return found
        return [replace(each, raw=raw) for each, raw in zip(found, self._raws(found), strict=True)]

    def _raws(self, found: list[Known]) -> list[dict[str, Any] | None]:
        keys = [self._body_key(each.fields["raw"]) for each in found]
        bodies: Any = self._redis.mget(keys) if keys else []
        return [self._raw(body, each.fields["raw"] or "") for body, each in zip(bodies, found, strict=True)]

    def _raw(self, body: bytes | None, raw: str) -> dict[str, Any] | None:
        return self._view(unpack(body), int(raw.partition(":")[2])) if body and self._view else None

    def _body_key(self, raw: str | None) -> str:
        """``raw`` is the name of a body, and behind a colon the position of a JobsDetail in it."""
        return self._db.key("body", (raw or "").partition(":")[0])

    def _record(self, known: Known, reported: dict[str, Any] | None) -> Job:
        reported, fields = reported or {}, known.fields
        unconfirmed = self._unconfirmed(reported, known)
        report = reported if unconfirmed else merged(reported, fields["check"])
        outputs = report["outputs"]
        is_partly = not unconfirmed and len(outputs) > LOOKED_UP and report["state"] == "Success"
        return Job.model_validate(
            report
            | {
                "labels": known.request.get("labels", {}),
                "doubt": json.loads(fields["doubt"]) if fields["doubt"] else None,
                "outputs_count": len(outputs),
                "outputs_unchecked": unconfirmed or ("too_many" if is_partly else None),
                "submission": _submitted(fields, known.submission, known.late and not report["terminal"]),
                "verification": fields["verification"],
                "source": fields["source"],
                "version": int(fields["version"] or 0),
                "updated_at": time_of(fields["updated"]),
                "raw": known.raw,
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
        if (asked := _asked(known.request.get("facts"))) and were_asked_for(report, asked):
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
    fields: dict[str, str | None], submission: dict[str, str | None], overdue: bool
) -> Submitted | None:
    if not fields["submission"]:
        return None
    return Submitted(
        id=fields["submission"],
        submitted_at=time_of(submission.get("submitted_at")),
        callback=submission.get("callback"),
        deadline=time_of(fields["deadline"] or submission.get("deadline")),
        overdue=overdue,
    )


def _shown(job: Job) -> Shown:
    return Shown(
        text=job.model_dump_json(by_alias=True).encode(),
        values={**index.values(job.report), **index.label_values(job.labels)},
        overdue=bool(job.submission and job.submission.overdue),
        linkable=job.outputs_unchecked in {None, "too_many"},
    )


def _edition(trusted: frozenset[str]) -> str:
    """What else than the store an answer depends on: the fields of a record, and a setting."""
    text = json.dumps([list(Job.model_fields), sorted(trusted)])
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _as_stored(row: Any) -> Stored | None:
    fields, report, submission, request, has_body = row
    # Without the job's own fields a report is a leftover of one that was removed.
    if not report or not fields[_UPDATED]:
        return None
    deadline = fields[_DEADLINE] or (submission[_OF_SUBMISSION.index("deadline")] if submission else None)
    due = to_ms(time_of(decoded(deadline)))
    return Stored(
        tuple(fields), report, tuple(submission), request, bool(has_body), due is not None and due < now_ms()
    )


def _matches(shown: Shown, wanted: Filter) -> bool:
    if any(shown.values.get(field) != value for field, value in wanted.equal):
        return False
    return wanted.overdue is None or wanted.overdue == shown.overdue


_UNKNOWN: Final = Known(None, dict.fromkeys(_FIELDS), {}, {}, False)
