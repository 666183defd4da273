"""Settling a doubt: a person decides what CI does not know, or cannot be asked."""

from __future__ import annotations

import json
from typing import Literal

from app.ci.incoming.payload import Detail
from app.ci.report import Report
from app.redis.scripts import text
from app.store.database import Database
from app.store.jobs.accept import Acceptor, News, Settled, seen_fields

Choice = Literal["known", "reported"]


class Doubts:
    """The doubts in the store."""

    def __init__(self, db: Database, acceptor: Acceptor) -> None:
        self._db = db
        self._acceptor = acceptor

    def settle(self, job_id: str, choice: Choice, by: str) -> bool:
        """Keep what was known, or take what was reported; false where nothing is doubted. Raises ``Unavailable``.

        Handlers run for what was reported, and for what was known if they have not yet.
        """
        names = ("report", "doubt_report", "doubt_raw")
        known, reported, raw = map(text, self._db.client.hmget(self._db.key("job", job_id), *names))
        if known is None or reported is None:
            return False
        other = Report.model_validate(json.loads(reported))
        keeps = choice == "known"
        report = Report.model_validate(json.loads(known)) if keeps else other
        settled = Settled(keeps, None if keeps else raw, seen_fields(other) if keeps else ())
        note = {"as": choice, "by": by}
        news = News([Detail(report, {})], "settle", "settled", note=note, settled=settled)
        self._acceptor.accept(news)
        return True
