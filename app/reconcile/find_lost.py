"""Find the jobs of a submission whose answer was lost: CI may have them, and sending again could cost twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum

from msgspec import convert

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
    """The result of a search."""

    FOUND = "found"
    NOTHING = "nothing"
    AMBIGUOUS = "ambiguous"


def search(services: Services, submission: Submission) -> Search:
    """Search CI for its jobs, and bind them if exactly one assignment fits. Raises ``ProviderError``.

    First among the jobs that callbacks named with its token, then in CI's list. A job fits by tag, input object, time,
    outputs and user data.
    """
    asked = convert(submission.facts, Asked)
    now = now_ms()
    claimed = _claimed(services, submission, asked)
    chosen = assign(asked, claimed) if claimed else None
    if chosen is None:
        listed = _listed(services, submission, asked)
        chosen = assign(asked, listed)
        if chosen is None:
            return Search.AMBIGUOUS if len(listed) > len(asked.operations) else Search.NOTHING
    bind(services, submission, chosen, now)
    return Search.FOUND


def _claimed(services: Services, submission: Submission, asked: Asked) -> list[Detail]:
    """CI's answer about the jobs that callbacks named with this submission's own token."""
    ids = services.store.submissions.claims(submission.id)
    if not ids:
        return []
    wait_for_turn(services)
    answer = services.provider.describe(submission.bucket, submission.region, ids)
    return [detail for detail in answer.details if _can_be(services, submission, asked, detail)]


def _listed(services: Services, submission: Submission, asked: Asked) -> list[Detail]:
    sent = datetime.fromtimestamp((to_ms(submission.submitted_at) or now_ms()) / 1000, UTC)
    found: dict[str, Detail] = {}
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
            token = page.next_token
            if not token:
                break
    return [detail for detail in found.values() if _can_be(services, submission, asked, detail)]


def _can_be(services: Services, submission: Submission, asked: Asked, detail: Detail) -> bool:
    """Whether it fits an operation, was created at about that time, and belongs to no other submission."""
    created = to_ms(detail.report.created_at)
    sent = to_ms(submission.submitted_at) or 0
    in_time = created is None or -_BEFORE <= timedelta(milliseconds=created - sent) <= _AFTER
    if not in_time or not any(fits(asked, operation, detail) for operation in asked.operations):
        return False
    return services.store.submissions.owner(detail.report.job_id) in {None, submission.id}
