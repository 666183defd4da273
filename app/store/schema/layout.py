"""Schema 2 to 3: the long values of jobs and submissions get keys of their own, compressed with the dictionary.

What earlier releases compressed with zlib stays as it is: reading knows both.
"""

from __future__ import annotations

import json
from typing import Any

from app.redis.scripts import Call, in_turn, script
from app.store.database import Database
from app.store.packing.packing import pack
from app.store.submissions.submissions import request_of

_TRIES = 5


class StoredLayout:
    """Moves them. Every step can be repeated; what changes meanwhile is read again."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._script = script(db.client, "migrate_layout")

    def migrate_jobs(self, ids: list[str]) -> None:
        self._migrate("job", "report", ids, ("report",))

    def migrate_submissions(self, ids: list[str]) -> None:
        self._migrate("submission", "request", ids, ("labels", "facts"))

    def _migrate(self, kind: str, target: str, ids: list[str], fields: tuple[str, ...]) -> None:
        for _ in range(_TRIES):
            calls = self._calls(kind, target, ids, fields)
            if all(in_turn(self._db.client, calls)):
                return

    def _calls(self, kind: str, target: str, ids: list[str], fields: tuple[str, ...]) -> list[Call]:
        pipe = self._db.client.pipeline(transaction=False)
        for each in ids:
            pipe.hmget(self._db.key(kind, each), *fields)
        rows: list[Any] = pipe.execute() if ids else []
        return [
            (self._script, [], [self._db.prefix, kind, each, b"".join(row), _packed(row), target, *fields])
            for each, row in zip(ids, rows, strict=True)
            if all(value is not None for value in row)
        ]


def _packed(row: list[bytes]) -> bytes:
    if len(row) == 1:
        return pack(row[0])
    labels, facts = map(json.loads, row)
    return pack(json.dumps(request_of(facts, labels), ensure_ascii=False, separators=(",", ":")).encode())
