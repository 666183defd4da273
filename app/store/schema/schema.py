"""The version of the stored data, and the migration of an earlier release's data.

``schema`` is a hash: ``version``; ``since``, when this version was reached (ms); ``migrated``, the version before; and,
if an earlier release wrote after that, ``old_from`` and ``old_seen``, its first and last known writes (ms). Release 1
wrote no version. A start migrates the data of an earlier release; the start and every callback refuse data of a newer
one.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Any

from app.core.clock import now_ms, to_ms
from app.redis.scripts import decoded, decoded_all, script
from app.store.database import Database
from app.store.jobs.body import body_id
from app.store.members import jobs_of
from app.store.schema.layout import StoredLayout
from app.store.schema.version import VERSION, mismatch
from app.store.search.values import Values

log = logging.getLogger(__name__)

_CHUNK = 200
_STRAGGLERS_MS = 3_600_000
"""How long after a migration, or after its last known write, processes of an earlier release may still write."""
_CLOCKS_MS = 600_000
"""How far the clocks of two of our hosts may differ."""
_OLD_WRITES = "raws"
"""A zset into which release 1 puts each job whose callback it stores, by time, and this release nothing. It shows that
release 1 was started again, however long after the migration."""


class WrongSchema(Exception):
    """This release cannot use the stored data; the message says what to do."""


class Schema:
    """The version in the store. ``raw_s``: how long exact bytes are kept (seconds)."""

    def __init__(self, db: Database, raw_s: float) -> None:
        self._db = db
        self._values = Values(db)
        self._redis = db.client
        self._raw_ms = int(raw_s * 1000)
        self._key = db.key("schema")
        self._keys, self._job = script(db.client, "migrate_keys"), script(db.client, "migrate_job")
        self._layout = StoredLayout(db)

    def prepare(self) -> None:
        """Migrate the data, unless it has this version. Raises ``WrongSchema`` if a newer release wrote it."""
        found = decoded(self._redis.hget(self._key, "version"))
        if found == VERSION:
            return
        if found not in {None, "2", "3", "4", "5"}:
            raise WrongSchema(mismatch(found or ""))
        began = now_ms()
        if jobs := self._redis.zcard(self._db.key("jobs")):
            log.warning("migrating the stored data to schema %s (%d jobs)", VERSION, jobs)
            self._migrate(self._all_jobs(), since_first=found is None)
            self._redis.hset(self._key, "migrated", found or "1")
        self._redis.hset(self._key, mapping={"version": VERSION, "since": now_ms()})
        # Processes of schemas 2 to 5 may have written up to here; from here on their writes are refused.
        for ids in self._changed_since(began - _CLOCKS_MS):
            self._layout.migrate_jobs(ids)
            self._values.enter(ids)

    def take_over_stragglers(self) -> int:
        """Migrate what an earlier release has written since the migration: during a rolling upgrade, or because an
        operator went back to it for a while. Returns how many jobs."""
        if not self._redis.hget(self._key, "migrated"):
            return 0
        first, last = self._old_writes()
        if now_ms() - last > _STRAGGLERS_MS:
            return 0
        changed = self._changed_since(first - _STRAGGLERS_MS)
        return self._migrate(chain(changed, self._layout.jobs_with_earlier_runs()))

    def _old_writes(self) -> tuple[int, int]:
        """The times of an earlier release's first and last write. They are stored before the migration removes their
        trace."""
        since, first, last = map(_number, self._redis.hmget(self._key, "since", "old_from", "old_seen"))
        first, last = first or since, max(last, since)
        if found := self._redis.zrange(f"{self._db.prefix}{_OLD_WRITES}", 0, 0, withscores=True):
            is_over = now_ms() - last > _STRAGGLERS_MS
            first, last = int(found[0][1]) if is_over else min(first, int(found[0][1])), now_ms()
            self._redis.hset(self._key, mapping={"old_from": first, "old_seen": last})
        return first, last

    def _migrate(self, jobs: Iterator[list[str]], *, since_first: bool = True) -> int:
        """Each step is atomic and idempotent: several processes may migrate at once, and any may die.
        ``since_first``: the data may be of release 1."""
        for ids in self._all("submissions"):
            self._layout.migrate_submissions(ids)
        if since_first:
            self._move_keys()
        count = 0
        for ids in jobs:
            if since_first:
                self._move("list", ids, "job:{}:history", "history:{}")
                self._move("set", ids, "job:{}:runs", "job_runs:{}")
                self._migrate_jobs(ids)
            self._layout.migrate_jobs(ids)
            self._values.enter(ids)
            count += len(ids)
        return count

    def _move_keys(self) -> None:
        for ids in self._all("submissions"):
            self._move("set", ids, "submission:{}:claims", "claims:{}")
        endpoints = sorted(decoded_all(self._redis.smembers(self._db.key("endpoints"))))
        self._move("zset", endpoints, "endpoint:{}:runs", "deliveries:{}")
        # The refusals of release 1 had no bodies, and each is in the history of its job.
        self._redis.delete(*(f"{self._db.prefix}{gone}" for gone in ("slow:times", _OLD_WRITES, "refusals")))

    def _move(self, kind: str, ids: list[str], old: str, new: str) -> None:
        names = [word for each in ids for word in (kind, old.format(each), new.format(each))]
        if names:
            self._keys(args=[self._db.prefix, *names])

    def _migrate_jobs(self, ids: list[str]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for each in ids:
            pipe.hgetall(f"{self._db.prefix}job:{each}:raw")
            pipe.lrange(f"{self._db.prefix}history:{each}", 0, -1)
        # A key of another type answers with an error: it is not a key of schema 1.
        answers = pipe.execute(raise_on_error=False)
        for each, raw, lines in zip(ids, answers[::2], answers[1::2], strict=True):
            bodies = self._bodies(raw, lines) if isinstance(raw, dict) and b"version" not in raw else []
            self._job(args=[self._db.prefix, each, *bodies])

    def _bodies(self, raw: dict[bytes, bytes], lines: list[bytes]) -> list[Any]:
        """For each body that has not expired: its entry, name, remaining life (ms) and bytes."""
        came = {str(entry["entry"]): to_ms(entry["at"]) or 0 for entry in map(json.loads, lines)}
        words: list[Any] = []
        for entry, body in raw.items():
            left = came.get(entry.decode(), 0) + self._raw_ms - now_ms()
            if left > 0:
                words += [entry, body_id(zlib.decompress(body)), left, body]
        return words

    def _all(self, index: str) -> Iterator[list[str]]:
        start, key = 0, self._db.key(index)
        while ids := decoded_all(self._redis.zrange(key, start, start + _CHUNK - 1)):
            yield ids
            start += _CHUNK

    def _all_jobs(self) -> Iterator[list[str]]:
        """By ZSCAN, because members change during the walk."""
        cursor: int | None = None
        key = self._db.key("jobs")
        while cursor != 0:
            found: Any = self._redis.zscan(key, cursor or 0, count=_CHUNK)
            cursor, rows = found
            yield jobs_of(member for member, _ in rows)

    def _changed_since(self, since: int) -> Iterator[list[str]]:
        ids = jobs_of(self._redis.zrange(self._db.key("touched"), since, "+inf", byscore=True))
        yield from (ids[n : n + _CHUNK] for n in range(0, len(ids), _CHUNK))


def _number(found: bytes | str | None) -> int:
    return int(found or 0)
