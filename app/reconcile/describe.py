"""Ask CI about jobs (``GET /jobs/<ids>``), and accept its answer as the truth."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

from app.ci.incoming.payload import Answer
from app.ci.report import Detail
from app.core.backoff import delay
from app.core.clock import now_ms
from app.provider import AnswerLost, Place, ProviderError, RequestRejected, Throttled
from app.reconcile.places import by_place
from app.services import Services
from app.store import Job, News, Outcome
from app.store.accept.identity import event_id
from app.store.accept.news import as_body
from app.store.events.event import Only
from app.store.questions.due import FIRST_QUESTION_S
from app.store.submissions.submissions import Submission
from app.store.tallies.tallies import QuestionResult

UNREADABLE = "AnswerUnreadable"
"""The code of an answer that cannot be read."""

LONGEST_S = 900.0
"""Seconds: the longest pause between two questions about a job whose callback is late."""
LONGEST_POLLED_S = 60.0
"""The same for a job that was submitted without a callback URL of ours."""


class Described(NamedTuple):
    """CI's answer about jobs; those that it does not know are in neither field."""

    outcomes: dict[str, Outcome]
    unreadable: frozenset[str]
    """Jobs about which CI's answer cannot be read."""


TURN_PATIENCE_S = 5.0
"""Seconds that a caller who waits for the answer may queue for the rate limit."""
LOOP_PATIENCE_S = 60.0
"""The same for the relay."""


def ask(services: Services, jobs: Sequence[Job]) -> dict[str, Outcome]:
    """Ask CI about these jobs and accept its answer: the outcome of each. Jobs that CI does not know, and jobs in
    buckets that we do not know, are left out.

    Raises ``ProviderError``; answers that were accepted before stay accepted.
    """
    outcomes: dict[str, Outcome] = {}
    for place, group in by_place(services, jobs).items():
        asked = ask_place(services, place, group)
        outcomes |= asked.outcomes
        if asked.unreadable:
            raise AnswerLost(UNREADABLE, ", ".join(sorted(asked.unreadable)), question=True)
    return outcomes


def wait_for_turn(services: Services, longest_s: float = LOOP_PATIENCE_S) -> None:
    """Wait for the rate limit of questions to CI, which all processes share.

    Raises ``Throttled`` if that would take longer than ``longest_s`` seconds.
    """
    wait = services.store.due.turn(longest_s)
    if wait is None:
        raise Throttled(
            "SlowDown",
            "Our own rate limit for questions to CI is exhausted; nothing was sent, try again later",
            retry_after=longest_s,
        )
    time.sleep(wait)


def ask_place(
    services: Services, place: Place, jobs: Sequence[Job], longest_s: float = TURN_PATIENCE_S
) -> Described:
    """The same for at most 50 jobs of one bucket. Raises ``ProviderError``; then no answer was accepted."""
    wait_for_turn(services, longest_s)
    services.store.due.note_asked([job.job_id for job in jobs])
    asked = now_ms()
    try:
        answer = services.provider.describe(*place, [job.job_id for job in jobs])
    except ProviderError as error:
        services.store.tallies.note_questions(_without_answer(error, len(jobs)))
        raise
    answered = {detail.report.job_id: detail for detail in answer.details}
    known = [job for job in jobs if job.job_id in answered]
    services.store.due.note_place([job.job_id for job in known], place)
    outcomes = {
        job.job_id: accept_answer(services, answered[job.job_id], asked, longest_pause(job)) for job in known
    }
    unreadable = _unreadable(answer, jobs, answered.keys())
    services.store.tallies.note_questions(
        {
            "answered": len(known),
            "unreadable": len(unreadable),
            "unknown": len(jobs) - len(known) - len(unreadable),
        }
    )
    return Described(outcomes, unreadable)


def _without_answer(error: ProviderError, jobs: int) -> dict[QuestionResult, int]:
    if isinstance(error, Throttled):
        return {"throttled": jobs}
    return {"unreadable" if error.code == UNREADABLE else "failed": jobs}


def _unreadable(answer: Answer, jobs: Sequence[Job], answered: Collection[str]) -> frozenset[str]:
    """If an id itself cannot be read, it may be that of any job that is missing in the answer."""
    if not answer.unreadable:
        return frozenset()
    missing = {job.job_id for job in jobs} - set(answered) - set(answer.non_existing)
    named = missing & {one.job_id for one in answer.unreadable}
    return frozenset(named if len(named) == len(answer.unreadable) else missing)


