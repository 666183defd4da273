"""Storing what CI reported: one script, and one round trip, for a whole body."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from msgspec.json import encode
from msgspec.structs import asdict
from redis.exceptions import RedisError

from app.ci.report import STATES, Detail, Report, digest_of, rank
from app.core.clock import now_ms, rfc3339, to_ms
from app.core.logs import origin_here
from app.core.logs.origin import Origin
from app.redis.durable import Durable, WriteResult
from app.redis.scripts import script
from app.store.database import Database
from app.store.jobs import index
from app.store.jobs.body import body_id
from app.store.jobs.snapshot import NOTHING, TRIES, Snapshot, snapshots
from app.store.members import member_of
from app.store.packing.packing import pack
from app.store.schema.version import VERSION, mismatch

log = logging.getLogger(__name__)

Source = Literal["submit", "callback", "poll", "settle"]
Outcome = Literal["accepted", "duplicate", "stale"]


_CLAIMS_MAX = 32
"""Jobs that callbacks may claim for one submission before CI has named its jobs; a request has at most six."""
_GATHER_MS = 2000
"""How long jobs whose outputs CI must confirm are collected: one question names up to 50."""
_CLAIM_MS = 5000
"""How long CI's answer to a submission may come after a callback of its job, before CI's list is searched."""
_FULL = {
    "outbox": "the outbox is full (OUTBOX_MAX): is the relay running?",
    "jobs": "there are as many jobs as JOBS_MAX allows",
}


class Unavailable(Exception):
    """Redis cannot keep anything now; nothing was stored."""


class NotDurable(Exception):
    """Stored with these ``outcomes``, but below the configured ``DURABILITY``."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("stored, but below the configured DURABILITY")
        self.outcomes = outcomes


class NotBelieved(Exception):
    """What the store holds contradicts it. ``reason``: ``revoked_token``, ``binding_mismatch``, or ``job_has_moved``
    (the job has changed since a person decided about it)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OverLimit(Exception):
    """The URL is over its ``CALLBACK_LIMITS``; nothing was stored. It may be used again in ``seconds``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"over its limits for {seconds} s")
        self.seconds = seconds


class Limits(Struct, frozen=True):
    """Bounds that accept.lua holds: entries of one job's history, entries in the outbox, jobs in all, callbacks that
    may run one job's handlers; and how many seconds exact bytes are kept, and the counters of unknown URLs."""

    history: int = 200
    outbox: int = 100_000
    jobs: int = 5_000_000
    runs: int = 20
    raw_s: float = 7 * 86400
    unknown_s: float = 30 * 86400


class UrlLimit(Struct, frozen=True, omit_defaults=True):
    """What one callback URL may cost: callbacks a minute, events that run one job's handlers, stored bytes in all,
    bytes a minute."""

    per_minute: int
    runs: int
    bytes: int | None = None
    bytes_per_minute: int | None = None


class Settled(Struct, frozen=True):
    """``seen_version`` is the version of the job that the person saw; if the job has another one, the decision is
    refused. ``keeps_known``: what was known stays, and the news repeats it. ``raw`` is where the bytes of the news are.
    ``refuted`` names the report that was rejected: its digest, and its state with its end."""

    seen_version: str
    keeps_known: bool
    raw: str | None
    refuted: tuple[str, ...] = ()


