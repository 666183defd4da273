"""Callback URLs that went beyond their limits: what they would have said is asked of CI instead."""

from __future__ import annotations

from app.store.clock import now_ms
from app.store.connection import Database
from app.store.scripts import script


class Floods:
    """The floods in the store."""

    def __init__(self, db: Database) -> None:
        self._prefix = db.prefix
        self._script = script(db, "flood")

    def note(self, token: str, submission: str | None, seconds: int) -> int:
        """The URL of this fingerprint is refused for ``seconds``; returns about how many jobs CI is asked at once."""
        now = now_ms()
        return int(self._script(args=[self._prefix, token, submission or "", now, now + seconds * 1000]))
