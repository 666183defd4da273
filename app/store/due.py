"""Which jobs CI is to be asked about, and when."""

from __future__ import annotations

from app.store.clock import now_ms
from app.store.connection import Database
from app.store.scripts import script, text, texts

_SLOWEST_S = 60.0
_SLOW_MEMORY_S = 300
"""So long after CI wanted to be asked less, another such wish is taken to be about the same trouble."""


class Due:
    """A schedule of questions. A question taken is put off at once, so that one which is never finished comes again."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._key = db.key("due")
        self._slow, self._slow_times = db.key("slow"), db.key("slow_times")
        self._take, self._postpone = script(db, "take"), script(db, "postpone")

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

    def count(self, job_id: str, deadline: str) -> None:
        """One more question was answered without the job having ended: it is at work, and gets a new deadline."""
        self._postpone(keys=[self._key, self._db.key("job", job_id)], args=[job_id, "", deadline])

    def postpone(self, job_id: str, in_s: float) -> None:
        """One more question was in vain: ask again in ``in_s`` seconds."""
        keys = [self._key, self._db.key("job", job_id)]
        self._postpone(keys=keys, args=[job_id, int(in_s * 1000), ""])

    def settled(self, job_id: str) -> None:
        """The job has ended: nothing more to ask."""
        self._redis.hdel(self._db.key("job", job_id), "asked")

    def drop(self, job_id: str) -> None:
        """Ask no more, whatever was in doubt."""
        pipe = self._redis.pipeline()
        pipe.zrem(self._key, job_id)
        pipe.hdel(self._db.key("job", job_id), "asked", "question")
        pipe.execute()

    def slow_down(self, wish_s: float | None = None) -> float:
        """CI wants to be asked less: nobody asks for ``wish_s`` seconds, or for longer each time. Returns how long."""
        times = int(self._redis.incr(self._slow_times))
        seconds = wish_s or min(2.0**times, _SLOWEST_S)
        pipe = self._redis.pipeline()
        pipe.expire(self._slow_times, _SLOW_MEMORY_S)
        pipe.set(self._slow, 1, px=int(seconds * 1000))
        pipe.execute()
        return seconds

    def held_s(self) -> float:
        """For how many seconds more nobody is to ask."""
        return max(0.0, int(self._redis.pttl(self._slow)) / 1000)

    def size(self) -> int:
        return int(self._redis.zcard(self._key))
