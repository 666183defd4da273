"""Replays: a job's latest news, announced once more under an id of its own."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec.json import encode

from app.core.clock import now_ms, rfc3339
from app.redis.connection import UNAVAILABLE
from app.redis.scripts import decoded, script
from app.store.database import Database
from app.store.jobs.accept import Limits, Unavailable, event_id
from app.store.jobs.snapshot import TRIES, snapshots
from app.store.packing.packing import pack


@dataclass(frozen=True, slots=True)
class Replayed:
    """``event_id`` is new, so that no handler's idempotency check drops it; ``replay_of`` is what it repeats."""

    job_id: str
    event_id: str
    replay_of: str


class _Moved(Exception):
    """The job has changed since its report was read."""


class Replays:
    """Makes replays."""

    def __init__(self, db: Database, limits: Limits) -> None:
        self._db = db
        self._limits = limits
        self._script = script(db.client, "record", "replay")

    def replay(self, job_id: str, by: str) -> Replayed | None:
        """A new event for the job as it is now; ``None`` if nothing is known of it. Raises ``Unavailable``."""
        try:
            for _ in range(TRIES):
                with suppress(_Moved):
                    return self._replay(job_id, by)
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error
        raise Unavailable("the job changes faster than it can be read; nothing was replayed")

    def _replay(self, job_id: str, by: str) -> Replayed | None:
        (known,) = snapshots(self._db, [job_id])
        digest, state = map(decoded, self._db.client.hmget(self._db.key("job", job_id), "digest", "state"))
        if digest is None:
            return None
        original = event_id(job_id, digest)
        made = Replayed(job_id, event_id(original, secrets.token_hex(8)), original)
        at = rfc3339(now_ms())
        entry = {
            "kind": "replay",
            "at": at,
            "state": state,
            "replay_of": original,
            "by": by,
        }
        arguments: list[Any] = [self._db.prefix, job_id, made.event_id, original, at]
        arguments += [self._limits.history, self._limits.outbox, pack(encode(entry))]
        arguments += [known.version or "", known.report]
        verdict = decoded(self._script(args=arguments))
        if verdict == "moved":
            raise _Moved
        if verdict == "full":
            raise Unavailable("the outbox is full: is the relay running?")
        return made if verdict == "ok" else None
