"""Which jobs CI is to be asked about, and when."""

from __future__ import annotations

from app.store.clock import now_ms
from app.store.connection import Database
from app.store.scripts import script, text, texts


class Due:
    """A schedule of questions. A question taken is put off at once, so that one which is never finished comes again."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._key = db.key("due")
        self._take = script(db, "take")

    def take(self, count: int, put_off_s: float) -> list[str]:
        """Up to ``count`` jobs that are due; each is taken by one caller only."""
        return texts(self._take(keys=[self._key], args=[count, int(put_off_s * 1000)]))

    def ask(self, job_id: str, in_s: float = 0.0) -> None:
        """Ask about the job no later than ``in_s`` seconds from now."""
        self._redis.zadd(self._key, {job_id: now_ms() + int(in_s * 1000)}, lt=True)

    def put_off(self, job_id: str, in_s: float) -> None:
        """Ask again in ``in_s`` seconds."""
        self._redis.zadd(self._key, {job_id: now_ms() + int(in_s * 1000)}, xx=True)

    def asked(self, job_id: str) -> int:
        """How often in a row the job was asked about without having ended."""
        return int(text(self._redis.hget(self._db.key("job", job_id), "asked")) or 0)

    def asked_again(self, job_id: str, deadline: str | None = None) -> None:
        """Count one more question; a job that CI says to be at work gets a new deadline."""
        pipe = self._redis.pipeline()
        pipe.hincrby(self._db.key("job", job_id), "asked", 1)
        if deadline:
            pipe.hset(self._db.key("job", job_id), "deadline", deadline)
        pipe.execute()

    def settled(self, job_id: str) -> None:
        """The job has ended: nothing more to ask."""
        self._redis.hdel(self._db.key("job", job_id), "asked")

    def drop(self, job_id: str) -> None:
        self._redis.zrem(self._key, job_id)

    def size(self) -> int:
        return int(self._redis.zcard(self._key))
