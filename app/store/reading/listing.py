"""Pages of jobs: which indexes serve a filter, and which jobs match it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct
from pydantic import BaseModel, ConfigDict

from app.core.clock import now_ms
from app.redis.cursors import decode_cursor, encode_cursor
from app.redis.scripts import evalsha, script
from app.store.access.api_keys import ApiKey, read_key
from app.store.database import Database
from app.store.jobs import index
from app.store.members import job_of, member_of
from app.store.reading.job import Job
from app.store.reading.record import Known, Records
from app.store.reading.shown import Kept, Shown, shown
from app.store.reading.stored import Stored, StoredJobs

_SCAN_MAX: Final = 2000
"""Index entries that one page reads at most; it is returned short if fewer than its limit matched."""
_CHUNK: Final = 200
_IN_LIST: Final = 100
"""Outputs that a list shows of each job."""
_KEPT_MS: Final = 60_000
"""How long the cached JSON of a job is used while its stamp is the same: earlier releases do not stamp each change."""
Position = tuple[int, str]
"""A position in a list: when the job was created (ms), and its id."""


class Filter(Struct, frozen=True):
    """Which jobs to list. ``equal``: the value by indexed field, or by ``label.<name>``. Times are milliseconds since
    1970. ``overdue``: ``None`` matches any."""

    equal: tuple[tuple[str, str], ...] = ()
    overdue: bool | None = None
    created_after: int | None = None
    created_before: int | None = None


class Page(BaseModel):
    """One page of jobs, newest first. A page may be short; only a ``next_cursor`` of ``None`` is the end."""

    model_config = ConfigDict(frozen=True)

    jobs: tuple[Job, ...]
    next_cursor: str | None


class _Found(NamedTuple):
    """Jobs of a page, the next cursor, and when time alone first changes one of them (ms; 0 if not known)."""

    jobs: list[Shown]
    next_cursor: str | None
    until: float


class Listing:
    """Lists jobs, newest first."""

    def __init__(self, db: Database, stored: StoredJobs, records: Records) -> None:
        self._db = db
        self._redis = db.client
        self._script = script(db.client, "holder", "page")
        self._stored = stored
        self._records = records
        self._kept = Kept[str, bytes, Shown]()
        self._pages = Kept[tuple[Filter, int, str | None], list[Any], bytes]()

    def page(self, wanted: Filter, limit: int, cursor: str | None = None) -> Page:
        """Up to ``limit`` jobs after ``cursor``, without raw payloads. A page may be short."""
        found = self._collect(wanted, limit, self._ask("", wanted, limit, decode_cursor(cursor), _SCAN_MAX))
        jobs = tuple(Job.model_validate_json(each.text) for each in found.jobs)
        return Page(jobs=jobs, next_cursor=found.next_cursor)

    def page_json(
        self, wanted: Filter, limit: int, cursor: str | None = None, digest: str = ""
    ) -> tuple[ApiKey | None, bytes]:
        """``page`` as the JSON of ``Page``, and the API key of that digest; no key and no text for an unknown digest.

        One round trip; the cached text is returned while no job on the page has changed."""
        answer = self._ask(digest, wanted, limit, decode_cursor(cursor), _SCAN_MAX)
        key = read_key(answer[0])
        if digest and key is None:
            return None, b""
        asked, rows = (wanted, limit, cursor), answer[1:]
        if (text := self._pages.find(asked, rows, now_ms())) is None:
            found = self._collect(wanted, limit, answer)
            texts = b",".join([each.text for each in found.jobs])
            text = b'{"jobs":[%b],"next_cursor":%b}' % (texts, msgspec.json.encode(found.next_cursor))
            self._pages.put(asked, rows, text, len(text) + 150 * len(found.jobs), found.until)
        return key, text

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
        """How many match. A filter by one value is answered from the size of its index, without reading jobs."""
        if wanted.overdue is None and len(wanted.equal) <= 1:
            top = "+inf" if wanted.created_before is None else wanted.created_before
            (name,) = _indexes(wanted)
            return int(self._redis.zcount(self._db.prefix + name, wanted.created_after or 0, top))
        return sum(1 for _ in self.every(wanted))

    def _ask(
        self, digest: str, wanted: Filter, limit: int, after: Position | None, look_at: int
    ) -> list[Any]:
        """The answer of page.lua."""
        # No index serves ``overdue``: read a whole chunk of jobs and compare each.
        count = limit if wanted.overdue is None else max(limit, _CHUNK)
        top, bottom = ("" if ms is None else ms for ms in (wanted.created_before, wanted.created_after))
        begin = (after[0], member_of(after[1])) if after else ("", "")
        arguments = (self._db.prefix, digest, count, look_at, top, bottom, *begin, *_indexes(wanted))
        answer: list[Any] = evalsha(self._redis, self._script, arguments)
        return answer

    def _collect(self, wanted: Filter, limit: int, answer: list[Any]) -> _Found:
        """The page that begins with ``answer``; reads more entries while too few of them match."""
        found, left, until = list[Shown](), _SCAN_MAX, math.inf if wanted.overdue is None else 0.0
        while True:
            _, looked, is_end, last, score, members, stamps = answer
            ids = [job_of(each) for each in members]
            for n, each in enumerate(self._shown(ids, stamps)):
                until = min(until, each.until if each else 0)
                if each is None or not _matches(each, wanted):
                    continue
                found.append(each)
                if len(found) == limit:
                    return _Found(found, encode_cursor((found[-1].created_ms, ids[n])), until)
            if is_end:
                return _Found(found, None, until)
            position, left, until = (int(score), job_of(last)), left - looked, 0.0
            if left <= 0:
                return _Found(found, encode_cursor(position), until)
            answer = self._ask("", wanted, limit, position, left)

    def _shown(self, ids: Sequence[str], stamps: Sequence[bytes]) -> list[Shown | None]:
        """From the cache if the stamp is unchanged, else read. ``None`` for a job that was removed."""
        now = now_ms()
        found = {each: self._kept.find(each, stamp, now) for each, stamp in zip(ids, stamps, strict=True)}
        unknown = {each: stamp for each, stamp in zip(ids, stamps, strict=True) if found[each] is None}
        for each, stored in zip(unknown, self._stored.of(list(unknown)), strict=True):
            found[each] = self._made(each, stored, unknown[each], now) if stored else None
        return list(found.values())

    def _made(self, job_id: str, stored: Stored, stamp: bytes, now: int) -> Shown:
        """``stamp`` was read before ``stored``: if the job has changed in between, no later stamp equals it."""
        job = self._records.record(Known.of(stored))
        if len(job.outputs) > _IN_LIST:
            job = job.model_copy(update={"outputs": job.outputs[:_IN_LIST]})
        # Once its deadline has passed a job is shown as overdue, although nothing of it has changed.
        turns_late = math.inf if stored.late or stored.due_ms is None else stored.due_ms
        made = shown(job, stored.created_ms, min(now + _KEPT_MS, turns_late) if stamp else 0)
        self._kept.put(job_id, stamp, made, len(made.text), made.until)
        return made


def _indexes(wanted: Filter) -> list[str]:
    """The keys of the indexes that serve a filter, without KEY_PREFIX."""
    return [f"index:{index.name(field, value)}" for field, value in wanted.equal] or ["jobs"]


def _matches(job: Shown, wanted: Filter) -> bool:
    if any(job.values.get(field) != value for field, value in wanted.equal):
        return False
    return wanted.overdue is None or wanted.overdue == job.overdue
