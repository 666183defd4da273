"""The little of COS: objects in buckets."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from .database import Database

# What the system's own table may not know.
_TYPES = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".amr": "audio/amr",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
}


@dataclass(frozen=True)
class Stored:
    """One object. `etag` is the MD5 without quotes; `headers` are those it was put with."""

    bucket: str
    key: str
    body: bytes
    etag: str
    headers: dict[str, str]
    modified: float


class Objects:
    """The table of objects."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, bucket: str, key: str, body: bytes, headers: dict[str, str] | None = None) -> Stored:
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        kept = {"Content-Type": content_type(key), **(headers or {})}
        now = time.time()
        self._db.write(
            "INSERT OR REPLACE INTO objects (bucket, key, body, etag, headers, modified)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            *(bucket, key, body, etag, json.dumps(kept), now),
        )
        return Stored(bucket, key, body, etag, kept, now)

    def get(self, bucket: str, key: str) -> Stored | None:
        row = self._db.row("SELECT * FROM objects WHERE bucket = ? AND key = ?", bucket, key)
        return _load(row) if row else None

    def latest(self, key: str) -> Stored | None:
        """The object of that key that was written last, in whatever bucket."""
        row = self._db.row("SELECT * FROM objects WHERE key = ? ORDER BY seq DESC LIMIT 1", key)
        return _load(row) if row else None

    def delete(self, bucket: str, key: str) -> None:
        self._db.write("DELETE FROM objects WHERE bucket = ? AND key = ?", bucket, key)

    def listed(self, bucket: str, prefix: str, after: str, limit: int) -> list[Stored]:
        """Objects in the order of their keys."""
        rows = self._db.rows(
            "SELECT * FROM objects WHERE bucket = ? AND substr(key, 1, ?) = ? AND key > ?"
            " ORDER BY key LIMIT ?",
            *(bucket, len(prefix), prefix, after, limit),
        )
        return [_load(row) for row in rows]


def content_type(key: str) -> str:
    suffix = key[key.rfind(".") :].lower() if "." in key else ""
    return _TYPES.get(suffix) or mimetypes.guess_type(key)[0] or "application/octet-stream"


def _load(row: sqlite3.Row) -> Stored:
    return Stored(
        *(
            row["bucket"],
            row["key"],
            bytes(row["body"]),
            row["etag"],
            json.loads(row["headers"]),
            row["modified"],
        )
    )
