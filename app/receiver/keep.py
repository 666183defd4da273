"""Storing a callback that has passed its checks: in Redis, else in the spool; else it is answered 503."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Literal

from msgspec.structs import replace
from redis.exceptions import RedisError

from app.core.clock import now_ms
from app.metrics import counted
from app.receiver.limits import over_limit
from app.spool import NoRoom
from app.spool.record import encode_record, pack_refusal
from app.store import News, NotBelieved, NotDurable, OverLimit, Unavailable
from app.store.accept.outcomes import Outcome
from app.store.refusals.refusal import Refusal
from app.web.problems import Problem
from app.web.services import WebServices

log = logging.getLogger(__name__)

RETRY_AFTER_S = 30

CallbackOutcome = Outcome | Literal["spooled"]
"""The outcome of a callback that is stored."""

_REFUSALS_SHARE = 0.5
"""The share of the spool that refusals may fill: a leaked token must not fill it."""
_BODIES_SHARE = 0.25
"""Beyond this share refusals are spooled without bodies: enough to ask CI about their jobs."""

REFUSED_BY_STORE = {
    "revoked_token": "The token in the URL was revoked. Make a fresh URL with `flask callback-url`.",
    "binding_mismatch": "The JobId is not the one that CI returned for this submission.",
}


_LOG_EVERY_S = 10.0


class _Unstored:
    """Counts callbacks that this process could not store. The first is logged at once, later ones as a number every few
    seconds: most often the disk is full, and the access log has a line for each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._next = 0.0

    def add(self, why: str) -> None:
        with self._lock:
            self._count += 1
            if time.monotonic() < self._next:
                return
            count, self._count, self._next = self._count, 0, time.monotonic() + _LOG_EVERY_S
        log.error("callbacks could not be stored, and were answered 503: %d; the last: %s", count, why)


_UNSTORED = _Unstored()


def keep(web: WebServices, news: News) -> Sequence[CallbackOutcome]:
    """Store the news; returns the outcome of each detail. They are then as durable as ``DURABILITY`` promises."""
    outcomes: Sequence[CallbackOutcome]
    try:
        outcomes = web.store.acceptor.accept(news)
    except NotBelieved as error:
        raise Problem(error.reason, REFUSED_BY_STORE[error.reason]) from None
    except OverLimit as error:
        raise over_limit(web, news.submission, news.token or "", error.seconds) from None
    except NotDurable as error:
        # Redis has stored it and decided its outcome; the spool holds a second copy. When that is drained it is a
        # duplicate, unless Redis has lost the first.
        _spool(web, news, "stored in Redis, but not yet durable; spooling a second copy")
        outcomes = error.outcomes
    except Unavailable as error:
        _spool(web, news, str(error))
        outcomes = ["spooled"] * len(news.details)
    counted.count_callbacks(outcomes, (detail.report.tag for detail in news.details))
    web.reporter.note_callback(now_ms())
    return outcomes


def keep_refusal(web: WebServices, refusal: Refusal) -> Literal["kept", "revoked"] | None:
    """Store a refused callback and schedule questions to CI, in Redis or by way of the spool.

    ``None`` if neither can store it; CI is still asked after the job's deadline. ``revoked``: the token is revoked, and
    nothing is kept.
    """
    try:
        return "kept" if web.store.refusals.note(refusal) else "revoked"
    except RedisError as error:
        return "kept" if _spool_refusal(web, refusal, error) else None


def _spool_refusal(web: WebServices, refusal: Refusal, why: RedisError) -> bool:
    if web.spool is None:
        log.warning("refusal %s could not be stored (%s): %s", refusal.id, type(why).__name__, refusal.reason)
        return False
    without = replace(refusal, body=b"", whole=False)
    for each, share in ((refusal, _BODIES_SHARE), (without, _REFUSALS_SHARE)):
        try:
            web.spool.append(pack_refusal(each), share=share)
        except NoRoom as error:
            cause = str(error)
        else:
            return True
    log.warning("refusal %s could not be stored: %s", refusal.id, cause)
    return False


def _spool(web: WebServices, news: News, why: str) -> None:
    """Write it to the local disk. Raises ``Problem``."""
    if web.spool is None:
        _UNSTORED.add(f"{why}; set SPOOL_DIR to spool it to disk")
        raise _not_kept()
    try:
        web.spool.append(encode_record(news))
    except NoRoom as error:
        _UNSTORED.add(f"{why}; {error}")
        raise _not_kept() from None
    log.debug("a callback was spooled: %s", why)


def _not_kept() -> Problem:
    return Problem(
        "store_unavailable",
        "It could not be stored safely. Send the callback again after Retry-After.",
        retry_after=RETRY_AFTER_S,
    )
