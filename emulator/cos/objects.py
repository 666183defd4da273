"""The table of objects."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import crcmod

if TYPE_CHECKING:
    import sqlite3

    from emulator.database import Database

# Some systems' tables lack these.
_TYPES = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".amr": "audio/amr",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
}

CRC64 = "x-cos-hash-crc64ecma"
_crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)


@dataclass(frozen=True)
class Stored:
    """One object. `etag` is the MD5 without quotes; `headers` are those of the PUT and the checksum,
    which COS sends with every object and Tencent's SDKs compare."""

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
        kept = {"Content-Type": content_type(key), **(headers or {}), CRC64: str(_crc64(body))}
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
        """The object of that key that was written last, in any bucket."""
        row = self._db.row("SELECT * FROM objects WHERE key = ? ORDER BY seq DESC LIMIT 1", key)
        return _load(row) if row else None

    def delete(self, bucket: str, key: str) -> None:
        self._db.write("DELETE FROM objects WHERE bucket = ? AND key = ?", bucket, key)

    def after(self, bucket: str, prefix: str, marker: str) -> Iterator[Stored]:
        """Objects in the order of their keys, read lazily."""
        while rows := self._db.rows(
            "SELECT * FROM objects WHERE bucket = ? AND substr(key, 1, ?) = ? AND key > ?"
            " ORDER BY key LIMIT 100",
            *(bucket, len(prefix), prefix, marker),
        ):
            yield from map(_load, rows)
            marker = rows[-1]["key"]


def content_type(key: str) -> str:
    suffix = key[key.rfind(".") :].lower() if "." in key else ""
    return _TYPES.get(suffix) or mimetypes.guess_type(key)[0] or "application/octet-stream"


def _load(row: sqlite3.Row) -> Stored:
    body, headers = bytes(row["body"]), json.loads(row["headers"])
    if CRC64 not in headers:  # written by an earlier version, without a checksum
        headers[CRC64] = str(_crc64(body))
    return Stored(row["bucket"], row["key"], body, row["etag"], headers, row["modified"])