def accept_answer(
    services: Services, detail: Detail, asked_ms: int, longest: float = LONGEST_S, *, quiet: bool = False
) -> Outcome:
    """Accept CI's own answer about one job, asked for at ``asked_ms``. ``longest``: seconds to the next one. ``quiet``:
    nothing runs for it."""
    due, job_id = services.store.due, detail.report.job_id
    news = News(
        details=[detail],
        source="poll",
        verification="confirmed",
        body=as_body([detail]),
        ask_after=pause(due.asked(job_id), longest),
        asked_ms=asked_ms,
        quiet=quiet,
        note={"only": str(Only())} if quiet else None,
    )
    outcome = services.store.acceptor.accept(news)[0]
    if not quiet:
        _confirm_outputs(services, detail, outcome)
    if detail.report.terminal:
        due.settled(job_id)
    else:
        # The job is still running: it is overdue only after another deadline without news.
        due.count(job_id, services.settings.deadline)
    return outcome


def restore(services: Services, submission: Submission) -> bool:
    """Restore the lost records of a submission's jobs. False, and nothing restored, if CI does not know all of them.

    Raises ``ProviderError``.
    """
    wait_for_turn(services)
    asked = now_ms()
    answer = services.provider.describe(submission.bucket, submission.region, submission.job_ids)
    answered = {detail.report.job_id: detail for detail in answer.details}
    if not all(job_id in answered for job_id in submission.job_ids):
        return False
    bind(services, submission, [answered[job_id] for job_id in submission.job_ids], asked)
    return True


def bind(services: Services, submission: Submission, details: Sequence[Detail], asked_ms: int) -> None:
    """Accept CI's answer that these are the jobs of a submission."""
    news = News(
        details=details,
        source="poll",
        verification="confirmed",
        body=as_body(details),
        submission=submission.id,
        ask_after=(submission.patience or services.settings.deadline)
        if submission.callback == "own"
        else FIRST_QUESTION_S,
        binds=True,
        asked_ms=asked_ms,
    )
    outcomes = services.store.acceptor.accept(news)
    for detail, outcome in zip(details, outcomes, strict=True):
        _confirm_outputs(services, detail, outcome)
    job_ids = [detail.report.job_id for detail in details]
    services.store.due.note_place(job_ids, (submission.bucket, submission.region))


def _confirm_outputs(services: Services, detail: Detail, outcome: Outcome) -> None:
    """If CI only repeats what a callback reported, that makes no event; handlers that wait for CI's answer need one."""
    report = detail.report
    if report.outputs and outcome != "stale":
        confirmed = event_id(report.job_id, f"{report.digest} confirmed")
        services.store.due.outputs_confirmed(report.job_id, confirmed, announced=outcome == "accepted")


class UnknownToCi(Exception):
    """CI was asked about a job that is stored here, and does not know it; its history says so."""


def refresh(services: Services, job: Job, by: str) -> None:
    """Ask CI about the job for the person ``by``. Raises ``ProviderError``, or ``UnknownToCi``."""
    if job.job_id not in ask(services, [job]):
        services.store.due.note_unknown(job.job_id, by)
        raise UnknownToCi(
            "CI does not know this job: it was made in another bucket or region, or CI has forgotten it. "
            "What is stored here stays as it was."
        )


def cancel(services: Services, job: Job, by: str) -> None:
    """Cancel the job at CI, and ask CI for its state. Raises ``ProviderError``, or ``UnknownToCi``."""
    try:
        for (bucket, region), group in by_place(services, [job]).items():
            services.provider.cancel(bucket, region, group[0].job_id)
    except RequestRejected:
        # CI has one error for a job that it does not know, and for one that it will not cancel.
        refresh(services, job, by)
        raise
    # CI's 200 does not mean that the job has stopped.
    services.store.due.ask(job.job_id, FIRST_QUESTION_S)
    refresh(services, job, by)


def longest_pause(job: Job) -> float:
    """Seconds that may pass between two questions about this job."""
    waits = job.submission is None or job.submission.callback == "own"
    return LONGEST_S if waits else LONGEST_POLLED_S


def pause(asked: int, longest: float = LONGEST_S) -> float:
    """Seconds until the next question, after ``asked`` in a row to which the job had not ended."""
    return delay(asked + 1, FIRST_QUESTION_S, longest)
