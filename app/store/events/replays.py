"""Replays: a job's latest news, repeated as an event with a new id."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct
from msgspec.json import encode

from app.core.clock import now_ms, rfc3339
from app.core.logs import origin_here
from app.redis.connection import UNAVAILABLE
from app.redis.scripts import decoded, script
from app.store.accept.identity import event_id
from app.store.accept.news import Limits
from app.store.accept.outcomes import Unavailable
from app.store.accept.snapshot import TRIES, snapshots
from app.store.database import Database
from app.store.events.event import Only
from app.store.packing.packing import pack
from app.store.runs.runs import Runs


class Replayed(Struct, frozen=True):
    """``event_id`` is new, so that no handler's idempotency check drops it; ``replay_of`` is the repeated event."""

    job_id: str
    event_id: str
    replay_of: str


class _Moved(Exception):
    """The job has changed since its report was read."""


class Replays:
    """Makes replays."""

    def __init__(self, db: Database, limits: Limits, runs: Runs) -> None:
        self._db = db
        self._runs = runs
        self._limits = limits
        self._script = script(db.client, "record", "event", "replay")

    def replay(self, job_id: str, by: str, only: Only | None = None) -> Replayed | None:
        """Make a new event for the job as it is now, for all handlers and endpoints or for ``only`` one; ``None`` if
        nothing is known of the job. Raises ``Unavailable``."""
        try:
            for _ in range(TRIES):
                with suppress(_Moved):
                    return self._replay(job_id, by, only)
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error
        raise Unavailable("the job changes faster than it can be read; nothing was replayed")

    def why_none(self, handler: str | None, endpoint: str | None, endpoints: Sequence[str]) -> str | None:
        """Why a replay for that handler, or that endpoint of ``endpoints``, would run nothing; ``None`` if it would."""
        if handler is not None and endpoint is not None:
            return "Name a handler or an endpoint, not both."
        if endpoint is not None and endpoint not in endpoints:
            known = ", ".join(endpoints) or "none"
            return f"There is no endpoint {endpoint[:100]!r} in FORWARD_URLS. There are: {known}."
        declared = self._runs.declared()
        if handler is not None and declared and handler not in declared:
            return f"No module in HANDLERS declares {handler[:100]!r}. There are: {', '.join(declared)}."
        return None

    def _replay(self, job_id: str, by: str, only: Only | None) -> Replayed | None:
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
        if only:
            entry["only"] = str(only)
        arguments: list[Any] = [self._db.prefix, job_id, made.event_id, original, at]
        arguments += [self._limits.history, self._limits.outbox, pack(encode(entry))]
        arguments += [known.version or "", known.report, str(only) if only else ""]
        arguments += origin_here()
        verdict = decoded(self._script(args=arguments))
        if verdict == "moved":
            raise _Moved
        if verdict == "full":
            raise Unavailable("the outbox is full: is the relay running?")
        return made if verdict == "ok" else None
