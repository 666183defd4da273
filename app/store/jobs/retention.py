"""Removing old jobs whole, those with failures last. Each step is small, atomic for each job, and idempotent, so that
a sweep may be killed anywhere. Exact bytes have a TTL of their own and expire before."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from app.core.clock import now_ms, rfc3339
from app.redis.scripts import Call, decoded, decoded_all, in_turn, script
from app.store.database import Database
from app.store.members import jobs_of
from app.store.search.values import Values


class Dropped(Struct, frozen=True):
    """What was removed with a job: how many history entries, payloads and runs, how many of the runs were failures; and
    the id of its submission, if that was removed too."""

    job_id: str
    entries: int
    payloads: int
    runs: int
    failures: int
    submission: str | None


class Retention:
    """Every sweep handles at most ``count`` things and returns how many it found; fewer than ``count`` means that
    nothing is left. Ages are seconds.
    """

    def __init__(self, db: Database, values: Values) -> None:
        self._db = db
        self._values = values
        self._redis = db.client
        self._drop = script(db.client, "record", "run", "drop_runs", "drop")
        self._drop_submission = script(db.client, "run", "drop_runs", "drop_submission")

    def drop_jobs(self, older_than_s: float, count: int, token_life_s: float = 0) -> int:
        """Remove jobs whose last change is older. A job with runs that failed or are not over stays twice as long; one
        that has not ended stays while its submission's token is valid (``token_life_s`` if the submission does not
        say how long)."""
        now = now_ms()
        ids = jobs_of(self._oldest("touched", now - int(older_than_s * 1000), count))
        # The age of a job that is kept starts again from zero.
        arguments = ["1", now, rfc3339(now - int(token_life_s * 1000))]
        calls: list[Call] = [
            (self._drop, [], [self._db.prefix, job_id, *arguments, *self._values.with_holders(members)])
            for job_id, members in zip(ids, self._values.of(ids), strict=True)
        ]
        in_turn(self._db.client, calls)
        return len(ids)

    def drop_submissions(self, older_than_s: float, count: int) -> int:
        """Remove submissions without jobs that are older."""
        now = now_ms()
        ids = decoded_all(self._oldest("submissions", now - int(older_than_s * 1000), count))
        in_turn(self._db.client, [(self._drop_submission, [], [self._db.prefix, each, now]) for each in ids])
        return len(ids)

    def drop_job(self, job_id: str) -> Dropped | None:
        """Remove this job, whatever the state of its runs; ``None`` if it was not there."""
        (members,) = self._values.of([job_id])
        searched = self._values.with_holders(members)
        answer: Any = self._drop(args=[self._db.prefix, job_id, "", 0, "", *searched])
        was_there, entries, payloads, runs, failures, submission = answer
        if not was_there:
            return None
        return Dropped(job_id, entries, payloads, runs, failures, decoded(submission) or None)

    def _oldest(self, schedule: str, cutoff: int, count: int) -> Any:
        return self._redis.zrange(self._db.key(schedule), "-inf", cutoff, byscore=True, offset=0, num=count)
