"""The values that jobs are searched by, in one sorted set: each once, however many jobs have it.

A member is a letter and the value: ``j`` a JobId, a digit the place of a field in ``INDEXED_FIELDS``, ``l`` the value
of a label, NUL, and its name. The index of that value knows its jobs. All have the same score, so that Redis keeps them
in the order of their bytes, and those with the same beginning stand side by side. Ids of CI are stored as in ``jobs``,
behind all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from app.ci.report import Report
from app.redis.scripts import decoded, script
from app.store.database import Database
from app.store.jobs import index
from app.store.members import job_of, member_of, short_range
from app.store.packing.packing import unpack

JOB_ID: Final = "j"
_NUL: Final = "\0"


def members(report: Report, labels: Mapping[str, str]) -> list[str]:
    """All that a job is searched by."""
    of_report = (
        f"{index.LETTERS[field]}{word}"
        for field, word in zip(index.LETTERS, index.words(report), strict=True)
        if word
    )
    return [
        f"{JOB_ID}{report.job_id}",
        *of_report,
        *(f"{index.LABEL_LETTER}{value}{_NUL}{name}" for name, value in labels.items()),
    ]


def index_of(member: str) -> str | None:
    """The name of the index of its jobs; ``None`` for a JobId."""
    letter, value = member[0], member[1:]
    if letter == JOB_ID:
        return None
    if letter == index.LABEL_LETTER:
        value, _, name = value.rpartition(_NUL)
        return index.name(f"{index.LABEL}{name}", value)
    return index.name(index.INDEXED_FIELDS[int(letter) - 1], value)


class Values:
    """Keeps them, and finds those that begin with a text."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._key = db.key("values")
        self._forget = script(db.client, "record", "forget")
        self._swept = b""

    def beginning(
        self, letter: str, text: str, count: int, start: str | None = None, behind: bool = False
    ) -> list[str]:
        """Up to ``count`` members of that letter whose value begins with ``text``, in order: from ``start`` on, or
        ``behind`` it."""
        found: list[str] = []
        for first, end in _ranges(letter, text):
            at = stored(start) if start and stored(start) > first else first
            low = (b"(" if behind and start and at == stored(start) else b"[") + at
            if at < end and len(found) < count:
                rows: Any = self._redis.zrange(
                    self._key, low, b"(" + end, bylex=True, offset=0, num=count - len(found)
                )
                found += map(_read, rows)
        return found

    def suggested(self, field: str, text: str, count: int) -> list[str]:
        """Values of an indexed field that begin with ``text``, in order."""
        return [each[1:] for each in self.beginning(index.LETTERS[field], text, count)]

    def enter(self, job_ids: Sequence[str]) -> None:
        """What these jobs are searched by: as accept.lua does it."""
        if found := {stored(member): 0 for each in self.of(job_ids) for member in each}:
            self._redis.zadd(self._key, found)

    def of(self, job_ids: Sequence[str]) -> list[list[str]]:
        """The members of each of these jobs; of one that is gone only its id."""
        pipe = self._redis.pipeline(transaction=False)
        for each in job_ids:
            pipe.lindex(self._db.key("record", each), 0)
            pipe.hget(self._db.key("job", each), "submission")
        answers = pipe.execute() if job_ids else []
        for submission in answers[1::2]:
            pipe.hget(self._db.key("submission", decoded(submission) or ""), "labels_json")
        labels = pipe.execute() if job_ids else []
        return [
            members(Report.from_json(unpack(report)), msgspec.json.decode(of_it or b"{}"))
            if report
            else [f"{JOB_ID}{each}"]
            for each, report, of_it in zip(job_ids, answers[::2], labels, strict=True)
        ]

    def with_holders(self, found: Iterable[str]) -> list[bytes | str]:
        """Each member, and the key that is there while a job has that value: as ``forget_values`` takes them."""
        return [word for member in found for word in (stored(member), self._holder(member))]

    def sweep(self, count: int) -> int:
        """Look at the next ``count`` values, and remove those that no job has: it had another value later on. Returns
        how many are gone."""
        found: Any = self._redis.zrange(
            self._key,
            b"(" + self._swept if self._swept else b"-",
            "+",
            bylex=True,
            offset=0,
            num=count,
        )
        self._swept = found[-1] if len(found) == count else b""
        return (
            int(self._forget(args=[self._db.prefix, *self.with_holders(map(_read, found))])) if found else 0
        )

    def _holder(self, member: str) -> str:
        name = index_of(member)
        return self._db.key("job", member[1:]) if name is None else self._db.key("index", name)


def stored(member: str) -> bytes:
    """As it stands in Redis."""
    return JOB_ID.encode() + member_of(member[1:]) if member[0] == JOB_ID else member.encode()


def _read(member: bytes) -> str:
    """The inverse of ``stored``."""
    return JOB_ID + job_of(member[1:]) if member.startswith(JOB_ID.encode()) else member.decode()


def _ranges(letter: str, text: str) -> Iterator[tuple[bytes, bytes]]:
    """Where the members stand whose value begins with ``text``: each from the first on, before the second."""
    first = f"{letter}{text}".encode()
    # No text has the byte 0xff, so that it stands behind all that begins with this one.
    yield first, first + b"\xff"
    if text and letter == JOB_ID and (short := short_range(text)):
        low, high = short
        yield letter.encode() + low, letter.encode() + high + b"\xff"


def value_of(member: str) -> str:
    return member[1:].rpartition(_NUL)[0] if member[0] == index.LABEL_LETTER else member[1:]


def beginnings(found: Iterable[str], text: str) -> Iterator[str]:
    """Those members whose value begins with ``text``."""
    return (each for each in found if value_of(each).startswith(text))
