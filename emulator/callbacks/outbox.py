"""The callbacks, sent or pending: stored, so that sending continues after a restart.

`status` of one: `due` (to be sent at `due`), `held` (sent before its submit is answered), `waiting`
(follows another one), `sent` (answered 200), `gave_up` (out of tries), `lost` (by a fault), `elsewhere`
(for a message queue).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import sqlite3

    from emulator.database import Database


@dataclass(frozen=True)
class Outgoing:
    """One callback. `attempts` are `{"at", "status", "error"}`; `follow` are the callbacks to send after this
    one, as pairs of an id and a pause in seconds."""

    job_ids: str
    state: str
    url: str
    format: str
    body: bytes
    status: str = "due"
    due: float | None = None
    attempts: tuple[dict[str, Any], ...] = ()
    follow: tuple[tuple[int, float], ...] = ()
    id: int = 0

    def shown(self, *, full: bool) -> dict[str, Any]:
        """As JSON of the control API. Only `full` has the whole URL, which may contain a secret, and the body."""
        tree: dict[str, Any] = {
            "id": self.id,
            "job_ids": self.job_ids.split(","),
            "state": self.state,
            "url": self.url if full else fingerprint(self.url),
            "format": self.format,
            "size": len(self.body),
            "status": self.status,
            "due": self.due,
            "attempts": list(self.attempts),
        }
        return tree | {"body": self.body.decode("utf-8", "replace")} if full else tree


def fingerprint(url: str) -> str:
    """A URL that can be distinguished from another without exposing its secrets: `http://host:port/…#1a2b3c4d`."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/…#{hashlib.sha256(url.encode()).hexdigest()[:8]}"


class Outbox:
    """The table of callbacks."""

    def __init__(self, database: Database) -> None:
        self._db = database
        # The previous process died before it had sent these.
        self._db.write("UPDATE callbacks SET status = 'due', due = 0 WHERE status = 'held'")

    def add(self, one: Outgoing) -> int:
        return self._db.write(
            "INSERT INTO callbacks (job_ids, state, url, format, body, status, due, attempts, follow)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(one.job_ids, one.state, one.url, one.format, one.body, one.status, one.due),
            *(json.dumps(one.attempts), json.dumps(one.follow)),
        )

    def get(self, callback_id: int) -> Outgoing | None:
        row = self._db.row("SELECT * FROM callbacks WHERE id = ?", callback_id)
        return _load(row) if row else None

    def due(self, now: float, limit: int = 200) -> list[int]:
        rows = self._db.rows(
            "SELECT id FROM callbacks WHERE status = 'due' AND due <= ? ORDER BY due, id LIMIT ?", now, limit
        )
        return [row["id"] for row in rows]

    def next_due(self, now: float) -> float | None:
        """When the next one becomes due, in Unix seconds; None if none is pending."""
        row = self._db.row("SELECT min(due) AS at FROM callbacks WHERE status = 'due' AND due > ?", now)
        return row["at"] if row else None

    def attempted(self, one: Outgoing, attempt: dict[str, Any], status: str, due: float | None) -> None:
        """Record a try; the first one releases the callbacks that follow."""
        with self._db.transaction():
            self._db.write(
                "UPDATE callbacks SET attempts = ?, status = ?, due = ? WHERE id = ?",
                *(json.dumps([*one.attempts, attempt]), status, due, one.id),
            )
            for follower, pause in one.follow:
                self._db.write(
                    "UPDATE callbacks SET status = 'due', due = ? WHERE id = ? AND status = 'waiting'",
                    *(attempt["at"] + pause, follower),
                )

    def listed(self, job_id: str | None, limit: int) -> list[Outgoing]:
        """The latest callbacks, oldest first."""
        rows = self._db.rows(
            "SELECT * FROM callbacks WHERE ? IS NULL OR instr(job_ids, ?) > 0 ORDER BY id DESC LIMIT ?",
            *(job_id, job_id, limit),
        )
        return [_load(row) for row in reversed(rows)]


def _load(row: sqlite3.Row) -> Outgoing:
    fields = dict(row)
    fields["attempts"] = tuple(json.loads(row["attempts"]))
    fields["follow"] = tuple((one, pause) for one, pause in json.loads(row["follow"]))
    return Outgoing(**fields)
