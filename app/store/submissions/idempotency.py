"""Idempotency records: what was begun under a name that the caller chose, so that any process does it once.

A record names a submission. When the process that wrote it has died, that submission says what became of the request.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.core.clock import now_ms
from app.redis.connection import UNAVAILABLE
from app.redis.scripts import script
from app.store.database import Database
from app.store.jobs.accept import Unavailable


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """``content`` is a hash of what was asked for, ``since`` milliseconds, ``answer`` what was answered, if it was."""

    content: str
    submission: str
    since: int
    answer: dict[str, Any] | None = None

    @property
    def age_s(self) -> float:
        return (now_ms() - self.since) / 1000

    def answered(self, answer: dict[str, Any]) -> IdempotencyRecord:
        return replace(self, answer=answer)


class IdempotencyRecords:
    """The records in the store, by ``space`` (who names) and ``name``. Every method raises ``Unavailable``."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._swap = script(db.client, "swap")

    def take(self, space: str, name: str, record: IdempotencyRecord, keep_s: int) -> IdempotencyRecord | None:
        """``None``: the name was free, and is ours. Else the record that is there."""
        try:
            while True:
                if self._db.client.set(self._key(space, name), _text(record), nx=True, ex=keep_s):
                    return None
                if kept := self.get(space, name):
                    return kept
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error

    def get(self, space: str, name: str) -> IdempotencyRecord | None:
        try:
            kept = self._db.client.get(self._key(space, name))
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error
        return IdempotencyRecord(**json.loads(kept)) if kept else None

    def swap(
        self,
        space: str,
        name: str,
        old: IdempotencyRecord,
        new: IdempotencyRecord | None,
        keep_s: int = 1,
    ) -> bool:
        """Put ``new`` (or nothing) in the place of ``old``; false when another was quicker."""
        try:
            arguments: list[Any] = [_text(old), _text(new) if new else "", keep_s]
            return bool(self._swap(keys=[self._key(space, name)], args=arguments))
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error

    def _key(self, space: str, name: str) -> str:
        """Names are text of any length from outside."""
        return self._db.key("mark", f"{space}:{hashlib.sha256(name.encode()).hexdigest()}")


def _text(record: IdempotencyRecord) -> str:
    return json.dumps(asdict(record), sort_keys=True)


def content_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
