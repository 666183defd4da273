"""One submission: stored, sent once, and bound to the jobs that CI names in its answer."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass

from app.ci.asked import Asked, asked
from app.ci.broken import BadRequest, Broken
from app.ci.payload import Answer
from app.ci.request import Defaults, SubmitRequest
from app.ci.request_file import read_xml, with_callback
from app.ci.request_xml import render
from app.ci.rules import check
from app.provider import AnswerLost, NotSent, ProviderError, Throttled, Unavailable
from app.services import Services
from app.settings import Settings
from app.store import News
from app.store import Unavailable as StoreUnavailable
from app.store.accept import as_body
from app.store.clock import now_ms, rfc3339
from app.store.submissions import Submission, deadline_after, new_id
from app.submitter.address import binding_of, callback_url

log = logging.getLogger(__name__)

_TRIES = 4
FIRST_POLL_S = 5.0
"""How soon CI is first asked about a job whose callback does not come to us."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A request that is ready to go: what CI will be sent, what is remembered of it, and what is doubtful in it."""

    submission: str
    xml: bytes
    asked: Asked
    callback: str | None
    warnings: tuple[Broken, ...]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of it: the jobs that CI named, or none yet because its answer was lost."""

    submission: str
    job_ids: tuple[str, ...]
    warnings: tuple[Broken, ...] = ()


class Submitter:
    """Sends jobs. Raises ``BadRequest`` with every broken rule, or ``ProviderError`` with what CI said."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    @classmethod
    def open(cls, settings: Settings) -> Submitter:
        return cls(Services.open(settings, timeout=settings.redis_timeout))

    @property
    def defaults(self) -> Defaults:
        """What a request that leaves its bucket, region or format open gets."""
        where = self._settings
        return Defaults(
            bucket=where.cos_bucket, region=where.cos_region, callback_format=where.callback_format
        )

    def draft(self, request: SubmitRequest) -> Draft:
        """Check every rule and build the exact XML; nothing is stored or sent."""
        facts, warnings = self._checked(request)
        submission = new_id()
        callback = self._callback(submission, facts, request.callback)
        xml = render(request, callback, self.defaults)
        return Draft(submission, xml, self._told(facts), callback, warnings, dict(request.labels))

    def draft_file(self, xml: bytes) -> Draft:
        """A ready XML request: as it is, but for a CallBack of our own where it has none."""
        request = read_xml(xml)
        facts, warnings = self._checked(request)
        submission = new_id()
        callback = self._callback(submission, facts, request.callback)
        own = facts.callback == "own"
        chosen = with_callback(
            xml, callback if own else None, self._settings.callback_format if own else None
        )
        return Draft(submission, chosen, self._told(facts), callback, warnings, {})

    def submit(self, request: SubmitRequest) -> Receipt:
        return self.send(self.draft(request))

    def send(self, draft: Draft) -> Receipt:
        """Store the submission, send it once, bind CI's answer to it."""
        self._services.store.submissions.create(self._record(draft))
        try:
            answer = self._ask_ci(draft)
        except (AnswerLost, Unavailable) as error:
            # CI may have it. It is looked for in CI's list; sending again could pay for it twice.
            self._services.store.submissions.settle(draft.submission, "lost", str(error))
            return Receipt(draft.submission, (), draft.warnings)
        except ProviderError as error:
            self._services.store.submissions.settle(draft.submission, "failed", str(error))
            raise
        return Receipt(draft.submission, self._bind(draft, answer), draft.warnings)

    def _checked(self, request: SubmitRequest) -> tuple[Asked, tuple[Broken, ...]]:
        broken = check(request, self.defaults)
        if any(each.severity == "error" for each in broken):
            raise BadRequest([each for each in broken if each.severity == "error"])
        return asked(request, self.defaults), tuple(broken)

    def _callback(self, submission: str, facts: Asked, chosen: str | None) -> str | None:
        if facts.callback != "own":
            return chosen
        if self._settings.public_url is None:
            return "no"
        return callback_url(self._settings, binding_of(submission, facts))

    def _told(self, facts: Asked) -> Asked:
        unreachable = facts.callback == "own" and self._settings.public_url is None
        return facts.model_copy(update={"callback": "no"}) if unreachable else facts

    def _record(self, draft: Draft) -> Submission:
        return Submission(
            id=draft.submission,
            status="sending",
            submitted_at=rfc3339(now_ms()),
            deadline=deadline_after(self._settings.deadline),
            callback=draft.asked.callback,
            bucket=draft.asked.bucket,
            region=draft.asked.region,
            key_id=self._settings.callback_keys[0].id if draft.asked.callback == "own" else None,
            labels=draft.labels,
            facts=draft.asked.model_dump(mode="json"),
        )

    def _ask_ci(self, draft: Draft) -> Answer:
        for left in reversed(range(_TRIES)):
            try:
                return self._services.provider.submit(draft.asked.bucket, draft.asked.region, draft.xml)
            except (NotSent, Throttled) as error:
                # Certainly not taken, so it can be sent again.
                if not left:
                    raise
                wait = getattr(error, "retry_after", None) or 0.5 * 2 ** (_TRIES - left)
                time.sleep(min(wait, 10) * random.uniform(0.8, 1.2))  # noqa: S311 - spreads retries, guards nothing
        raise AssertionError("unreachable")

    def _bind(self, draft: Draft, answer: Answer) -> tuple[str, ...]:
        own = draft.asked.callback == "own"
        news = News(
            details=answer.details,
            source="submit",
            verification="confirmed",
            body=as_body(answer.details),
            submission=draft.submission,
            ask_after=self._settings.deadline if own else FIRST_POLL_S,
        )
        try:
            self._services.store.acceptor.accept(news)
        except StoreUnavailable:
            # CI has the job, and our record of the submission says so little: the relay finds it in CI's list.
            log.warning("the answer to submission %s could not be stored", draft.submission)
            return ()
        return tuple(detail.report.job_id for detail in answer.details)
