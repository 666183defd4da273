"""The emulator's data: one SQLite file, so that jobs survive a kill of the process."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, submit TEXT NOT NULL,
    bucket TEXT NOT NULL, tag TEXT NOT NULL,
    queue_id TEXT NOT NULL, input_object TEXT NOT NULL, state TEXT NOT NULL,
    created REAL NOT NULL, next_at REAL, record TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_listed ON jobs (bucket, tag, created, seq);
CREATE INDEX IF NOT EXISTS jobs_queued ON jobs (bucket, queue_id, state);
CREATE INDEX IF NOT EXISTS jobs_submit ON jobs (submit);
CREATE TABLE IF NOT EXISTS queues (
    bucket TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (bucket, id));
CREATE TABLE IF NOT EXISTS templates (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,
    etag TEXT NOT NULL, headers TEXT NOT NULL, modified REAL NOT NULL, UNIQUE (bucket, key));
CREATE INDEX IF NOT EXISTS objects_key ON objects (key);
CREATE TABLE IF NOT EXISTS callbacks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, job_ids TEXT NOT NULL, state TEXT NOT NULL, url TEXT NOT NULL,
    format TEXT NOT NULL, body BLOB NOT NULL, status TEXT NOT NULL, due REAL, attempts TEXT NOT NULL,
    follow TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS callbacks_due ON callbacks (due) WHERE status = 'due';
"""

_TABLES = ("jobs", "queues", "templates", "objects", "callbacks")


class Database:
    """One connection behind a lock: the emulator is one process under little load.

    Writes reach the operating system, not the disk: they survive the death of this process.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            directory / "emulator.sqlite3", isolation_level=None, check_same_thread=False, timeout=10
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits at the end, rolls back on an exception; a nested one joins the outermost."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        found = self.rows(sql, *values)
        return found[0] if found else None

    def write(self, sql: str, *values: object) -> int:
        """Run one statement; the id of an inserted row, else 0."""
        with self._lock:
            return self._connection.execute(sql, values).lastrowid or 0

    def clear(self) -> None:
        """Delete everything."""
        with self.transaction():
            for table in _TABLES:
                self.write(f"DELETE FROM {table}")  # noqa: S608  names of our own

    def close(self) -> None:
        """Close. The lock stays held, so that a thread that still runs cannot use the closed connection."""
        self._lock.acquire()
        self._connection.close()
