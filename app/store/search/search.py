"""Search for jobs by the beginning of their JobId, user data, object, or a label's value."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

from app.redis.cursors import BadCursor, decode_cursor, encode_cursor
from app.store.database import Database
from app.store.jobs import index
from app.store.jobs.jobs import Jobs
from app.store.members import job_of, member_of
from app.store.reading.job import Job
from app.store.reading.listing import Filter, Page
from app.store.search.values import JOB_ID, Values, beginnings, index_of, members, stored

_LETTERS: Final = (JOB_ID, index.LETTERS["user_data"], index.LETTERS["input_object"], index.LABEL_LETTER)
"""The order in which jobs are found."""
_LOOK_MAX: Final = 1000
"""Jobs that one page reads at most; it is returned short if fewer than its limit matched."""
_AT_ONCE: Final = 50
"""Values whose indexes are read in one round trip."""


class _Hit(NamedTuple):
    """A job that stands at a value: when it was created (ms), its id."""

    member: str
    created: int
    job_id: str


class JobSearch:
    """Finds jobs. A page costs the same wherever it is: it begins at its place in the values, and in the jobs of one
    value."""

    def __init__(self, db: Database, jobs: Jobs, values: Values) -> None:
        self._db = db
        self._redis = db.client
        self._jobs = jobs
        self._values = values

    def page(self, text: str, wanted: Filter, limit: int, cursor: str | None = None) -> Page:
        """Up to ``limit`` jobs that match, after ``cursor``: by value, and those of one value newest first.

        Case counts. A page may be short of matches; only a ``next_cursor`` of ``None`` is the end."""
        found, looked = list[Job](), 0
        for hits in self._hits(text, _place_of(cursor), limit):
            jobs = self._jobs.some([each.job_id for each in hits])
            for hit, job in zip(hits, jobs, strict=True):
                looked += 1
                if job is not None and _is_found(job, hit, text, wanted):
                    found.append(job)
                if len(found) == limit or looked >= _LOOK_MAX:
                    return Page(jobs=tuple(found), next_cursor=_cursor_of(hit))
        return Page(jobs=tuple(found), next_cursor=None)

    def _hits(self, text: str, after: _Hit | None, limit: int) -> Iterator[list[_Hit]]:
        """All in order behind ``after``, in chunks of at most ``limit``."""
        letters = _LETTERS[_LETTERS.index(after.member[0]) :] if after else _LETTERS
        chunk: list[_Hit] = []
        for letter in letters:
            for hit in self._of_letter(
                letter, text, after if after and after.member[0] == letter else None, limit
            ):
                chunk.append(hit)
                if len(chunk) == limit:
                    yield chunk
                    chunk = []
        yield chunk

    def _of_letter(self, letter: str, text: str, after: _Hit | None, limit: int) -> Iterator[_Hit]:
        start, behind_start = after.member if after else None, False
        while found := self._values.beginning(letter, text, _AT_ONCE, start, behind_start):
            pages = self._ids(found) if letter == JOB_ID else self._newest(found, after, limit + 1)
            for member, hits in zip(found, pages, strict=True):
                behind = after if after and member == after.member else None
                has_more = letter != JOB_ID and len(hits) > limit
                jobs = chain(hits, self._others(member, hits[-1], limit) if has_more else ())
                yield from (hit for hit in jobs if behind is None or _order(hit) > _order(behind))
            start, behind_start = found[-1], True

    def _ids(self, found: list[str]) -> list[list[_Hit]]:
        ids = [each[1:] for each in found]
        scores: Any = self._redis.zmscore(self._db.key("jobs"), [member_of(each) for each in ids])  # type: ignore[misc]
        rows = zip(found, scores, ids, strict=True)
        return [[_Hit(member, int(score), each)] if score is not None else [] for member, score, each in rows]

    def _newest(self, found: list[str], after: _Hit | None, count: int) -> list[list[_Hit]]:
        """The newest jobs of each value; of that of ``after`` those that are not newer than it."""
        pipe = self._redis.pipeline(transaction=False)
        for member in found:
            top = after.created if after and member == after.member else "+inf"
            pipe.zrange(
                self._db.key("index", index_of(member) or ""),
                top,
                "-inf",
                desc=True,
                byscore=True,
                withscores=True,
                offset=0,
                num=count,
            )
        return [_hits_of(member, rows) for member, rows in zip(found, pipe.execute(), strict=True)]

    def _others(self, member: str, last: _Hit, limit: int) -> Iterator[_Hit]:
        """The jobs of one value behind ``last``."""
        offset, key = 0, self._db.key("index", index_of(member) or "")
        while True:
            rows: Any = self._redis.zrange(
                key,
                last.created,
                "-inf",
                desc=True,
                byscore=True,
                withscores=True,
                offset=offset,
                num=limit + 1,
            )
            yield from (hit for hit in _hits_of(member, rows) if _order(hit) > _order(last))
            if len(rows) <= limit:
                return
            offset += len(rows)


def _hits_of(member: str, rows: Any) -> list[_Hit]:
    return [_Hit(member, int(score), job_of(each)) for each, score in rows]


def _order(hit: _Hit) -> tuple[int, bytes]:
    """Greater is later in the walk through one value: Redis sorts the same time by the member, here downwards."""
    return -hit.created, bytes(255 - byte for byte in member_of(hit.job_id)) + b"\xff"


def _is_found(job: Job, hit: _Hit, text: str, wanted: Filter) -> bool:
    """Whether the job matches, and is found here for the first time: it may stand at several values."""
    here = list(beginnings(members(job.report, job.labels), text))
    first = min((each for each in here if each[0] in _LETTERS), key=_rank, default=None)
    known = {**index.values(job.report), **index.label_values(job.labels)}
    is_late = bool(job.submission and job.submission.overdue)
    return (
        first == hit.member
        and all(known.get(field) == value for field, value in wanted.equal)
        and wanted.overdue in {None, is_late}
        and (wanted.created_after or 0) <= hit.created <= (wanted.created_before or hit.created)
    )


def _rank(member: str) -> tuple[int, bytes]:
    return _LETTERS.index(member[0]), stored(member)


def _cursor_of(hit: _Hit) -> str:
    return encode_cursor((hit.created, f"{hit.job_id}\n{hit.member}"))


def _place_of(cursor: str | None) -> _Hit | None:
    """Raises ``BadCursor``."""
    if (place := decode_cursor(cursor)) is None:
        return None
    created, (job_id, _, member) = place[0], place[1].partition("\n")
    if not member or member[0] not in _LETTERS:
        raise BadCursor("cursor")
    return _Hit(member, created, job_id)
