"""Describing jobs at CI, and taking its answer in."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

from app.ci.incoming.payload import Answer, Detail
from app.core.backoff import delay
from app.core.clock import now_ms, rfc3339
from app.provider import AnswerLost, Place, Throttled
from app.reconcile.places import by_place
from app.store import Job, News, Outcome
from app.store.jobs.accept import as_body, event_id
from app.store.questions.due import FIRST_QUESTION_S
from app.store.submissions.submissions import Submission
from app.web.services import Services

LONGEST_S = 900.0
"""The longest pause between two questions about a job whose callback is late."""
LONGEST_POLLED_S = 60.0
"""The same for a job that no callback of ours will ever tell us about."""


class Described(NamedTuple):
    """What became of the jobs that CI was asked about; those that it does not know are in neither."""

    outcomes: dict[str, Outcome]
    unreadable: frozenset[str]
    """Jobs of which CI said something that cannot be read."""


PATIENCE_S = 5.0
"""How long a caller that waits for the answer may queue for the rate limit."""
LOOP_PATIENCE_S = 60.0
"""The same for the relay."""


def ask(services: Services, jobs: Sequence[Job]) -> dict[str, Outcome]:
    """Describe these jobs at CI and take its answer in. Jobs that CI does not know, or whose place nobody knows,
    are not in the result.

    Raises ``ProviderError``; then what was taken in so far stays.
    """
    outcomes: dict[str, Outcome] = {}
    for place, group in by_place(services, jobs).items():
        asked = ask_place(services, place, group)
        outcomes |= asked.outcomes
        if asked.unreadable:
            raise AnswerLost("AnswerUnreadable", ", ".join(sorted(asked.unreadable)), question=True)
    return outcomes


def wait_for_turn(services: Services, longest_s: float = LOOP_PATIENCE_S) -> None:
    """Wait until CI may be asked one more question: all processes together share one rate limit.

    Raises ``Throttled`` where that would take longer than ``longest_s``.
    """
    wait = services.store.due.turn(longest_s)
    if wait is None:
        raise Throttled(
            "SlowDown",
            "Our own rate limit for questions to CI is exhausted; nothing was sent",
            retry_after=longest_s,
        )
    time.sleep(wait)


def ask_place(
    services: Services, place: Place, jobs: Sequence[Job], longest_s: float = PATIENCE_S
) -> Described:
    """The same for at most fifty jobs of one bucket. Raises ``ProviderError``; then nothing was taken in."""
    wait_for_turn(services, longest_s)
    services.store.due.note_asked([job.job_id for job in jobs])
    asked = now_ms()
    answer = services.provider.describe(*place, [job.job_id for job in jobs])
    told = {detail.report.job_id: detail for detail in answer.details}
    known = [job for job in jobs if job.job_id in told]
    services.store.due.note_place([job.job_id for job in known], place)
    outcomes = {
        job.job_id: accept_answer(services, told[job.job_id], asked, longest_pause(job)) for job in known
    }
    return Described(outcomes, _unreadable(answer, jobs, told.keys()))


def _unreadable(answer: Answer, jobs: Sequence[Job], told: Collection[str]) -> frozenset[str]:
    """Where the id is what cannot be read, it may be any that CI said nothing else of."""
    if not answer.unreadable:
        return frozenset()
    silent = {job.job_id for job in jobs} - set(told) - set(answer.non_existing)
    named = silent & {one.job_id for one in answer.unreadable}
    return frozenset(named if len(named) == len(answer.unreadable) else silent)


def accept_answer(services: Services, detail: Detail, asked_ms: int, longest: float = LONGEST_S) -> Outcome:
    """Believe CI's own word about one job, given to a question that was put at ``asked_ms``."""
    due, job_id = services.store.due, detail.report.job_id
    news = News(
        details=[detail],
        source="poll",
        verification="confirmed",
        body=as_body([detail]),
        ask_after=pause(due.asked(job_id), longest),
        asked_ms=asked_ms,
    )
    outcome = services.store.acceptor.accept(news)[0]
    _confirm_outputs(services, detail, outcome)
    if detail.report.terminal:
        due.settled(job_id)
    else:
        # CI is still at it: its silence becomes overdue only after another deadline.
        due.count(job_id, rfc3339(now_ms() + int(services.settings.deadline * 1000)))
    return outcome


def restore(services: Services, submission: Submission) -> bool:
    """Bring back the jobs of a submission whose records were lost. False where CI does not know all of them.

    Raises ``ProviderError``.
    """
    wait_for_turn(services)
    asked = now_ms()
    answer = services.provider.describe(submission.bucket, submission.region, submission.job_ids)
    told = {detail.report.job_id: detail for detail in answer.details}
    if not all(job_id in told for job_id in submission.job_ids):
        return False
    bind(services, submission, [told[job_id] for job_id in submission.job_ids], asked)
    return True


def bind(services: Services, submission: Submission, details: Sequence[Detail], asked_ms: int) -> None:
    """Believe CI that these are the jobs of a submission."""
    news = News(
        details=details,
        source="poll",
        verification="confirmed",
        body=as_body(details),
        submission=submission.id,
        ask_after=FIRST_QUESTION_S if submission.callback != "own" else services.settings.deadline,
        binds=True,
        asked_ms=asked_ms,
    )
    outcomes = services.store.acceptor.accept(news)
    for detail, outcome in zip(details, outcomes, strict=True):
        _confirm_outputs(services, detail, outcome)
    job_ids = [detail.report.job_id for detail in details]
    services.store.due.note_place(job_ids, (submission.bucket, submission.region))


def _confirm_outputs(services: Services, detail: Detail, outcome: Outcome) -> None:
    """Where CI only repeats what a callback reported, there is no event of it: those who wait for its word need one."""
    report = detail.report
    if report.outputs and outcome != "stale":
        confirmed = event_id(report.job_id, f"{report.digest} confirmed")
        services.store.due.outputs_confirmed(report.job_id, confirmed, announced=outcome == "accepted")


def cancel(services: Services, job: Job) -> None:
    """Cancel the job at CI, and ask what became of it. Raises ``ProviderError``."""
    for (bucket, region), group in by_place(services, [job]).items():
        services.provider.cancel(bucket, region, group[0].job_id)
    # That CI said yes does not mean that the job has stopped.
    services.store.due.ask(job.job_id, FIRST_QUESTION_S)
    ask(services, [job])


def longest_pause(job: Job) -> float:
    """Seconds that may pass between two questions about this job."""
    waits = job.submission is None or job.submission.callback == "own"
    return LONGEST_S if waits else LONGEST_POLLED_S


def pause(asked: int, longest: float = LONGEST_S) -> float:
    """Seconds until the next question, when ``asked`` in a row have not brought the end: doubling, with jitter."""
    return delay(asked + 1, FIRST_QUESTION_S, longest)
