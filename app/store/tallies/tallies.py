"""Counters that outlive every process: tries of handlers, and questions to CI; and when the newest callback came.

Each counter is written in the same step as the record that it counts, so that a crash neither loses a count nor
repeats it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, get_args

from msgspec import Struct

from app.redis.scripts import text_map
from app.store.database import Database

TryResult = Literal["done", "retried", "failed", "died"]
TRY_RESULTS: tuple[TryResult, ...] = get_args(TryResult)
"""``died``: its lease ended while it ran. ``failed``: out of tries."""

BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
"""Upper bounds (seconds) of the histogram of durations; one more bucket is above the last."""

QuestionResult = Literal["answered", "unknown", "unreadable", "throttled", "failed"]
QUESTION_RESULTS: tuple[QuestionResult, ...] = get_args(QuestionResult)
"""The result of a question to CI about one job. ``unknown``: CI does not know it; ``failed``: no answer."""


class HandlerTally(Struct, frozen=True):
    """Tries of one handler since this Redis has been in use: counts by result, counts by bucket of duration (not
    cumulative; the last bucket is open), and the sum of durations (seconds)."""

    results: dict[TryResult, int]
    buckets: tuple[int, ...]
    seconds: float


class Tallies:
    """The counters in the store."""

    def __init__(self, db: Database) -> None:
        self._redis = db.client
        self._tries, self._answers, self._newest = db.key("tries"), db.key("answers"), db.key("newest")

    def handlers(self, names: Iterable[str]) -> dict[str, HandlerTally]:
        """The tallies of these handlers, by name; zero for a handler that has not run yet."""
        kept: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for field, value in text_map(self._redis.hgetall(self._tries)).items():
            handler, _, counted = field.partition("|")
            kept[handler][counted] = int(value)
        return {name: _tally(kept[name]) for name in names}

    def questions(self) -> dict[QuestionResult, int]:
        """Jobs that CI was asked about, by result."""
        kept = text_map(self._redis.hgetall(self._answers))
        return {result: int(kept.get(result, 0)) for result in QUESTION_RESULTS}

    def overdue(self) -> int:
        """Deadlines that passed without news of the job."""
        return int(self._redis.hget(self._answers, "overdue") or 0)

    def newest_callback(self) -> int | None:
        """When the newest callback was stored (ms), at whichever web server; a few seconds late."""
        found = self._redis.zscore(self._newest, "callback")
        return None if found is None else int(found)

    def note_callback(self, at_ms: int) -> None:
        """A callback was stored then; an earlier one changes nothing."""
        self._redis.zadd(self._newest, {"callback": at_ms}, gt=True)

    def note_questions(self, counts: dict[QuestionResult, int]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for result, number in counts.items():
            if number:
                pipe.hincrby(self._answers, result, number)
        if len(pipe):
            pipe.execute()


def bucket_of(ms: int) -> int:
    """The position of a duration's bucket."""
    return next((n for n, bound in enumerate(BOUNDS_S) if ms <= bound * 1000), len(BOUNDS_S))


def _tally(kept: dict[str, int]) -> HandlerTally:
    return HandlerTally(
        results={result: kept.get(result, 0) for result in TRY_RESULTS},
        buckets=tuple(kept.get(f"b{n}", 0) for n in range(len(BOUNDS_S) + 1)),
        seconds=kept.get("ms", 0) / 1000,
    )
