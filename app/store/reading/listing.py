"""Pages of jobs: which index serves a filter, and which jobs match it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict

from app.redis.cursors import decode_cursor, encode_cursor
from app.store.database import Database
from app.store.jobs import index
from app.store.members import job_of, member_of
from app.store.reading.job import Job
from app.store.reading.record import Known, Records
from app.store.reading.shown import Kept, Shown, shown
from app.store.reading.stored import Stored, StoredJobs

_SCAN_MAX: Final = 2000
"""How many index entries one page may look at before it is handed out short."""
_CHUNK: Final = 200
_IN_LIST: Final = 100
"""Outputs of a job that a list shows."""


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


class Listing:
    """Lists jobs, newest first."""

    def __init__(self, db: Database, stored: StoredJobs, records: Records) -> None:
        self._db = db
        self._redis = db.client
        self._stored = stored
        self._records = records
        self._kept = Kept()

    def page(self, wanted: Filter, limit: int, cursor: str | None = None) -> Page:
        """Up to ``limit`` jobs after ``cursor``, without raw payloads. A page may be short of matches."""
        rows, position = self._page(wanted, limit, cursor)
        return Page(jobs=tuple(self._shortened(stored) for _, stored, _ in rows), next_cursor=position)

    def page_json(self, wanted: Filter, limit: int, cursor: str | None = None) -> bytes:
        """``page`` as JSON: as ``Page`` would be written, of jobs that are written already where they are unchanged."""
        rows, position = self._page(wanted, limit, cursor)
        texts = b",".join([each.text for _, _, each in rows])
        return b'{"jobs":[%b],"next_cursor":%b}' % (texts, msgspec.json.encode(position))

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

    def _page(
        self, wanted: Filter, limit: int, cursor: str | None
    ) -> tuple[list[tuple[str, Stored, Shown]], str | None]:
        found: list[tuple[str, Stored, Shown]] = []
        position = decode_cursor(cursor)
        scanned = 0
        for score, ids in self._walk(wanted, position, limit):
            for (created, job_id), stored in zip(score, self._stored.of(ids), strict=True):
                position = (created, job_id)
                scanned += 1
                if stored is not None and _matches(each := self._in_list(job_id, stored), wanted):
                    found.append((job_id, stored, each))
                if len(found) == limit or scanned >= _SCAN_MAX:
                    return found, encode_cursor(position)
        return found, None

    def _in_list(self, job_id: str, stored: Stored) -> Shown:
        if (found := self._kept.find(job_id, stored)) is None:
            found = shown(self._shortened(stored))
            self._kept.put(job_id, stored, found)
        return found

    def _shortened(self, stored: Stored) -> Job:
        job = self._records.record(Known.of(stored))
        return (
            job
            if len(job.outputs) <= _IN_LIST
            else job.model_copy(update={"outputs": job.outputs[:_IN_LIST]})
        )

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


def _matches(job: Shown, wanted: Filter) -> bool:
    if any(job.values.get(field) != value for field, value in wanted.equal):
        return False
    return wanted.overdue is None or wanted.overdue == job.overdue
