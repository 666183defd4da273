"""Settling a doubt: a person decides what CI does not know, or cannot be asked."""

from __future__ import annotations

from typing import Literal

from app.ci.report import Detail, Report
from app.core.clock import to_ms
from app.redis.scripts import decoded
from app.store.accept.acceptor import Acceptor
from app.store.accept.identity import seen
from app.store.accept.news import News, Settled
from app.store.accept.outcomes import NotBelieved
from app.store.accept.snapshot import snapshots
from app.store.database import Database

Choice = Literal["known", "reported"]

_TRIES = 3
"""A job that changes during the decision is read again, this many times: it may still be in doubt."""


class Doubts:
    """The doubts in the store."""

    def __init__(self, db: Database, acceptor: Acceptor) -> None:
        self._db = db
        self._acceptor = acceptor

    def settle(self, job_id: str, choice: Choice, by: str) -> bool:
        """Settle a doubt for what was known or for what was reported; false if there is none. Raises ``Unavailable``.

        Handlers run for what was reported; for what was known they run if they have not run for it yet.
        """
        return any(self._settle(job_id, choice, by) for _ in range(_TRIES))

    def _settle(self, job_id: str, choice: Choice, by: str) -> bool:
        """False if nothing is doubted, or if the job has changed since it was read."""
        (known,) = snapshots(self._db, [job_id])
        row = self._db.client.hmget(self._db.key("job", job_id), "doubt_report", "doubt_raw", "version")
        reported, raw, version = map(decoded, row)
        if reported is None or version is None or version != known.version:
            return False
        other = Report.from_json(reported)
        keeps = choice == "known"
        report = Report.from_json(known.report) if keeps else other
        refuted = seen(other.state, to_ms(other.ended_at), other.digest) if keeps else ()
        settled = Settled(version, keeps, None if keeps else raw, refuted)
        note = {"as": choice, "by": by}
        news = News([Detail(report, {})], "settle", "settled", note=note, settled=settled)
        try:
            self._acceptor.accept(news)
        except NotBelieved:
            return False
        return True
