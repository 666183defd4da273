"""Sends one submission: it is stored, sent once, and bound to the jobs that CI names in its answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from app.ci.incoming.payload import Answer
from app.ci.outgoing.request import Defaults, SubmitRequest
from app.ci.outgoing.rules.broken import BrokenRule
from app.ci.report import Detail
from app.core import traces
from app.core.clock import now_ms, rfc3339
from app.provider import AnswerLost, NotSent, ProviderError, ServerError, Throttled
from app.services import Services
from app.settings import Settings
from app.store import UNAVAILABLE, News, Unavailable
from app.store.accept.news import as_body
from app.store.accept.outcomes import Taken
from app.store.questions.due import FIRST_QUESTION_S
from app.store.submissions.submissions import Submission, SubmissionStatus, deadline_after
from app.submitter.draft import Draft, defaults, draft, draft_file
from app.submitter.pace import Pace, Turn

log = logging.getLogger(__name__)

SEND_PATIENCE_S = 10.0
"""Seconds during which a request is sent again, if CI certainly has not accepted it: a caller waits for the answer."""

_TRANSIENT = frozenset({"ConnectionRefused", "ConnectTimeout"})
"""Codes of ``NotSent`` whose cause may be over in a moment; a wrong certificate or host name is not."""


class Receipt(Struct, frozen=True):
    """The result: the jobs that CI named, none if its answer was lost. ``record`` is the submission as it should be
    stored; ``stored`` is false if Redis became unavailable before that: then the relay searches for the jobs.
    ``details``: CI's answer; ``new_at``: when that was stored, if nothing else is stored of the jobs (``Taken``)."""

    record: Submission
    job_ids: tuple[str, ...] = ()
    warnings: tuple[BrokenRule, ...] = ()
    stored: bool = True
    details: tuple[Detail, ...] = ()
    new_at: str | None = None

    @property
    def submission(self) -> str:
        """The id of our record."""
        return self.record.id


class SentElsewhere(Exception):
    """Another process is sending the same request, so this one was not sent."""


def may_be_sent_again(error: ProviderError) -> bool:
    """Whether the same request may be sent again now: CI certainly has not accepted it, and may do so in a moment."""
    return isinstance(error, Throttled) or (isinstance(error, NotSent) and error.code in _TRANSIENT)


