"""Replaying one record: Redis stores it, or it is set aside, or it stays pending with all others."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from redis.exceptions import (
    NoPermissionError,
    RedisError,
    TimeoutError,  # noqa: A004
)

from app.core.clock import now_ms
from app.redis.connection import UNAVAILABLE, NotAsked
from app.spool.record import UnreadableRecord, decode_record
from app.store.accept.acceptor import Acceptor
from app.store.accept.news import News
from app.store.accept.outcomes import CapReached, NotBelieved, NotDurable, Unavailable
from app.store.refusals.refusal import Refusal
from app.store.refusals.refusals import Refusals

log = logging.getLogger(__name__)

_TRIES = 3
"""Passes in which Redis may fail for one record, although each began with a write that succeeded."""
_SLOW_TRIES = 30
"""The same if Redis did not answer in time: on a busy machine that says little about the record, and a record that is
set aside is replayed after later news of the same job."""

_AWAY = (*UNAVAILABLE, NoPermissionError)
"""Errors that are not due to the record: Redis is unavailable, cannot write, or does not let our user write."""

Drained = Callable[[str], None]
ReplayPosition = tuple[Path, int]
"""A record's file and where it ends there."""


class Away(Exception):
    """Redis stores no record now; all stay pending."""


class StoreFull(Away):
    """Redis answers, but has no room for this record (JOBS_MAX, OUTBOX_MAX)."""


class Replay:
    """Gives records to the store. ``drained`` is called with each outcome."""

    def __init__(
        self, acceptor: Acceptor, refusals: Refusals, drained: Drained, revoked: frozenset[str]
    ) -> None:
        self._acceptor = acceptor
        self._refusals = refusals
        self._drained = drained
        self._revoked = revoked
        self._failures: Counter[ReplayPosition] = Counter()

    def record(self, payload: bytes, place: ReplayPosition) -> str | None:
        """Store it. Returns why it has to be set aside, ``None`` if it is stored. Raises ``Away``."""
        try:
            record = decode_record(payload)
            if isinstance(record, Refusal):
                self._note(record)
            else:
                self._accept(record)
        except Away:
            raise
        except NotAsked as error:
            raise Away(str(error)) from error
        except _AWAY as error:
            if not self._is_its_own_fault(place, error):
                raise Away(str(error)) from error
            return f"Redis failed {self._failures[place]} times for this record alone: {error}"
        except (UnreadableRecord, RedisError) as error:
            return str(error)
        except Exception as error:
            log.exception("a record of %s could not be drained", place[0].name)
            return f"{type(error).__name__}: {error}"
        return None

    def _is_its_own_fault(self, place: ReplayPosition, error: RedisError) -> bool:
        self._failures[place] += 1
        return self._failures[place] >= (_SLOW_TRIES if isinstance(error, TimeoutError) else _TRIES)

    def forget(self, path: Path) -> None:
        """The file is deleted: drop the failures of its records."""
        for place in [place for place in self._failures if place[0] == path]:
            del self._failures[place]

    def _accept(self, news: News) -> None:
        if news.token in self._revoked:
            self._refuse(news, "revoked_token")
            return
        try:
            outcomes = self._acceptor.accept(news)
        except NotBelieved as error:
            self._refuse(news, error.reason)
        except NotDurable as error:
            raise Away(str(error)) from error
        except CapReached as error:
            raise StoreFull(str(error)) from error
        except Unavailable as error:
            if isinstance(error.__cause__, RedisError):
                raise error.__cause__ from None
            raise Away(str(error)) from error
        else:
            for outcome in outcomes:
                self._drained(outcome)

    def _refuse(self, news: News, reason: str) -> None:
        self._note(
            Refusal(
                reason,
                "Found when it was taken from the spool.",
                token=news.token or "",
                # The rest of the token's binding was checked before the callback was spooled.
                binding={"submission": news.submission} if news.submission else {},
                job_ids=tuple(detail.report.job_id for detail in news.details),
                body=news.body,
                whole=True,
                # the same however often it is drained
                id=blake2b(
                    f"{news.token} {news.received_ms} ".encode() + news.body, digest_size=6
                ).hexdigest(),
                received_ms=news.received_ms or now_ms(),
                spooled_ms=news.received_ms,
            )
        )

    def _note(self, refusal: Refusal) -> None:
        self._refusals.note(refusal)
        self._drained("refused")
