"""Failures: runs that are out of tries. They stay until a person retries or dismisses them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from msgspec import Struct

from app.core.clock import now_ms, rfc3339
from app.redis.cursors import decode_cursor, encode_cursor
from app.redis.scripts import script
from app.store.database import Database
from app.store.runs.run import Run
from app.store.runs.runs import Runs

_CHUNK = 200
_SCAN_MAX = 4000
"""Failures that one page reads at most; it is returned short if fewer than its limit matched."""


class FailureFilter(Struct, frozen=True):
    """Which failures to list; ``None`` matches any. ``endpoint`` is an endpoint's name."""

    handler: str | None = None
    endpoint: str | None = None
    tag: str | None = None
    job_id: str | None = None
    event_id: str | None = None

    def matches(self, run: Run) -> bool:
        names = ("handler", "endpoint", "tag", "job_id", "event_id")
        return all(getattr(self, name) in {None, getattr(run, name)} for name in names)


class Failures:
    """The failures in the store, newest first."""

    def __init__(self, db: Database, runs: Runs) -> None:
        self._db = db
        self._redis = db.client
        self._runs = runs
        self._key = db.key("failures")
        self._retry, self._dismiss = (script(db.client, "run", name) for name in ("retry", "dismiss"))

    def count(self) -> int:
        return int(self._redis.zcard(self._key))

    def page(
        self, wanted: FailureFilter, limit: int, cursor: str | None = None
    ) -> tuple[list[Run], str | None]:
        """Up to ``limit`` failures and the next cursor. A page may be short; only the cursor ``None`` is the end."""
        found: list[Run] = []
        position = decode_cursor(cursor)
        for scanned, (failed_ms, run) in enumerate(self._walk(position), 1):
            position = (failed_ms, run.id)
            if wanted.matches(run):
                found.append(run)
            if len(found) == limit or scanned >= _SCAN_MAX:
                return found, encode_cursor(position)
        return found, None

    def all(self, wanted: FailureFilter) -> Iterator[Run]:
        """Every failure that matches, newest first, without those that are added during the walk."""
        if wanted.event_id:
            runs = self._runs.of_event(wanted.event_id)
            yield from (run for run in runs if run.state == "failed" and wanted.matches(run))
            return
        yield from (run for _, run in self._walk((now_ms(), "~~")) if wanted.matches(run))

    def retry(self, run: Run, by: str) -> bool:
        """Give it new tries; false if another caller was faster."""
        act = json.dumps({"at": rfc3339(now_ms()), "act": "retry", "by": by})
        return bool(self._retry(keys=self._runs.keys(run.id), args=[run.id, act]))

    def dismiss(self, run: Run, by: str, reason: str) -> bool:
        """Take it off the list; the reason stays in its record. False if another caller was faster."""
        act = json.dumps({"at": rfc3339(now_ms()), "act": "dismiss", "by": by, "reason": reason})
        keys = [self._runs.keys(run.id)[0], self._key]
        return bool(self._dismiss(keys=keys, args=[run.id, act]))

    def _walk(self, after: tuple[int, str] | None) -> Iterator[tuple[int, Run]]:
        top, offset = after[0] if after else 2**53, 0
        while True:
            rows: list[tuple[bytes, float]] = self._redis.zrange(  # type: ignore[assignment]
                self._key, top, 0, desc=True, byscore=True, withscores=True, offset=offset, num=_CHUNK
            )
            pairs = [(int(score), member.decode()) for member, score in rows]
            fresh = {each: failed for failed, each in pairs if after is None or (failed, each) < after}
            for run in self._runs.many(list(fresh)):
                yield fresh[run.id], run
            if len(pairs) < _CHUNK:
                return
            if fresh:
                # Some of these may have been retried since, and an offset would then skip others.
                after, top, offset = pairs[-1], pairs[-1][0], 0
            else:
                offset += _CHUNK
