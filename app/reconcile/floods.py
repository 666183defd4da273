"""A loop of the relay: after a callback URL exceeded CALLBACK_LIMITS, so that callbacks were refused, CI's job list is
read once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from app.ci.matching import askable
from app.ci.outgoing.request import VOICE_SEPARATE
from app.core.clock import now_ms
from app.provider import ProviderError, Throttled
from app.reconcile import job_list
from app.reconcile.job_list import Span
from app.reconcile.places import our_buckets
from app.services import Services
from app.store.questions.floods import Flood
from app.store.reading.listing import Filter

log = logging.getLogger(__name__)

_PUT_OFF_S = 900.0
_IDLE_S = 2.0
_NEWEST = 200
"""If a URL names no tags, those of this many newest jobs are used: CI lists jobs by tag."""
_JOBS_MAX = 20_000
"""Maximum number of jobs read from CI's list for one flood."""


def step(services: Services, stopping: threading.Event) -> None:
    """Read CI's list for one flood that has ended; wait a moment if there is none."""
    held = services.store.due.held_s()
    flood = None if held else services.store.floods.take(_PUT_OFF_S)
    if flood is None:
        stopping.wait(max(_IDLE_S, min(held, 5.0)))
        return
    try:
        read = _read(services, flood)
    except Throttled as error:
        services.store.due.slow_down(error.retry_after)
    except ProviderError as error:
        log.warning(
            "could not read CI's list after callback URL %s exceeded its limits: %s", flood.token, error
        )
        if _is_old(services, flood):
            log.error(
                "gave up reading CI's list after callback URL %s exceeded its limits: run flask jobs import",
                flood.token,
            )
            services.store.floods.done(flood)
    else:
        services.store.floods.done(flood)
        log.info("read %d jobs from CI's list after callback URL %s exceeded its limits", read, flood.token)


def _read(services: Services, flood: Flood) -> int:
    """How many jobs were read. Raises ``ProviderError``."""
    read = 0
    for span in _spans(services, flood):
        for detail, asked_ms in job_list.walk(services, span):
            if read >= _JOBS_MAX:
                log.error(
                    "stopped after %d jobs of CI's list for callback URL %s: run flask jobs import",
                    read,
                    flood.token,
                )
                return read
            job_list.import_job(services, detail, asked_ms)
            read += 1
    return read


def _spans(services: Services, flood: Flood) -> Iterator[Span]:
    """CI lists jobs by creation time: those that ended during the flood may be older by ``DEADLINE``."""
    ours = our_buckets(services.settings)
    places = {flood.bucket: ours.get(flood.bucket, services.settings.cos_region)} if flood.bucket else ours
    since = _moment(flood.since) - timedelta(seconds=services.settings.deadline)
    for bucket, region in places.items():
        for tag in flood.tags or _tags(services):
            yield Span(bucket, region, tag, since, _moment(flood.until))


def _tags(services: Services) -> list[str]:
    newest = services.store.jobs.page(Filter(), _NEWEST).jobs
    known = {job.tag for job in newest if job.tag and askable.reason_not_a_ci_job(job.report) is None}
    return sorted(known | {VOICE_SEPARATE})


def _is_old(services: Services, flood: Flood) -> bool:
    return now_ms() - flood.since > services.settings.search_for * 1000


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