class Submitter:
    """Sends jobs. Raises ``BadRequest`` with every broken rule; ``ProviderError`` with CI's error, whose
    ``submission`` names our record; ``app.store.Unavailable`` if nothing could be stored, and so nothing was sent;
    ``OverBudget`` if ``SUBMIT_MAX_PER_DAY`` allows no more today.

    ``pace`` may be shared with others; ``patience``: seconds after which it is not sent again. Safe
    to share between threads.
    """

    def __init__(
        self, services: Services, *, pace: Pace | None = None, patience: float = SEND_PATIENCE_S
    ) -> None:
        self._services = services
        self._settings = services.settings
        self._pace = pace
        self._patience = patience

    @classmethod
    def open(cls, settings: Settings) -> Submitter:
        """Open connections of its own, for programs without the web service."""
        return cls(Services.open(settings, timeout=settings.redis_timeout))

    @property
    def defaults(self) -> Defaults:
        """Bucket, region and callback format of a request that names none."""
        return defaults(self._settings)

    def draft(
        self,
        request: SubmitRequest,
        submission: str | None = None,
        broken: Sequence[BrokenRule] | None = None,
    ) -> Draft:
        """Check every rule and build the exact XML; nothing is stored or sent. Raises ``BadRequest``. ``broken``: the
        rules that it breaks, if they were checked already."""
        return draft(self._settings, request, submission, broken)

    def draft_file(
        self, xml: bytes, allow: Iterable[str] = (), ours: Mapping[str, Any] | None = None
    ) -> Draft:
        """The same for finished XML, which is changed only to add our CallBack if it has none. ``allow``: codes of
        rules that it may break; ``ours``: ``labels`` and ``deadline``. Raises ``BadRequest``."""
        return draft_file(self._settings, xml, allow, ours)

    def submit(self, request: SubmitRequest) -> Receipt:
        """``draft`` and ``send``."""
        return self.send(self.draft(request))

    def send(self, draft: Draft, claim: AbstractContextManager[None] | None = None) -> Receipt:
        """Store the submission, send it once, bind CI's answer to it. The submission is stored inside the block
        ``claim``, and sent after it; if that raises ``SentElsewhere`` or ``app.store.Unavailable``, nothing is sent."""
        pace, until = self._pace or Pace(), time.monotonic() + self._patience
        turn = pace.turn(until)
        if turn is None:
            raise Throttled(
                "SlowDown",
                "CI asks for a longer pause than this caller waits; nothing was sent, try again later",
            )
        record = self._record(draft)
        self._store(record, claim or nullcontext())
        try:
            answer = self._ask_ci(draft, pace, turn, until)
        except (AnswerLost, ServerError) as error:
            # CI may have it: the relay searches CI's list. Sending it again could cost twice.
            stored = self._settle(record, "lost", error)
            return Receipt(replace(record, status="lost", error=str(error)), (), draft.warnings, stored)
        except ProviderError as error:
            error.submission = record.id
            self._settle(record, "failed", error)
            raise
        job_ids = tuple(detail.report.job_id for detail in answer.details)
        taken = self._bind(record, answer)
        return Receipt(
            replace(record, status="submitted", job_ids=job_ids),
            job_ids,
            draft.warnings,
            stored=taken is not None,
            details=answer.details,
            new_at=taken.new_at if taken else None,
        )

    def _store(self, record: Submission, claim: AbstractContextManager[None]) -> None:
        try:
            with claim:
                self._services.store.submissions.create(record, self._settings.submit_max_per_day)
        except (Unavailable, *UNAVAILABLE):
            # It may be stored all the same, but less safely than required: then record that nothing was sent.
            self._settled(record, "failed", "It could not be stored safely, and was not sent.", None)
            raise
        except SentElsewhere:
            self._settled(
                record, "failed", "Another process sends the same request; this one was not sent.", None
            )
            raise

    def _record(self, draft: Draft) -> Submission:
        own, now = draft.asked.callback == "own", now_ms()
        return Submission(
            id=draft.submission,
            status="sending",
            submitted_at=rfc3339(now),
            deadline=deadline_after(draft.deadline or self._settings.deadline, now),
            callback=draft.asked.callback,
            bucket=draft.asked.bucket,
            region=draft.asked.region,
            key_id=self._settings.callback_keys[0].id if own else None,
            token_expires=draft.expires * 1000 if own else None,
            labels=draft.labels,
            patience=draft.deadline,
            facts=to_builtins(draft.asked),
        )

    def _ask_ci(self, draft: Draft, pace: Pace, turn: Turn, until: float) -> Answer:
        """CI's answer. The request is sent again only if ``may_be_sent_again``, and until ``until``."""
        while True:
            try:
                with traces.span("POST /jobs", "client") as step:
                    answer = self._services.provider.submit(draft.asked.bucket, draft.asked.region, draft.xml)
                    step.tell({"job_ids": [each.report.job_id for each in answer.details]})
            except ProviderError as error:
                if not may_be_sent_again(error):
                    raise
                pace.slower(turn, error.retry_after)
                again = pace.turn(until)
                if again is None:
                    raise
                turn = again
            else:
                pace.faster(turn)
                return answer

    def _settle(self, record: Submission, status: SubmissionStatus, error: ProviderError) -> bool:
        ci_error = {"code": error.code, "message": error.message, "request_id": error.request_id}
        return self._settled(record, status, str(error), ci_error | {"advice": error.advice})

    def _settled(
        self, record: Submission, status: SubmissionStatus, text: str, ci_error: dict[str, str | None] | None
    ) -> bool:
        try:
            self._services.store.submissions.settle(record.id, status, text, ci_error)
        except UNAVAILABLE:
            # It stays `sending`: the relay searches for its jobs.
            log.warning(
                "could not store that submission %s is %s; the relay searches for its jobs", record.id, status
            )
            return False
        return True

    def _bind(self, record: Submission, answer: Answer) -> Taken | None:
        """``None`` if CI's answer could not be stored."""
        own = record.callback == "own"
        news = News(
            details=answer.details,
            source="submit",
            verification="confirmed",
            body=as_body(answer.details),
            submission=record.id,
            ask_after=(record.patience or self._settings.deadline) if own else FIRST_QUESTION_S,
        )
        try:
            return self._services.store.acceptor.take(news)
        except Unavailable:
            # CI has the job, but our record does not name it: the relay finds it in CI's list.
            log.warning(
                "could not store CI's answer to submission %s; the relay searches for its jobs", record.id
            )
            return None
