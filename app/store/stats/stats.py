"""How many jobs there are by state and tag, and how many were created in each hour or minute.

Every figure is the size of an index, or of a range of it: O(log n) in the number of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from app.ci.report import STATES
from app.core.clock import now_ms
from app.store.database import Database
from app.store.jobs import index

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
_SPANS = ((HOUR_MS, 24), (MINUTE_MS, 60))


class SpanCount(Struct, frozen=True):
    """How many jobs were created in an hour or minute from ``start`` (ms since 1970) on, and how many failed."""

    start: int
    jobs: int
    failed: int


class Counts(Struct, frozen=True):
    """``by_tag`` has those of the given tags that have jobs. ``hours`` and ``minutes`` are the last 24 and 60, oldest
    first; the newest is not over yet."""

    jobs: int
    by_state: dict[str, int]
    by_tag: dict[str, int]
    hours: tuple[SpanCount, ...]
    minutes: tuple[SpanCount, ...]


class Stats:
    """Figures for people."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def counts(self, tags: Sequence[str]) -> Counts:
        """One round trip. States are CI's six."""
        states, now = sorted(STATES), now_ms()
        pipe = self._db.client.pipeline(transaction=False)
        pipe.zcard(self._db.key("jobs"))
        for state in states:
            pipe.zcard(self._index("state", state))
        for tag in tags:
            pipe.zcard(self._index("tag", tag))
        for width, number in _SPANS:
            for start in _starts(now, width, number):
                for key in (self._db.key("jobs"), self._index("state", "Failed")):
                    pipe.zcount(key, start, start + width - 1)
        rest = iter(pipe.execute())
        jobs = next(rest)
        by_state = {state: next(rest) for state in states}
        by_tag = {tag: count for tag in tags if (count := next(rest))}
        hours, minutes = (_spans(now, width, number, rest) for width, number in _SPANS)
        return Counts(jobs, by_state, by_tag, hours, minutes)

    def by_state(self) -> dict[str, int]:
        """Jobs by state; ``none`` counts those without a state. One round trip."""
        states = sorted(STATES)
        pipe = self._db.client.pipeline(transaction=False)
        pipe.zcard(self._db.key("jobs"))
        for state in states:
            pipe.zcard(self._index("state", state))
        jobs, *counts = pipe.execute()
        return {"none": max(0, jobs - sum(counts)), **dict(zip(states, counts, strict=True))}

    def _index(self, field: str, value: str) -> str:
        return self._db.key("index", index.name(field, value))


def _starts(now: int, width: int, number: int) -> list[int]:
    newest = now - now % width
    return [newest - width * back for back in range(number - 1, -1, -1)]


def _spans(now: int, width: int, number: int, counts: Any) -> tuple[SpanCount, ...]:
    return tuple(SpanCount(start, next(counts), next(counts)) for start in _starts(now, width, number))
