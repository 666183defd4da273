"""Idempotency records: which request was begun under a key that the caller chose, so that it is performed once.

A record names a submission. If the process that wrote the record has died, the submission says how the request ended.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from app.core.clock import now_ms
from app.redis.connection import UNAVAILABLE
from app.redis.scripts import script
from app.store.accept.outcomes import Unavailable
from app.store.database import Database


class IdempotencyRecord(Struct, frozen=True):
    """``content``: a hash of the request; ``since``: milliseconds since 1970; ``answer``: ``None`` until then."""

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
    """The records in the store, by ``space`` (whose names) and ``name``. Every method raises ``Unavailable``."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._swap = script(db.client, "swap")

    def take(self, space: str, name: str, record: IdempotencyRecord, keep_s: int) -> IdempotencyRecord | None:
        """Take the name with this record. ``None``: it was free. Else the record that holds it.

        A call whose answer was lost is sent again and finds its own record.
        """
        try:
            while True:
                if self._db.client.set(self._key(space, name), _text(record), nx=True, ex=keep_s):
                    return None
                if kept := self.get(space, name):
                    return None if kept == record else kept
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
        """Replace ``old`` by ``new`` (or remove it); false if the record is no longer ``old``."""
        try:
            arguments: list[Any] = [_text(old), _text(new) if new else "", keep_s]
            return bool(self._swap(keys=[self._key(space, name)], args=arguments))
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error

    def _key(self, space: str, name: str) -> str:
        """Names are hashed: they are callers' text of any length."""
        return self._db.key("mark", f"{space}:{hashlib.sha256(name.encode()).hexdigest()}")


def _text(record: IdempotencyRecord) -> str:
    return json.dumps(asdict(record), sort_keys=True)


def content_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
