"""Find the jobs of a submission whose answer was lost: CI may have them, and sending again could cost twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum

from msgspec import Struct, convert

from app.ci.incoming.payload import Answer
from app.ci.matching.asked import Asked
from app.ci.matching.matching import assign, fits
from app.ci.report import Detail
from app.core.clock import now_ms, to_ms
from app.reconcile.describe import bind, wait_for_turn
from app.services import Services
from app.store.submissions.submissions import Submission

_BEFORE = timedelta(minutes=10)
"""CI's clock may be behind ours."""
_AFTER = timedelta(minutes=30)
"""CI's clock may be ahead, and a throttled request is sent a little later."""
_PAGES = 20


class Search(Enum):
    """The result of a search. ``NOTHING`` only if it is certain that CI's list has no job that can be meant."""

    FOUND = "found"
    NOTHING = "nothing"
    AMBIGUOUS = "ambiguous"


class _Candidates(Struct, frozen=True):
    """The jobs that can be meant. ``is_complete``: no other job can be."""

    details: list[Detail]
    is_complete: bool


def search(services: Services, submission: Submission) -> Search:
    """Search CI for its jobs, and bind them if exactly one assignment fits. Raises ``ProviderError``.

    First among the jobs that callbacks named with its token, then in CI's list. A job fits by tag, input object, time,
    outputs and user data.
    """
    asked = convert(submission.facts, Asked)
    now = now_ms()
    claimed = _claimed(services, submission, asked)
    chosen = assign(asked, claimed.details) if claimed.details else None
    if chosen is None:
        listed = _listed(services, submission, asked)
        chosen = assign(asked, listed.details)
        if chosen is None:
            is_none = claimed.is_complete and listed.is_complete and not listed.details
            return Search.NOTHING if is_none else Search.AMBIGUOUS
    bind(services, submission, chosen, now)
    return Search.FOUND


def _claimed(services: Services, submission: Submission, asked: Asked) -> _Candidates:
    """CI's answer about the jobs that callbacks named with this submission's own token."""
    ids = services.store.submissions.claims(submission.id)
    if not ids:
        return _Candidates([], is_complete=True)
    wait_for_turn(services)
    answer = services.provider.describe(submission.bucket, submission.region, ids)
    fitting = [detail for detail in answer.details if _can_be(services, submission, asked, detail)]
    return _Candidates(fitting, not _has_unreadable(services, submission, answer))


def _listed(services: Services, submission: Submission, asked: Asked) -> _Candidates:
    """Those of CI's list, of which ``_PAGES`` are read for each tag."""
    sent = datetime.fromtimestamp((to_ms(submission.submitted_at) or now_ms()) / 1000, UTC)
    found: dict[str, Detail] = {}
    is_complete = True
    for tag in dict.fromkeys(operation.tag for operation in asked.operations):
        token: str | None = None
        for _ in range(_PAGES):
            wait_for_turn(services)
            page = services.provider.list_jobs(
                submission.bucket,
                submission.region,
                tag,
                next_token=token,
                input_object=asked.input_object,
                created_after=sent - _BEFORE,
                created_before=sent + _AFTER,
            )
            found |= {detail.report.job_id: detail for detail in page.details}
            is_complete = is_complete and not _has_unreadable(services, submission, page)
            token = page.next_token
            if not token:
                break
        is_complete = is_complete and not token
    fitting = [detail for detail in found.values() if _can_be(services, submission, asked, detail)]
    return _Candidates(fitting, is_complete)


def _has_unreadable(services: Services, submission: Submission, answer: Answer) -> bool:
    """Whether a job that cannot be read may be meant: one that belongs to no other submission."""
    return any(_is_free(services, submission, each.job_id) for each in answer.unreadable)


def _is_free(services: Services, submission: Submission, job_id: str) -> bool:
    return services.store.submissions.owner(job_id) in {None, submission.id}


def _can_be(services: Services, submission: Submission, asked: Asked, detail: Detail) -> bool:
    """Whether it fits an operation, was created at about that time, and belongs to no other submission."""
    created = to_ms(detail.report.created_at)
    sent = to_ms(submission.submitted_at) or 0
    in_time = created is None or -_BEFORE <= timedelta(milliseconds=created - sent) <= _AFTER
    if not in_time or not any(fits(asked, operation, detail) for operation in asked.operations):
        return False
    return _is_free(services, submission, detail.report.job_id)
