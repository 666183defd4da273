"""Taking in what CI said: one atomic round trip for a whole body."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from redis.exceptions import RedisError

from app.ci.job import Report, rank
from app.ci.payload import Detail
from app.store.clock import now_ms, rfc3339, to_ms
from app.store.connection import Database
from app.store.durable import Durable, Kept
from app.store.index import names
from app.store.scripts import script

log = logging.getLogger(__name__)

Source = Literal["submit", "callback", "poll"]
Outcome = Literal["accepted", "duplicate", "stale"]


_CLAIMS_MAX = 32
"""Jobs that callbacks may claim for one submission before CI has named its jobs; a request has at most six."""
_NEWS_MAX = 1000
"""Different things that callbacks may tell about one job, before only CI's own answers count."""
_CLAIM_MS = 5000
"""How long CI's answer may still come after its callback, before the job is looked for."""
_FULL = {
    "outbox": "the outbox is full (OUTBOX_MAX): is the relay running?",
    "jobs": "there are as many jobs as JOBS_MAX allows",
}


class Unavailable(Exception):
    """Redis cannot keep anything now; nothing was stored."""


class NotDurable(Exception):
    """It is stored, with these ``outcomes``, and not as safe as ``DURABILITY`` promises."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("stored, and not as safe as DURABILITY promises")
        self.outcomes = outcomes


class NotBelieved(Exception):
    """The store knows better than the token: ``reason`` is ``revoked_token`` or ``binding_mismatch``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that the script keeps: entries of one job's history, entries in the outbox, jobs in all."""

    history: int = 200
    outbox: int = 100_000
    jobs: int = 5_000_000


@dataclass(frozen=True, slots=True)
class News:
    """What came in, how, and on whose word.

    ``hold`` keeps the state until CI itself confirms; ``ask_after`` (seconds) is when a job that has not ended is
    asked about; ``note`` goes into the history entry as it is. ``binds``: CI itself has named these as the jobs of
    ``submission``. ``asked_ms`` is when the question was put that a poll answers: of two answers the later one counts.
    """

    details: Sequence[Detail]
    source: Source
    verification: str
    body: bytes = b""
    submission: str | None = None
    token: str | None = None
    bind: bool = True
    hold: bool = False
    ask_after: float | None = None
    received_ms: int | None = None
    note: dict[str, Any] | None = None
    binds: bool = False
    asked_ms: int | None = None


def as_body(details: Sequence[Detail]) -> bytes:
    """What CI answered about these jobs, in a form that can be read again like a callback."""
    return json.dumps({"JobsDetail": [detail.raw for detail in details]}, ensure_ascii=False).encode()


class Acceptor:
    """The way in for callbacks, polls and the answers to our own submissions."""

    def __init__(self, db: Database, limits: Limits, durable: Durable) -> None:
        self._limits = limits
        self._durable = durable
        self._prefix = db.prefix
        self._script = script(db, "accept")

    def accept(self, news: News) -> list[Outcome]:
        """The outcome of each detail, in order.

        Raises ``NotBelieved`` or ``Unavailable`` when nothing is changed, as far as we know: an answer that was lost
        on its way looks the same. Raises ``NotDurable`` when a callback is stored, and not safely enough.
        """
        try:
            kept = self._run(news)
        except RedisError as error:
            # An error that nobody foresaw keeps callbacks out just like an absent Redis does: they must not be lost.
            raise Unavailable(str(error)) from error
        outcomes = self._outcomes(kept.answer)
        if not kept.safe:
            if news.source == "callback":
                raise NotDurable(outcomes)
            log.warning("the jobs of submission %s are stored, and not safely enough", news.submission)
        return outcomes

    def _run(self, news: News) -> Kept:
        arguments = self._arguments(news)
        if news.source == "submit" or news.binds:
            return self._durable.strongest(self._script, arguments)
        if news.source == "poll":
            # CI can be asked again.
            return Kept(self._script(args=arguments), True)
        return self._durable.run(self._script, arguments)

    def _outcomes(self, answer: Any) -> list[Outcome]:
        verdict, *rest = (word.decode() for word in answer)
        if verdict == "refused":
            raise NotBelieved(rest[0])
        if verdict == "full":
            raise Unavailable(_FULL[rest[0]])
        return rest

    def _arguments(self, news: News) -> list[Any]:
        now = now_ms()
        header = {
            "now": now,
            "at": rfc3339(now),
            "source": news.source,
            "verification": news.verification,
            "bind": news.bind,
            "hold": news.hold,
            "history_max": self._limits.history,
            "outbox_max": self._limits.outbox,
            "jobs_max": self._limits.jobs,
            "claims_max": _CLAIMS_MAX,
            "news_max": _NEWS_MAX,
            "claim_ms": _CLAIM_MS,
            "binds": news.binds or news.source == "submit",
            "asked": news.asked_ms or now,
            "items": [
                _item(detail.report, n, now, news.ask_after, _may_be_undone(news))
                for n, detail in enumerate(news.details)
            ],
        }
        if news.submission:
            header["submission"] = news.submission
        if news.token:
            header["token"] = news.token
        body = zlib.compress(news.body, 1) if news.body else b""
        arguments = [self._prefix, json.dumps(header), body]
        for detail in news.details:
            arguments += [
                detail.report.model_dump_json(),
                _pending(detail.report).model_dump_json() if _may_be_undone(news) else "",
                _entry(detail, news, now),
            ]
        return arguments


def event_id(job_id: str, digest: str) -> str:
    """The same news about a job has the same id, whichever way it comes in.

    32 hex digits and nothing of the job's own text: the id goes into signatures, addresses and keys.
    """
    return blake2b(f"{job_id} {digest}".encode(), digest_size=16).hexdigest()


def _item(report: Report, position: int, now: int, ask_after: float | None, undone: bool) -> dict[str, Any]:
    digest = report.digest
    item: dict[str, Any] = {
        "id": report.job_id,
        "rank": rank(report.state),
        "state": report.state,
        "tag": report.tag,
        "ended": to_ms(report.ended_at),
        "digest": digest,
        "event_id": event_id(report.job_id, digest),
        "created": to_ms(report.created_at) or now,
        "position": position,
        "idx": names(report),
        "held_idx": names(_pending(report)) if undone else None,
        "ask_at": now + int(ask_after * 1000) if ask_after else None,
    }
    return {name: value for name, value in item.items() if value is not None}


def _may_be_undone(news: News) -> bool:
    """It waits for CI's confirmation, or a token claims it for a submission whose jobs CI may not have named yet."""
    return news.hold or (news.source == "callback" and news.submission is not None)


def _pending(report: Report) -> Report:
    """What may be shown while nothing is certain: who the job is, and nothing of how it ended."""
    known = report.model_dump(include={"job_id", "tag", "input", "queue_id", "queue_type", "workflow"})
    blank = dict.fromkeys(Report.model_fields)
    return Report.model_validate(blank | {"terminal": False, "outputs": ()} | known)


def _entry(detail: Detail, news: News, now: int) -> str:
    entry = {
        "kind": news.source,
        "at": rfc3339(news.received_ms or now),
        "state": detail.report.state,
        "verification": news.verification,
        **(news.note or {}),
    }
    return json.dumps(entry, separators=(",", ":"))[:-1]