class News(Struct, frozen=True):
    """Reports, and how they reached us.

    ``hold`` delays the change of state until CI itself confirms it. ``ask_after``: CI is asked about a job that has not
    ended after that many seconds. ``note`` is copied into the history entry. ``binds``: CI itself has named these as
    the jobs of ``submission``. ``asked_ms``: when the question was sent that a poll answers; of two answers the one to
    the later question counts. ``limit`` bounds what the URL may cost. ``url`` describes a URL without a submission, for
    the list of URLs. ``place``: the bucket and region that its token names. ``settled``: how a person settled a doubt.
    ``unconfirmed``: positions of details with outputs that only this callback names; CI is asked about them.
    ``quiet``: no handler and no endpoint runs for it. ``origin``: the request that brought it.
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
    limit: UrlLimit | None = None
    url: dict[str, str | int] | None = None
    place: tuple[str, str] | None = None
    settled: Settled | None = None
    unconfirmed: frozenset[int] = frozenset()
    quiet: bool = False
    origin: Origin | None = None


def as_body(details: Sequence[Detail]) -> bytes:
    """CI's answer about these jobs as a body that can be parsed like a callback."""
    return json.dumps({"JobsDetail": [detail.raw for detail in details]}, ensure_ascii=False).encode()


class Taken(NamedTuple):
    """The outcome of each detail, in order. ``new_at`` is when they were stored (RFC 3339); it is set only for CI's
    answer to a submission none of whose jobs was known, so that nothing else is stored of them."""

    outcomes: list[Outcome]
    new_at: str | None = None


class Acceptor:
    """Stores callbacks, polls, and the answers to our own submissions."""

    def __init__(self, db: Database, limits: Limits, durable: Durable) -> None:
        self._limits = limits
        self._durable = durable
        self._db = db
        self._prefix = db.prefix
        self._script = script(db.client, "record", "decide", "accept")

    def accept(self, news: News) -> list[Outcome]:
        """The outcomes of ``take``; raises as it does."""
        return self.take(news).outcomes

    def take(self, news: News) -> Taken:
        """Store the news and return the outcomes.

        Raises ``NotBelieved`` or ``OverLimit`` if nothing was stored; ``Unavailable`` if nothing was stored as far as
        we know, because a lost reply of Redis looks the same; ``NotDurable`` if a callback is stored below the
        configured ``DURABILITY``.
        """
        try:
            kept = self._run(news)
            for _ in range(TRIES):
                if kept.answer[0] != b"uncertain":
                    break
                known = snapshots(self._db, [detail.report.job_id for detail in news.details])
                kept = self._run(news, undone=True, known=known)
        except RedisError as error:
            # Treated like an absent Redis, so that the callback is spooled: no error of ours may lose it.
            raise Unavailable(str(error)) from error
        taken = self._taken(kept.answer)
        if not kept.safe:
            if news.source == "callback":
                raise NotDurable(taken.outcomes)
            log.warning(
                "the jobs of submission %s are stored, but below the configured DURABILITY", news.submission
            )
        return taken

    def _run(self, news: News, undone: bool = False, known: Sequence[Snapshot] = ()) -> WriteResult:
        arguments = self._arguments(
            news, undone or _may_be_undone(news), known or [NOTHING] * len(news.details)
        )
        if news.source == "submit" or news.binds:
            return self._durable.strongest(self._script, arguments)
        if news.source == "poll":
            # CI can be asked again.
            return WriteResult(self._script(args=arguments), True)
        return self._durable.run(self._script, arguments)

    def _taken(self, answer: Any) -> Taken:
        verdict, *rest = (word.decode() for word in answer)
        if verdict == "refused":
            raise NotBelieved(rest[0])
        if verdict == "full":
            raise Unavailable(_FULL[rest[0]])
        if verdict == "limited":
            raise OverLimit(int(rest[0]))
        if verdict == "schema":
            raise Unavailable(mismatch(rest[0]))
        if verdict == "uncertain":
            raise Unavailable("the job changes faster than it can be read; nothing was stored")
        if verdict == "new":
            return Taken(rest[1:], rest[0])
        return Taken(rest)

    def _arguments(self, news: News, undone: bool, known: Sequence[Snapshot]) -> list[Any]:
        reports = [detail.report.to_json() for detail in news.details]
        header = self._header(news, undone, [digest_of(report) for report in reports])
        for item, each in zip(header["items"], known, strict=True):
            if each.version:
                item["known"] = each.version
        body = pack(news.body) if news.body else b""
        header["size"] = len(news.body) + sum(map(len, reports))
        arguments: list[Any] = [self._prefix, encode(header), body]
        for detail, report, each, item in zip(news.details, reports, known, header["items"], strict=True):
            arguments += [
                report,
                pack(report),
                detail.report.undecided().to_json() if undone else "",
                _entry(detail, news, header),
                each.report,
                bytes.fromhex(item["event_id"]) + member_of(detail.report.job_id),
            ]
        return arguments

    def _header(self, news: News, undone: bool, digests: Sequence[str]) -> dict[str, Any]:
        now, limits = now_ms(), self._limits
        header = {
            "schema": VERSION,
            "now": now,
            "at": rfc3339(now),
            "source": news.source,
            "verification": news.verification,
            "bind": news.bind,
            "hold": news.hold,
            "history_max": limits.history,
            "outbox_max": limits.outbox,
            "jobs_max": limits.jobs,
            "runs_max": limits.runs,
            "claims_max": _CLAIMS_MAX,
            "claim_ms": _CLAIM_MS,
            "unknown_ms": int(limits.unknown_s * 1000),
            "binds": news.binds or news.source == "submit",
            "asked": news.asked_ms or now,
            "items": [
                _item(detail.report, digests[n], n, now, news.ask_after, undone)
                | ({"confirm_at": now + _GATHER_MS} if n in news.unconfirmed else {})
                for n, detail in enumerate(news.details)
            ],
            "submission": news.submission,
            "token": news.token,
            "limit": news.limit,
            "url": news.url,
            "place": news.place,
            "quiet": news.quiet or None,
        }
        origin = news.origin or origin_here()
        header |= {"request": origin.request_id, "trace": origin.traceparent or None}
        if news.settled:
            header |= asdict(news.settled)
        if news.body:
            header |= {
                "body": body_id(news.body),
                "body_ms": int(limits.raw_s * 1000),
            }
        return {name: value for name, value in header.items() if value is not None}


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


