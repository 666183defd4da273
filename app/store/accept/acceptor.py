"""Storing what CI reported: one script, and one round trip, for a whole body."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from app.ci.report import STATES, Report
from app.core.clock import now_ms, to_ms
from app.redis.durable import Durable, WriteResult
from app.redis.scripts import script
from app.store.accept.arguments import arguments
from app.store.accept.news import Limits, News
from app.store.accept.outcomes import (
    CapReached,
    NotBelieved,
    NotDurable,
    Outcome,
    OverLimit,
    Taken,
    Unavailable,
)
from app.store.accept.snapshot import NOTHING, TRIES, Snapshot, snapshots
from app.store.database import Database
from app.store.schema.version import mismatch

log = logging.getLogger(__name__)

_SOON_MS = 300_000
"""An end further ahead of our clock is likely to be a doubt. Half of what decide.lua allows by the clock of Redis: the
two clocks may differ, and a wrong guess costs only a second call."""
_FULL = {
    "outbox": "the outbox is full (OUTBOX_MAX): is the relay running?",
    "jobs": "there are as many jobs as JOBS_MAX allows",
}


class Acceptor:
    """Stores callbacks, polls, and the answers to our own submissions."""

    def __init__(self, db: Database, limits: Limits, durable: Durable) -> None:
        self._limits = limits
        self._durable = durable
        self._db = db
        self._prefix = db.prefix
        self._script = script(db.client, "record", "event", "decide", "accept")

    def accept(self, news: News) -> list[Outcome]:
        """The outcomes of ``take``; raises as it does."""
        return self.take(news).outcomes

    def take(self, news: News) -> Taken:
        """Store the news and return the outcomes.

        Raises ``NotBelieved`` or ``OverLimit`` if nothing was stored; ``Unavailable`` if nothing was stored as far as
        we know, because a lost reply of Redis looks the same; ``NotDurable`` if a callback is stored below the
        configured ``DURABILITY``.
        """
        try:
            kept = self._run(news)
            for _ in range(TRIES):
                if kept.answer[0] != b"uncertain":
                    break
                known = snapshots(self._db, [detail.report.job_id for detail in news.details])
                kept = self._run(news, undone=True, known=known)
        except RedisError as error:
            # Treated like an absent Redis, so that the callback is spooled: no error of ours may lose it.
            raise Unavailable(str(error)) from error
        taken = self._taken(kept.answer)
        if not kept.safe:
            if news.source == "callback":
                raise NotDurable(taken.outcomes)
            log.warning(
                "the jobs of submission %s are stored, but below the configured DURABILITY", news.submission
            )
        return taken

    def _run(self, news: News, undone: bool = False, known: Sequence[Snapshot] = ()) -> WriteResult:
        given = arguments(
            self._prefix,
            self._limits,
            news,
            undone or _may_be_undone(news),
            known or [NOTHING] * len(news.details),
        )
        if news.source == "submit" or news.binds:
            return self._durable.strongest(self._script, given)
        if news.source == "poll":
            # CI can be asked again.
            return WriteResult(self._script(args=given), True)
        return self._durable.run(self._script, given)

    def _taken(self, answer: Any) -> Taken:
        verdict, *rest = (word.decode() for word in answer)
        if verdict == "refused":
            raise NotBelieved(rest[0])
        if verdict == "full":
            raise CapReached(_FULL[rest[0]])
        if verdict == "limited":
            raise OverLimit(int(rest[0]))
        if verdict == "schema":
            raise Unavailable(mismatch(rest[0]))
        if verdict == "uncertain":
            raise Unavailable("the job changes faster than it can be read; nothing was stored")
        if verdict == "new":
            return Taken(rest[1:], rest[0])
        return Taken(rest)


def _may_be_undone(news: News) -> bool:
    """Whether the news may be undone later: it waits for CI's confirmation, its token claims the job for a submission
    whose jobs CI may not have named yet, or it is likely to be a doubt. If this guess is wrong, the script answers
    ``uncertain`` and is called again with the reports that it needs."""
    if news.hold or (news.source == "callback" and news.submission is not None):
        return True
    return any(_is_doubtful(detail.report) for detail in news.details)


def _is_doubtful(report: Report) -> bool:
    is_word = report.state is None or report.state in STATES
    return not is_word or (to_ms(report.ended_at) or 0) > now_ms() + _SOON_MS
