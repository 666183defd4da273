"""Read CI's job list (``GET /jobs``), and import jobs that are new here or have news."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from app.ci.incoming.payload import Answer
from app.ci.report import Detail
from app.core.backoff import delay
from app.core.clock import now_ms
from app.provider import ProviderError, Throttled
from app.reconcile.describe import accept_answer, wait_for_turn
from app.services import Services

_TRIES = 6
_PAUSE_S, _PAUSE_MAX_S = 1.0, 30.0


class Span(Struct, frozen=True):
    """Which jobs to read: one tag in one bucket, created since (and before) a time with an offset."""

    bucket: str
    region: str
    tag: str
    since: datetime
    until: datetime | None = None


def walk(services: Services, span: Span) -> Iterator[tuple[Detail, int]]:
    """CI's list, oldest first, page by page; jobs created meanwhile come last. Each job with the time at which its
    page was asked for (milliseconds since 1970). Raises ``ProviderError``."""
    token: str | None = None
    seen: set[str] = set()
    while True:
        asked_ms = now_ms()
        page = _page(services, span, token)
        yield from ((detail, asked_ms) for detail in page.details)
        token = page.next_token
        if token is None or token in seen:
            return
        seen.add(token)


def import_job(services: Services, detail: Detail, asked_ms: int, *, quiet: bool = False) -> str:
    """``new`` for an unknown job, ``news`` of a known one, or ``known`` if nothing changed. Can be repeated. ``quiet``:
    nothing runs for it."""
    known = services.store.jobs.exists(detail.report.job_id)
    outcome = accept_answer(services, detail, asked_ms, quiet=quiet)
    if outcome != "accepted":
        return "known"
    return "news" if known else "new"


def foreseen(services: Services, detail: Detail) -> str:
    """What ``import_job`` would return; nothing is stored."""
    digest, is_ended = services.store.jobs.digest(detail.report.job_id)
    if digest is None:
        return "new"
    is_older = is_ended and not detail.report.terminal
    return "known" if is_older or digest == detail.report.digest else "news"


def _page(services: Services, span: Span, token: str | None) -> Answer:
    """One page; asked for again if CI is throttling or fails for a moment: listing costs nothing."""
    for left in reversed(range(_TRIES)):
        wait_for_turn(services)
        try:
            return services.provider.list_jobs(
                span.bucket,
                span.region,
                span.tag,
                next_token=token,
                created_after=span.since,
                created_before=span.until,
                oldest_first=True,
            )
        except ProviderError as error:
            if not left or ((error.status or 500) < 500 and not isinstance(error, Throttled)):
                raise
            time.sleep(error.retry_after or delay(_TRIES - left, _PAUSE_S, _PAUSE_MAX_S))
    raise AssertionError("unreachable")