def _item(
    report: Report, digest: str, position: int, now: int, ask_after: float | None, undone: bool
) -> dict[str, Any]:
    ended = to_ms(report.ended_at)
    held = report.undecided() if undone else None
    item: dict[str, Any] = {
        "id": report.job_id,
        "rank": rank(report.state),
        "state": report.state,
        "is_word": report.state in STATES,
        "tag": report.tag,
        "ended": ended,
        "digest": digest,
        "event_id": event_id(report.job_id, digest),
        "created": to_ms(report.created_at) or now,
        "position": position,
        "seen": seen(report.state, ended, digest),
        "idx": index.places(report),
        "words": index.words(report),
        "held_idx": index.places(held) if held else None,
        "held_words": index.words(held) if held else None,
        "ask_at": now + int(ask_after * 1000) if ask_after else None,
    }
    return {name: value for name, value in item.items() if value is not None}


_SOON_MS = 300_000


def _may_be_undone(news: News) -> bool:
    """Whether the news may be undone later: it waits for CI's confirmation, its token claims the job for a submission
    whose jobs CI may not have named yet, or it is likely to be a doubt. If this guess is wrong, the script answers
    ``uncertain`` and is called again with the reports that it needs."""
    if news.hold or (news.source == "callback" and news.submission is not None):
        return True
    return any(_is_doubtful(detail.report) for detail in news.details)


def _is_doubtful(report: Report) -> bool:
    is_word = report.state is None or report.state in STATES
    return not is_word or (to_ms(report.ended_at) or 0) > now_ms() + _SOON_MS


def _entry(detail: Detail, news: News, header: dict[str, Any]) -> bytes:
    entry = {
        "kind": news.source,
        "at": rfc3339(news.received_ms) if news.received_ms else header["at"],
        "state": detail.report.state,
        "verification": news.verification,
        **(news.note or {}),
    }
    return pack(encode(entry))
