"""By what a report is recognized when it comes again, and the id of the event that it makes."""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b

from app.ci.report import digest_of
from app.store.accept.news import News


def seen(state: str | None, ended: int | None, digest: str) -> tuple[str, ...]:
    """The fields by which a job's hash remembers a report: its content, and its end. Short, since a job has several."""
    end = f"{state}@{ended}" if state and ended else None
    return (seen_as(digest), seen_as(end)) if end else (seen_as(digest),)


def seen_as(text: str) -> str:
    """A hash of 72 bits: enough against an attacker who cannot predict the text that he would have to collide with."""
    return b64encode(blake2b(text.encode(), digest_size=9).digest(), b"-_").decode()


def event_id(job_id: str, digest: str) -> str:
    """The id of the event that this news makes, the same by callback, poll or spool.

    32 hex digits and nothing of the job's own text: the id is part of signatures, URLs and keys.
    """
    return blake2b(f"{job_id} {digest}".encode(), digest_size=16).hexdigest()


def event_ids(news: News) -> tuple[str, ...]:
    """The ids of the events that the details make if they are news, in order."""
    reports = [detail.report for detail in news.details]
    return tuple(event_id(report.job_id, digest_of(report.to_json())) for report in reports)
