"""A loop of the relay: jobs of submissions whose answer from CI was lost are searched for in CI's list."""

from __future__ import annotations

import logging
import threading

from app.core.backoff import jittered
from app.core.clock import now_ms, to_ms
from app.provider import ProviderError, Throttled
from app.reconcile.find_lost import Search, search
from app.services import Services
from app.store.submissions.submissions import AMBIGUOUS, Submission

log = logging.getLogger(__name__)

_COUNT = 10
_PUT_OFF_S = 120.0
_IDLE_S = 1.0
_SHORTEST_S, _LONGEST_S = 5.0, 900.0


def step(services: Services, stopping: threading.Event) -> None:
    """Search for the jobs of lost submissions that are due; wait a moment if none are."""
    held = services.store.due.held_s()
    ids = [] if held else services.store.submissions.take_unanswered(_COUNT, _PUT_OFF_S)
    if not ids:
        stopping.wait(max(_IDLE_S, min(held, 5.0)))
        return
    for submission_id in ids:
        submission = services.store.submissions.get(submission_id)
        if submission is None or submission.status in {"submitted", "failed"}:
            services.store.submissions.found(submission_id)
        else:
            _search_for(services, submission)


def _search_for(services: Services, submission: Submission) -> None:
    try:
        result = search(services, submission)
    except Throttled as error:
        seconds = services.store.due.slow_down(error.retry_after)
        services.store.submissions.look_again(submission.id, seconds + _SHORTEST_S)
        return
    except ProviderError as error:
        log.warning(
            "could not search for the jobs of submission %s; searching again later: %s", submission.id, error
        )
        services.store.submissions.look_again(submission.id, _pause(submission))
        return
    if result is Search.FOUND:
        log.info("found the jobs of submission %s in CI", submission.id)
    elif _age_s(submission) < services.settings.search_for:
        services.store.submissions.settle(
            submission.id, "lost", _SEARCHING_MESSAGES[result], look_again_s=_pause(submission)
        )
    else:
        log.error(
            "did not find the jobs of submission %s in CI; its record says whether to submit it again",
            submission.id,
        )
        ambiguous: dict[str, str | None] | None = {"code": AMBIGUOUS} if result is Search.AMBIGUOUS else None
        services.store.submissions.settle(submission.id, "failed", _GIVEN_UP_MESSAGES[result], ambiguous)


_SEARCHING_MESSAGES = {
    Search.NOTHING: "CI's answer was lost, and CI's list has no such job yet. The search goes on.",
    Search.AMBIGUOUS: "CI's answer was lost, and CI's list has jobs that may be its own. The search goes on.",
}
_GIVEN_UP_MESSAGES = {
    Search.NOTHING: "CI's answer was lost, and CI never had such a job: it was not received. Submit it again.",
    Search.AMBIGUOUS: "CI's answer was lost, and CI's list has jobs that may be its own: none was chosen. "
    "Its callback would have distinguished them. Look at CI's list before you submit it again.",
}


def _age_s(submission: Submission) -> float:
    return (now_ms() - (to_ms(submission.submitted_at) or 0)) / 1000


def _pause(submission: Submission) -> float:
    """Seconds until the next search: a quarter of its age."""
    return jittered(min(max(_age_s(submission) / 4, _SHORTEST_S), _LONGEST_S))
